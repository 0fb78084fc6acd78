import { labelOf, spanOf } from '../attempts/attempt-words.ts'
import { type Attempt, lastSent } from '../attempts/attempts.ts'
import { stateLabel } from '../console/parts.tsx'
import type { DeliveryWithUrl } from './deliveries.ts'

/** Of more attempts the last ones say enough. */
const ATTEMPTS_MAX = 10

type Ticketed = DeliveryWithUrl & {
  attempts: readonly Attempt[]
  type: string | null
  tenantKey: string
}

/**
 * What support writes to a customer about a delivery, without anything that was sent. Of the URL it has the
 * origin: the rest can be a credential, and so can any part of what no program can read, which SQL takes as a URL too.
 *
 * @param sentence what became of it
 */
export function ticketOf(delivery: Ticketed, sentence: string): string {
  const { id, type, event_id: event, tenantKey, created_at: at, attempts } = delivery
  const left = attempts.length - ATTEMPTS_MAX
  return [
    `Delivery ${id} to ${placeOf(delivery)}, created ${at.toISOString()}`,
    `Event ${type ?? '(deleted)'} (${event}) of ${tenantKey}`,
    sentence,
    ...(left > 0 ? [`- ${left} earlier attempts`] : []),
    ...attempts.slice(-ATTEMPTS_MAX).map(lineOf),
  ].join('\n')
}

/** Where it was sent; without that, where its endpoint is now. */
const placeOf = ({ attempts, url, endpoint_id: id }: Ticketed): string =>
  URL.parse(lastSent(attempts)?.url ?? url)?.origin ?? `endpoint ${id}`

function lineOf({ number, started_at: at, outcome, status_code: status, ...attempt }: Attempt) {
  const { reason, duration_ms: ms } = attempt
  const words =
    status === null ? (reason ? labelOf(reason) : stateLabel(outcome)) : `HTTP ${status}`
  return `- attempt ${number}, ${at.toISOString()}: ${words}${ms === null ? '' : ` in ${spanOf(ms)}`}`
}
