import { type Kysely, sql } from 'kysely'
import { currentActor } from '../postgres/actor.ts'
import { allOf } from '../postgres/list-query.ts'
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

export interface AuditQuery {
  limit: number
  before: string | null
  tenants: ListedTenants
  /** Id of what it was done to. */
  target?: string | undefined
  action?: string | undefined
  who?: string | undefined
}

/** Makes the list of the audit log, newest first. */
export function createAuditLog({ database }: { database: Kysely<Database> }) {
  return async (query: AuditQuery): Promise<AuditEntry[]> =>
    (await entriesOf(query).execute(database)).rows
}

const entriesOf = ({ limit, before, tenants, target, action, who }: AuditQuery) =>
  sql<AuditEntry>`
    select a.id, a.at, a.who, a.session_role as "sessionRole", k.name as "keyName", a.action, a.target_kind as "targetKind",
      a.target_id as "targetId", t.key as "tenantKey", a.detail
    from (
      select * from postrider.audit_log a
      where ${before === null ? sql`true` : sql`a.id < ${before}`}
        and ${allOf([ofTenants(tenants, 'a.tenant_id')])}
        and ${target === undefined ? sql`true` : sql`a.target_id = ${target}`}
      order by a.id desc
      limit ${SCANNED_MAX}
    ) as a
    left join postrider.tenant t on t.id = a.tenant_id
    left join postrider.api_key k on a.who = 'api key ' || k.id
    where ${action === undefined ? sql`true` : sql`a.action = ${action}`}
      and ${who === undefined ? sql`true` : sql`(a.who = ${who} or k.name = ${who})`}
    order by a.id desc
    limit ${limit}`
