import { RIGHTS, type ServiceRole } from './rights.ts'
import type { Queryable } from './schema-record.ts'

/** What the role we are logged in as lacks of the rights of this group, in words. */
export async function missingRights(pool: Queryable, group: ServiceRole): Promise<string[]> {
  const { functions, becomes = [], readsAllBut } = RIGHTS[group]
  const { rows } = await pool.query<{ missing: string }>(MISSING, [
    JSON.stringify(tableRights(group)),
    functions,
    becomes,
    readsAllBut ? Object.keys(readsAllBut) : null,
  ])
  return rows.map(({ missing }) => missing)
}

/** Whole tables only; of single columns no process depends. */
function tableRights(group: ServiceRole) {
  const { tables = {}, jobs = {} } = RIGHTS[group]
  const flat = (schema: string, of: Readonly<Record<string, readonly string[]>>) =>
    Object.entries(of).flatMap(([name, privileges]) =>
      privileges.map((privilege) => ({ schema, name, privilege })),
    )
  return [...flat('postrider', tables), ...flat('graphile_worker', jobs)]
}

/**
 * By oid, as a lookup by name fails in a schema that one may not use. A right on something that is not there
 * is no right that is missing: the schema is older or newer, and that is checked elsewhere.
 */
const MISSING = `
  with relation as (
    select c.oid, n.nspname as schema, c.relname as name, c.relnamespace, r.privilege
    from pg_class c join pg_namespace n on n.oid = c.relnamespace
    join lateral (
      select r->>'privilege' as privilege from json_array_elements($1::json) as r
      where r->>'schema' = n.nspname and r->>'name' = c.relname
      union
      select 'select' where $4::text[] is not null and n.nspname = 'postrider'
        and c.relkind in ('r', 'p', 'v') and not c.relispartition and c.relname <> all ($4)
        and c.relname !~ '^(event|delivery|attempt)_\\d{8}$'
    ) as r on true
  )
  select format('usage on schema %I', r.schema) as missing
  from relation r where not has_schema_privilege(r.relnamespace, 'usage') group by r.schema
  union all
  select format('%s on %I.%I', r.privilege, r.schema, r.name)
  from relation r where not has_table_privilege(r.oid, r.privilege)
  union all
  select distinct format('row-level security hides %I.%I from it', r.schema, r.name)
  from relation r
  where row_security_active(r.oid) and not exists (
    select from pg_policy p, unnest(p.polroles) as granted (role)
    where p.polrelid = r.oid and p.polname not in ('one_tenant', 'own_tables')
      and (granted.role = 0 or pg_has_role(granted.role, 'usage')))
  union all
  select format('execute on function postrider.%I', p.proname)
  from pg_proc p join pg_namespace n on n.oid = p.pronamespace
  where n.nspname = 'postrider' and p.prosecdef and p.proname = any ($2)
    and not has_function_privilege(p.oid, 'execute')
  union all
  select format('it may not become role %I', role)
  from unnest($3::text[]) as role
  where to_regrole(role) is not null and not pg_has_role(to_regrole(role),
    case when current_setting('server_version_num')::int >= 160000 then 'set' else 'member' end)`
