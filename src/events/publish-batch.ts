import type { ClientBase, Pool } from 'pg'
import { createBoundedBatcher } from '../database/bounded-batcher.ts'
import { isConflict, isTimeout } from '../database/outage.ts'
import {
  createExplainer,
  type Explain,
  type Published,
  type PublishItem,
  REQUEST_SIZE,
  type Row,
  sendItems,
  TRIES_MAX,
  toPublished,
  translate,
  waitingBound,
} from './publish.ts'
import { PublishRefused } from './publish-refused.ts'

/** Each holds a connection for as long as a statement of a thousand events takes. */
const LANES = 2

/** Nothing of the batch was stored, because of these items. */
export class BatchRefused extends Error {
  override readonly name = 'BatchRefused'
  readonly code = 'batch_refused'
  readonly refusals: readonly { index: number; refusal: PublishRefused }[]
  constructor(refusals: readonly { index: number; refusal: PublishRefused }[]) {
    super(`${refusals.length} events of the batch were refused`)
    this.refusals = refusals
  }
}

/** Nothing was stored: events and endpoints multiply, and Postgres ended the statement. */
export class BatchTooSlow extends Error {
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

/** @param pool its sessions may set `postrider.key_wait`, as for `createPublisher` */
export function createBatchPublisher({ pool }: { pool: Pool }): BatchPublisher {
  const explain = createExplainer(pool)
  const lanes = createBoundedBatcher<readonly PublishItem[], Published[]>({
    ...waitingBound((items) => items.reduce((size, { body }) => size + body.length, REQUEST_SIZE)),
    run: (batches) => Promise.all(batches.map((items) => publishAll(pool, explain, items))),
    maxItems: 1,
    lanes: LANES,
  })
  return { publishAll: (items) => lanes.add(items), idle: lanes.idle }
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
      if (!isConflict(error) || tried === TRIES_MAX) return ofWhole(translate(error, items))
    }
  }
}

/** What a single event is told, in words that fit a batch. */
function ofWhole(error: Error): Error {
  if (error instanceof PublishRefused) {
    // Postgres does not tell which of the keys somebody holds.
    const message =
      'an open transaction is publishing with one of the idempotency keys. Try again when it has ended.'
    return new PublishRefused({ code: error.code, field: 'events', message })
  }
  return isTimeout(error.cause) ? new BatchTooSlow({ cause: error.cause }) : error
}

type Stored = Row & { error: null }
const isStored = (row: Row): row is Stored => row.error === null

async function storeAllOrNone(pool: Pool, items: readonly PublishItem[]): Promise<Row[]> {
  const client = await pool.connect()
  let fault: Error | undefined
  try {
    await client.query('begin')
    const rows = await sendItems(client, items)
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
