import { type ErasedLine, HAS_THE_EVENT, type PublishedLine, type ReceivedLine } from '../ledger.ts'

/** What the database says in the end. */
export interface Stored {
  events: StoredEvent[]
  deliveries: { id: string; eventId: string; endpoint: string; state: string }[]
  attempts: StoredAttempt[]
  /** Numbers whose row of the SQL producer's own table is there. */
  markers: number[]
}

export interface StoredEvent {
  id: string
  /** Null when it was erased and nobody has written down who it was. */
  n: number | null
  tenant: string
  isErased: boolean
  /** Its ordering key, and its place among the events of it. */
  key: string | null
  position: number | null
}

export interface StoredAttempt {
  deliveryId: string
  number: number
  outcome: string
  /** `manual` = a person had it retried. */
  trigger: string
  /** Of the batch that it was sent in; null = alone. */
  batchId: string | null
  runner: string
  /** Milliseconds since 1970. */
  startedAt: number
  /** Null while nobody has finished it. */
  finishedAt: number | null
}

export interface Evidence {
  published: PublishedLine[]
  erased: ErasedLine[]
  received: ReceivedLine[]
  stored: Stored
  /** Paths of the endpoints of each tenant; every event goes to all of them. */
  endpointsOf: Map<string, string[]>
  /** Those that order by key. */
  ordered: Set<string>
  /** Those that get the newest event of a key only. */
  collapsing: Set<string>
}

export interface Verdict {
  /** Events that were acknowledged. */
  accepted: number
  /** Events whose acknowledgement was lost. */
  unknown: number
  /** Of the acknowledged ones, those that were published for a later time. */
  scheduled: number
  /** Requests that came before the time of their event. */
  early: number
  /**
   * (event, endpoint) pairs that had to be delivered: of all events that are stored or were acknowledged, except
   * those that were erased (judge-erasures.ts), and those that were collapsed.
   */
  pairs: number
  /** Of those, the ones that the receiver has, and whose delivery says so. */
  delivered: number
  /** Of those, the ones that the receiver does not have. */
  lost: number
  /** Of all pairs: a request with a batch counts once for each of its events. */
  requests: number
  /** Requests for a pair after one that the receiver had answered with 200. */
  repeated: number
  /** Of those, the ones for which the audit log has an attempt that was cut off. */
  repeatsExplained: number
  /** (event, endpoint) pairs that had to arrive in order. */
  inOrder: number
  /** Requests of such that came before the receiver had each earlier event of the key. */
  inversions: number
  /** Pairs of endpoints that get the newest event only, in place of which a newer one was to be sent. */
  collapsed: number
  /** Last events of a key, for such endpoints. */
  lastStates: number
  /** Of those, the ones that the receiver does not have. */
  lastStatesLost: number
  /** Requests that came before, or without, an attempt to account for them. */
  requestsWithoutAuditRow: number
  /** Publishes that made two events. */
  doubled: number
  /** Publishes that anybody was told two ids of: the producer, the receivers, or those who read the database. */
  twoIds: number
  /** Events that nobody had committed, stored or received. */
  ghosts: number
  /** Transactions of which only a part was stored. */
  halfStored: number
}

/** An attempt with this outcome may have reached the receiver although its answer was not written down. */
export const CUT_OFF: ReadonlySet<string> = new Set(['abandoned', 'stale', 'interrupted'])
/** Postgres and the receiver read one clock, but the receiver's is in whole milliseconds. */
export const CLOCK_MS = 2

/** Holds what was acknowledged against what arrived and against the audit log. Pure. */
export function judge(evidence: Evidence): Verdict {
  const { published, received, stored, endpointsOf, ordered } = evidence
  const collapsed = collapsedPairs(evidence)
  const pairs = pairsToDeliver(published, stored, endpointsOf).filter(
    (pair) => !collapsed.has(pair),
  )
  const requestsOf = Map.groupBy(received, ({ id, endpoint }) => pairKey(id, endpoint))
  const states = new Map(
    stored.deliveries.map(({ eventId, endpoint, state }) => [pairKey(eventId, endpoint), state]),
  )
  const has = (pair: string) => isReceived(requestsOf.get(pair))

  return {
    ...outcomesOf(published),
    early: countEarly(published, received),
    pairs: pairs.length,
    delivered: pairs.filter((pair) => has(pair) && states.get(pair) === 'delivered').length,
    lost: pairs.filter((pair) => !has(pair)).length,
    requests: received.length,
    ...repeatsOf(requestsOf, attemptsByPair(stored)),
    ...inOrderOf(stored, requestsOf, ordered),
    collapsed: collapsed.size,
    ...lastStatesOf(evidence, has),
    doubled: countDoubled(stored),
    twoIds: countTwoIds(published, received, stored),
    ghosts: countGhosts(published, received, stored),
    halfStored: countHalfStored(published, stored),
  }
}

function outcomesOf(published: readonly PublishedLine[]) {
  const accepted = published.filter(({ outcome }) => outcome === 'accepted')
  return {
    accepted: accepted.length,
    unknown: published.filter(({ outcome }) => outcome === 'unknown').length,
    scheduled: accepted.filter(({ deliverAt }) => deliverAt).length,
  }
}

/** What the requests of each pair say next to its attempts. */
function repeatsOf(
  requestsOf: ReadonlyMap<string, ReceivedLine[]>,
  attemptsOf: ReadonlyMap<string, StoredAttempt[]>,
) {
  const sums = { repeated: 0, repeatsExplained: 0, requestsWithoutAuditRow: 0 }
  for (const [pair, requests] of requestsOf) {
    const attempts = attemptsOf.get(pair) ?? []
    const repeats = repeatsAmong(requests, attempts)
    sums.repeated += repeats.all
    sums.repeatsExplained += repeats.explained
    sums.requestsWithoutAuditRow += withoutAttempt(requests, attempts)
  }
  return sums
}

export const pairKey = (eventId: string, endpoint: string) => `${eventId} ${endpoint}`

export const isReceived = (requests: readonly ReceivedLine[] = []) =>
  requests.some(({ answer }) => HAS_THE_EVENT.has(answer))

function pairsToDeliver(
  published: PublishedLine[],
  stored: Stored,
  endpointsOf: Map<string, string[]>,
): string[] {
  const tenants = new Map(stored.events.map(({ id, tenant }) => [id, tenant]))
  for (const { id, tenant, outcome } of published) {
    if (id !== null && outcome === 'accepted') tenants.set(id, tenant)
  }
  for (const { id, isErased } of stored.events) if (isErased) tenants.delete(id)
  return [...tenants].flatMap(([id, tenant]) =>
    (endpointsOf.get(tenant) ?? []).map((endpoint) => pairKey(id, endpoint)),
  )
}

export function attemptsByPair({ deliveries, attempts }: Stored): Map<string, StoredAttempt[]> {
  const pairOf = new Map(
    deliveries.map(({ id, eventId, endpoint }) => [id, pairKey(eventId, endpoint)]),
  )
  return Map.groupBy(attempts, ({ deliveryId }) => pairOf.get(deliveryId) ?? deliveryId)
}

/**
 * The first request that was answered with 200 is the delivery, and each one after it is a repeat. It takes
 * a cut-off attempt for each 200 that was not the end.
 */
function repeatsAmong(requests: ReceivedLine[], attempts: StoredAttempt[]) {
  const answers = requests.toSorted((a, b) => a.at - b.at).map(({ answer }) => answer)
  const first = answers.findIndex((answer) => HAS_THE_EVENT.has(answer))
  const all = first === -1 ? 0 : answers.length - 1 - first
  const notTheEnd = answers.slice(0, -1).filter((answer) => HAS_THE_EVENT.has(answer)).length
  const cutOff = attempts.filter(({ outcome }) => CUT_OFF.has(outcome)).length
  return { all, explained: notTheEnd <= cutOff ? all : Math.max(0, all - (notTheEnd - cutOff)) }
}

/** The k-th request needs k attempts that had begun by then: an attempt is written before it is sent. */
function withoutAttempt(requests: ReceivedLine[], attempts: StoredAttempt[]): number {
  const starts = attempts.map(({ startedAt }) => startedAt).toSorted((a, b) => a - b)
  const arrivals = requests.map(({ at }) => at).toSorted((a, b) => a - b)
  return arrivals.filter((at, k) => (starts[k] ?? Number.POSITIVE_INFINITY) > at + CLOCK_MS).length
}

/** An event that was erased ended by that, and others did not wait for it. */
function inOrderOf(
  { events }: Stored,
  requestsOf: Map<string, ReceivedLine[]>,
  ordered: ReadonlySet<string>,
) {
  const placed = events.filter(({ key, isErased }) => key !== null && !isErased)
  const lines = Map.groupBy(placed, ({ tenant, key }) => JSON.stringify([tenant, key]))
  let [inOrder, inversions] = [0, 0]
  for (const line of lines.values()) {
    const sorted = line.toSorted((a, b) => (a.position ?? 0) - (b.position ?? 0))
    for (const endpoint of ordered) {
      let earliest = Number.NEGATIVE_INFINITY
      for (const { id } of sorted) {
        const requests = requestsOf.get(pairKey(id, endpoint))
        if (!requests) continue
        inOrder += 1
        inversions += requests.filter(({ at }) => at < earliest).length
        earliest = Math.max(earliest, firstHas(requests))
      }
    }
  }
  return { inOrder, inversions }
}

function collapsedPairs({ stored, collapsing }: Evidence): Set<string> {
  const collapsed = stored.deliveries.filter(
    ({ endpoint, state }) => state === 'collapsed' && collapsing.has(endpoint),
  )
  return new Set(collapsed.map(({ eventId, endpoint }) => pairKey(eventId, endpoint)))
}

/** Of a key whose last event was erased nothing is known: those before it may have been collapsed. */
function lastStatesOf(
  { stored: { events }, collapsing, endpointsOf }: Evidence,
  has: (pair: string) => boolean,
) {
  const keyed = events.filter(({ key }) => key !== null)
  const lines = Map.groupBy(keyed, ({ tenant, key }) => JSON.stringify([tenant, key]))
  const pairs = [...lines.values()].flatMap((line) => {
    const last = line.reduce((a, b) => ((a.position ?? 0) > (b.position ?? 0) ? a : b))
    const endpoints = last.isErased ? [] : (endpointsOf.get(last.tenant) ?? [])
    return endpoints
      .filter((endpoint) => collapsing.has(endpoint))
      .map((endpoint) => pairKey(last.id, endpoint))
  })
  return { lastStates: pairs.length, lastStatesLost: pairs.filter((pair) => !has(pair)).length }
}

const firstHas = (requests: readonly ReceivedLine[]) =>
  Math.min(...requests.filter(({ answer }) => HAS_THE_EVENT.has(answer)).map(({ at }) => at))

function countEarly(published: PublishedLine[], received: ReceivedLine[]): number {
  const times = new Map(published.map(({ n, deliverAt }) => [n, deliverAt ?? 0]))
  return received.filter(({ n, at }) => at + CLOCK_MS < (times.get(n) ?? 0)).length
}

/** A number is published once, so two events with it are one request that was stored twice. */
function countDoubled({ events }: Stored): number {
  return events.length - new Set(events.map(({ n }) => n)).size
}

/** Also of an event that was lost, and published again by the same key, after a receiver had it. */
function countTwoIds(published: PublishedLine[], received: ReceivedLine[], stored: Stored): number {
  const idsOf = new Map<number, Set<string>>()
  for (const { n, id } of [...published, ...received, ...stored.events]) {
    if (n === null || id === null) continue
    idsOf.set(n, (idsOf.get(n) ?? new Set()).add(id))
  }
  return [...idsOf.values()].filter((ids) => ids.size > 1).length
}

function countGhosts(published: PublishedLine[], received: ReceivedLine[], stored: Stored): number {
  const may = new Set(published.filter(({ outcome }) => outcome !== 'not_stored').map(({ n }) => n))
  const seen = [...stored.events, ...received].map(({ n }) => n)
  return new Set(seen.filter((n) => n === null || !may.has(n))).size
}

/** The event and the producer's own change: both or neither, whatever the producer knows. */
function countHalfStored(published: PublishedLine[], { events, markers }: Stored): number {
  const stored = new Set(events.map(({ n }) => n))
  const marked = new Set(markers)
  return published.filter(({ n, via }) => via === 'sql' && stored.has(n) !== marked.has(n)).length
}
