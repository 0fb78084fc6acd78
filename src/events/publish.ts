import type { ClientBase, Pool } from 'pg'
import { createBoundedBatcher } from '../database/bounded-batcher.ts'
import { isConflict, isOutage, isTimeout } from '../database/outage.ts'
import type { TraceContext } from '../tracing.ts'
import { DatabaseUnavailable, PublishRefused } from './publish-refused.ts'

/** Bodies are bounded too, so that a full batch of the largest ones stays below 30 MB. */
const EVENTS_IN_BATCH_MAX = 100
/** While one batch is being committed the next is parsed and planned. */
const LANES = 2
/** Some hundred times the usual size; here filters begin to cost as much as the rest of publish. */
const LARGE_BODY_LENGTH = 16_384
/** Most clients have given up by then; a batch takes milliseconds, so this is reached by a database that hangs. */
const WAIT_MS_MAX = 5_000
/** Of the bodies that wait: some seconds of the fastest load, or sixty of the largest events. */
const WAITING_SIZE_MAX = 64 * 1_048_576
/** What a request costs beside its body: sockets, headers, promises. */
export const REQUEST_SIZE = 8_192
/** A conflict with another transaction is rare and short; three in a row are not one. */
export const TRIES_MAX = 3

export interface PublishItem {
  /**
   * JSON text of an object with `type` and `data`, perhaps `deliverAt`, `occurredAt` and `tenant`.
   * Valid JSON, well-formed, and not nested deeper than Postgres can parse: a mistake here would
   * cost the whole batch a second try.
   */
  body: string
  /** Key of the tenant; overrides what the body says. */
  tenant: string
  idempotencyKey: string | null
  /** Kept with the event, so that its deliveries go on with the trace. */
  trace?: TraceContext | null
}

export interface Published {
  id: string
  deliveries: number
  /** The event was stored by an earlier request with the same idempotency key. */
  duplicate: boolean
}

export interface Publisher {
  /**
   * Stores an event, its deliveries and their jobs; durable once it resolves.
   *
   * @throws PublishRefused
   * @throws DatabaseUnavailable
   */
  publish(item: PublishItem): Promise<Published>
  /** Resolves once nothing is waiting or in flight. */
  idle(): Promise<void>
}

/**
 * Publishes what arrives at about the same time in one transaction.
 *
 * Large ones go alone: what filters cost grows with the data, and a neighbour would wait for it.
 * Events with an idempotency key go in batches of their own. A key may be held by a producer's open
 * transaction, and its batch then waits for `postrider.key_wait`; events without a key never do.
 *
 * @param pool its sessions may set `postrider.key_wait`: `settings: { 'postrider.key_wait': '200ms' }`; default 50 ms
 */
export function createPublisher({
  pool,
  lanes = LANES,
  waitMsMax = WAIT_MS_MAX,
}: {
  pool: Pool
  lanes?: number
  /** Who has waited longer for a batch is told that the database is not available. */
  waitMsMax?: number
}): Publisher {
  const explain = createExplainer(pool)
  const run = (items: readonly PublishItem[]) => publishBatch(pool, explain, items)
  const queue = { ...waitingBound(sizeOf), waitMsMax, run, lanes }
  const plain = createBoundedBatcher({ ...queue, maxItems: EVENTS_IN_BATCH_MAX })
  const large = createBoundedBatcher({ ...queue, maxItems: 1 })
  const keyed = createBoundedBatcher({ ...queue, maxItems: EVENTS_IN_BATCH_MAX })
  return {
    publish: (item) => {
      if (item.body.length > LARGE_BODY_LENGTH) return large.add(item)
      return (item.idempotencyKey === null ? plain : keyed).add(item)
    },
    async idle() {
      await Promise.all([plain.idle(), keyed.idle(), large.idle()])
    },
  }
}

const sizeOf = (item: PublishItem): number => item.body.length + REQUEST_SIZE

/** How much may wait for a batch, and for how long. */
export function waitingBound<Item>(sizeOf: (item: Item) => number) {
  return {
    waitMsMax: WAIT_MS_MAX,
    sizeMax: WAITING_SIZE_MAX,
    sizeOf,
    refusal: () => new DatabaseUnavailable('the database is away or overloaded'),
  }
}

/**
 * A statement that failed stored nothing, so its items are tried again one by one: whichever was
 * at fault fails alone. A lost connection is not tried again, since it may have stored everything.
 */
async function publishBatch(
  pool: Pool,
  explain: Explain,
  items: readonly PublishItem[],
): Promise<(Published | Error)[]> {
  if (items.length > 1) {
    try {
      return await publishMany(pool, explain, items)
    } catch (error) {
      if (!isFaultOfAnItem(error)) throw translate(error)
    }
  }
  return Promise.all(items.map((item) => publishAlone(pool, explain, item)))
}

async function publishAlone(
  pool: Pool,
  explain: Explain,
  item: PublishItem,
): Promise<Published | Error> {
  for (let tried = 1; ; tried++) {
    try {
      const [result] = await publishMany(pool, explain, [item])
      return result ?? new Error('publish_many answered nothing')
    } catch (error) {
      if (!isConflict(error) || tried === TRIES_MAX) return translate(error, [item])
    }
  }
}

/**
 * Named, so that a connection parses and plans it once. It says itself for how long it waits for a key, unless
 * the session has said so: settings of a session do not pass a pooler.
 */
const STATEMENT = {
  name: 'postrider_publish',
  text: `
    select p.event_id, p.deliveries, p.duplicate, p.error
    from (
      select set_config('postrider.key_wait',
        coalesce(nullif(current_setting('postrider.key_wait', true), ''), '50ms'), true) as key_wait offset 0
    ) as s
    cross join lateral postrider.publish_many(case when s.key_wait <> '' then $1::json end) as p
    order by p.ordinal`,
}

export type Row =
  | { event_id: string; deliveries: number; duplicate: boolean; error: null }
  | { event_id: null; error: string }

async function publishMany(
  pool: Pool,
  explain: Explain,
  items: readonly PublishItem[],
): Promise<(Published | Error)[]> {
  const rows = await sendItems(pool, items)
  if (rows.every((row) => row.error === null)) return rows.map(toPublished)
  return Promise.all(
    rows.map((row) => (row.error === null ? toPublished(row) : explain(row.error))),
  )
}

/** One row per item, in order; a row with an error stands for an item that was not stored. */
export async function sendItems(
  sender: Pick<ClientBase, 'query'>,
  items: readonly PublishItem[],
): Promise<Row[]> {
  const values = [`[${items.map(toItemText).join(',')}]`]
  const { rows } = await sender.query<Row>({ ...STATEMENT, values })
  return rows
}

/**
 * The body as it came, with our members behind its own: where a name comes twice the last one
 * counts, for Postgres as for `JSON.parse`. Parsing and writing it anew would round large numbers.
 */
function toItemText({ body, tenant, idempotencyKey, trace }: PublishItem): string {
  const open = body.slice(0, body.lastIndexOf('}'))
  const traced = trace ? `,${JSON.stringify(trace).slice(1, -1)}` : ''
  return `${open},"tenant":${JSON.stringify(tenant)},"idempotencyKey":${JSON.stringify(idempotencyKey)}${traced}}`
}

export function toPublished(row: Row & { error: null }): Published {
  return { id: row.event_id, deliveries: row.deliveries, duplicate: row.duplicate }
}

export type Explain = (code: string) => Promise<PublishRefused>

/** Field and message of a code are kept in SQL, for its own callers; asked for once a code. */
export function createExplainer(pool: Pool): Explain {
  const known = new Map<string, { field: string; message: string }>()
  return async (code) => {
    let problem = known.get(code)
    if (!problem) {
      const text = `select field, message || '. ' || hint as message from postrider.publish_problem($1)`
      const { rows } = await pool.query<{ field: string; message: string }>(text, [code])
      problem = rows[0] ?? { field: 'event', message: 'the event was refused' }
      known.set(code, problem)
    }
    return new PublishRefused({ code, ...problem })
  }
}

const LOCK_NOT_AVAILABLE = '55P03'
/** Cardinality, data, constraints, conflicts, limits and locks: perhaps one item's doing. */
const CLASSES_OF_ITEMS = new Set(['21', '22', '23', '40', '54', '55'])

const codeOf = (error: unknown): string =>
  error instanceof Error && 'code' in error ? String(error.code) : ''

/** One that takes too long may hold up the others: the filters of its tenant may be slow. */
const isFaultOfAnItem = (error: unknown): boolean =>
  !isOutage(error) && (isTimeout(error) || CLASSES_OF_ITEMS.has(codeOf(error).slice(0, 2)))

/** @param items what may have held the statement up */
export function translate(error: unknown, items: readonly PublishItem[] = []): Error {
  const isLocked = codeOf(error) === LOCK_NOT_AVAILABLE
  if (isLocked && items.some((item) => item.idempotencyKey !== null)) return keyBusy()
  if (isLocked || isOutage(error) || isConflict(error) || isTimeout(error)) {
    return new DatabaseUnavailable('the database is away or overloaded', { cause: error })
  }
  return error instanceof Error ? error : new Error(String(error), { cause: error })
}

function keyBusy(): PublishRefused {
  return new PublishRefused({
    code: 'idempotency_key_busy',
    field: 'idempotencyKey',
    message: 'an open transaction is publishing with this key. Try again when it has ended.',
  })
}
