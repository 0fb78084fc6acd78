import type pg from 'pg'
import { type GroupRole, RIGHTS, type Rights } from './rights.ts'
import type { Queryable } from './schema-record.ts'

export const GROUP_ROLES = Object.keys(RIGHTS) as GroupRole[]

const INSUFFICIENT_PRIVILEGE = '42501'
/** Created by another session at this moment: roles belong to the server, and its databases may be migrated at once. */
const MADE_MEANWHILE = new Set(['42710', '23505'])

/** What the server did not let this role do; the rest is done. */
class RolesIncomplete extends Error {
  override readonly name = 'RolesIncomplete'
  readonly code = 'roles_incomplete'
  readonly statements: readonly string[]
  constructor(role: string, statements: readonly string[]) {
    super(
      `role ${role} cannot do all of it; ask an administrator to run:\n${statements.map((text) => `  ${text};\n`).join('')}Then run postrider migrate --roles again.`,
    )
    this.statements = statements
  }
}

/**
 * Creates the group roles where they are missing and grants each what it needs, in a database that is up to
 * date, and takes CONNECT from PUBLIC. May be called again and again.
 *
 * @returns what an administrator may add, and what is lost without it
 * @throws RolesIncomplete
 */
export async function ensureRoles(client: pg.Client): Promise<{ optional: string[] }> {
  const refused: string[] = []
  for (const statement of await missingRoleStatements(client)) {
    if (!(await isAllowed(client, statement))) refused.push(statement)
  }
  // Without the roles there is nobody to grant anything to.
  if (refused.length > 0) throw new RolesIncomplete(await currentRole(client), refused)
  for (const statement of await grantStatements(client)) {
    if (!(await isAllowed(client, statement))) refused.push(statement)
  }
  if (refused.length > 0) throw new RolesIncomplete(await currentRole(client), refused)
  return { optional: [...(await closeToStrangers(client)), ...(await adviceForOwner(client))] }
}

/**
 * Takes CONNECT from PUBLIC: a role without a right on our schema can still flood notifications, hold advisory locks
 * and use up connections. Roles that own or were granted something in this database, or are connected to it now,
 * are granted CONNECT first, so that nobody who works here is shut out.
 *
 * @returns what the owner of the database has to run, when this role is not the owner
 */
async function closeToStrangers(client: pg.Client): Promise<string[]> {
  const { rows } = await client.query<{ database: string; is_ours: boolean; roles: string[] }>(
    `select quote_ident(d.datname) as database, pg_has_role(d.datdba, 'usage') as is_ours, array(
       select quote_ident(r.rolname) from pg_roles r
       where r.oid <> d.datdba and (
         exists (
           select from pg_shdepend s
           where s.dbid = d.oid and s.refclassid = 'pg_authid'::regclass and s.refobjid = r.oid)
         or exists (select from pg_stat_activity a where a.datid = d.oid and a.usesysid = r.oid))
       order by 1) as roles
     from pg_database d
     where d.datname = current_database() and exists (
       select from aclexplode(coalesce(d.datacl, acldefault('d', d.datdba))) a
       where a.grantee = 0 and a.privilege_type = 'CONNECT')`,
  )
  const [open] = rows
  if (!open) return []
  const statements = [
    `grant connect on database ${open.database} to ${open.roles.join(', ')}`,
    `revoke connect on database ${open.database} from public`,
  ]
  if (!open.is_ours) return [`${statements.join('; ')};  -- without it every role can connect`]
  await client.query(statements.join(';'))
  return []
}

/** Whether `migrate --roles` was run on this database: the roles themselves are shared by all of a server. */
export async function areRolesInUse(client: Queryable): Promise<boolean> {
  const { rows } = await client.query<{ used: boolean }>(
    `select exists (
       select from pg_namespace n, aclexplode(n.nspacl) a join pg_roles r on r.oid = a.grantee
       where n.nspname = 'postrider' and r.rolname = any ($1)) as used`,
    [GROUP_ROLES],
  )
  return rows[0]?.used ?? false
}

/** Everything to be granted on the database as it is now. The roles have to be there. */
export async function grantStatements(client: Queryable): Promise<string[]> {
  const statements = [...(await policyStatements(client))]
  for (const role of GROUP_ROLES) {
    const rights = RIGHTS[role]
    statements.push(
      `grant usage on schema postrider to ${role}`,
      ...(rights.jobs ? [`grant usage on schema graphile_worker to ${role}`] : []),
      ...(await functionGrants(client, role, rights)),
      ...(await readingGrants(client, role, rights)),
      ...(rights.reads ?? []).map((name) => `grant select on postrider.${name} to ${role}`),
      ...tableGrants('postrider', role, rights.tables),
      ...tableGrants('graphile_worker', role, rights.jobs),
      ...(await membershipGrants(client, role, [...(rights.becomes ?? []), ...(rights.has ?? [])])),
    )
  }
  return statements
}

/**
 * `noinherit` for a role that becomes another: with that one's rights, but for the transactions in which it has
 * become it, it would fall under its policies, which fail without a tenant.
 */
async function missingRoleStatements(client: Queryable): Promise<string[]> {
  const { rows } = await client.query<{ role: GroupRole }>(
    'select role from unnest($1::text[]) as role where to_regrole(role) is null',
    [GROUP_ROLES],
  )
  return rows.map(
    ({ role }) => `create role ${role} nologin ${RIGHTS[role].becomes ? 'noinherit' : 'inherit'}`,
  )
}

async function functionGrants(client: Queryable, role: GroupRole, { functions }: Rights) {
  const { rows } = await client.query<{ signature: string }>(
    `select p.oid::regprocedure::text as signature from pg_proc p
     where p.pronamespace = 'postrider'::regnamespace and p.prosecdef and p.proname = any ($1)
     order by 1`,
    [functions],
  )
  return rows.map(({ signature }) => `grant execute on function ${signature} to ${role}`)
}

/** Partitions are left out: they are read by their parent, whose policies do not cover them. */
async function readingGrants(client: Queryable, role: GroupRole, { readsAllBut }: Rights) {
  if (!readsAllBut) return []
  const { rows } = await client.query<{ name: string; columns: string[] }>(
    `select c.relname as name, array_agg(quote_ident(a.attname) order by a.attnum) as columns
     from pg_class c
     join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
     where c.relnamespace = 'postrider'::regnamespace and c.relkind in ('r', 'p', 'v')
       and not c.relispartition and c.relname !~ '^(event|delivery|attempt)_\\d{8}$'
     group by c.relname order by c.relname`,
  )
  return rows.flatMap(({ name, columns }) => {
    const hidden = readsAllBut[name]
    if (hidden === 'everything') return []
    const shown = hidden
      ? ` (${columns.filter((column) => !hidden.includes(column)).join(', ')})`
      : ''
    return [`grant select${shown} on postrider.${name} to ${role}`]
  })
}

function tableGrants(schema: string, role: GroupRole, tables: Rights['tables'] = {}) {
  return Object.entries(tables).map(
    ([table, privileges]) => `grant ${privileges.join(', ')} on ${schema}.${table} to ${role}`,
  )
}

/** Only those that are missing: a membership that another role granted may not be ours to grant. */
async function membershipGrants(client: Queryable, member: GroupRole, roles: readonly string[]) {
  const { rows } = await client.query<{ role: string }>(
    `select role from unnest($1::text[]) as role
     where not exists (
       select from pg_auth_members m
       where m.roleid = to_regrole(role) and m.member = to_regrole($2))`,
    [roles, member],
  )
  return rows.map(({ role }) => `grant ${role} to ${member}`)
}

/**
 * Row-level security hides all rows from anyone who has no policy. What the group roles may do is said by their
 * grants alone. graphile-worker's tables are protected like ours, and have no policies.
 */
async function policyStatements(client: Queryable): Promise<string[]> {
  const jobTables = Object.keys(RIGHTS.postrider_runner.jobs ?? {})
  const readers = GROUP_ROLES.filter((role) => RIGHTS[role].tables ?? RIGHTS[role].readsAllBut)
  const { rows } = await client.query<{ name: string; schema: string }>(
    `select c.oid::regclass::text as name, n.nspname as schema
     from pg_class c join pg_namespace n on n.oid = c.relnamespace
     where c.relrowsecurity and not c.relispartition
       and (n.nspname = 'postrider' or n.nspname = 'graphile_worker' and c.relname = any ($1))
       and not exists (select from pg_policy p where p.polrelid = c.oid and p.polname = 'postrider_service')
     order by 1`,
    [jobTables],
  )
  return rows.map(({ name, schema }) => {
    const roles = schema === 'postrider' ? readers.join(', ') : 'postrider_runner'
    return `create policy postrider_service on ${name} to ${roles} using (true) with check (true)`
  })
}

/** What only an administrator may give the owner of our schema. */
async function adviceForOwner(client: Queryable): Promise<string[]> {
  const { rows } = await client.query<{ owner: string }>(
    `select quote_ident(r.rolname) as owner from pg_namespace n join pg_roles r on r.oid = n.nspowner
     where n.nspname = 'postrider' and not pg_has_role(r.oid, 'pg_read_all_stats', 'usage')`,
  )
  return rows.map(
    ({ owner }) =>
      `grant pg_read_all_stats to ${owner};  -- without it xmin_holder does not tell time and state of other roles' sessions`,
  )
}

/** Runs a statement in its own transaction; false when this role may not. */
async function isAllowed(client: pg.Client, statement: string): Promise<boolean> {
  try {
    await client.query(statement)
    return true
  } catch (error) {
    const { code = '' } = error as pg.DatabaseError
    if (MADE_MEANWHILE.has(code)) return true
    if (code === INSUFFICIENT_PRIVILEGE) return false
    throw error
  }
}

async function currentRole(client: Queryable): Promise<string> {
  const { rows } = await client.query<{ role: string }>('select current_user as role')
  return rows[0]?.role ?? ''
}
