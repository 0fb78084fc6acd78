/** How long a place is held, as long as nothing is known. */
const HOLD_MS_GUESS = 1_000
/** Weight of the latest in the average. */
const HOLD_WEIGHT = 1 / 8
/** The queue looks for due jobs once a second; sooner is no use. Who finds a place sooner waits for it here. */
const RETRY_MS_MIN = 250
/** Who waits here stays for so many times as long while the line moves. */
const WAITS_MAX = 4
/** So that an endpoint that answers again is not left alone for long. */
const RETRY_MS_MAX = 300_000

/** In front of places that are all taken. */
export interface Line {
  /** How long a place is held, on average; `null` = nobody has left one yet. */
  holdMs: number | null
  /** When the next of those who found no place may try. */
  nextTryAt: number
  /** When a place was last left, or the first one taken. */
  movedAt: number
  waiting: Waiting[]
}

interface Waiting {
  /** Takes a place if there is one. */
  letIn(): boolean
}

export const newLine = (): Line => ({ holdMs: null, nextTryAt: 0, movedAt: 0, waiting: [] })

export function learnHold(line: Line, heldMs: number): void {
  const usualMs = line.holdMs ?? heldMs
  line.holdMs = usualMs + (heldMs - usualMs) * HOLD_WEIGHT
}

/** Whether a place was left a moment ago. */
const isMoving = ({ movedAt }: Line, now: number): boolean => now - movedAt <= RETRY_MS_MIN

/** Whether nobody is in it, nor told to come. */
export const isEmpty = ({ nextTryAt, waiting }: Line, now: number): boolean =>
  nextTryAt <= now && waiting.length === 0

/**
 * Whether one more in line is likely to be let in before he would be told to come back. As long as nothing is known
 * of the places: yes, since the first may be left any moment, and all who come by then would be put off.
 */
export function isSoonFree(line: Line, cap: number, now: number): boolean {
  const { waiting, holdMs } = line
  return isMoving(line, now) && ((waiting.length + 1) * (holdMs ?? 0)) / cap <= RETRY_MS_MIN
}

/** When to come back: at the end of the line; beyond its bound by chance, lest all of those come together. */
export function retryAfterMs(line: Line, cap: number, now: number, random: () => number): number {
  const tryAt = Math.max(line.nextTryAt, now) + (line.holdMs ?? HOLD_MS_GUESS) / cap
  if (tryAt - now > RETRY_MS_MAX) return Math.ceil((RETRY_MS_MAX * (1 + random())) / 2)
  line.nextTryAt = tryAt
  return Math.max(Math.ceil(tryAt - now), RETRY_MS_MIN)
}

/**
 * Waits in line until `enter` brings something, asked whenever `letInFirst` is called, or until it is no use:
 * then it is what `giveUp` brings.
 */
export function waitInLine<Entry>(
  line: Line,
  { enter, giveUp, now }: { enter(): Entry | null; giveUp(): Entry; now(): number },
): Promise<Entry> {
  return new Promise((resolve) => {
    let waits = 1
    const leaveLine = () => {
      clearTimeout(timer)
      line.waiting.splice(line.waiting.indexOf(waiting), 1)
    }
    const goOnOrLeave = () => {
      if (waits < WAITS_MAX && isMoving(line, now())) {
        waits += 1
        timer.refresh()
        return
      }
      leaveLine()
      resolve(giveUp())
    }
    const waiting: Waiting = {
      letIn() {
        const entry = enter()
        if (entry === null) return false
        leaveLine()
        resolve(entry)
        return true
      },
    }
    const timer = setTimeout(goOnOrLeave, RETRY_MS_MIN)
    line.waiting.push(waiting)
  })
}

/** Lets in whom there is a place for, in the order in which they came. */
export function letInFirst({ waiting }: Line): void {
  while (waiting[0]?.letIn());
}
