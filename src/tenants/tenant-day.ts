import { type Kysely, type RawBuilder, sql } from 'kysely'
import type { TenantId } from '../ids.ts'
import type { Database } from '../postgres/schema.ts'

/** So many are counted in some milliseconds, and nobody waits for the exact number. */
export const DAY_COUNTED_MAX = 20_000

/** What a tenant had in 24 hours, each number exact below `DAY_COUNTED_MAX`. */
export interface TenantDay {
  events: number
  deliveries: number
  /** Of those deliveries. */
  delivered: number
  failed: number
  /** At this moment, however old. */
  held: number
}

/** Makes the step that counts them: the newest by the index on tenant and id, what is held by that on endpoints. */
export function createTenantDay({ database }: { database: Kysely<Database> }) {
  return async (tenantId: TenantId): Promise<TenantDay> => {
    const { rows } = await sql<TenantDay>`
      select day.*, (select count(*)::int from (${newest('event', sql`r.id`, tenantId)}) as e) as events,
        (select count(*)::int from (${heldOf(tenantId)}) as h) as held
      from (
        select count(*)::int as deliveries, count(*) filter (where d.state = 'delivered')::int as delivered,
          count(*) filter (where d.state = 'failed')::int as failed
        from (${newest('delivery', sql`r.state`, tenantId)}) as d
      ) as day`.execute(database)
    const [day] = rows
    if (!day) throw new Error('a count has a row')
    return day
  }
}

const newest = (
  table: 'event' | 'delivery',
  column: RawBuilder<unknown>,
  tenantId: TenantId,
) => sql`
  select ${column} from ${sql.table(`postrider.${table}`)} r
  where r.tenant_id = ${tenantId} and r.id >= postrider.id_at(now() - interval '1 day')
    and r.id < postrider.id_at(now() + interval '1 hour')
  order by r.id desc limit ${DAY_COUNTED_MAX}`

const heldOf = (tenantId: TenantId) => sql`
  select from postrider.endpoint e
  join postrider.delivery d on d.endpoint_id = e.id and d.held_reason is not null and d.id >= postrider.id_floor(e.id)
    and d.id < postrider.id_at(now() + interval '1 hour')
  where e.tenant_id = ${tenantId} and e.deleted_at is null
  limit ${DAY_COUNTED_MAX}`
