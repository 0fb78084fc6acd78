/** What a poll has seen: everything that was committed in its snapshot. */
export interface Snapshot {
  /** When the statement began, by the clock of the database, in ms since 1970. */
  at: number
  /** Every transaction below this one had ended. */
  xmin: bigint
  /**
   * Of the poll itself: anyone who got a higher one began to write after `at`. The xmax of a snapshot would not do,
   * it is one more than the highest that has ended.
   */
  xid: bigint
}

/**
 * How long a transaction may keep the watermark back. A producer's may be open for hours, but one that makes or
 * finishes attempts commits milliseconds after it has made their ids; beyond that, waiting costs reads only.
 */
export const HELD_BACK_MS_MAX = 5_000

/**
 * The time before which nothing can turn up any more. Transactions become visible in another order than their
 * ids and times say, so what is below the newest one that was seen need not have been seen.
 */
export interface Watermark {
  /** Ms since 1970. */
  settled(): number
  note(snapshot: Snapshot): void
}

/** @param first of the snapshot after which everything is to be seen */
export function createWatermark(first: Snapshot): Watermark {
  let settled = first.at - HELD_BACK_MS_MAX
  let latest = first.at
  let earlier: Snapshot[] = [first]
  return {
    settled: () => Math.max(settled, latest - HELD_BACK_MS_MAX),
    note(snapshot) {
      // Anyone who had begun to write before an earlier poll has ended: all from before that poll is visible.
      const isOver = ({ xid }: Snapshot) => xid < snapshot.xmin
      for (const { at } of earlier.filter(isOver)) settled = Math.max(settled, at)
      latest = Math.max(latest, snapshot.at)
      earlier = [...earlier.filter((one) => !isOver(one)), snapshot].filter(
        ({ at }) => at > latest - HELD_BACK_MS_MAX,
      )
    },
  }
}
