import { createHash } from 'node:crypto'
import { type Kysely, sql } from 'kysely'
import type { EventId } from '../ids.ts'
import type { DedupCache } from '../limits/dedup-cache.ts'
import type { Database } from '../postgres/schema.ts'
import type { Published, Publisher, PublishItem } from './publisher.ts'

/**
 * Answers a request that came before, to the byte, from the dedup cache: it reads where a publish would
 * write and wait for its commit. A hit is confirmed in Postgres first; whatever leaves a doubt (another
 * body, an event that is gone, a tenant that is suspended or goes, Redis away) goes to `publisher`, which decides alone.
 */
export function createRememberingPublisher(options: {
  publisher: Pick<Publisher, 'publish'>
  cache: DedupCache
  database: Kysely<Database>
}): Pick<Publisher, 'publish'> {
  const { publisher } = options
  return {
    publish: (item) =>
      item.idempotencyKey === null
        ? publisher.publish(item)
        : publishOnce(options, item, item.idempotencyKey),
  }
}

async function publishOnce(
  { publisher, cache, database }: Parameters<typeof createRememberingPublisher>[0],
  item: PublishItem,
  key: string,
): Promise<Published> {
  const requestHash = createHash('sha256').update(item.body).digest('base64url')
  const seen = await cache.get(item.tenant, key)
  const isSame = seen?.requestHash === requestHash
  const before = isSame ? await confirm(database, item, seen.eventId) : null
  if (before) return before

  const published = await publisher.publish(item)
  // Nobody waits for it: what is not remembered costs the next repeat the long way.
  void cache.remember(item.tenant, key, { eventId: published.id as EventId, requestHash })
  return published
}

/** What `publish_many` would answer to the repeat, as long as the key and its event are stored. */
async function confirm(
  database: Kysely<Database>,
  { tenant, idempotencyKey }: PublishItem,
  eventId: EventId,
): Promise<Published | null> {
  const deliveries = sql<number>`(
    select count(*)::int from postrider.delivery as d
    where d.event_id = ${eventId} and d.id >= postrider.id_floor(${eventId}))`
  const row = await database
    .selectFrom('idempotency')
    .innerJoin('tenant', 'tenant.id', 'idempotency.tenant_id')
    .innerJoin('event', 'event.tenant_id', 'tenant.id')
    .select(deliveries.as('deliveries'))
    .where('tenant.key', '=', tenant)
    .where('tenant.suspended_at', 'is', null)
    .where('tenant.deletion_started_at', 'is', null)
    .where('idempotency.key', '=', idempotencyKey)
    .where('idempotency.event_id', '=', eventId)
    .where('idempotency.expires_at', '>', sql<Date>`now()`)
    .where('event.id', '=', eventId)
    .executeTakeFirst()
  return row ? { id: eventId, deliveries: row.deliveries, duplicate: true } : null
}
