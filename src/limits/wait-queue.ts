/** How long a permit is held, as long as nothing is known. */
const HOLD_MS_GUESS = 1_000
/** Weight of the latest in the average. */
const HOLD_WEIGHT = 1 / 8
/** Claim and finish, on a database that is busy. */
const AROUND_REQUEST_MS_MAX = 1_000
/** To put a job off and fetch it again costs as much as to send it; sooner is no use. */
const RETRY_MS_MIN = 250
/** Who is likely to find a permit by then waits for it here. */
const WAIT_MS_MAX = 1_000
/** It may take twice as long while the queue moves. */
const LOOKS_MAX = (2 * WAIT_MS_MAX) / RETRY_MS_MIN
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

/**
 * Takes into the average how long a permit was held.
 *
 * @param tookMs what the request took of it. More than a second around it is an outage of our database, which says
 *   nothing of the endpoint: learned, it put off deliveries for minutes to receivers that were well.
 */
export function learnHold(queue: WaitQueue, heldMs: number, tookMs = heldMs): void {
  const learnedMs = Math.min(heldMs, tookMs + AROUND_REQUEST_MS_MAX)
  const usualMs = queue.holdMs ?? learnedMs
  queue.holdMs = usualMs + (learnedMs - usualMs) * HOLD_WEIGHT
}

/**
 * Whether a permit was left a moment ago, or none could be: those that were taken together are left together. On a busy
 * machine the first answer may take a second, and to put everybody off until then costs as much as to send it.
 */
const isMoving = ({ movedAt, holdMs }: WaitQueue, now: number): boolean =>
  now - movedAt <= Math.min(Math.max(holdMs ?? HOLD_MS_GUESS, RETRY_MS_MIN), WAIT_MS_MAX)

/** Whether nobody is in it, nor told to come. */
export const isEmpty = ({ nextTryAt, waiting }: WaitQueue, now: number): boolean =>
  nextTryAt <= now && waiting.length === 0

/**
 * Whether one more in the queue is likely to be let in soon. As long as nothing is known of the permits: yes, since the
 * first may be left any moment, and all who come by then would be put off.
 */
export function isSoonFree(queue: WaitQueue, cap: number, now: number): boolean {
  const { waiting, holdMs } = queue
  return isMoving(queue, now) && ((waiting.length + 1) * (holdMs ?? 0)) / cap <= WAIT_MS_MAX
}

/** How long permits are held: since the last one was given back at least. */
export const heldAtLeastMs = ({ holdMs, movedAt }: WaitQueue, now: number): number =>
  Math.max(holdMs ?? HOLD_MS_GUESS, now - movedAt)

/**
 * When to come back: at the end of the queue; beyond its bound by chance, lest all of those come together.
 *
 * @param heldMs how long permits are held
 */
export function retryAfterMs(
  queue: WaitQueue,
  cap: number,
  now: number,
  random: () => number,
  heldMs: number = queue.holdMs ?? HOLD_MS_GUESS,
): number {
  const tryAt = Math.max(queue.nextTryAt, now) + heldMs / cap
  if (tryAt - now > RETRY_MS_MAX) return Math.ceil((RETRY_MS_MAX * (1 + random())) / 2)
  queue.nextTryAt = tryAt
  return Math.max(Math.ceil(tryAt - now), RETRY_MS_MIN)
}

/**
 * How many more may come within so many milliseconds: as many as permits are free now, or are likely to be given back by
 * then. None where somebody waits for one.
 */
export function roomWithin(
  ms: number,
  { waiting, holdMs }: WaitQueue,
  { cap, free }: { cap: number; free: number },
): number {
  if (waiting.length > 0 || free <= 0) return 0
  return free + Math.floor((cap * ms) / Math.max(holdMs ?? HOLD_MS_GUESS, 1))
}

/**
 * Waits in the queue until `acquire` brings something, asked whenever `letInFirst` is called, or until it is no use:
 * then it is what `giveUp` brings.
 */
export function waitInQueue<Acquired>(
  queue: WaitQueue,
  options: WaitOptions<Acquired>,
): Promise<Acquired> {
  return new Promise((resolve) => queue.waiting.push(new Waiter(queue, options, resolve)))
}

interface WaitOptions<Acquired> {
  acquire(): Acquired | null
  giveUp(): Acquired
  now(): number
}

class Waiter<Acquired> implements Waiting {
  readonly #queue: WaitQueue
  readonly #options: WaitOptions<Acquired>
  readonly #resolve: (acquired: Acquired) => void
  readonly #timer = setTimeout(() => this.#goOnOrLeave(), RETRY_MS_MIN)
  #looks = 1

  constructor(
    queue: WaitQueue,
    options: WaitOptions<Acquired>,
    resolve: (acquired: Acquired) => void,
  ) {
    this.#queue = queue
    this.#options = options
    this.#resolve = resolve
  }

  letIn(): boolean {
    const acquired = this.#options.acquire()
    if (acquired === null) return false
    this.#leave()
    this.#resolve(acquired)
    return true
  }

  #goOnOrLeave(): void {
    if (this.#looks < LOOKS_MAX && isMoving(this.#queue, this.#options.now())) {
      this.#looks += 1
      this.#timer.refresh()
      return
    }
    this.#leave()
    this.#resolve(this.#options.giveUp())
  }

  #leave(): void {
    clearTimeout(this.#timer)
    this.#queue.waiting.splice(this.#queue.waiting.indexOf(this), 1)
  }
}

/** Lets in whom there is a permit for, in the order in which they came. */
export function letInFirst({ waiting }: WaitQueue): void {
  while (waiting[0]?.letIn());
}
