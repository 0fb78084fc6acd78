import type { ClientBase, Pool } from 'pg'
import { createUnderWay } from '../clock.ts'
import { createBatcher } from '../postgres/batcher.ts'
import { isConflict, isOutage, isPassing, isTimeout } from '../postgres/outage.ts'
import { createFanOutEstimate } from './fan-out-estimate.ts'
import { createKeyLocks, type KeyLocks, whileBusy } from './key-locks.ts'
import { DatabaseUnavailable, PublishRefused } from './publish-refused.ts'
import type { Published, Publisher, PublishItem } from './publisher.ts'
import { createLanes, sizeOf, WAIT_BOUNDS } from './wait-bounds.ts'

/** Bodies are bounded too, so that a full batch of the largest ones stays below 30 MB. */
const EVENTS_IN_BATCH_MAX = 100
/** While one batch is being committed the next is parsed and planned. */
const LANES = 2
/** Some hundred times the usual size; here filters begin to cost as much as the rest of publish. */
const LARGE_BODY_LENGTH = 16_384
/** As long as a client would before it tries again. */
export const KEY_WAIT_MS_MAX = 2_000
/**
 * For this long a batch waits within the database for keys that others hold: another process has committed by
 * then, and events next to it hardly notice. Those whose key is still held leave the batch.
 */
export const KEY_WAIT = '20ms'
/** Each may turn out to have a thousand deliveries, for which the others in the batch wait: some 25 ms each. */
const FIRSTS_IN_BATCH_MAX = 20
/** Events whose key was held are tried again next to those that come; as many in a batch, one at a time. */
const HELD_IN_BATCH_MAX = 20
/** The shortest there is: each is tried again soon. So do first events wait, some of which have no key. */
const HELD_KEY_WAIT = '1ms'
/** A conflict with another transaction is rare and short; three in a row are not one. */
export const TRIES_MAX = 3

interface PublisherOptions {
  pool: Pool
  lanes?: number
  /** Who has waited longer for a batch is told that the database is not available. */
  waitMsMax?: number
  /** Shared by all that publish in this process. */
  keyLocks?: KeyLocks
  keyWaitMsMax?: number
}

/**
 * Publishes what arrives at about the same time in one transaction.
 *
 * Large ones go alone: what filters cost grows with the data, and a neighbour would wait for it. So do those of a
 * tenant whose events have many deliveries, in turn with those of other tenants. The first events of tenants of
 * which that is not known go together, apart from those of all others.
 * Events with an idempotency or ordering key go in separate batches, so that those without do not wait for a key
 * (a first one for a millisecond at most). One whose key
 * somebody holds, as another process or a producer's open transaction does, leaves its batch and is tried again
 * for `keyWaitMsMax`; see `KeyLocks` for the others of this process.
 */
export function createPublisher({
  keyLocks = createKeyLocks(),
  keyWaitMsMax = KEY_WAIT_MS_MAX,
  ...options
}: PublisherOptions): Publisher {
  const { alone, firsts, plain, keyed, held } = createQueues(options)
  const estimate = createFanOutEstimate()
  const storeIn = (item: PublishItem, together: typeof plain) =>
    estimate.store(item, {
      alone: () => alone.add(item),
      first: () => firsts.add(item),
      together: () => together.add(item),
    })
  const store = (item: PublishItem, together: typeof plain) =>
    item.body.length > LARGE_BODY_LENGTH ? alone.add(item) : storeIn(item, together)
  const underWay = createUnderWay()
  return {
    publish: (item) => {
      if (item.idempotencyKey === null && !item.isOrdered) {
        return underWay.add(store(item, plain))
      }
      const endsAt = performance.now() + keyWaitMsMax
      const publish = () =>
        whileBusy(() => store(item, keyed), { again: () => storeIn(item, held), endsAt })
      // Of one ordering key many may be under way: each is another event.
      if (item.idempotencyKey === null) return underWay.add(publish())
      return underWay.add(keyLocks.one(item, endsAt, publish))
    },
    idle: underWay.idle,
  }
}

/** Where items wait: alone, or together with others, first ones and those with keys apart. */
function createQueues({
  pool,
  lanes = LANES,
  waitMsMax = WAIT_BOUNDS.waitMsMax,
}: Pick<PublisherOptions, 'pool' | 'lanes' | 'waitMsMax'>) {
  const explain = createExplainer(pool)
  const batcher = (maxItems: number, at: { lanes: number; keyWait: string }) =>
    createBatcher<PublishItem, Published>({
      maxItems,
      lanes: at.lanes,
      bounds: { ...WAIT_BOUNDS, waitMsMax, sizeOf: (item) => sizeOf([item]) },
      run: (items) => publishBatch({ pool, explain, keyWait: at.keyWait }, items),
    })
  const usual = { lanes, keyWait: KEY_WAIT }
  return {
    plain: batcher(EVENTS_IN_BATCH_MAX, usual),
    keyed: batcher(EVENTS_IN_BATCH_MAX, usual),
    firsts: batcher(FIRSTS_IN_BATCH_MAX, { lanes, keyWait: HELD_KEY_WAIT }),
    held: batcher(HELD_IN_BATCH_MAX, { lanes: 1, keyWait: HELD_KEY_WAIT }),
    alone: createLanes<PublishItem, Published>({
      atOnce: lanes + 1,
      atOncePerTenant: lanes,
      waitMsMax,
      tenantOf: ({ tenant }) => tenant,
      sizeOf: (item) => sizeOf([item]),
      run: (item) => publishAlone({ pool, explain, keyWait: KEY_WAIT }, item),
    }),
  }
}

/**
 * A statement that failed stored nothing, so its items are tried again one by one: whichever was
 * at fault fails alone. A lost connection is not tried again, since it may have stored everything.
 */
async function publishBatch(
  on: Publishing,
  items: readonly PublishItem[],
): Promise<(Published | Error)[]> {
  if (items.length > 1) {
    try {
      return await publishMany(on, items)
    } catch (error) {
      if (!isFaultOfAnItem(error)) throw translate(error)
    }
  }
  return Promise.all(items.map((item) => publishAlone(on, item)))
}

async function publishAlone(on: Publishing, item: PublishItem): Promise<Published | Error> {
  for (let tried = 1; ; tried++) {
    try {
      const [result] = await publishMany(on, [item])
      return result ?? new Error('publish_many answered nothing')
    } catch (error) {
      if (!isConflict(error) || tried === TRIES_MAX) return translate(error)
    }
  }
}

interface Publishing {
  pool: Pool
  explain: Explain
  keyWait: string
}

/**
 * Named, so that a connection parses and plans it once. It says itself for how long it waits for a key, and what
 * then: `report` stores the other items; otherwise nothing is stored.
 */
const STATEMENT = {
  name: 'postrider_publish',
  text: `
    select p.event_id, p.deliveries, p.duplicate, p.error
    from (
      select set_config('postrider.key_wait', $2, true) as key_wait,
        set_config('postrider.busy_keys', $3, true) as busy_keys offset 0
    ) as s
    cross join lateral postrider.publish_many(case when s.key_wait <> s.busy_keys then $1::json end) as p
    order by p.ordinal`,
}

export type Row =
  | { event_id: string; deliveries: number; duplicate: boolean; error: null }
  | { event_id: null; error: string }

async function publishMany(
  { pool, explain, keyWait }: Publishing,
  items: readonly PublishItem[],
): Promise<(Published | Error)[]> {
  const rows = await sendItems(pool, items, { keyWait, busyKeys: 'report' })
  if (rows.every((row) => row.error === null)) return rows.map(toPublished)
  return Promise.all(
    rows.map((row) => (row.error === null ? toPublished(row) : explain(row.error))),
  )
}

/** One row per item, in order; a row with an error stands for an item that was not stored. */
export async function sendItems(
  sender: Pick<ClientBase, 'query'>,
  items: readonly PublishItem[],
  { keyWait, busyKeys }: { keyWait: string; busyKeys: 'report' | 'raise' },
): Promise<Row[]> {
  const values = [`[${items.map(toItemText).join(',')}]`, keyWait, busyKeys]
  const { rows } = await sender.query<Row>({ ...STATEMENT, values })
  return rows
}

/**
 * The body as it came, with our members behind its own: where a name comes twice the last one
 * counts, for Postgres as for `JSON.parse`. Parsing and writing it again would round large numbers.
 */
function toItemText({ body, tenant, idempotencyKey, trace }: PublishItem): string {
  const open = body.slice(0, body.lastIndexOf('}'))
  const traceMembers = trace ? `,${JSON.stringify(trace).slice(1, -1)}` : ''
  return `${open},"tenant":${JSON.stringify(tenant)},"idempotencyKey":${JSON.stringify(idempotencyKey)}${traceMembers}}`
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

/** Cardinality, data, constraints, conflicts, and limits: perhaps one item's doing. */
const CLASSES_OF_ITEMS = new Set(['21', '22', '23', '40', '54'])

const codeOf = (error: unknown): string =>
  error instanceof Error && 'code' in error ? String(error.code) : ''

/** One that takes too long may hold up the others: the filters of its tenant may be slow. */
const isFaultOfAnItem = (error: unknown): boolean =>
  !isOutage(error) && (isTimeout(error) || CLASSES_OF_ITEMS.has(codeOf(error).slice(0, 2)))

export function translate(error: unknown): Error {
  if (isPassing(error)) {
    return new DatabaseUnavailable('the database is away or overloaded', { cause: error })
  }
  return error instanceof Error ? error : new Error(String(error), { cause: error })
}
