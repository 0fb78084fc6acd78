import { type Kysely, type Selectable, type SqlBool, sql } from 'kysely'
import type { DeliveryId, EventId } from '../ids.ts'
import type { Database, DeliveryTable } from '../postgres/schema.ts'
import { type Attempt, NO_ANSWER, WITHOUT_ANSWER } from './attempts.ts'
import { type AttemptSummary, greatest, least } from './live-summaries.ts'

/** An attempt that has ended, and what it was about. */
export interface LiveAttempt {
  attempt: Attempt
  /** As it is now. */
  delivery: Selectable<DeliveryTable> & { id: DeliveryId }
  /** Null when it was erased. */
  event: { id: EventId; type: string; occurred_at: Date } | null
  /** As sent but for what is masked, where somebody wants it. */
  body: string | null
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
  const events = await eventsOf(
    database,
    [...deliveries.values()].map(({ event_id }) => event_id as EventId),
    withBody,
  )
  return summaries.flatMap((summary) => {
    const attempt = attempts.get(summary.id)
    const delivery = deliveries.get(summary.deliveryId)
    if (!attempt || !delivery) return []
    const { body = null, ...event } = events.get(delivery.event_id) ?? {}
    return [{ attempt, delivery, event: 'id' in event ? event : null, body }]
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

type EventRow = { id: EventId; type: string; occurred_at: Date; body: string | null }

async function eventsOf(database: Kysely<Database>, ids: EventId[], withBody: boolean) {
  if (ids.length === 0) return new Map<string, EventRow>()
  const { rows } = await sql<EventRow>`
    select id, type, occurred_at, ${withBody ? sql`postrider.body(type, occurred_at, postrider.masked(type, data))` : null}::text as body
    from postrider.event where ${isAmong(ids)}`.execute(database)
  return new Map(rows.map((row) => [row.id as string, row]))
}

/** By id, with the bounds that keep other partitions out of the plan. */
const isAmong = (ids: string[]) =>
  sql<SqlBool>`id = any (${ids}::uuid[]) and id between ${least(ids)} and ${greatest(ids)}`
