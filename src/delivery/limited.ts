import type { AttemptResult } from '../attempts/outcome.ts'
import { isTimeout } from '../attempts/reason.ts'
import type { EndpointId } from '../ids.ts'
import type { InFlight } from '../limits/in-flight.ts'
import type { LeaveResult } from '../limits/places.ts'
import type { Reservation, Slots } from '../limits/slots.ts'
import type { WakeUp } from './claim.ts'
import type { EndpointLimits } from './endpoint-limits.ts'
import type { Snoozed } from './snooze.ts'

export interface LimitedDependencies {
  /** @param rateVersion of the job's reservation: another runner may know of a change that this one does not */
  limitsOf(endpointId: EndpointId, rateVersion?: number): EndpointLimits | Promise<EndpointLimits>
  inFlight: InFlight
  slots: Slots
  snooze(snoozed: Snoozed): Promise<void>
  /** The deliver step; resolves with the attempt it made, or `null`. */
  deliver(wakeUp: WakeUp, signal?: AbortSignal): Promise<AttemptResult | null>
  /** For endpoints without a timeout of their own. */
  timeoutMs: number
}

/**
 * Makes the limit step in front of `deliver`: place → slot → deliver, or snooze once.
 *
 * Over a limit nothing is claimed, so no attempt is used up, and nobody waits long: the job is put off
 * until its turn, and the place goes to somebody else.
 */
export function createLimited(deps: LimitedDependencies) {
  return async function limited(
    wakeUp: WakeUp,
    endpointId: EndpointId,
    reservation: Reservation | null,
    signal?: AbortSignal,
  ): Promise<void> {
    const limits = await deps.limitsOf(endpointId, reservation?.rateVersion)
    const timeoutMs = limits.timeoutSeconds === null ? deps.timeoutMs : limits.timeoutSeconds * 1000
    const place = await deps.inFlight.enter(endpointId, { ...limits, timeoutMs })
    if (!place.leave) {
      const waitMs = place.retryInMs
      return deps.snooze({ wakeUp, endpointId, limits, waitMs, reservation: null })
    }

    let result: LeaveResult = 'other'
    try {
      const slot = await slotOf(deps.slots, endpointId, limits, reservation)
      if (slot.waitMs > 0) return await deps.snooze({ wakeUp, endpointId, limits, ...slot })
      result = leaveResult(await deps.deliver(wakeUp, signal))
    } finally {
      place.leave(result)
    }
  }
}

const AT_ONCE = { waitMs: 0, reservation: null }

function slotOf(
  slots: Slots,
  endpointId: EndpointId,
  { ratePerSecond, rateVersion }: EndpointLimits,
  reservation: Reservation | null,
) {
  return ratePerSecond === null
    ? AT_ONCE
    : slots.reserve(endpointId, { ratePerSecond, rateVersion }, reservation)
}

/** What an attempt says about how long its endpoint holds a place. */
function leaveResult(result: AttemptResult | null): LeaveResult {
  if (result?.outcome === 'delivered' || result?.outcome === 'rejected') return 'answered'
  return result && isTimeout(result.reason) ? 'timeout' : 'other'
}
