import { type Kysely, sql } from 'kysely'
import type { ReplayId, TenantId } from '../ids.ts'
import type { Database } from '../postgres/schema.ts'
import type { Replay } from './replays.ts'

export interface FoundReplay extends Replay {
  tenantKey: string
  /** Of its endpoint, if it is about one. */
  url: string | null
}

/** Makes the list of the replays of every tenant, or of one, for operators: newest first. */
export function createAllReplays({ database }: { database: Kysely<Database> }) {
  return async (page: {
    limit: number
    before: ReplayId | null
    tenantId?: TenantId | undefined
  }): Promise<FoundReplay[]> => {
    const { limit, before, tenantId } = page
    const { rows } = await sql<FoundReplay>`
      select r.*, t.key as "tenantKey", e.url
      from postrider.replay r
      join postrider.tenant t on t.id = r.tenant_id
      left join postrider.endpoint e on e.id = r.endpoint_id
      where ${before === null ? sql`true` : sql`r.id < ${before}`}
        and ${tenantId === undefined ? sql`true` : sql`r.tenant_id = ${tenantId}`}
      order by r.id desc
      limit ${limit}`.execute(database)
    return rows
  }
}
