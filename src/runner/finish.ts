import type { Pool } from 'pg'
import type { AttemptId, DeliveryId } from '../ids.ts'
import { createBatcher } from '../postgres/batcher.ts'
import { isPassing, retryThroughOutage } from '../postgres/outage.ts'
import type { AttemptResult } from '../sending/outcome.ts'

/** With answers of 16 KiB each, a statement of 1.6 MB. */
const FINISHES_IN_BATCH_MAX = 100
const FINISH_LANES = 2
/**
 * How long an outcome is kept in memory while the database is away. Longer outages end in a repeat of the
 * request, which at-least-once allows; the runner must not collect outcomes for ever.
 */
const OUTAGE_MS_MAX = 10 * 60_000

export interface Finished {
  deliveryId: DeliveryId
  attemptId: AttemptId
  result: AttemptResult
  /** Where it was sent. */
  url?: string | undefined
  /** It timed out, and the endpoint answered what was sent later: that counts for the delivery only. */
  isOvertaken?: boolean | undefined
  /** Seconds until the next attempt, `null` = none. */
  nextInSeconds: number | null
  /** The job that led to it, to be removed. */
  jobId?: string | undefined
  /** The batch that it is tried again in. */
  batchId?: string | null
  /** Of a batch that was too large, so that it costs no step of the schedule. */
  isHalved?: boolean
  /** Another attempt of the same request tells how the endpoint fares. */
  isUncounted?: boolean
}

/** The delivery's new state; `stale`: another runner had taken over; `already`: finished before. */
export type Verdict =
  | 'delivered'
  | 'pending'
  | 'failed'
  | 'held'
  | 'cancelled'
  | 'stale'
  | 'already'

export interface FinishOptions {
  /** An endpoint that failed for so long without a success is disabled. */
  disableAfterSeconds: number
  /** How long an outcome is kept while the database is away; default ten minutes. */
  outageMsMax?: number | undefined
  onRetry?: (error: unknown) => void
  /** The job that led to the attempt is gone. */
  onJobRemoved?: (jobId: string) => void
}

/**
 * Makes the finish step: writes attempt and delivery, removes the job and adds the next one, in one transaction.
 *
 * Finishing twice is harmless, so the statement is repeated through outages: an answer that a receiver has
 * given is not forgotten because Postgres restarts. Concurrent finishes go as one statement; when Postgres
 * refuses that, each goes alone, so that one of them costs no other its answer.
 */
export function createFinish(pool: Pool, options: FinishOptions) {
  const persistently = createPersistently(pool, options)
  const batcher = createBatcher<Finished, Verdict>({
    maxItems: FINISHES_IN_BATCH_MAX,
    lanes: FINISH_LANES,
    run: persistently,
  })
  return async (finished: Finished): Promise<Verdict> => {
    const verdict = await batcher.add(finished)
    tellRemoved(options, finished, verdict)
    return verdict
  }
}

/** The same for the attempts of one request, in one transaction: they succeed or fail together. */
export function createFinishTogether(pool: Pool, options: FinishOptions) {
  return async (finished: readonly Finished[], batchId: string): Promise<(Verdict | Error)[]> => {
    const verdicts = await createPersistently(pool, options, batchId)(finished)
    for (const [at, one] of finished.entries()) tellRemoved(options, one, verdicts[at])
    return verdicts
  }
}

function tellRemoved(
  { onJobRemoved }: FinishOptions,
  { jobId }: Finished,
  verdict: Verdict | Error | undefined,
): void {
  const isSettled = typeof verdict === 'string' && verdict !== 'stale' && verdict !== 'already'
  if (jobId !== undefined && isSettled) onJobRemoved?.(jobId)
}

/** Through outages; one by one where Postgres refuses what is together. */
function createPersistently(
  pool: Pool,
  { outageMsMax: forMs = OUTAGE_MS_MAX, onRetry, disableAfterSeconds }: FinishOptions,
  batchId: string | null = null,
) {
  const persistently = (finished: readonly Finished[]) =>
    retryThroughOutage(() => finishMany(pool, finished, disableAfterSeconds, batchId), {
      forMs,
      ...(onRetry && { onRetry }),
    })
  return (finished: readonly Finished[]): Promise<(Verdict | Error)[]> =>
    persistently(finished).catch((error: unknown) => {
      if (finished.length === 1 || isPassing(error)) throw error
      return Promise.all(finished.map((one) => persistently([one]).then(verdictOf, asError)))
    })
}

const verdictOf = ([verdict]: Verdict[]): Verdict => verdict ?? 'already'

const asError = (error: unknown): Error =>
  error instanceof Error ? error : new Error(String(error), { cause: error })

async function finishMany(
  pool: Pool,
  finished: readonly Finished[],
  disableAfterSeconds: number,
  batchId: string | null,
): Promise<Verdict[]> {
  const { rows } = await pool.query<{ attempt_id: string; verdict: Verdict }>(
    batchId === null
      ? {
          name: 'postrider_finish',
          text: 'select attempt_id, verdict from postrider.finish_many($1::json, make_interval(secs => $2))',
          values: [JSON.stringify(finished.map(asAttemptResult)), disableAfterSeconds],
        }
      : {
          name: 'postrider_finish_batch',
          text: `select attempt_id, verdict
                 from postrider.finish_many($1::json, make_interval(secs => $2), $3::json, $4::uuid)`,
          values: [...asShared(finished, disableAfterSeconds), batchId],
        },
  )
  const verdicts = new Map(rows.map((row) => [row.attempt_id, row.verdict]))
  return finished.map(({ attemptId }) => verdicts.get(attemptId) ?? 'already')
}

/** What most of them have in common is said once: that is most of it. */
function asShared(
  finished: readonly Finished[],
  disableAfterSeconds: number,
): [results: string, disableAfterSeconds: number, shared: string] {
  const [first] = finished
  const shared: Record<string, unknown> = first ? asAttemptResult(first) : {}
  const different = finished.map((one) => {
    const own: Record<string, unknown> =
      one.result === first?.result ? asOwnResult(one) : asAttemptResult(one)
    for (const name of Object.keys(own)) {
      if (own[name] === shared[name]) delete own[name]
      else own[name] ??= null
    }
    return own
  })
  return [JSON.stringify(different), disableAfterSeconds, JSON.stringify(shared)]
}

/** The composite type postrider.attempt_result. */
const asAttemptResult = (finished: Finished) => ({
  ...asOwnResult(finished),
  ...asRequestResult(finished.result),
})

/** What is of this attempt alone, however many were made by one request. */
const asOwnResult = (finished: Finished) => ({
  delivery_id: finished.deliveryId,
  attempt_id: finished.attemptId,
  next_in_seconds: finished.nextInSeconds,
  job_id: finished.jobId,
  overtaken: finished.isOvertaken,
  batch_id: finished.batchId,
  halved: finished.isHalved,
  uncounted: finished.isUncounted,
  url: finished.url,
})

function asRequestResult(result: AttemptResult) {
  return {
    outcome: result.outcome,
    status_code: result.statusCode,
    reason: result.reason,
    error: result.error,
    error_detail: result.errorDetail,
    duration_ms: result.durationMs,
    dns_ms: result.timings.dnsMs,
    connect_ms: result.timings.connectMs,
    tls_ms: result.timings.tlsMs,
    first_byte_ms: result.timings.firstByteMs,
    request_headers: result.requestHeaders,
    response_headers: result.responseHeaders,
    response_body: result.responseBody,
  }
}
