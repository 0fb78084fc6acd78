/** How long a permit is held, as long as nothing is known. */
const HOLD_MS_GUESS = 1_000
/** Weight of the latest in the average. */
const HOLD_WEIGHT = 1 / 8
/** The queue looks for due jobs once a second; sooner is no use. Who finds a permit sooner waits for it here. */
const RETRY_MS_MIN = 250
/** Who waits here stays for so many times as long while the queue moves. */
const WAITS_MAX = 4
/** So that an endpoint that answers again is not left alone for long. */
const RETRY_MS_MAX = 300_000

/** In front of permits that are all taken. */
export interface WaitQueue {
  /** How long a permit is held, on average; `null` = nobody has left one yet. */
  holdMs: number | null
  /** When the next of those who found no permit may try. */
  nextTryAt: number
  /** When a permit was last left, or the first one taken. */
  movedAt: number
  waiting: Waiting[]
}

interface Waiting {
  /** Takes a permit if there is one. */
  letIn(): boolean
}

export const newWaitQueue = (): WaitQueue => ({
  holdMs: null,
  nextTryAt: 0,
  movedAt: 0,
  waiting: [],
})

export function learnHold(queue: WaitQueue, heldMs: number): void {
  const usualMs = queue.holdMs ?? heldMs
  queue.holdMs = usualMs + (heldMs - usualMs) * HOLD_WEIGHT
}

/** Whether a permit was left a moment ago. */
const isMoving = ({ movedAt }: WaitQueue, now: number): boolean => now - movedAt <= RETRY_MS_MIN

/** Whether nobody is in it, nor told to come. */
export const isEmpty = ({ nextTryAt, waiting }: WaitQueue, now: number): boolean =>
  nextTryAt <= now && waiting.length === 0

/**
 * Whether one more in the queue is likely to be let in before he would be told to come back. As long as nothing is known
 * of the permits: yes, since the first may be left any moment, and all who come by then would be put off.
 */
export function isSoonFree(queue: WaitQueue, cap: number, now: number): boolean {
  const { waiting, holdMs } = queue
  return isMoving(queue, now) && ((waiting.length + 1) * (holdMs ?? 0)) / cap <= RETRY_MS_MIN
}

/** When to come back: at the end of the queue; beyond its bound by chance, lest all of those come together. */
export function retryAfterMs(
  queue: WaitQueue,
  cap: number,
  now: number,
  random: () => number,
): number {
  const tryAt = Math.max(queue.nextTryAt, now) + (queue.holdMs ?? HOLD_MS_GUESS) / cap
  if (tryAt - now > RETRY_MS_MAX) return Math.ceil((RETRY_MS_MAX * (1 + random())) / 2)
  queue.nextTryAt = tryAt
  return Math.max(Math.ceil(tryAt - now), RETRY_MS_MIN)
}

/**
 * Waits in the queue until `acquire` brings something, asked whenever `letInFirst` is called, or until it is no use:
 * then it is what `giveUp` brings.
 */
export function waitInQueue<Acquired>(
  queue: WaitQueue,
  { acquire, giveUp, now }: { acquire(): Acquired | null; giveUp(): Acquired; now(): number },
): Promise<Acquired> {
  return new Promise((resolve) => {
    let waits = 1
    const leaveQueue = () => {
      clearTimeout(timer)
      queue.waiting.splice(queue.waiting.indexOf(waiting), 1)
    }
    const goOnOrLeave = () => {
      if (waits < WAITS_MAX && isMoving(queue, now())) {
        waits += 1
        timer.refresh()
        return
      }
      leaveQueue()
      resolve(giveUp())
    }
    const waiting: Waiting = {
      letIn() {
        const acquired = acquire()
        if (acquired === null) return false
        leaveQueue()
        resolve(acquired)
        return true
      },
    }
    const timer = setTimeout(goOnOrLeave, RETRY_MS_MIN)
    queue.waiting.push(waiting)
  })
}

/** Lets in whom there is a permit for, in the order in which they came. */
export function letInFirst({ waiting }: WaitQueue): void {
  while (waiting[0]?.letIn());
}
