import { grow, newShare, type Share, shrink, soonSize } from './share.ts'
import { SweptMap } from './swept-map.ts'
import {
  isEmpty,
  isSoonFree,
  learnHold,
  letInFirst,
  newWaitQueue,
  retryAfterMs,
  roomWithin,
  type WaitQueue,
  waitInQueue,
} from './wait-queue.ts'

/**
 * Of a runner's permits one endpoint may take so many, however well it answers: 225 of 250, which is all that a tenant may.
 * With 210, receivers of 2 s took 104 a second, and what a pause of 0.1 s left behind at 100 a second waited for seconds.
 */
const SHARE_MAX = 0.9
/** Who found none for so long, because nothing was given back, gets one more to find out whether all events hang. */
const QUIET_MS = 1_000
/** Doubled with each such time, up to so many of a runner's permits: 25 of 250. */
const SHARE_QUIET_MAX = 0.1
/** A request hangs when the receiver has it for so long, and one that was sent after it is answered. */
const HANGING_MS = 2_000
/** And so many times as long as usual. */
const HANGING_HOLDS = 4
/** Where too much was under way within such a time, as a repeated handshake tells, others are overtaken for that reason. */
const TOO_MUCH_KEPT_MS = 60_000
/** The kernel of the sender tries again after a second, when the receiver's queue of connections was full. */
const HANDSHAKE_REPEATED_MS = 950
/** A receiver that takes so long keeps a permit from others. */
const SLOW_MS = 10_000
/** An endpoint that nothing was sent to for so long begins again; its connections are closed by then. */
const KEPT_MS = 60_000
/** That it was slow is known for longer, since it is tried seldom then. */
const SLOW_KEPT_MS = 3_600_000

export type ReleaseResult =
  /** The receiver took it. */
  | 'answered'
  /** It answered that something is wrong with it, which says nothing about how much it bears. */
  | 'failed'
  /** It answered that it is too much, or after it had let the connection wait. */
  | 'busy'
  /** It held its permit until the time was over, and took no request. */
  | 'timeout'
  /** The same, but it had taken the request. */
  | 'hung'
  /** It refused or cut the connection. */
  | 'refused'
  /** It did not get so far. */
  | 'other'

/**
 * @param tookMs of it, what the receiver took; all the time when left out
 * @param connectMs how long a new connection took, `null` on one that was kept
 */
type Release = (result: ReleaseResult, tookMs?: number, connectMs?: number | null) => void

export interface Permit {
  /** To be called once. */
  release: Release
  /** The connection has taken the request. */
  noteSent: () => void
  /** Whether the receiver has answered a request that was sent later: should this one time out, it is due to the event. */
  isOvertaken: () => boolean
  retryInMs: null
}

/** A permit, or none, and when to try again. */
export type Acquired = Permit | { release: null; retryInMs: number }

interface Taken {
  since: number
  /** When the connection took the request: what hangs since then does so not for want of one. */
  sentAt: number | null
}

interface Endpoint extends WaitQueue {
  share: Share
  /** Since when, the oldest first. */
  inFlight: Set<Taken>
  /** The last that got so far timed out, or took long. */
  isSlow: boolean
  /** It has answered since there was trouble last, or there was none. */
  isWell: boolean
  /** When the request was sent that was sent the latest of those that were answered. */
  answeredSince: number
  /** When it last said by anything but hanging that it is too much. */
  tooMuchAt: number
  /** How long its quickest connection took: of what every other takes longer, the way to it is no part. */
  quickestConnectMs: number | null
}

const newEndpoint = (now: number): Endpoint => ({
  ...newWaitQueue(),
  share: newShare(now),
  inFlight: new Set(),
  isSlow: false,
  isWell: true,
  answeredSince: Number.NEGATIVE_INFINITY,
  tooMuchAt: Number.NEGATIVE_INFINITY,
  quickestConnectMs: null,
})

/** The permits that one endpoint may take in this process now, and those that it has taken. */
export interface PermitsOfEndpoint {
  endpointId: string
  share: number
  inFlight: number
}

/** A share that trouble has made smaller. */
export interface ShareShrunk {
  endpointId: string
  result: ReleaseResult
  before: number
  share: number
}

export interface EndpointPermitsOptions {
  concurrency: number
  now?: () => number
  random?: () => number
  onShrunk?: (shrunk: ShareShrunk) => void
}

/**
 * Keeps any one endpoint from taking all permits of this runner, and this runner from running over an endpoint.
 *
 * An endpoint begins with a few permits; its share of them grows while it answers well and shrinks when it does
 * not (share.ts), up to most of them. Those in flight beyond a share that has shrunk stay; nobody is let in
 * until they are fewer.
 *
 * A receiver may hang with some events and answer all others at once. While nothing is given back, more and more are let
 * in, up to a tenth of the permits, so that others get there. Once one of those is answered, what was sent before it and
 * still hangs takes no part of the share, nor makes it smaller.
 * Not where too much was under way lately: there events wait in the receiver's queue.
 *
 * Who finds no permit is told when to try again: as many as permits are likely to be free at that time,
 * in the order in which they asked. That is a hint and no reservation.
 *
 * Putting a job off and fetching it again costs more than a quick request, so at an endpoint that answers
 * quickly those who find no permit wait here, in the queue (measured with one such endpoint: half of the time
 * until 8,000 deliveries had arrived went by while jobs that had been put off waited to be polled).
 */
export class EndpointPermits {
  readonly #options: EndpointPermitsOptions
  /** For one endpoint at most. */
  readonly #max: number
  readonly #endpoints: SweptMap<Endpoint>

  constructor(options: EndpointPermitsOptions) {
    this.#options = options
    this.#max = Math.max(Math.floor(options.concurrency * SHARE_MAX), 1)
    this.#endpoints = new SweptMap((endpoint) => isForgettable(endpoint, this.#now()))
  }

  /** @param max permits of this endpoint in this process, if fewer than its share */
  acquire(endpointId: string, max = Number.POSITIVE_INFINITY): Acquired {
    const endpoint = this.#find(endpointId)
    return this.#takeIfFree(endpointId, endpoint, max) ?? this.#putOff(endpoint, max)
  }

  /** As `acquire`, but who is likely to find a permit within a second waits for it, up to two. */
  acquireSoon(endpointId: string, max = Number.POSITIVE_INFINITY): Acquired | Promise<Acquired> {
    const endpoint = this.#find(endpointId)
    const take = () => this.#takeIfFree(endpointId, endpoint, max)
    const giveUp = () => this.#putOff(endpoint, max)
    const acquired = take()
    if (acquired) return acquired
    return isSoonFree(endpoint, this.#soonCapOf(endpoint, max), this.#now())
      ? waitInQueue(endpoint, { acquire: take, giveUp, now: () => this.#now() })
      : giveUp()
  }

  /** When to try again for who found no permit elsewhere although there was one here. */
  retryInMs(endpointId: string, max: number): number {
    return this.#retryAfterMs(this.#find(endpointId), max)
  }

  /** Whether it is likely to hold a permit for long. */
  isSlow(endpointId: string): boolean {
    return this.#endpoints.get(endpointId)?.isSlow ?? false
  }

  /**
   * How many more may come within so many milliseconds: none while it is in trouble, or its permits are in use. What has
   * been put off would take a permit in vain there, and be put off again.
   */
  roomWithin(ms: number, endpointId: string, max = Number.POSITIVE_INFINITY): number {
    const endpoint = this.#find(endpointId)
    if (!endpoint.isWell) return 0
    const cap = Math.min(this.#shareOf(endpoint), max)
    const taken = endpoint.inFlight.size - hangingIn(endpoint, this.#now()).size
    return roomWithin(ms, endpoint, { cap, free: cap - taken })
  }

  /** Of the endpoints that something was sent to in the last minute. */
  inUse(): PermitsOfEndpoint[] {
    return [...this.#endpoints]
      .filter(([, endpoint]) => !isForgettable(endpoint, this.#now()))
      .map(([endpointId, endpoint]) => ({
        endpointId,
        share: this.#shareOf(endpoint),
        inFlight: endpoint.inFlight.size,
      }))
  }

  #now(): number {
    return this.#options.now?.() ?? performance.now()
  }

  #find(id: string): Endpoint {
    const known = this.#endpoints.get(id)
    if (known && !isForgettable(known, this.#now())) return known
    const endpoint = newEndpoint(this.#now())
    this.#endpoints.set(id, endpoint)
    return endpoint
  }

  #shareOf({ share }: Endpoint): number {
    return Math.min(Math.floor(share.size), this.#max)
  }

  /** Those who are told to come by a smaller one would leave permits free that are there by then. */
  #soonCapOf({ share }: Endpoint, max: number): number {
    return Math.min(soonSize(share), this.#max, max)
  }

  #retryAfterMs(endpoint: Endpoint, max: number): number {
    const { random = Math.random } = this.#options
    return retryAfterMs(endpoint, this.#soonCapOf(endpoint, max), this.#now(), random)
  }

  #putOff(endpoint: Endpoint, max: number): Acquired {
    return { release: null, retryInMs: this.#retryAfterMs(endpoint, max) }
  }

  #takeIfFree(id: string, endpoint: Endpoint, max: number): Acquired | null {
    const { size } = endpoint.inFlight
    const isFree =
      size < Math.min(this.#max, max) &&
      size - hangingIn(endpoint, this.#now()).size < this.#shareWhileQuiet(endpoint)
    if (!isFree) return null
    const taken: Taken = { since: this.#now(), sentAt: null }
    if (endpoint.inFlight.size === 0) endpoint.movedAt = taken.since
    endpoint.inFlight.add(taken)
    const release: Release = (said, tookMs = this.#now() - taken.since, connectMs = null) => {
      const isRepeated = connectMs !== null && isHandshakeRepeated(endpoint, connectMs)
      const result = isRepeated && !TROUBLE.has(said) ? 'busy' : said
      this.#release(id, endpoint, taken, { result, tookMs })
    }
    return {
      release,
      noteSent: () => {
        taken.sentAt = this.#now()
      },
      isOvertaken: () => isOvertaken(taken, endpoint, this.#now()),
      retryInMs: null,
    }
  }

  #shareWhileQuiet(endpoint: Endpoint): number {
    const share = this.#shareOf(endpoint)
    if (hadTooMuch(endpoint, this.#now())) return share
    const times = Math.floor((this.#now() - endpoint.movedAt) / QUIET_MS)
    const most = Math.floor(this.#options.concurrency * SHARE_QUIET_MAX)
    return Math.max(share, Math.min(share + 2 ** times - 1, most))
  }

  #release(
    endpointId: string,
    endpoint: Endpoint,
    taken: Taken,
    { result, tookMs }: Pick<Left, 'result' | 'tookMs'>,
  ): void {
    const before = this.#shareOf(endpoint)
    const now = this.#now()
    const isFull = endpoint.inFlight.size - hangingIn(endpoint, now).size >= before
    if (!endpoint.inFlight.delete(taken)) return
    if (result !== 'hung' || !isOvertaken(taken, endpoint, now)) {
      settle(endpoint, {
        result,
        tookMs,
        isFull,
        since: taken.since,
        sentAt: taken.sentAt,
        now,
        max: this.#max,
      })
    }
    const share = this.#shareOf(endpoint)
    if (TROUBLE.has(result) && share < before) {
      this.#options.onShrunk?.({ endpointId, result, before, share })
    }
    letInFirst(endpoint)
  }
}

interface Left {
  result: ReleaseResult
  tookMs: number
  since: number
  sentAt: number | null
  now: number
  /** Whether the share was in use to the last permit. */
  isFull: boolean
  max: number
}

const TIMEOUTS: ReadonlySet<ReleaseResult> = new Set(['timeout', 'hung'])
const TROUBLE: ReadonlySet<ReleaseResult> = new Set(['busy', 'refused', ...TIMEOUTS])
const ANSWERS: ReadonlySet<ReleaseResult> = new Set(['answered', 'failed'])
/** Holds a permit only as long as it takes to be told. */
const UNHELD: ReadonlySet<ReleaseResult> = new Set(['refused', 'other'])

/** By how much longer it took than the quickest: a proxy, dead addresses or the distance delay each of them alike. */
function isHandshakeRepeated(endpoint: Endpoint, connectMs: number): boolean {
  const quickestMs = endpoint.quickestConnectMs
  endpoint.quickestConnectMs = Math.min(quickestMs ?? connectMs, connectMs)
  return connectMs - (quickestMs ?? 0) >= HANDSHAKE_REPEATED_MS
}

function settle(
  endpoint: Endpoint,
  { result, tookMs, since, sentAt, now, isFull, max }: Left,
): void {
  const { share, inFlight } = endpoint
  endpoint.movedAt = now
  if (!UNHELD.has(result)) learnHold(endpoint, now - since, tookMs)
  if (result !== 'other') endpoint.isSlow = TIMEOUTS.has(result) || tookMs >= SLOW_MS
  if (ANSWERS.has(result))
    endpoint.answeredSince = Math.max(endpoint.answeredSince, sentAt ?? since)
  if (result === 'answered') endpoint.isWell = true
  if (TROUBLE.has(result)) endpoint.isWell = false
  if (TROUBLE.has(result)) shrink(share, since, now)
  if (TROUBLE.has(result) && result !== 'hung') endpoint.tooMuchAt = now
  // The queue was as long as an endpoint that does not answer made it.
  if (result === 'answered' && !share.hasAnswered) endpoint.nextTryAt = 0
  if (!TIMEOUTS.has(result) && !UNHELD.has(result)) share.hasAnswered = true
  if (result !== 'answered' || !isFull) return
  const before = share.size
  const hanging = hangingIn(endpoint, now)
  const oldest = [...inFlight].find((taken) => !hanging.has(taken))
  grow(share, { tookMs, now, oldestAt: oldest?.since ?? now, max })
  // It is as long as a smaller share made it.
  endpoint.nextTryAt = now + Math.max(endpoint.nextTryAt - now, 0) * (before / share.size)
}

const hadTooMuch = ({ tooMuchAt }: Endpoint, now: number): boolean =>
  now - tooMuchAt <= TOO_MUCH_KEPT_MS

/** Whether the endpoint has answered one that was sent later: that it hangs is then due to what was sent. */
const isOvertaken = ({ sentAt }: Taken, endpoint: Endpoint, now: number): boolean =>
  sentAt !== null && sentAt < endpoint.answeredSince && !hadTooMuch(endpoint, now)

/** Those that hang although others come through. */
function hangingIn(endpoint: Endpoint, now: number): Set<Taken> {
  const hangsMs = Math.max(HANGING_MS, (endpoint.holdMs ?? 0) * HANGING_HOLDS)
  const hanging = new Set<Taken>()
  for (const taken of endpoint.inFlight) {
    if (now - taken.since < hangsMs) break // so are all that follow
    const isLong = taken.sentAt !== null && now - taken.sentAt >= hangsMs
    if (isLong && isOvertaken(taken, endpoint, now)) hanging.add(taken)
  }
  return hanging
}

function isForgettable(endpoint: Endpoint, now: number): boolean {
  const isQuiet = endpoint.inFlight.size === 0 && isEmpty(endpoint, now)
  return isQuiet && now - endpoint.movedAt > (endpoint.isSlow ? SLOW_KEPT_MS : KEPT_MS)
}
