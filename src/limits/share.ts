/** Fewer than the shortest queue of connections that is common, 5. */
const SIZE_AT_FIRST = 4
const SIZE_MIN = 1
/** Quicker answers are never taken for a queue: when this process is busy, as much of it may be ours. */
const QUICK_MS = 500
/** As many times as long as usual: then it is a queue at the receiver that has grown, not what it does. */
const LONGER = 1.5
/** What is usual is learned again little by little, as a receiver may have become slower for good. */
const DRIFT = 1.005

/**
 * How many permits an endpoint may take in this process at a time; it finds out, as TCP does, how many are good
 * for the receiver.
 *
 * - *doubling*, while `size` is below `threshold`: one more with each answer. At first the threshold is out of sight.
 * - *adding*, from there on: one more with each round.
 * - *holding*, after a round whose answers took much longer than usual although more were under way: what is added
 *   would only wait at the receiver. A round that doubled is taken back.
 * - Trouble halves it, once for all that were under way, and the threshold is set there; after more of it, with
 *   no answer in between, one permit is left.
 *
 * A round is over when all that were under way as it began have ended, and as many have answered as the share had
 * permits. Until then it at most doubles: those that the receiver has not even accepted yet say nothing.
 */
export interface Share {
  size: number
  threshold: number
  /** How long answers took when more permits last made for more of them; `null` = not known. */
  usualMs: number | null
  round: Round
  isHolding: boolean
  /** When it was last halved. */
  shrunkAt: number
  hasAnswered: boolean
}

interface Round {
  startedAt: number
  size: number
  answers: number
  ms: number
}

const newRound = (size: number, startedAt: number): Round => ({
  startedAt,
  size,
  answers: 0,
  ms: 0,
})

export const newShare = (now: number): Share => ({
  size: SIZE_AT_FIRST,
  threshold: Number.POSITIVE_INFINITY,
  usualMs: null,
  round: newRound(SIZE_AT_FIRST, now),
  isHolding: false,
  shrunkAt: Number.NEGATIVE_INFINITY,
  hasAnswered: true,
})

/** What it is likely to grow to soon: those who are told to come then find permits. */
export const soonSize = ({ size, threshold }: Share): number => Math.max(size * 1.25, threshold)

export interface Answer {
  tookMs: number
  now: number
  /** When the oldest of those that are under way was begun. */
  oldestAt: number
  /** It never grows beyond. */
  max: number
}

/** An answer of an endpoint whose share was in use to the last permit. */
export function grow(share: Share, { tookMs, now, oldestAt, max }: Answer): void {
  const { round } = share
  round.answers += 1
  round.ms += tookMs
  if (!share.isHolding) {
    const added = share.size < share.threshold ? 1 : 1 / round.size
    share.size = Math.min(share.size + added, round.size * 2, max)
  }
  if (round.answers >= round.size && oldestAt >= round.startedAt) endRound(share, now)
}

function endRound(share: Share, now: number): void {
  const { round } = share
  const tookMs = round.ms / round.answers
  const usualMs = share.usualMs ?? tookMs
  const isDoubling = share.size < share.threshold
  share.isHolding = tookMs > Math.max(usualMs * LONGER, QUICK_MS)
  if (share.isHolding) {
    if (isDoubling) share.size = share.threshold = round.size
    share.usualMs = usualMs * DRIFT
  } else {
    share.usualMs = isDoubling ? tookMs : Math.min(usualMs, tookMs)
  }
  share.round = newRound(share.size, now)
}

/**
 * It timed out, refused or cut a connection, or said that it is too much.
 *
 * @param since when the request was begun: one that was under way when the share was halved says nothing new
 */
export function shrink(share: Share, since: number, now: number): void {
  if (since >= share.shrunkAt) {
    share.size = share.threshold = Math.max(share.size / 2, SIZE_MIN)
    share.shrunkAt = now
  } else if (!share.hasAnswered) {
    share.size = SIZE_MIN
  }
  share.hasAnswered = false
  share.isHolding = false
  share.usualMs = null
  share.round = newRound(share.size, now)
}
