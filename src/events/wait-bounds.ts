import { FairSemaphore } from '../limits/fair-semaphore.ts'
import { type Batcher, createBatcher } from '../postgres/batcher.ts'
import { DatabaseUnavailable } from './publish-refused.ts'

/** Most clients have given up by then; a batch takes milliseconds, so this is reached by a database that hangs. */
const WAIT_MS_MAX = 5_000
/** Of the bodies that wait: some seconds of the fastest load, or sixty of the largest events. */
const WAITING_SIZE_MAX = 64 * 1_048_576
/** What a request costs besides its body: sockets, headers, promises. */
const REQUEST_SIZE = 8_192

/** What a request holds of memory while it waits. */
export function sizeOf(items: readonly { body: string }[]): number {
  return items.reduce((size, { body }) => size + body.length, REQUEST_SIZE)
}

/** How much may wait for its turn, and for how long. */
export const WAIT_BOUNDS = {
  waitMsMax: WAIT_MS_MAX,
  sizeMax: WAITING_SIZE_MAX,
  refusal: () => new DatabaseUnavailable('the database is away or overloaded'),
}

/** Bounds those that wait for another request, and so are in no queue. */
export function createRoom() {
  let size = 0
  return async <T>(items: readonly { body: string }[], work: () => Promise<T>): Promise<T> => {
    const own = sizeOf(items)
    if (size > 0 && size + own > WAIT_BOUNDS.sizeMax) throw WAIT_BOUNDS.refusal()
    size += own
    try {
      return await work()
    } finally {
      size -= own
    }
  }
}

/**
 * Stores items one at a time each, in lanes of the database that tenants have in turn: one with many or long ones leaves
 * a lane to the others. Who waits too long for a lane is refused as by a database that hangs.
 */
export function createLanes<Item, Result>(options: {
  atOnce: number
  atOncePerTenant: number
  waitMsMax: number
  /** Items of several tenants count as those of one more. */
  tenantOf(item: Item): string
  sizeOf(item: Item): number
  run(item: Item): Promise<Result | Error>
}): Batcher<Item, Result> {
  const { atOnce, atOncePerTenant, waitMsMax, tenantOf, run } = options
  // How many may wait is bounded by their size.
  const bounds = { waiting: Number.POSITIVE_INFINITY, waitingPerKey: Number.POSITIVE_INFINITY }
  const semaphore = new FairSemaphore({
    ...bounds,
    atOnce,
    atOncePerKey: atOncePerTenant,
    waitMs: waitMsMax,
  })
  const runInTurn = async (item: Item) => {
    const release = await semaphore.acquire({ key: tenantOf(item) }).catch(() => {
      throw WAIT_BOUNDS.refusal()
    })
    return await run(item).finally(release)
  }
  return createBatcher<Item, Result>({
    bounds: { ...WAIT_BOUNDS, waitMsMax, sizeOf: options.sizeOf },
    run: (items) => Promise.all(items.map(runInTurn)),
    maxItems: 1,
    lanes: Number.POSITIVE_INFINITY,
  })
}
