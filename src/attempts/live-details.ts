import { type Kysely, type Selectable, type SqlBool, sql } from 'kysely'
import type { DeliveryId, EventId } from '../ids.ts'
import type { Database, DeliveryTable, EndpointShape } from '../postgres/schema.ts'
import { type Attempt, NO_ANSWER, WITHOUT_ANSWER } from './attempts.ts'
import { type AttemptSummary, greatest, least } from './live-summaries.ts'

/** An attempt that has ended, and what it was about. */
export interface LiveAttempt {
  attempt: Attempt
  /** As it is now. */
  delivery: Selectable<DeliveryTable> & { id: DeliveryId }
  /** Null when it was erased. */
  event: { id: EventId; type: string; occurred_at: Date } | null
  /** As sent but for what is masked, and the link of a thin one, where somebody wants it. */
  body: string | null
  /** Of its endpoint, as it is now. */
  shape: EndpointShape
}

/** What is read next to the rows themselves. */
export interface Wanted {
  /** The body of the request. */
  withBody: boolean
  withAnswers: boolean
}

/** Each may hold 16 KiB of an answer, and with the body more. */
const READ_AT_ONCE_MAX = 100

/** What these attempts were about, in their order; those that are gone are left out. */
export async function* readDetails(
  database: Kysely<Database>,
  summaries: readonly AttemptSummary[],
  wanted: Wanted,
): AsyncGenerator<LiveAttempt> {
  for (let from = 0; from < summaries.length; from += READ_AT_ONCE_MAX) {
    yield* await readChunk(database, summaries.slice(from, from + READ_AT_ONCE_MAX), wanted)
  }
}

async function readChunk(
  database: Kysely<Database>,
  summaries: readonly AttemptSummary[],
  { withBody, withAnswers }: Wanted,
): Promise<LiveAttempt[]> {
  const [attempts, deliveries] = await Promise.all([
    attemptsOf(database, summaries.map(({ id }) => id), withAnswers), // biome-ignore format: one each
    deliveriesOf(database, summaries.map((summary) => summary.deliveryId)), // biome-ignore format: one each
  ])
  const events = await eventsOf(database, [...deliveries.values()], withBody)
  return summaries.flatMap((summary) => {
    const attempt = attempts.get(summary.id)
    const delivery = deliveries.get(summary.deliveryId)
    if (!attempt || !delivery) return []
    const { body = null, shape = 'standard', ...event } = events.get(delivery.id) ?? {}
    return [{ attempt, delivery, event: 'id' in event ? event : null, body, shape }]
  })
}

async function attemptsOf(
  database: Kysely<Database>,
  ids: string[],
  withAnswers: boolean,
): Promise<Map<string, Attempt>> {
  if (ids.length === 0) return new Map()
  const found = database.selectFrom('attempt').where(isAmong(ids))
  const rows = withAnswers
    ? await found.selectAll().$castTo<Attempt>().execute()
    : await found.select(WITHOUT_ANSWER).execute()
  return new Map(rows.map((row) => [row.id, { ...NO_ANSWER, ...row } as Attempt]))
}

async function deliveriesOf(
  database: Kysely<Database>,
  ids: string[],
): Promise<Map<string, LiveAttempt['delivery']>> {
  if (ids.length === 0) return new Map()
  const rows = await database
    .selectFrom('delivery')
    .selectAll()
    .where(isAmong(ids))
    .$castTo<LiveAttempt['delivery']>()
    .execute()
  return new Map(rows.map((row) => [row.id, row]))
}

type EventRow = { id: EventId; type: string; occurred_at: Date } & Pick<
  LiveAttempt,
  'body' | 'shape'
>

/** By delivery. */
async function eventsOf(
  database: Kysely<Database>,
  deliveries: readonly LiveAttempt['delivery'][],
  withBody: boolean,
): Promise<Map<string, EventRow>> {
  if (deliveries.length === 0) return new Map()
  const ids = deliveries.map(({ event_id }) => event_id)
  const body = sql`postrider.shaped_body(e, ev.id, ev.type, ev.occurred_at, postrider.masked(ev.type, ev.data), ev.as_svix)`
  const { rows } = await sql<EventRow & { delivery: string }>`
    select d.id as delivery, ev.id, ev.type, ev.occurred_at, postrider.shape_for(e, ev.as_svix) as shape, ${withBody ? body : null}::text as body
    from unnest(${deliveries.map(({ id }) => id)}::uuid[], ${ids}::uuid[],
      ${deliveries.map(({ endpoint_id }) => endpoint_id)}::uuid[]) as d (id, event_id, endpoint_id)
    join postrider.endpoint e on e.id = d.endpoint_id
    join (select * from postrider.event where ${isAmong(ids)}) as ev on ev.id = d.event_id`.execute(
    database,
  )
  return new Map(rows.map(({ delivery, ...row }) => [delivery, row]))
}

/** By id, with the bounds that keep other partitions out of the plan. */
const isAmong = (ids: string[]) =>
  sql<SqlBool>`id = any (${ids}::uuid[]) and id between ${least(ids)} and ${greatest(ids)}`
