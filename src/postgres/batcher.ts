import DataLoader from 'dataloader'

export type BatcherOptions<Item, Result> = {
  /**
   * Handles a batch: one result per item, in order. An `Error` among the results rejects that item
   * alone; a rejection rejects every item of this batch and no other.
   */
  run: (items: readonly Item[]) => Promise<readonly (Result | Error)[]>
  /** Items in one batch at most: bounds the size of a statement. */
  maxItems: number
  /** Batches in flight at most. One makes the largest batches; more help where `run` waits long. */
  lanes: number
  /** Left out, items wait without a bound: the caller bounds how many it has under way, as a runner does. */
  bounds?: QueueBounds<Item>
}

/**
 * While the database hangs each batch takes until its timeout, and the end of a long queue would be told after minutes,
 * when its client has long gone. Refused at their turn, all that have waited too long go at once, and no timer is
 * needed: they wait no longer than `waitMsMax` and one batch.
 */
interface QueueBounds<Item> {
  /** An item that has waited for longer when its turn comes is refused, and not sent. */
  waitMsMax: number
  /** What waits or is under way may be so large together; a single item of any size is taken. */
  sizeMax: number
  sizeOf(item: Item): number
  /** What a refused item is rejected with. */
  refusal(): Error
  now?: () => number
}

export interface Batcher<Item, Result> {
  /** Puts the item into the batch that is filling and resolves with its result. */
  add(item: Item): Promise<Result>
  /** Resolves once nothing is waiting or in flight. */
  idle(): Promise<void>
}

/**
 * Groups items that are added at about the same time into one call of `run`.
 *
 * States of a batch: *filling*, from its first item on. It is *sent* at once when a lane is free,
 * otherwise when one becomes free; so a quiet service answers without delay, and the batches grow by
 * themselves as the load does. There is no timer: a window of a few milliseconds would cost every
 * quiet call that time and gain nothing under load.
 */
export function createBatcher<Item, Result>({
  bounds,
  ...options
}: BatcherOptions<Item, Result>): Batcher<Item, Result> {
  if (bounds) return createBounded(options, bounds)
  const lanes = createLanes(options.lanes)
  const loader = new DataLoader<Item, Result>(
    async (items) => {
      try {
        return await options.run(items)
      } finally {
        lanes.leave()
      }
    },
    { cache: false, maxBatchSize: options.maxItems, batchScheduleFn: lanes.enter },
  )
  return { add: (item) => loader.load(item), idle: lanes.idle }
}

function createBounded<Item, Result>(
  { run, maxItems, lanes }: BatcherOptions<Item, Result>,
  { waitMsMax, sizeMax, sizeOf, refusal, now = () => performance.now() }: QueueBounds<Item>,
): Batcher<Item, Result> {
  type Waiting = { item: Item; since: number }
  let size = 0

  const batcher = createBatcher<Waiting, Result>({
    maxItems,
    lanes,
    async run(waiting) {
      const oldest = now() - waitMsMax
      const timely = waiting.filter(({ since }) => since >= oldest)
      const results = timely.length > 0 ? await run(timely.map(({ item }) => item)) : []
      const resultOf = new Map(timely.map((one, at) => [one, results[at]]))
      return waiting.map((one) => resultOf.get(one) ?? refusal())
    },
  })
  return {
    async add(item) {
      const own = sizeOf(item)
      if (size > 0 && size + own > sizeMax) throw refusal()
      size += own
      try {
        return await batcher.add({ item, since: now() })
      } finally {
        size -= own
      }
    },
    idle: batcher.idle,
  }
}

/** Lets so many batches go at a time; the others wait in order. */
function createLanes(count: number) {
  const waiting: (() => void)[] = []
  let busy = 0
  let whenIdle = Promise.withResolvers<void>()
  whenIdle.resolve()

  return {
    enter(send: () => void): void {
      if (busy === 0) whenIdle = Promise.withResolvers()
      if (busy === count) return void waiting.push(send)
      busy += 1
      // Not sent within this turn of the event loop: requests that arrived with this one are read
      // in the same turn, and join it.
      setImmediate(send)
    },
    leave(): void {
      const next = waiting.shift()
      if (next) next()
      else busy -= 1
      if (busy === 0) whenIdle.resolve()
    },
    idle: (): Promise<void> => whenIdle.promise,
  }
}
