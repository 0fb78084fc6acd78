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
}

export interface Batcher<Item, Result> {
  /**
   * Puts the item into the batch that is filling and resolves with its result.
   *
   * Items wait in memory without bound: the caller bounds how many it has under way, as a runner does
   * by its concurrency, or takes `createBoundedBatcher`.
   */
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
export function createBatcher<Item, Result>(
  options: BatcherOptions<Item, Result>,
): Batcher<Item, Result> {
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
