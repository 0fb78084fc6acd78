import { type ClientBase, DatabaseError, type Pool } from 'pg'
import { createUnderWay } from '../clock.ts'
import { isConflict, isTimeout } from '../postgres/outage.ts'
import { createKeyLocks, type KeyLocks, whileBusy } from './key-locks.ts'
import {
  createExplainer,
  type Explain,
  KEY_WAIT,
  KEY_WAIT_MS_MAX,
  type Row,
  sendItems,
  TRIES_MAX,
  toPublished,
  translate,
} from './publish.ts'
import { BatchRefused, keyBusy } from './publish-refused.ts'
import type { Published, PublishItem } from './publisher.ts'
import { createLanes, sizeOf, WAIT_BOUNDS } from './wait-bounds.ts'

const LOCK_NOT_AVAILABLE = '55P03'
/** Each holds a connection for as long as a statement of a thousand events takes. */
export const LANES = 3
/** One is left for others, however long the batches of a tenant with many endpoints take. */
const LANES_OF_TENANT = LANES - 1

/** Nothing was stored: events and endpoints multiply, and Postgres ended the statement. */
class BatchTooSlow extends Error {
  override readonly name = 'BatchTooSlow'
  readonly code = 'batch_too_slow'
  constructor(options: ErrorOptions) {
    super('nothing was stored; send fewer events at a time', options)
  }
}

export interface BatchPublisher {
  /**
   * Stores all of the events, with deliveries and jobs, or none: one transaction. Results are in the
   * order of the items; of two items with the same idempotency key the second is a duplicate.
   *
   * @throws BatchRefused, BatchTooSlow, PublishRefused, DatabaseUnavailable
   */
  publishAll(items: readonly PublishItem[]): Promise<Published[]>
  /** Resolves once nothing is waiting or in flight. */
  idle(): Promise<void>
}

interface BatchPublisherOptions {
  pool: Pool
  keyLocks?: KeyLocks
  keyWaitMsMax?: number
}

/**
 * A batch with keys that somebody holds is tried again for `keyWaitMsMax`, and holds nothing between two tries.
 *
 * @param options.keyLocks shared by all that publish in this process
 */
export function createBatchPublisher({
  pool,
  keyLocks = createKeyLocks(),
  keyWaitMsMax = KEY_WAIT_MS_MAX,
}: BatchPublisherOptions): BatchPublisher {
  const explain = createExplainer(pool)
  const waiting = createLanes<readonly PublishItem[], Published[]>({
    atOnce: LANES,
    atOncePerTenant: LANES_OF_TENANT,
    waitMsMax: WAIT_BOUNDS.waitMsMax,
    tenantOf,
    sizeOf,
    run: (items) => publishAll(pool, explain, items),
  })
  const underWay = createUnderWay()
  return {
    publishAll: (items) => {
      const endsAt = performance.now() + keyWaitMsMax
      const publish = () => whileBusy(() => waiting.add(items), { endsAt })
      return underWay.add(keyLocks.all(items, endsAt, publish))
    },
    idle: underWay.idle,
  }
}

/** Batches of several tenants count as those of one more. */
function tenantOf(items: readonly PublishItem[]): string {
  const tenants = new Set(items.map(({ tenant }) => tenant))
  const [tenant = ''] = tenants
  return tenants.size === 1 ? tenant : ''
}

async function publishAll(
  pool: Pool,
  explain: Explain,
  items: readonly PublishItem[],
): Promise<Published[] | Error> {
  for (let tried = 1; ; tried++) {
    try {
      const rows = await storeAllOrNone(pool, items)
      return rows.every(isStored) ? rows.map(toPublished) : await refusalOf(rows, explain)
    } catch (error) {
      if (!isConflict(error) || tried === TRIES_MAX) return ofWhole(error)
    }
  }
}

/** What a single event is told, in words that fit a batch. */
function ofWhole(error: unknown): Error {
  if (error instanceof DatabaseError && error.code === LOCK_NOT_AVAILABLE) {
    const ordinals: number[] = JSON.parse(error.detail ?? '[]')
    const refusal = keyBusy(error.column)
    return new BatchRefused(ordinals.map((n) => ({ index: n - 1, refusal })))
  }
  return isTimeout(error) ? new BatchTooSlow({ cause: error }) : translate(error)
}

type Stored = Row & { error: null }
const isStored = (row: Row): row is Stored => row.error === null

async function storeAllOrNone(pool: Pool, items: readonly PublishItem[]): Promise<Row[]> {
  const client = await pool.connect()
  let fault: Error | undefined
  try {
    await client.query('begin')
    const rows = await sendItems(client, items, { keyWait: KEY_WAIT, busyKeys: 'raise' })
    await client.query(rows.every(isStored) ? 'commit' : 'rollback')
    return rows
  } catch (error) {
    fault = await rollBack(client)
    throw error
  } finally {
    client.release(fault)
  }
}

/** @returns why the connection is not to be used again, if it is not */
async function rollBack(client: ClientBase): Promise<Error | undefined> {
  try {
    await client.query('rollback')
    return undefined
  } catch (error) {
    return error as Error
  }
}

async function refusalOf(rows: readonly Row[], explain: Explain): Promise<BatchRefused> {
  const refused = rows.flatMap(({ error: code }, index) => (code === null ? [] : [{ code, index }]))
  return new BatchRefused(
    await Promise.all(
      refused.map(async ({ code, index }) => ({ index, refusal: await explain(code) })),
    ),
  )
}
