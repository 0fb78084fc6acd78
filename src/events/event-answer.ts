import { labelOf, spanOf } from '../attempts/attempt-words.ts'
import {
  DELIVERIES_OF_EVENT_MAX,
  type Deliveries,
  type FoundDelivery,
} from '../deliveries/deliveries.ts'
import { HELD_REASONS } from '../deliveries/delivery.fields.ts'
import type { EventId, TenantId } from '../ids.ts'
import { REASONS, type Route, type Routing } from './routing.ts'

/** Of more endpoints than these an answer says how many there are, not which. */
const NAMED_MAX = 3

/** What a delivery is explained by. */
export type Explained = Pick<
  FoundDelivery,
  | ('url' | 'description' | 'state' | 'attempt_count' | 'held_reason' | 'ordering_key')
  | ('collapsed_by' | 'lastOutcome' | 'lastStatusCode' | 'lastMs' | 'lastReason')
>

interface Outcome {
  /** What all endpoints with the same one are put under. */
  what: string
  endpoint: string
  /** Why, or how it went; empty where the state says it all. */
  why: string
}

/** Where an event went, endpoint by endpoint, in words. */
export interface Answer {
  /** All of it as one sentence. */
  sentence: string
  /** A line for each endpoint, for a ticket. */
  lines: string[]
}

/**
 * Says what became of an event: “Delivered to A (200 in 72 ms, attempt 2); not sent to B (its event types do not
 * include this one).”
 *
 * @param deliveries of the event, newest first; those of endpoints that `routes` leaves out count as well
 */
function answerOf(routes: readonly Route[], deliveries: readonly Explained[]): Answer {
  const outcomes = [
    ...deliveries.toReversed().map(outcomeOfDelivery),
    ...routes.flatMap((route) => (route.reason === null ? [] : [notSent(route, route.reason)])),
  ]
  if (outcomes.length === 0) return { sentence: 'The tenant has no endpoint.', lines: [] }
  const groups = [...Map.groupBy(outcomes, ({ what }) => what)]
  const said = groups.map(([what, group]) => `${what} ${inOneBreath(group)}`).join('; ')
  return {
    sentence: `${said.charAt(0).toUpperCase()}${said.slice(1)}.`,
    lines: outcomes.map(({ what, endpoint, why }) => `${what} ${endpoint}${why && `: ${why}`}`),
  }
}

/** What became of the event with this id. */
export async function explainEvent(
  services: { deliveries: Pick<Deliveries, 'search'>; routing: Pick<Routing, 'explain'> },
  tenantId: TenantId,
  id: EventId,
): Promise<Answer & { routes: Route[]; deliveries: FoundDelivery[] }> {
  const query = { eventId: id, before: null, limit: DELIVERIES_OF_EVENT_MAX }
  const [routes, { rows }] = await Promise.all([
    services.routing.explain(tenantId, id),
    services.deliveries.search(tenantId, query),
  ])
  return { routes, deliveries: rows, ...answerOf(routes, rows) }
}

/** The same of one delivery. */
export const sentenceOf = (delivery: Explained): string => answerOf([], [delivery]).sentence

function inOneBreath(group: readonly Outcome[]): string {
  if (group.length > NAMED_MAX) {
    const reasons = [...new Set(group.map(({ why }) => why).filter(Boolean))]
    return `${group.length} endpoints${reasons.length === 1 ? ` (${reasons[0]})` : ''}`
  }
  return group.map(({ endpoint, why }) => `${endpoint}${why && ` (${why})`}`).join(', ')
}

const nameOf = ({ url, description }: { url: string; description: string }): string =>
  description === '' ? url.replace(/^https?:\/\//, '') : description

const notSent = (route: Route, reason: keyof typeof REASONS): Outcome => ({
  what: 'not sent to',
  endpoint: nameOf(route),
  why: REASONS[reason],
})

function outcomeOfDelivery(delivery: Explained): Outcome {
  const endpoint = nameOf(delivery)
  const { state, attempt_count: tries } = delivery
  const last = lastOf(delivery)
  switch (state) {
    case 'delivered':
      return { what: 'delivered to', endpoint, why: `${last}, attempt ${tries}` }
    case 'failed':
      return { what: 'failed for', endpoint, why: `${last} after ${attempts(tries)}` }
    case 'held':
      return { what: 'on hold for', endpoint, why: whyHeld(delivery) }
    case 'cancelled':
      return { what: 'cancelled for', endpoint, why: tries === 0 ? '' : `${last} before` }
    case 'collapsed':
      return { what: 'not sent to', endpoint, why: whyCollapsed(delivery) }
    case 'pending':
    case 'delivering':
      return tries === 0
        ? { what: 'about to be sent to', endpoint, why: '' }
        : { what: 'being retried for', endpoint, why: `${last} after ${attempts(tries)}` }
    default:
      return state satisfies never
  }
}

/** For support, which is asked why an event did not arrive. */
function whyCollapsed({ ordering_key: key, collapsed_by: newer, attempt_count: tries }: Explained) {
  const before = tries === 0 ? '' : `, after ${attempts(tries)}`
  return `the endpoint gets only the newest event of a key: ${newer} of ${key} replaced it${before}`
}

const attempts = (count: number): string => (count === 1 ? '1 attempt' : `${count} attempts`)

/** As part of a sentence. */
function whyHeld({ held_reason: reason }: Explained): string {
  if (reason === null) return ''
  return goingOn(HELD_REASONS[reason].replace(/\.$/, ''))
}

/** Within a sentence; abbreviations stay as they are. */
const goingOn = (words: string): string => words.replace(/^[A-Z](?![A-Z])/, (a) => a.toLowerCase())

function lastOf({ lastOutcome, lastStatusCode, lastMs, lastReason }: Explained): string {
  if (lastOutcome === null) return 'no attempt'
  const span = lastMs === null ? '' : ` in ${spanOf(lastMs)}`
  if (lastStatusCode !== null) return `HTTP ${lastStatusCode}${span}`
  return lastReason === null ? lastOutcome : goingOn(labelOf(lastReason))
}
