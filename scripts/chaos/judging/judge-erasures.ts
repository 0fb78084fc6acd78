import type { ErasedLine, ReceivedLine } from '../ledger.ts'
import {
  attemptsByPair,
  CLOCK_MS,
  CUT_OFF,
  type Evidence,
  isReceived,
  pairKey,
  type StoredAttempt,
} from './judge.ts'

export interface ErasureVerdict {
  /** Events whose data is gone. */
  erased: number
  /** Of their (event, endpoint) pairs, those that the receiver got anyway, before or at that moment. */
  erasedAndReceived: number
  /** Events that have their data although its erasure was acknowledged. */
  notErased: number
  /** Pairs of erased events that end neither as delivered, to a receiver that has them, nor cancelled, collapsed or blocked. */
  erasedWithoutEnd: number
  /** Requests about an erased event of which no attempt was under way when its erasure was committed. */
  sentAfterErasure: number
}

/** Holds what was erased against what was sent and how deliveries ended. Pure. */
export function judgeErasures({ erased, received, stored, endpointsOf }: Evidence): ErasureVerdict {
  const linesOf = Map.groupBy(erased, ({ id }) => id)
  const requestsOf = Map.groupBy(received, ({ id, endpoint }) => pairKey(id, endpoint))
  const attemptsOf = attemptsByPair(stored)
  const states = new Map(
    stored.deliveries.map(({ eventId, endpoint, state }) => [pairKey(eventId, endpoint), state]),
  )
  const gone = stored.events.filter(({ isErased }) => isErased)
  const pairs = gone.flatMap(({ id, tenant }) =>
    (endpointsOf.get(tenant) ?? []).map((endpoint) => {
      const pair = pairKey(id, endpoint)
      const requests = requestsOf.get(pair) ?? []
      const attempts = attemptsOf.get(pair) ?? []
      return { requests, attempts, state: states.get(pair), erasedAt: committedAt(linesOf.get(id)) }
    }),
  )
  return {
    erased: gone.length,
    erasedAndReceived: pairs.filter(({ requests }) => isReceived(requests)).length,
    notErased: stored.events.filter(
      ({ id, isErased }) =>
        !isErased && linesOf.get(id)?.some(({ outcome }) => outcome === 'accepted'),
    ).length,
    erasedWithoutEnd: pairs.filter((pair) => !hasEnded(pair)).length,
    sentAfterErasure: pairs.reduce((sum, pair) => sum + sentAfter(pair), 0),
  }
}

interface ErasedPair {
  requests: ReceivedLine[]
  attempts: StoredAttempt[]
  state: string | undefined
  erasedAt: number
}

/** The first answer that says so. Where each was lost, one of them was committed before its loss was noticed. */
function committedAt(lines: readonly ErasedLine[] = []): number {
  const told = lines.filter(({ outcome }) => outcome === 'accepted').map(({ at }) => at)
  return told.length > 0 ? Math.min(...told) : Math.max(...lines.map(({ at }) => at))
}

function hasEnded({ requests, attempts, state }: ErasedPair): boolean {
  if (state === 'delivered') return isReceived(requests)
  const last = attempts.toSorted((a, b) => a.number - b.number).at(-1)
  return (
    state === 'cancelled' ||
    state === 'collapsed' ||
    (state === 'failed' && last?.outcome === 'blocked')
  )
}

/**
 * A claim reads the data after it has written its attempt, so what is sent has an attempt from before the erasure
 * that had not ended by then. One that was cut off counts as ended when others noticed, not when it was.
 */
function sentAfter({ requests, attempts, erasedAt }: ErasedPair): number {
  const before = attempts.filter(({ startedAt }) => startedAt <= erasedAt + CLOCK_MS)
  return requests
    .filter(({ at }) => at > erasedAt + CLOCK_MS)
    .filter(({ at }) => !before.some((attempt) => mayHaveSent(attempt, at))).length
}

const mayHaveSent = ({ outcome, finishedAt }: StoredAttempt, at: number) =>
  CUT_OFF.has(outcome) || finishedAt === null || at <= finishedAt + CLOCK_MS
