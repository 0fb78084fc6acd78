import {
  isEmpty,
  isSoonFree,
  type Line,
  learnHold,
  letInFirst,
  newLine,
  retryAfterMs,
  waitInLine,
} from './line.ts'
import { grow, newShare, type Share, shrink, soonSize } from './share.ts'
import { SweptMap } from './swept-map.ts'

/** Of a runner's places one endpoint may take so many, however well it answers: 210 of 250. */
const SHARE_MAX = 0.84
/** A receiver that takes so long keeps a place from others. */
const SLOW_MS = 10_000
/** An endpoint that nothing was sent to for so long begins again; its connections are closed by then. */
const KEPT_MS = 60_000
/** That it was slow is known for longer, since it is tried seldom then. */
const SLOW_KEPT_MS = 3_600_000

export type LeaveResult =
  /** The receiver took it. */
  | 'answered'
  /** It answered that something is wrong with it, which says nothing about how much it bears. */
  | 'failed'
  /** It answered that it is too much, or after it had let the connection wait. */
  | 'busy'
  /** It held its place until the time was over. */
  | 'timeout'
  /** It refused or cut the connection. */
  | 'refused'
  /** It did not get so far. */
  | 'other'

/** @param tookMs of it, what the receiver took; all the time when left out */
type Leave = (result: LeaveResult, tookMs?: number) => void

/** A place, to be left once; or none, and when to try again. */
export type Entry = { leave: Leave; retryInMs: null } | { leave: null; retryInMs: number }

interface Endpoint extends Line {
  share: Share
  /** Since when, the oldest first. */
  inFlight: Set<{ since: number }>
  /** The last that got so far timed out, or took long. */
  isSlow: boolean
}

const newEndpoint = (now: number): Endpoint => ({
  ...newLine(),
  share: newShare(now),
  inFlight: new Set(),
  isSlow: false,
})

/** The places that one endpoint may take in this process now, and those that it has taken. */
export interface PlacesOfEndpoint {
  endpointId: string
  share: number
  inFlight: number
}

/** A share that trouble has made smaller. */
export interface ShareShrunk {
  endpointId: string
  result: LeaveResult
  before: number
  share: number
}

export interface Places {
  /** @param max places of this endpoint in this process, if fewer than its share */
  enter(endpointId: string, max?: number): Entry
  /** As `enter`, but who is likely to find a place within 250 ms waits for it, up to a second. */
  enterSoon(endpointId: string, max?: number): Entry | Promise<Entry>
  /** When to try again that found no place although there was one here. */
  retryInMs(endpointId: string, max: number): number
  /** Whether it is likely to hold a place for long. */
  isSlow(endpointId: string): boolean
  /** Of the endpoints that something was sent to in the last minute. */
  inUse(): PlacesOfEndpoint[]
}

/**
 * Keeps any one endpoint from taking all places of this runner, and this runner from running over an endpoint.
 *
 * An endpoint begins with a few places; its share of them grows while it answers well and shrinks when it does
 * not (share.ts), up to most of them. Those in flight beyond a share that has shrunk stay; nobody is let in
 * until they are fewer.
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
  onShrunk?: (shrunk: ShareShrunk) => void
}): Places {
  const { concurrency, now = () => performance.now(), random = Math.random, onShrunk } = options
  const shareMax = Math.max(Math.floor(concurrency * SHARE_MAX), 1)
  const endpoints = new SweptMap<Endpoint>((endpoint) => isForgettable(endpoint, now()))

  const find = (id: string): Endpoint => {
    const known = endpoints.get(id)
    if (known && !isForgettable(known, now())) return known
    const endpoint = newEndpoint(now())
    endpoints.set(id, endpoint)
    return endpoint
  }
  const shareOf = ({ share }: Endpoint) => Math.min(Math.floor(share.size), shareMax)
  const capOf = (endpoint: Endpoint, max: number) => Math.min(shareOf(endpoint), max)
  /** Those who are told to come by a smaller one would leave places free that are there by then. */
  const soonCapOf = ({ share }: Endpoint, max: number) => Math.min(soonSize(share), shareMax, max)

  const take = (endpointId: string, endpoint: Endpoint): Entry => {
    const taken = { since: now() }
    if (endpoint.inFlight.size === 0) endpoint.movedAt = taken.since
    endpoint.inFlight.add(taken)
    const leave: Leave = (result, tookMs = now() - taken.since) => {
      const isFull = endpoint.inFlight.size >= shareOf(endpoint)
      if (!endpoint.inFlight.delete(taken)) return
      const before = shareOf(endpoint)
      settle(endpoint, { result, tookMs, isFull, since: taken.since, now: now(), max: shareMax })
      const share = shareOf(endpoint)
      if (TROUBLE.has(result) && share < before) onShrunk?.({ endpointId, result, before, share })
      letInFirst(endpoint)
    }
    return { leave, retryInMs: null }
  }
  const putOff = (endpoint: Endpoint, max: number): Entry => ({
    leave: null,
    retryInMs: retryAfterMs(endpoint, soonCapOf(endpoint, max), now(), random),
  })

  const takeIfFree = (id: string, endpoint: Endpoint, max: number): Entry | null =>
    endpoint.inFlight.size < capOf(endpoint, max) ? take(id, endpoint) : null

  return {
    enter(id, max = Number.POSITIVE_INFINITY) {
      const endpoint = find(id)
      return takeIfFree(id, endpoint, max) ?? putOff(endpoint, max)
    },
    enterSoon(id, max = Number.POSITIVE_INFINITY) {
      const endpoint = find(id)
      const enter = () => takeIfFree(id, endpoint, max)
      const giveUp = () => putOff(endpoint, max)
      const entry = enter()
      if (entry) return entry
      return isSoonFree(endpoint, soonCapOf(endpoint, max), now())
        ? waitInLine(endpoint, { enter, giveUp, now })
        : giveUp()
    },
    isSlow: (id) => endpoints.get(id)?.isSlow ?? false,
    retryInMs(id, max) {
      const endpoint = find(id)
      return retryAfterMs(endpoint, soonCapOf(endpoint, max), now(), random)
    },
    inUse: () =>
      [...endpoints]
        .filter(([, endpoint]) => !isForgettable(endpoint, now()))
        .map(([endpointId, endpoint]) => ({
          endpointId,
          share: shareOf(endpoint),
          inFlight: endpoint.inFlight.size,
        })),
  }
}

interface Left {
  result: LeaveResult
  tookMs: number
  since: number
  now: number
  /** Whether the share was in use to the last place. */
  isFull: boolean
  max: number
}

const TROUBLE: ReadonlySet<LeaveResult> = new Set(['busy', 'timeout', 'refused'])
/** Holds a place only as long as it takes to be told. */
const UNHELD: ReadonlySet<LeaveResult> = new Set(['refused', 'other'])

function settle(endpoint: Endpoint, { result, tookMs, since, now, isFull, max }: Left): void {
  const { share, inFlight } = endpoint
  endpoint.movedAt = now
  if (!UNHELD.has(result)) learnHold(endpoint, now - since)
  if (result !== 'other') endpoint.isSlow = result === 'timeout' || tookMs >= SLOW_MS
  if (TROUBLE.has(result)) shrink(share, since, now)
  // The queue was as long as an endpoint that does not answer made it.
  if (result === 'answered' && !share.hasAnswered) endpoint.nextTryAt = 0
  if (result !== 'timeout' && !UNHELD.has(result)) share.hasAnswered = true
  if (result !== 'answered' || !isFull) return
  const before = share.size
  const [oldest] = inFlight
  grow(share, { tookMs, now, oldestAt: oldest?.since ?? now, max })
  // It is as long as a smaller share made it.
  endpoint.nextTryAt = now + Math.max(endpoint.nextTryAt - now, 0) * (before / share.size)
}

function isForgettable(endpoint: Endpoint, now: number): boolean {
  const isQuiet = endpoint.inFlight.size === 0 && isEmpty(endpoint, now)
  return isQuiet && now - endpoint.movedAt > (endpoint.isSlow ? SLOW_KEPT_MS : KEPT_MS)
}
