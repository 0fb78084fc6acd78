import { HAS_THE_EVENT, type ReceivedLine } from '../ledger.ts'
import { attemptsByPair, CUT_OFF, type Evidence, pairKey, type StoredAttempt } from './judge.ts'

export interface BatchVerdict {
  /** Requests with more than one event. */
  batches: number
  /** Requests with a batch that the receiver had taken already. */
  batchesRepeated: number
  /** Batches that the receiver refused with 413. */
  halved: number
  /** Events that the receiver named as failed, in batches that it took. */
  itemsFailed: number
  /** Repeats of an event under the id of another batch, by which the receiver cannot know them. */
  repeatsUnderAnotherId: number
  /** Events of requests for which no attempt says that it was in that batch. */
  batchesWithoutAuditRow: number
}

type BatchedLine = ReceivedLine & { batch: string }

/** From so many attempts on that were cut off in a row, a delivery is put off, out of its batch. */
const CUT_OFF_MAX = 3

/** Holds what came in batches against what is promised about them, and against the audit log. Pure. */
export function judgeBatches({ received, stored, collapsing }: Evidence): BatchVerdict {
  const lines = received.filter((line): line is BatchedLine => line.batch !== null)
  const attemptsOf = attemptsByPair(stored)
  const pairs = [...Map.groupBy(lines, ({ id, endpoint }) => pairKey(id, endpoint))].map(
    ([pair, ofPair]) => ({ lines: ofPair, attempts: attemptsOf.get(pair) ?? [] }),
  )
  const batches = [...Map.groupBy(lines, ({ batch }) => batch).values()].map(requestsOf)
  const requests = batches.flat()
  const count = (answer: ReceivedLine['answer']) => (line: ReceivedLine) => line.answer === answer
  return {
    batches: requests.filter((events) => events.length > 1).length,
    batchesRepeated: sum(batches, repeatsOf),
    halved: requests.filter((events) => events.some(count('too_large'))).length,
    itemsFailed: lines.filter(count('item_failed')).length,
    repeatsUnderAnotherId: sum(
      pairs.filter(({ lines: [line] }) => line && !collapsing.has(line.endpoint)),
      underAnotherId,
    ),
    batchesWithoutAuditRow: sum(pairs, withoutAuditRow),
  }
}

const sum = <T>(list: readonly T[], countOf: (one: T) => number) =>
  list.reduce((total, one) => total + countOf(one), 0)

type Request = readonly BatchedLine[]

interface Pair {
  lines: readonly BatchedLine[]
  attempts: readonly StoredAttempt[]
}

/** Of one batch, in the order in which they came. What is in a request is written down at one time. */
function requestsOf(lines: readonly BatchedLine[]): Request[] {
  return [...Map.groupBy(lines, ({ at }) => at).values()]
}

/** It knows the id of the batch from then on, also where it named the event as failed. */
const hasTakenBatch = ({ answer }: BatchedLine) =>
  HAS_THE_EVENT.has(answer) || answer === 'item_failed'

function repeatsOf(requests: readonly Request[]): number {
  const first = requests.findIndex((events) => events.some(hasTakenBatch))
  return first === -1 ? 0 : requests.length - 1 - first
}

/**
 * What a person has retried leaves its batch, and so does what was put off since it was cut off again and again. Where the newest
 * is enough, an event may leave it for a newer one that is erased then. A request of a runner that stood still may come after
 * another has sent its batch, and then what the receiver named as failed in it: it knows that id.
 */
function underAnotherId({ lines, attempts }: Pair): number {
  const first = lines.findIndex(({ answer }) => HAS_THE_EVENT.has(answer))
  const cutOff = attempts.filter(({ outcome }) => CUT_OFF.has(outcome)).length
  const isRetried = attempts.some(({ trigger }) => trigger === 'manual')
  if (first === -1 || cutOff >= CUT_OFF_MAX || isRetried) return 0
  const known = new Set(
    lines
      .slice(0, first + 1)
      .filter(hasTakenBatch)
      .map(({ batch }) => batch),
  )
  return lines.slice(first + 1).filter(({ batch }) => !known.has(batch)).length
}

function withoutAuditRow({ lines, attempts }: Pair): number {
  const batches = new Set(attempts.map(({ batchId }) => batchId))
  return lines.filter(({ batch }) => !batches.has(batch)).length
}
