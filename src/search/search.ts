import type { Kysely } from 'kysely'
import type { Deliveries } from '../deliveries/deliveries.ts'
import { explainEvent, sentenceOf } from '../events/event-answer.ts'
import type { Events, FoundEvent } from '../events/events.ts'
import type { Routing } from '../events/routing.ts'
import type { EventId, TenantId } from '../ids.ts'
import type { Database } from '../postgres/schema.ts'
import type { ListedTenants } from '../tenants/listed-tenants.ts'
import { type Hit, isExact, OF_A_KIND_MAX } from './hit.ts'
import { namedBy, narrowedTo } from './named-hits.ts'

/** Each looks through the data of 2,000 events. */
const DATA_SCANS_MAX = 20
const DATA_MS_MAX = 1_500
/** Events and deliveries that are explained, at two queries each. */
const ANSWERS_MAX = 5

export interface Found {
  hits: Hit[]
  /** Data of older events was not looked through; null = all was, or none. */
  searchedBackTo: Date | null
}

export interface Search {
  /**
   * Looks in ids, names, keys, URLs and descriptions, and for events in idempotency keys, in ordering keys with open
   * deliveries, and in the keys and data of the latest ones. Words in front that name a tenant narrow the search to it: `acme 4711`.
   *
   * @param options.isQuick leaves out the data of events, as while somebody types
   * @throws SearchTooSlow
   */
  find(tenants: ListedTenants, text: string, options?: { isQuick?: boolean }): Promise<Found>
}

interface SearchOptions {
  /** Sees the tenants that are searched. */
  database: Kysely<Database>
  events: Pick<Events, 'search'>
  deliveries: Pick<Deliveries, 'search'>
  routing: Pick<Routing, 'explain'>
}

export function createSearch(options: SearchOptions): Search {
  return {
    async find(tenants, text, { isQuick = false } = {}) {
      const whole = await namedBy(options.database, tenants, text)
      const narrowed = await narrowedTo(options.database, tenants, text)
      const parts = await Promise.all(
        narrowed.map(({ id, rest }) => findIn(options, id, rest, isQuick)),
      )
      const within = { hits: parts.flatMap(({ hits }) => hits), ...reachOf(parts) }
      const isEnough =
        isQuick || within.hits.length > 0 || whole.some(({ matched }) => isExact(matched))
      const data = isEnough ? NOTHING : await findInData(options, tenants, text)
      const hits = unique([...whole, ...within.hits, ...data.hits])
      return {
        hits: await withAnswers(options, hits),
        searchedBackTo: within.searchedBackTo ?? data.searchedBackTo,
      }
    },
  }
}

const NOTHING: Found = { hits: [], searchedBackTo: null }

const unique = (hits: readonly Hit[]): Hit[] => [
  ...new Map(hits.map((hit) => [`${hit.kind} ${hit.id}`, hit])).values(),
]

/** What all of them have searched: where one has stopped early, the others may have found older events. */
function reachOf(parts: readonly Found[]): Pick<Found, 'searchedBackTo'> {
  const times = parts.flatMap(({ searchedBackTo: at }) => (at === null ? [] : [at.getTime()]))
  return { searchedBackTo: times.length === 0 ? null : new Date(Math.max(...times)) }
}

async function findIn(
  options: SearchOptions,
  tenant: TenantId,
  text: string,
  isQuick: boolean,
): Promise<Found> {
  const hits = await namedBy(options.database, tenant, text)
  if (isQuick || hits.some(({ matched }) => isExact(matched))) return { hits, searchedBackTo: null }
  const data = await findInData(options, tenant, text)
  return { ...data, hits: [...hits, ...data.hits] }
}

/** Newest first, until there is enough, or it has taken long enough. */
async function findInData(
  { events }: SearchOptions,
  tenants: ListedTenants,
  text: string,
): Promise<Found> {
  const [end, hits] = [Date.now() + DATA_MS_MAX, [] as Hit[]]
  let before: EventId | null = null
  for (let scan = 0; scan < DATA_SCANS_MAX && Date.now() < end; scan++) {
    const query = { search: text, before, limit: OF_A_KIND_MAX - hits.length }
    const page = await events.search(tenants, query)
    hits.push(...page.rows.map((event) => eventHit(event, text)))
    before = page.next as EventId | null
    if (before === null || hits.length >= OF_A_KIND_MAX) break
  }
  return { hits, searchedBackTo: before && timeOf(before) }
}

const eventHit = (event: FoundEvent, text: string): Hit => ({
  kind: 'event',
  id: event.id,
  tenantId: event.tenant_id as TenantId,
  tenantKey: event.tenantKey,
  tenantName: event.tenantName,
  title: event.type,
  matched: matchedBy(event, text),
  state: null,
  at: event.created_at,
  answer: null,
})

function matchedBy(event: FoundEvent, text: string): Hit['matched'] {
  if (event.idempotency_key === text) return 'idempotency_key'
  return event.ordering_key === text ? 'ordering_key' : 'data'
}

/** The first 48 bits of a UUIDv7 are milliseconds. */
const timeOf = (id: string): Date => new Date(Number.parseInt(id.replace('-', '').slice(0, 12), 16))

async function withAnswers(options: SearchOptions, hits: readonly Hit[]): Promise<Hit[]> {
  const explained = hits.filter(({ kind }) => kind === 'event' || kind === 'delivery')
  const answers = await Promise.all(
    explained.slice(0, ANSWERS_MAX).map(async (hit) => [hit, await explain(options, hit)] as const),
  )
  const byHit = new Map(answers)
  return hits.map((hit) => ({ ...hit, answer: byHit.get(hit) ?? null }))
}

async function explain(options: SearchOptions, hit: Hit): Promise<string | null> {
  const { kind, id, tenantId } = hit
  if (tenantId === null) return null
  if (kind === 'event') return (await explainEvent(options, tenantId, id as EventId)).sentence
  const query = { search: id, before: null, limit: OF_A_KIND_MAX }
  const { rows } = await options.deliveries.search(tenantId, query)
  const delivery = rows.find((row) => row.id === id)
  return delivery ? sentenceOf(delivery) : null
}
