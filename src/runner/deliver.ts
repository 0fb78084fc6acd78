import type { EndpointId } from '../ids.ts'
import { messageIdOf } from '../ksuid.ts'
import type { Permit } from '../limits/endpoint-permits.ts'
import { type Purpose, purposeOf, SecretUnreadable, sealedTexts } from '../secrets/secrets.ts'
import type { ClientCertificate } from '../sending/connections.ts'
import type { Failure } from '../sending/failure.ts'
import { type AttemptResult, isRetryable } from '../sending/outcome.ts'
import type { SendRequest } from '../sending/send.ts'
import { InvalidSecret } from '../sending/signing-secret.ts'
import { type Linked, withLink } from '../sending/thin-link.ts'
import type { OpenSpan, Tracing } from '../tracing/tracing.ts'
import type { Claimed, WakeUp } from './claim.ts'
import type { DeliveryAttempted } from './delivery-span.ts'
import { endAttemptSpan, sendTraced, startAttemptSpan, traceOf } from './delivery-span.ts'
import type { Finished, Verdict } from './finish.ts'
import { nextDelaySeconds, type RetrySchedule } from './retry-policy.ts'

/** How long a delivery waits whose secret could not be opened, and whose endpoint could not be held for it. */
const UNREADABLE_PAUSE_SECONDS = 60

export interface DeliverDependencies {
  claim(wakeUp: WakeUp): Promise<Claimed | null>
  send(request: SendRequest): Promise<AttemptResult>
  finish(finished: Finished): Promise<Verdict>
  /** Opens a secret of an endpoint; throws when no key fits. */
  decryptSecret(encrypted: string, endpointId: string, purpose: Purpose): string
  /** Has what is open for an endpoint held, until what cannot be opened here can be. Returns whether it is. */
  holdUnreadable(unreadable: Unreadable): Promise<boolean>
  /** Where the receiver of a thin event gets the rest. @throws PublicUrlMissing */
  linkOf(linked: Linked, timestampSeconds: number): string
  /** Used where an endpoint has no own schedule or timeout. */
  schedule: RetrySchedule
  timeoutMs: number
  random(): number
  /** Nothing could be sent, for a reason of ours such as a secret that no key opens. */
  onFault(error: unknown, claimed: Claimed): void
  /** Null = nothing is traced. */
  tracing: Tracing | null
  /** One line for each attempt. */
  log(attempted: DeliveryAttempted): void
}

/** What it takes between claim and finish. */
type SendDependencies = Omit<DeliverDependencies, 'claim' | 'finish'>

export interface Unreadable {
  endpointId: EndpointId
  /** The endpoint's secrets, its client key or headers, that could not be opened or cannot sign. */
  sealed: string[]
  /** For operators; holds no secret. */
  detail: string
}

/** The attempt was finished after another runner had taken the delivery over. */
export class AttemptStale extends Error {
  override readonly name = 'AttemptStale'
  readonly code = 'attempt_stale'
  constructor(deliveryId: string) {
    super(`the attempt of delivery ${deliveryId} was finished after another had taken over`)
  }
}

/**
 * Makes the deliver job: claim → send → decide → finish.
 *
 * The claim is committed before the request and the outcome after it; no transaction is open meanwhile. A
 * failed attempt is an ordinary outcome. What is thrown is a fault of ours, which graphile-worker retries,
 * and `AttemptStale`: completing a job deletes it by id, no matter who holds it by then, so a runner that lost
 * its claim must not complete.
 */
export function createDeliver(deps: DeliverDependencies) {
  return async function deliver(
    wakeUp: WakeUp,
    signal?: AbortSignal,
    permit?: PermitOfRequest,
  ): Promise<AttemptResult | null> {
    const claimed = await deps.claim(wakeUp)
    if (!claimed) return null

    const span = startAttemptSpan(deps.tracing, claimed)
    const ofJob = { ...claimed, jobId: wakeUp.jobId }
    const attempted = await attempt(deps, ofJob, span, { signal, permit }).catch(
      (error: unknown) => {
        span?.end({}, 'not finished')
        throw error
      },
    )
    if (attempted.verdict === 'stale') throw new AttemptStale(claimed.deliveryId)
    return attempted.result
  }
}

type PermitOfRequest = Pick<Permit, 'noteSent' | 'isOvertaken'>

/** What the caller has to do with the request of a delivery. */
export interface OfRequest {
  signal: AbortSignal | undefined
  permit: PermitOfRequest | undefined
  /** Of the answer, where more is wanted than the audit log holds. */
  answerBytesMax?: number
}

async function attempt(
  deps: DeliverDependencies,
  claimed: Claimed & Pick<Finished, 'jobId'>,
  span: OpenSpan | null,
  request: OfRequest,
): Promise<{ result: AttemptResult; verdict: Verdict }> {
  const result = await sendClaimed(deps, claimed, span, request)
  const nextInSeconds = decide(deps, claimed, result)
  const { deliveryId, attemptId, jobId } = claimed
  const url = sentTo(claimed.url, result)
  const isOvertaken = result.reason === 'timeout_answer' && request.permit?.isOvertaken()
  const finished = { deliveryId, attemptId, result, url, isOvertaken, nextInSeconds, jobId }
  const verdict = await deps.finish(finished)

  const attempted = describe(claimed, result, verdict, nextInSeconds)
  deps.log(attempted)
  if (span) endAttemptSpan(span, attempted)
  return { result, verdict }
}

export async function sendClaimed(
  deps: SendDependencies,
  claimed: Claimed,
  span: OpenSpan | null,
  { signal, permit, answerBytesMax }: OfRequest,
): Promise<AttemptResult> {
  if (claimed.body === null) return notSent(ERASED)
  const timestampSeconds = Math.floor(Date.now() / 1000)
  const isSvix = claimed.shape === 'svix'
  try {
    const secrets = claimed.secrets.map((secret) =>
      deps.decryptSecret(secret, claimed.endpointId, 'signing-secret'),
    )
    const request = {
      url: claimed.url,
      eventId: isSvix ? messageIdOf(claimed.eventId) : claimed.eventId,
      withSvixHeaders: isSvix,
      body: bodyOf(deps, claimed, claimed.body, timestampSeconds),
      timestampSeconds,
      shapeHeaders: claimed.shapeHeaders ?? undefined,
      signatureHeaders: claimed.signatureHeaders,
      webhookSignature: claimed.webhookSignature,
      headers: { ...claimed.headers, ...secretHeadersOf(deps, claimed) },
      secretHeaders: Object.keys(claimed.secretHeaders),
      secrets,
      clientCertificate: clientCertificateOf(deps, claimed),
      timeoutMs: claimed.timeoutSeconds === null ? deps.timeoutMs : claimed.timeoutSeconds * 1000,
      signal,
      onSent: permit?.noteSent,
      answerBytesMax,
      // An attempt that cost no step of the schedule was cut off, perhaps with its connection.
      newConnection: claimed.attemptNumber > claimed.scheduleStep + 1,
    }
    const parent = span?.context ?? traceOf(claimed)
    return await sendTraced(deps.send, request, { tracing: deps.tracing, parent })
  } catch (cause) {
    deps.onFault(cause, claimed)
    if (!(cause instanceof SecretUnreadable || cause instanceof InvalidSecret)) {
      return notSent(FAULT)
    }
    const sealed = unopened(deps, claimed)
    const { endpointId } = claimed
    const isHeld = await deps.holdUnreadable({ endpointId, sealed, detail: cause.message })
    // Nothing was sent, and it is not the receiver's doing: it costs no step of the retry schedule.
    return { ...notSent(UNREADABLE), retryAfterSeconds: isHeld ? 0 : UNREADABLE_PAUSE_SECONDS }
  }
}

/** The database has made it, in the shape of the endpoint, but for the link of a thin one. */
function bodyOf(
  { linkOf }: Pick<DeliverDependencies, 'linkOf'>,
  claimed: Claimed,
  body: string,
  timestampSeconds: number,
): string {
  return claimed.shape === 'thin' ? withLink(body, linkOf(claimed, timestampSeconds)) : body
}

function secretHeadersOf(
  { decryptSecret }: SendDependencies,
  { endpointId, secretHeaders }: Claimed,
): Record<string, string> {
  return Object.fromEntries(
    Object.entries(secretHeaders).map(([name, sealed]) => [
      name,
      decryptSecret(sealed, endpointId, purposeOf(name)),
    ]),
  )
}

function unopened({ decryptSecret }: SendDependencies, claimed: Claimed): string[] {
  const closed = sealedTexts(claimed).filter(({ sealed, purpose }) => {
    try {
      decryptSecret(sealed, claimed.endpointId, purpose)
      return false
    } catch {
      return true
    }
  })
  // All can be opened, and one of the secrets is none that signs.
  return closed.length > 0 ? closed.map(({ sealed }) => sealed) : claimed.secrets
}

function clientCertificateOf(
  { decryptSecret }: SendDependencies,
  { endpointId, clientCertificate: chain, clientKeyEncrypted: key }: Claimed,
): ClientCertificate | null {
  if (chain === null || key === null) return null
  // No two texts that were encrypted are alike, so this one stands for its key and its endpoint.
  return { id: key, chain, openKey: () => decryptSecret(key, endpointId, 'client-key') }
}

export const ERASED: Failure = {
  outcome: 'blocked',
  reason: 'erased',
  error: 'the data of the event was erased',
}

const UNREADABLE: Failure = {
  outcome: 'interrupted',
  reason: 'secret_unreadable',
  error:
    'the secret, the client key or a secret header of the endpoint cannot be opened; its deliveries are held',
}

const FAULT: Failure = {
  outcome: 'interrupted',
  reason: 'fault',
  error: 'internal error: the request could not be sent',
}

export function notSent(failure: Failure): AttemptResult {
  return {
    ...failure,
    statusCode: null,
    durationMs: 0,
    timings: { dnsMs: null, connectMs: null, tlsMs: null, firstByteMs: null },
    requestHeaders: {},
    responseHeaders: null,
    responseBody: null,
    retryAfterSeconds: null,
  }
}

/** Where it was sent; nothing where the request was not made. */
export function sentTo(url: string, result: AttemptResult): string | undefined {
  const isMade = result.outcome !== 'blocked' && Object.keys(result.requestHeaders).length > 0
  return isMade ? url : undefined
}

/** Seconds until the next attempt, `null` = the delivery has reached its end. */
export function decide(
  deps: SendDependencies,
  claimed: Pick<Claimed, 'retrySchedule' | 'scheduleStep'>,
  result: AttemptResult,
): number | null {
  if (!isRetryable(result)) return null
  // Cut off, by a shutdown or with its connection: at once. It is no failure, and costs no step. A fault of ours
  // may be there for ever, so it takes the schedule like a failure.
  if (result.outcome === 'interrupted' && result.reason !== 'fault') {
    return result.retryAfterSeconds ?? 0
  }
  const delaysSeconds = claimed.retrySchedule ?? deps.schedule.delaysSeconds
  return nextDelaySeconds({ ...deps.schedule, delaysSeconds }, claimed.scheduleStep + 1, {
    random: deps.random(),
    retryAfterSeconds: result.retryAfterSeconds,
  })
}

export function describe(
  claimed: Omit<Claimed, 'body'>,
  result: AttemptResult,
  verdict: Verdict,
  nextInSeconds: number | null,
): DeliveryAttempted {
  return {
    tenantId: claimed.tenantId,
    endpointId: claimed.endpointId,
    eventId: claimed.eventId,
    eventType: claimed.eventType,
    deliveryId: claimed.deliveryId,
    attemptId: claimed.attemptId,
    attempt: claimed.attemptNumber,
    outcome: result.outcome,
    statusCode: result.statusCode,
    reason: result.reason,
    error: result.error,
    ...(result.errorDetail !== undefined && { errorDetail: result.errorDetail }),
    durationMs: result.durationMs,
    ageMs: Math.round(claimed.waitedMs + result.durationMs),
    verdict,
    nextInSeconds,
  }
}
