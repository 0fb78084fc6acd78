import { missingRights } from './missing-rights.ts'
import type { ServiceRole } from './rights.ts'
import type { Queryable } from './schema-record.ts'

/** The database role of this process may not do what the process does. */
class RightsMissing extends Error {
  override readonly name = 'RightsMissing'
  readonly code = 'rights_missing'
  readonly missing: readonly string[]
  constructor(role: string, group: ServiceRole, missing: readonly string[], isMember: boolean) {
    const login = /^[a-z_][a-z0-9_]*$/.test(role) ? role : `"${role.replaceAll('"', '""')}"`
    const remedy = isMember
      ? `It is a member of ${group}: run \`postrider migrate --roles\` again; if that does not help it does not inherit that role's rights, then run: alter role ${login} inherit; revoke ${group} from ${login}; grant ${group} to ${login};`
      : `Run \`postrider migrate --roles\` once, then as an administrator: grant ${group} to ${login};`
    super(`role ${role} lacks rights that this process needs: ${missing.join('; ')}. ${remedy}`)
    this.missing = missing
  }
}

/**
 * Makes sure that the role we are logged in as may do what the process does. Asked before it starts: a runner
 * from which row-level security hides the jobs would otherwise wait for work for ever, without a word.
 *
 * The owner and superusers may do everything. Where there is no schema yet, that is for `assertSchema` to say.
 *
 * @throws RightsMissing naming the role, all that it lacks, and the statement that helps
 */
export async function assertRights(pool: Queryable, group: ServiceRole): Promise<void> {
  const missing = await missingRights(pool, group)
  if (missing.length === 0) return
  const { rows: who } = await pool.query<{ role: string; is_member: boolean }>(
    `select current_user as role,
       coalesce(pg_has_role(to_regrole($1), 'member'), false) as is_member`,
    [group],
  )
  throw new RightsMissing(who[0]?.role ?? '', group, missing, who[0]?.is_member ?? false)
}
