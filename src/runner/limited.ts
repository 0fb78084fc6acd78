import type pLimit from 'p-limit'
import type { EndpointId } from '../ids.ts'
import type { Permit, ReleaseResult } from '../limits/endpoint-permits.ts'
import type { InFlight } from '../limits/in-flight.ts'
import type { RateLimiter, Reservation } from '../limits/rate-limiter.ts'
import type { AttemptResult } from '../sending/outcome.ts'
import { type AttemptReason, isTimeout } from '../sending/reason.ts'
import type { WakeUp } from './claim.ts'
import type { EndpointLimits } from './endpoint-limits.ts'
import type { Snoozed } from './snooze.ts'

export interface LimitedDependencies {
  /** @param rateVersion of the job's reservation: another runner may know of a change that this one does not */
  limitsOf(endpointId: EndpointId, rateVersion?: number): EndpointLimits | Promise<EndpointLimits>
  inFlight: Pick<InFlight, 'acquire'>
  rateLimiter: RateLimiter
  snooze(snoozed: Snoozed): Promise<void>
  /** The deliver step; resolves with the attempt it made, or `null`. */
  deliver(
    wakeUp: WakeUp,
    signal?: AbortSignal,
    permit?: Pick<Permit, 'noteSent' | 'isOvertaken'>,
  ): Promise<AttemptResult | null>
  /** For endpoints without their own timeout. */
  timeoutMs: number
  /** So many that wait for a permit, or have one, at a time. */
  limit: ReturnType<typeof pLimit>
}

/**
 * Makes the limit step in front of `deliver`: permit → slot → deliver, or snooze once.
 *
 * Over a limit nothing is claimed, so no attempt is used up, and nobody waits long: the job is put off
 * until its turn, and the permit goes to another delivery. To put it off takes a commit, meanwhile the next job is looked at.
 */
export function createLimited(deps: LimitedDependencies) {
  return async function limited(...job: Job): Promise<void> {
    const putOff = await deps.limit(() => deliverWithin(deps, ...job))
    if (putOff) await deps.snooze(putOff)
  }
}

export type Job = [
  wakeUp: WakeUp,
  endpointId: EndpointId,
  reservation: Reservation | null,
  signal?: AbortSignal,
]

/** Returns what is to be put off, where a limit says so. */
async function deliverWithin(
  deps: LimitedDependencies,
  ...[wakeUp, endpointId, reservation, signal]: Job
): Promise<Snoozed | null> {
  const limits = await deps.limitsOf(endpointId, reservation?.rateVersion)
  const timeoutMs = limits.timeoutSeconds === null ? deps.timeoutMs : limits.timeoutSeconds * 1000
  const permit = await deps.inFlight.acquire(endpointId, { ...limits, timeoutMs })
  if (!permit.release) {
    return { wakeUp, endpointId, limits, waitMs: permit.retryInMs, reservation: null }
  }

  let result: AttemptResult | null = null
  try {
    const slot = await slotOf(deps.rateLimiter, endpointId, limits, reservation)
    if (slot.waitMs > 0) return { wakeUp, endpointId, limits, ...slot }
    result = await deps.deliver(wakeUp, signal, permit)
    return null
  } finally {
    permit.release(releaseResult(result), result?.durationMs, result?.timings.connectMs)
  }
}

const AT_ONCE = { waitMs: 0, reservation: null }

export function slotOf(
  rateLimiter: RateLimiter,
  endpointId: EndpointId,
  { ratePerSecond, rateVersion }: EndpointLimits,
  reservation: Reservation | null,
) {
  return ratePerSecond === null
    ? AT_ONCE
    : rateLimiter.reserve(endpointId, { ratePerSecond, rateVersion }, reservation)
}

/**
 * The receiver took no connection, or cut it: in the TLS handshake, too, as a balancer does that is run over. What fails
 * there for another reason fails with one request at a time as well.
 */
const CUT: ReadonlySet<AttemptReason> = new Set([
  'connection_refused',
  'connection_closed',
  'tls_failed',
] as const)
/** Statuses by which a receiver says that it is too much. */
const BUSY_STATUSES: ReadonlySet<number | null> = new Set([429, 503])

/** What an attempt says about how much its endpoint bears. */
export function releaseResult(result: AttemptResult | null): ReleaseResult {
  if (!result) return 'other'
  if (isTimeout(result.reason)) return result.reason === 'timeout_answer' ? 'hung' : 'timeout'
  const { reason, statusCode } = result
  if (reason !== null && CUT.has(reason)) return 'refused'
  if (BUSY_STATUSES.has(statusCode)) return 'busy'
  if (result.outcome === 'delivered') return 'answered'
  if (result.outcome === 'rejected') return reason === 'status_5xx' ? 'failed' : 'answered'
  return 'other'
}
