import { SweptMap } from './swept-map.ts'

/** Share of a runner's places that one endpoint may take while it answers: 210 of 250. */
const SHARE_ANSWERING = 0.84
/** And after a timeout, until it answers again: 25 of 250, so ten hanging endpoints fill a runner, not one. */
const SHARE_SLOW = 0.1
/** How long a place is held, as long as nothing is known. */
const HOLD_MS_GUESS = 1_000
/** Weight of the latest in the average. */
const HOLD_WEIGHT = 1 / 8
/** The queue looks for due jobs once a second; sooner is no use. Who finds a place sooner waits for it here. */
const RETRY_MS_MIN = 250
/** So that an endpoint that answers again is not left alone for long. */
const RETRY_MS_MAX = 300_000
/** Nobody tried a slow endpoint for so long: it begins anew. */
const SLOW_KEPT_MS = 3_600_000

/** `other`: it did not get so far, or failed fast; says nothing about how long it holds its places. */
export type LeaveResult = 'answered' | 'timeout' | 'other'

/** A place, to be left once; or none, and when to try again. */
export type Entry =
  | { leave: (result: LeaveResult) => void; retryInMs: null }
  | { leave: null; retryInMs: number }

interface Endpoint {
  inFlight: number
  isSlow: boolean
  /** How long a place is held, on average. */
  holdMs: number
  /** When the next of those who found no place may try. */
  nextTryAt: number
  /** When a place was last left, or the first one taken. */
  movedAt: number
  waiting: Waiting[]
}

interface Waiting {
  max: number
  letIn(): void
}

const newEndpoint = (): Endpoint => ({
  inFlight: 0,
  isSlow: false,
  holdMs: HOLD_MS_GUESS,
  nextTryAt: 0,
  movedAt: 0,
  waiting: [],
})

export interface Places {
  /** @param max places of this endpoint in this process, if fewer than its share */
  enter(endpointId: string, max?: number): Entry
  /** As `enter`, but who is likely to find a place within 250 ms waits so long for it. */
  enterSoon(endpointId: string, max?: number): Entry | Promise<Entry>
  /** When to try again that found no place although there was one here. */
  retryInMs(endpointId: string, max: number): number
}

/**
 * Keeps any one endpoint from taking all places of this runner.
 *
 * An endpoint is *answering* at first, with a large share of the places. A timeout makes it *slow*, with
 * a small one, as each of its places is held for the whole timeout. Its next answer makes it answering
 * again. Those in flight beyond the smaller share stay; nobody is let in until they are fewer.
 *
 * Who finds no place is told when to try again: as many as places are likely to be free at that time,
 * in the order in which they asked. That is a hint and no reservation.
 *
 * Putting a job off and fetching it again costs more than a quick request, so at an endpoint that answers
 * quickly those who find no place wait here, in line (measured with one such endpoint: half of the time
 * until 8,000 deliveries had arrived went by while jobs that had been put off waited to be polled).
 */
export function createPlaces(options: {
  concurrency: number
  now?: () => number
  random?: () => number
}): Places {
  const { concurrency, now = () => performance.now(), random = Math.random } = options
  const answeringMax = Math.max(Math.floor(concurrency * SHARE_ANSWERING), 1)
  const slowMax = Math.max(Math.floor(concurrency * SHARE_SLOW), 1)
  const endpoints = new SweptMap<Endpoint>((endpoint) => isForgettable(endpoint, now()))

  const find = (id: string): Endpoint => {
    const known = endpoints.get(id)
    if (known) return known
    const endpoint = newEndpoint()
    endpoints.set(id, endpoint)
    return endpoint
  }
  const capOf = ({ isSlow }: Endpoint, max: number) =>
    Math.min(isSlow ? slowMax : answeringMax, max)

  const take = (endpoint: Endpoint): Entry => {
    if (endpoint.inFlight === 0) endpoint.movedAt = now()
    endpoint.inFlight += 1
    const enteredAt = now()
    let isIn = true
    const leave = (result: LeaveResult) => {
      if (!isIn) return
      isIn = false
      settle(endpoint, result, enteredAt, now())
      letIn(endpoint)
    }
    return { leave, retryInMs: null }
  }
  const letIn = (endpoint: Endpoint): void => {
    const [first] = endpoint.waiting
    if (first && endpoint.inFlight < capOf(endpoint, first.max)) first.letIn()
  }
  const putOff = (endpoint: Endpoint, max: number): Entry => ({
    leave: null,
    retryInMs: queue(endpoint, capOf(endpoint, max), now(), random),
  })

  const waitInLine = (endpoint: Endpoint, max: number): Promise<Entry> =>
    new Promise((resolve) => {
      const leaveLine = (entry: Entry) => {
        clearTimeout(timer)
        endpoint.waiting.splice(endpoint.waiting.indexOf(waiting), 1)
        resolve(entry)
      }
      const waiting: Waiting = { max, letIn: () => leaveLine(take(endpoint)) }
      const timer = setTimeout(() => leaveLine(putOff(endpoint, max)), RETRY_MS_MIN)
      endpoint.waiting.push(waiting)
    })

  return {
    enter(id, max = Number.POSITIVE_INFINITY) {
      const endpoint = find(id)
      return endpoint.inFlight < capOf(endpoint, max) ? take(endpoint) : putOff(endpoint, max)
    },
    enterSoon(id, max = Number.POSITIVE_INFINITY) {
      const endpoint = find(id)
      const cap = capOf(endpoint, max)
      if (endpoint.inFlight < cap) return take(endpoint)
      return isSoonFree(endpoint, cap, now()) ? waitInLine(endpoint, max) : putOff(endpoint, max)
    },
    retryInMs(id, max) {
      const endpoint = find(id)
      return queue(endpoint, capOf(endpoint, max), now(), random)
    },
  }
}

function settle(endpoint: Endpoint, result: LeaveResult, enteredAt: number, now: number): void {
  endpoint.inFlight -= 1
  endpoint.movedAt = now
  if (result === 'other') return
  endpoint.holdMs += (now - enteredAt - endpoint.holdMs) * HOLD_WEIGHT
  // The queue was as long as a slow endpoint made it.
  if (endpoint.isSlow && result === 'answered') endpoint.nextTryAt = 0
  endpoint.isSlow = result === 'timeout'
}

/** Whether one more in line is likely to be let in before he would be told to come back. */
function isSoonFree({ waiting, holdMs, movedAt }: Endpoint, cap: number, now: number): boolean {
  const isMoving = now - movedAt <= RETRY_MS_MIN
  return isMoving && ((waiting.length + 1) * holdMs) / cap <= RETRY_MS_MIN
}

/** The end of the queue; beyond its bound by chance, lest all of those come back together. */
function queue(endpoint: Endpoint, cap: number, now: number, random: () => number): number {
  const tryAt = Math.max(endpoint.nextTryAt, now) + endpoint.holdMs / cap
  if (tryAt - now > RETRY_MS_MAX) return Math.ceil((RETRY_MS_MAX * (1 + random())) / 2)
  endpoint.nextTryAt = tryAt
  return Math.max(Math.ceil(tryAt - now), RETRY_MS_MIN)
}

function isForgettable(endpoint: Endpoint, now: number): boolean {
  const isQuiet = endpoint.inFlight === 0 && endpoint.nextTryAt <= now
  return isQuiet && (!endpoint.isSlow || now - endpoint.movedAt > SLOW_KEPT_MS)
}
