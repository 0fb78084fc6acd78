import { type Batcher, type BatcherOptions, createBatcher } from './batcher.ts'

export type BoundedBatcherOptions<Item, Result> = BatcherOptions<Item, Result> & {
  /** An item that has waited for longer when its turn comes is refused, and not sent. */
  waitMsMax: number
  /** What waits or is under way may be so large together; a single item of any size is taken. */
  sizeMax: number
  sizeOf(item: Item): number
  /** What a refused item is rejected with. */
  refusal(): Error
  now?: () => number
}

/**
 * A batcher whose queue is bounded in size and in time.
 *
 * While the database hangs each batch takes until its timeout, and who is at the end of a long queue would
 * be told after minutes, when its client has long gone. Refused at their turn, all that have waited too long
 * go at once, and no timer is needed: they wait no longer than `waitMsMax` and one batch.
 */
export function createBoundedBatcher<Item, Result>(
  options: BoundedBatcherOptions<Item, Result>,
): Batcher<Item, Result> {
  const {
    run,
    waitMsMax,
    sizeMax,
    sizeOf,
    refusal,
    now = performance.now.bind(performance),
  } = options
  type Waiting = { item: Item; since: number }
  let size = 0

  const batcher = createBatcher<Waiting, Result>({
    maxItems: options.maxItems,
    lanes: options.lanes,
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
