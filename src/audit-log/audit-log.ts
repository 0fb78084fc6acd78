import { type Kysely, type RawBuilder, sql } from 'kysely'
import { currentActor } from '../postgres/actor.ts'
import { allOf, directionOf, isBehind, type Order } from '../postgres/list-query.ts'
import type { Database } from '../postgres/schema.ts'
import { type ListedTenants, ofTenants } from '../tenants/listed-tenants.ts'

/** A page looks through so many rows for what is wanted, and an older one goes on from there. */
const SCANNED_MAX = 20_000

/** Something that a person, or a repair of ours, has done. */
export interface AuditEntry {
  id: string
  at: Date
  /** As the caller said. */
  who: string
  /** The role that was logged in; null where that was not yet written down. */
  sessionRole: string | null
  /** Name of an API key, where one did it that is still known. */
  keyName: string | null
  action: string
  targetKind: string
  targetId: string | null
  tenantKey: string | null
  tenantName: string | null
  detail: Record<string, unknown>
}

/** What is to be written down. */
export interface Act {
  who: string
  action: string
  targetKind: string
  /** Null for the service as a whole. */
  targetId: string | null
  tenantId?: string | null
  detail?: Record<string, unknown>
}

/** Writes it in the caller's transaction, if there is one. @param on sees every tenant */
export async function writeAct(on: Kysely<Database>, act: Act): Promise<void> {
  const { who, action, targetKind, targetId, tenantId = null } = act
  const { client } = currentActor() ?? {}
  const detail = { ...(client && { client }), ...act.detail }
  await sql`select postrider.audit(${who}, ${action}, ${targetKind}, ${targetId}, ${tenantId},
    ${JSON.stringify(detail)})`.execute(on)
}

interface AuditQuery extends Order {
  limit: number
  before: string | null
  tenants: ListedTenants
  /** Id of what it was done to. */
  target?: string | undefined
  action?: string | undefined
  who?: string | undefined
}

export interface AuditLog {
  /** Newest first unless the page says otherwise. */
  list(query: AuditQuery): Promise<AuditEntry[]>
  /** Null where there is none with this id, or it is about a tenant that is not listed. */
  find(tenants: ListedTenants, id: string): Promise<AuditEntry | null>
}

export function createAuditLog({ database }: { database: Kysely<Database> }): AuditLog {
  const read = async (query: RawBuilder<AuditEntry>) => (await query.execute(database)).rows
  return {
    list: (query) => read(entriesOf(query)),
    async find(tenants, id) {
      const own = sql`select * from postrider.audit_log a where a.id = ${id} and ${allOf([ofTenants(tenants, 'a.tenant_id')])}`
      const [entry = null] = await read(withNames(own))
      return entry
    },
  }
}

function entriesOf({ limit, tenants, target, action, who, ...page }: AuditQuery) {
  const byId = sql`order by a.id ${directionOf(page)}`
  const scanned = sql`
    select * from postrider.audit_log a
    where ${allOf([
      isBehind('a.id', page),
      ofTenants(tenants, 'a.tenant_id'),
      target === undefined ? undefined : sql`a.target_id = ${target}`,
    ])}
    ${byId}
    limit ${SCANNED_MAX}`
  const asked = allOf([
    action === undefined ? undefined : sql`a.action = ${action}`,
    who === undefined ? undefined : sql`(a.who = ${who} or k.name = ${who})`,
  ])
  return sql<AuditEntry>`${withNames(scanned)} where ${asked} ${byId} limit ${limit}`
}

const withNames = (rows: RawBuilder<unknown>) => sql<AuditEntry>`
  select a.id, a.at, a.who, a.session_role as "sessionRole", k.name as "keyName", a.action, a.target_kind as "targetKind",
    a.target_id as "targetId", t.key as "tenantKey", t.name as "tenantName", a.detail
  from (${rows}) as a
  left join postrider.tenant t on t.id = a.tenant_id
  left join postrider.api_key k on a.who = 'api key ' || k.id`
