import type { EventId } from '../ids.ts'
import {
  BATCH_ANSWER_BYTES_KEPT_MIN,
  BATCH_ANSWER_BYTES_MAX,
  batchBody,
  failedItems,
} from '../sending/batch-body.ts'
import type { AttemptResult } from '../sending/outcome.ts'
import { firstBytes, RESPONSE_BODY_BYTES_MAX } from '../sending/response-body.ts'
import type { WakeUp } from './claim.ts'
import {
  AttemptStale,
  type DeliverDependencies,
  decide,
  describe,
  ERASED,
  notSent,
  type OfRequest,
  sendClaimed,
  sentTo,
} from './deliver.ts'
import { endAttemptSpan, startAttemptSpan } from './delivery-span.ts'
import type { Finished, Verdict } from './finish.ts'
import type { BatchMember, Taken } from './take-batch.ts'

const TOO_LARGE = 413

export interface DeliverBatchDependencies extends Omit<DeliverDependencies, 'claim' | 'finish'> {
  /** In one transaction. */
  finish(finished: readonly Finished[], batchId: string): Promise<(Verdict | Error)[]>
  /** The request has ended; its attempts are told by themselves. */
  onEnded(batch: { outcome: string; events: number }): void
}

/** What is sent: the events of those that have data, joined. */
export type OfBatch = OfRequest & Pick<Taken, 'items'>

/** What is to be written down of a member. */
interface Ended {
  member: BatchMember
  finished: Finished
}

/**
 * Makes the deliver step of a batch that was claimed: send once → decide for each → finish together.
 *
 * @param lead the job that led to the request; those of the other members are gone
 * @returns what came of the request
 */
export function createDeliverBatch(deps: DeliverBatchDependencies) {
  return async function deliverBatch(
    members: readonly [BatchMember, ...BatchMember[]],
    lead: WakeUp | null,
    request: OfBatch,
  ): Promise<AttemptResult> {
    const [first] = members
    const span = startAttemptSpan(deps.tracing, first)
    try {
      const result = await sendTogether(deps, members, span, request)
      deps.onEnded({ outcome: result.outcome, events: members.length })
      const ended = endOf(deps, members, result, request)
      const ofLead = ended.find(({ finished }) => finished.deliveryId === lead?.deliveryId)
      if (ofLead) ofLead.finished.jobId = lead?.jobId
      const verdicts = await deps.finish(
        ended.map(({ finished }) => finished),
        first.batchId,
      )
      ended.forEach((one, at) => {
        const { member, finished } = one
        const verdict = verdicts[at]
        if (verdict instanceof Error || verdict === undefined) throw verdict
        const attempted = describe(member, finished.result, verdict, finished.nextInSeconds)
        attempted.batchId = first.batchId
        deps.log(attempted)
        if (member === first && span) endAttemptSpan(span, attempted)
        if (verdict === 'stale' && one === ofLead) throw new AttemptStale(finished.deliveryId)
      })
      return result
    } catch (error) {
      span?.end({}, 'not finished')
      throw error
    }
  }
}

/** Whose data was erased is left out. */
async function sendTogether(
  deps: DeliverBatchDependencies,
  members: readonly [BatchMember, ...BatchMember[]],
  span: ReturnType<typeof startAttemptSpan>,
  { items, ...request }: OfBatch,
): Promise<AttemptResult> {
  if (items === '') return notSent(ERASED)
  const [first] = members
  const together = { ...first, eventId: first.batchId as EventId, body: batchBody(items) }
  const limits = { answerBytesMax: BATCH_ANSWER_BYTES_MAX }
  return await sendClaimed(deps, together, span, { ...request, ...limits })
}

function endOf(
  deps: DeliverBatchDependencies,
  members: readonly BatchMember[],
  result: AttemptResult,
  { permit }: OfRequest,
): Ended[] {
  const sent = members.filter(({ isErased }) => !isErased)
  const erased = members.filter(({ isErased }) => isErased)
  const isOvertaken = result.reason === 'timeout_answer' && permit?.isOvertaken()
  const ends = [
    ...endOfSent(deps, sent, withShareOfBody(result, sent.length)),
    ...erased.map((member) => ended(member, notSent(ERASED), null)),
  ]
  // One request says one thing about its endpoint: that it works, if any of them was taken.
  const telling = ends.find(({ finished }) => finished.result.outcome === 'delivered') ?? ends[0]
  for (const one of ends) {
    one.finished.isOvertaken = isOvertaken
    one.finished.isUncounted = one !== telling
  }
  return ends
}

function endOfSent(
  deps: DeliverBatchDependencies,
  sent: readonly BatchMember[],
  result: AttemptResult & { wholeBody: string | null },
): Ended[] {
  const { wholeBody, ...shared } = result
  if (result.outcome === 'delivered') return endOfTaken(deps, sent, shared, wholeBody)
  if (result.statusCode === TOO_LARGE && sent.length > 1) return halved(sent, shared)
  return endOfFailed(deps, sent, shared, sent[0]?.batchId)
}

const NAMED = 'the receiver took the batch and named this event as failed'
const UNREADABLE =
  'nobody can tell which events of the batch have failed: the response was cut off, late, longer than 64 KiB or is not JSON'

/**
 * Those that the receiver names are sent again without the others: together, since it took nothing of any of them, as a batch that has
 * the id of the first one's attempt. Where nobody can read which it names, all are, under the id that they had: a
 * receiver recognises a repeat, and would never hear again of one that is left out.
 */
function endOfTaken(
  deps: DeliverBatchDependencies,
  sent: readonly BatchMember[],
  result: AttemptResult,
  answer: string | null,
): Ended[] {
  const isCompressed = result.responseHeaders?.['content-encoding'] !== undefined
  const failed = failedItems(answer, { isCut: result.isBodyCut ?? false, isCompressed })
  const refused = { ...result, outcome: 'rejected', reason: 'item_failed' } as const
  if (!failed) {
    return endOfFailed(deps, sent, { ...refused, error: UNREADABLE }, sent[0]?.batchId)
  }
  const isNamed = ({ eventId }: BatchMember) => failed.has(eventId)
  const again = endOfFailed(deps, sent.filter(isNamed), { ...refused, error: NAMED })
  const taken = sent.filter((member) => !isNamed(member))
  return [...again, ...taken.map((member) => ended(member, result, null))]
}

/** The same time for all that are tried again, so that they stay together. */
function endOfFailed(
  deps: DeliverBatchDependencies,
  members: readonly BatchMember[],
  result: AttemptResult,
  batchId?: string,
): Ended[] {
  const random = deps.random()
  const delays = members.map((member) => decide({ ...deps, random: () => random }, member, result))
  const again = delays.filter((delay) => delay !== null)
  const nextInSeconds = again.length > 0 ? Math.min(...again) : null
  const together = batchId ?? members[delays.findIndex((delay) => delay !== null)]?.attemptId
  return members.map((member, at) =>
    delays[at] === null
      ? ended(member, result, null)
      : ended(member, result, nextInSeconds, { batchId: together ?? null }),
  )
}

/** At once, and without a step of the schedule: nothing was found out about any event. */
function halved(sent: readonly BatchMember[], result: AttemptResult): Ended[] {
  const middle = Math.ceil(sent.length / 2)
  return [sent.slice(0, middle), sent.slice(middle)].flatMap((half) =>
    half.map((member) =>
      ended(member, result, 0, { batchId: half[0]?.attemptId ?? null, isHalved: true }),
    ),
  )
}

const ended = (
  member: BatchMember,
  result: AttemptResult,
  nextInSeconds: number | null,
  more: Pick<Finished, 'batchId' | 'isHalved'> = {},
): Ended => ({
  member,
  finished: {
    deliveryId: member.deliveryId,
    attemptId: member.attemptId,
    url: sentTo(member.url, result),
    result,
    nextInSeconds,
    batchId: null,
    ...more,
  },
})

/** What the audit log keeps of one answer is shared out among its attempts. */
function withShareOfBody(result: AttemptResult, attempts: number) {
  const { responseBody: wholeBody } = result
  const share = Math.floor(RESPONSE_BODY_BYTES_MAX / Math.max(attempts, 1))
  const bytesMax = Math.max(share, BATCH_ANSWER_BYTES_KEPT_MIN)
  const responseBody = wholeBody === null ? null : firstBytes(wholeBody, bytesMax)
  return { ...result, responseBody, wholeBody }
}
