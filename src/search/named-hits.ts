import { type Kysely, type RawBuilder, sql } from 'kysely'
import { idIn } from '../deliveries/searched-range.ts'
import type { EventId, TenantId } from '../ids.ts'
import { containsText } from '../postgres/contains-text.ts'
import { allOf } from '../postgres/list-query.ts'
import { runList } from '../postgres/run-list.ts'
import type { Database } from '../postgres/schema.ts'
import { type ListedTenants, ofTenants } from '../tenants/listed-tenants.ts'
import { type Hit, OF_A_KIND_MAX } from './hit.ts'

/** Tenants and endpoints that are looked through, the newest. */
const NAMES_SCANNED_MAX = 50_000
/** Tenants in which a key is looked up, each by its index. */
const KEYS_PROBED_MAX = 10_000
/** Attempts after the id of a batch: some 50 ms. */
const ATTEMPTS_SCANNED_MAX = 20_000
/** Several tenants may be called by the same word. */
const NARROWED_MAX = 3
/** Words in front that may be a name: each is one more comparison with every tenant. */
const NAME_WORDS_MAX = 8

/** What an index or a short list leads to, in one statement. */
export async function namedBy(
  database: Kysely<Database>,
  tenants: ListedTenants,
  text: string,
): Promise<Hit[]> {
  const id = idIn(text)
  const parts = [
    tenantsNamed(tenants, text, id),
    endpointsNamed(tenants, text, id),
    keysNamed(tenants, text),
    linesNamed(tenants, text),
    typesNamed(text),
    ...(id === null ? [] : IDS.map((part) => part(tenants, id))),
  ]
  const select = sql<Hit>`
    select hit.kind, hit.id, t.id as "tenantId", t.key as "tenantKey", t.name as "tenantName", hit.title, hit.matched,
      hit.state, hit.at, null as answer
    from (${sql.join(parts, sql` union all `)}) as hit (kind, id, tenant_id, title, matched, state, at)
    left join postrider.tenant t on t.id = hit.tenant_id`
  return await runList(
    database,
    { isIndexed: false },
    async (on) => (await select.execute(on)).rows,
  )
}

type Part = RawBuilder<unknown>

/** By its id, or by the one that a Svix server gave it. */
const isCalled = (table: 't' | 'e', text: string, id: string | null) =>
  sql`(${sql.ref(`${table}.id`)} = ${id}::uuid or ${sql.ref(`${table}.svix_id`)} = ${text})`

function tenantsNamed(tenants: ListedTenants, text: string, id: string | null): Part {
  return sql`(
    select 'tenant' as kind, t.id::text as id, t.id as tenant_id, t.name as title,
      case when ${isCalled('t', text, id)} then 'id' when ${containsText(sql`t.key`, [text])} then 'key'
        when ${containsText(sql`t.name`, [text])} then 'name' else 'uid' end as matched,
      case when t.suspended_at is null then 'active' else 'suspended' end as state, t.created_at as at
    from (
      select * from postrider.tenant where ${allOf([ofTenants(tenants, 'id')])}
      order by id desc limit ${NAMES_SCANNED_MAX}) as t
    where ${isCalled('t', text, id)} or ${containsText(sql`t.key`, [text])} or ${containsText(sql`t.name`, [text])}
      or ${containsText(sql`t.uid`, [text])}
    order by lower(t.key) = lower(${text}) or lower(t.name) = lower(${text}) desc, t.id desc
    limit ${OF_A_KIND_MAX})`
}

function endpointsNamed(tenants: ListedTenants, text: string, id: string | null): Part {
  return sql`(
    select 'endpoint', e.id::text, e.tenant_id, coalesce(nullif(e.description, ''), e.url),
      case when ${isCalled('e', text, id)} then 'id' when ${containsText(sql`e.url`, [text])} then 'url'
        when ${containsText(sql`e.description`, [text])} then 'description' else 'uid' end,
      e.state, e.created_at
    from (
      select * from postrider.endpoint
      where deleted_at is null and ${allOf([ofTenants(tenants)])}
      order by id desc limit ${NAMES_SCANNED_MAX}) as e
    where ${isCalled('e', text, id)} or ${containsText(sql`e.url`, [text])} or ${containsText(sql`e.description`, [text])}
      or ${containsText(sql`e.uid`, [text])}
    order by e.id desc
    limit ${OF_A_KIND_MAX})`
}

/** Keys of the last seven days; older ones stand with their event, whose data is looked through. */
function keysNamed(tenants: ListedTenants, text: string): Part {
  return sql`(
    select 'event', ev.id::text, ev.tenant_id, ev.type, 'idempotency_key', null, ev.created_at
    from (
      select id from postrider.tenant where ${allOf([ofTenants(tenants, 'id')])}
      order by id desc limit ${KEYS_PROBED_MAX}) as t
    cross join lateral (
      select i.event_id from postrider.idempotency i where i.tenant_id = t.id and i.key = ${text} offset 0) as i
    join postrider.event ev on ev.id = i.event_id
    limit ${OF_A_KIND_MAX})`
}

/** The event that has its turn, of an ordering key with open deliveries; others stand in the lists. */
function linesNamed(tenants: ListedTenants, text: string): Part {
  return sql`(
    select 'event', ev.id::text, ev.tenant_id, ev.type, 'ordering_key', null, ev.created_at
    from (
      select id from postrider.tenant where ${allOf([ofTenants(tenants, 'id')])}
      order by id desc limit ${KEYS_PROBED_MAX}) as t
    cross join lateral (
      select l.delivery_id from postrider.ordering_line l
      where l.tenant_id = t.id and l.ordering_key = ${text} offset 0) as l
    join postrider.delivery d on d.id = l.delivery_id
    join postrider.event ev on ev.id = d.event_id
    limit ${OF_A_KIND_MAX})`
}

function typesNamed(text: string): Part {
  return sql`(
    select 'event_type', name, null::uuid, name, 'name',
      case when deprecated_at is null then 'active' else 'deprecated' end, created_at
    from postrider.event_type where ${containsText(sql`name`, [text])}
    order by name
    limit ${OF_A_KIND_MAX})`
}

type OfId = (tenants: ListedTenants, id: EventId) => Part

const eventWithId: OfId = (tenants, id) => sql`(
  select 'event', id::text, tenant_id, type, 'id', null, created_at
  from postrider.event where id = ${id} and ${allOf([ofTenants(tenants)])})`

const deliveryWithId: OfId = (tenants, id) => sql`(
  select 'delivery', d.id::text, d.tenant_id,
    coalesce((select ev.type from postrider.event ev where ev.id = d.event_id), 'event deleted'),
    'id', d.state, d.created_at
  from postrider.delivery d where d.id = ${id} and ${allOf([ofTenants(tenants, 'd.tenant_id')])})`

const incidentWithId: OfId = (tenants, id) => sql`(
  select 'incident', i.id::text, i.tenant_id, i.cause, 'id',
    case when i.closed_at is null then 'open' else 'closed' end, i.first_seen_at
  from postrider.incident i where i.id = ${id} and ${allOf([ofTenants(tenants, 'i.tenant_id')])})`

const replayWithId: OfId = (tenants, id) => sql`(
  select 'replay', r.id::text, r.tenant_id, r.mode, 'id', r.state, r.created_at
  from postrider.replay r where r.id = ${id} and ${allOf([ofTenants(tenants, 'r.tenant_id')])})`

/**
 * What was sent in a batch with this id. It stands in attempts without an index: the first of them begins at most an hour after
 * the id (the longest wait of a batch), unless it is the id of an attempt, of which events were named as failed.
 */
const deliveriesOfBatch: OfId = (tenants, id) => sql`(
  select 'delivery', d.id::text, d.tenant_id,
    coalesce((select ev.type from postrider.event ev where ev.id = d.event_id), 'event deleted'),
    'id', d.state, d.created_at
  from (
    select a.delivery_id
    from (
      select a.delivery_id, a.batch_id from postrider.attempt a
      where a.id >= postrider.id_at(postrider.id_time(${id})) and a.id < postrider.id_at(postrider.id_time(${id}) + interval '2 hours')
        and ${allOf([ofTenants(tenants, 'a.tenant_id')])}
      order by a.id limit ${ATTEMPTS_SCANNED_MAX}) as a
    where a.batch_id = ${id}
    union
    select a.delivery_id from postrider.attempt a
    where a.id = ${id} and a.reason = 'item_failed' and ${allOf([ofTenants(tenants, 'a.tenant_id')])}) as a
  join postrider.delivery d on d.id = a.delivery_id
  order by d.id
  limit ${OF_A_KIND_MAX})`

const IDS: readonly OfId[] = [
  ...[eventWithId, deliveryWithId, incidentWithId, replayWithId, deliveriesOfBatch],
]

/** Tenants that the first words name (up to eight), by key, name or the first word of it, and what is looked for there. */
export async function narrowedTo(
  database: Kysely<Database>,
  tenants: ListedTenants,
  text: string,
): Promise<{ id: TenantId; rest: string }[]> {
  const words = text.split(/\s+/)
  const ways = words.slice(1, NAME_WORDS_MAX + 1).map((_, at) => ({
    name: words.slice(0, at + 1).join(' '),
    rest: words.slice(at + 1).join(' '),
  }))
  if (ways.length === 0) return []
  const { rows } = await sql<{ id: TenantId; rest: string }>`
    with way as materialized (
      select lower(name) as name, rest
      from jsonb_to_recordset(${JSON.stringify(ways)}::jsonb) as way (name text, rest text)),
    t as materialized (
      select id, lower(key) as key, lower(name) as name, lower(split_part(name, ' ', 1)) as first_word
      from postrider.tenant where ${allOf([ofTenants(tenants, 'id')])}
      order by id desc limit ${NAMES_SCANNED_MAX})
    select t.id, way.rest from way join t on way.name in (t.key, t.name, t.first_word)
    order by length(way.name) desc, way.name = t.key desc, t.id desc
    limit ${NARROWED_MAX}`.execute(database)
  return rows
}
