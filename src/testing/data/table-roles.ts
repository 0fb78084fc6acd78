import type pg from 'pg'
import { RIGHTS } from '../../postgres/migrate/rights.ts'
import { connect } from '../servers/roles-server.ts'
import type { TestDatabase, TestLifetime } from '../wiring/database.ts'

const ROLES = ['owner', 'writer', 'hostile', 'plain'] as const
type Role = (typeof ROLES)[number]

export interface TableRoles {
  /** Names: they belong to the server, which other test files use at the same time. */
  names: Readonly<Record<Role, string>>
  loginAs(role: Role): Promise<pg.Client>
}

/**
 * Roles around a table that publishes: its owner, who may do what producers may, a writer who may nothing of
 * Postrider, a hostile one with the rights of another producer, and one that only sees the schema.
 */
export async function createTableRoles(
  t: TestLifetime,
  { pool, url, name }: TestDatabase,
): Promise<TableRoles> {
  const entries = ROLES.map((role) => [role, `${name}_${role}`] as const)
  const names = Object.fromEntries(entries) as Record<Role, string>
  for (const role of Object.values(names)) {
    await pool.query(`create role ${role} login password 'x'`)
  }
  t.teardown(() => drop(pool, Object.values(names)))
  const { owner, hostile, plain } = names
  await pool.query(`grant usage on schema postrider to ${owner}, ${hostile}, ${plain}`)
  const { rows } = await pool.query<{ signature: string }>(
    `select oid::regprocedure::text as signature from pg_proc
     where pronamespace = 'postrider'::regnamespace and prosecdef and proname = any ($1)`,
    [RIGHTS.postrider_producer.functions],
  )
  for (const { signature } of rows) {
    await pool.query(`grant execute on function ${signature} to ${owner}, ${hostile}`)
  }
  for (const name of RIGHTS.postrider_producer.reads ?? []) {
    await pool.query(`grant select on postrider.${name} to ${owner}, ${hostile}`)
  }
  return {
    names,
    loginAs: (role) =>
      connect(t, Object.assign(new URL(url), { username: names[role], password: 'x' }).href),
  }
}

async function drop(pool: pg.Pool, roles: string[]): Promise<void> {
  for (const role of roles) {
    await pool.query(`drop owned by ${role} cascade`)
    await pool.query(`drop role ${role}`)
  }
}
