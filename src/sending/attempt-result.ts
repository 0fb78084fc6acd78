import { type IncomingHttpHeaders, STATUS_CODES } from 'node:http'
import type { AnswerHead, Exchange } from './exchange.ts'
import { describeFailure, type Failure } from './failure.ts'
import type { AttemptResult, AttemptTimings } from './outcome.ts'
import { reasonOfStatus } from './reason.ts'
import type { EchoMask } from './request-headers.ts'
import { RESPONSE_BODY_BYTES_MAX } from './response-body.ts'
import { parseRetryAfter } from './retry-after.ts'

/** Statuses whose `Retry-After` is about a later attempt; on a 3xx it is about the redirect. */
const RETRY_AFTER_STATUSES = new Set([429, 503])

/** What was asked for: the host as in the URL, the headers as the audit log may hold them. */
export interface Sent {
  host: string
  headers: Record<string, string>
  /** Replaces the endpoint's credentials in what comes back; null = it has none. */
  echoMask: EchoMask | null
  /** `performance.now()` of the call. */
  startedAt: number
}

/** The record of a try that never got as far as a connection. */
export function resultOfFailure(
  sent: Sent,
  { outcome, reason, error, errorDetail }: Failure,
): AttemptResult {
  return {
    outcome,
    statusCode: null,
    reason,
    error,
    ...(errorDetail !== undefined && { errorDetail }),
    durationMs: millisecondsSince(sent.startedAt),
    timings: { dnsMs: null, connectMs: null, tlsMs: null, firstByteMs: null },
    requestHeaders: { host: sent.host, ...sent.headers },
    responseHeaders: null,
    responseBody: null,
    retryAfterSeconds: null,
  }
}

/** The record of an exchange: the status decides when there is one, the failure when not. */
export async function resultOfExchange(sent: Sent, exchange: Exchange): Promise<AttemptResult> {
  const { answer, failure } = exchange
  if (!answer) {
    // Without an answer there is a failure; the words are for the case that this is wrong.
    return {
      ...resultOfFailure(sent, failure ?? describeFailure(undefined)),
      timings: timingsOf(exchange),
    }
  }
  const reason = reasonOfStatus(answer.statusCode)
  return {
    ...resultOfFailure(sent, describeFailure(undefined)),
    outcome: reason === null ? 'delivered' : 'rejected',
    statusCode: answer.statusCode,
    reason,
    error: errorOf(answer.statusCode, failure),
    timings: timingsOf(exchange),
    responseHeaders: shownHeaders(answer.headers, sent),
    responseBody: shownBody(await exchange.body.text(answer.headers['content-encoding']), sent),
    ...(exchange.isCut && { isBodyCut: true }),
    retryAfterSeconds: retryAfterOf(answer),
  }
}

/** What the status says, unless that is success, and what was wrong with the answer next to it. */
function errorOf(statusCode: number, mistake: Failure | null): string | null {
  const words = [reasonOfStatus(statusCode) && statusError(statusCode), mistake?.error]
  return words.filter(Boolean).join('; ') || null
}

function statusError(statusCode: number): string {
  const words = `the receiver returned ${statusCode} ${STATUS_CODES[statusCode] ?? ''}`.trim()
  return statusCode >= 300 && statusCode < 400 ? `${words}; redirects are not followed` : words
}

function retryAfterOf({ statusCode, headers }: AnswerHead): number | null {
  return RETRY_AFTER_STATUSES.has(statusCode)
    ? parseRetryAfter(headers['retry-after'], Date.now())
    : null
}

function timingsOf({ dialing, firstByteMs }: Exchange): AttemptTimings {
  const { dnsMs, connectMs, tlsMs } = dialing
  return { dnsMs, connectMs, tlsMs, firstByteMs }
}

/** By `fromEntries`: assigning to `__proto__` would store nothing. */
function shownHeaders(
  headers: IncomingHttpHeaders,
  { echoMask }: Sent,
): Record<string, string | string[]> {
  const masked = (value: string) => (echoMask ? echoMask(value) : value)
  return Object.fromEntries(
    Object.entries(headers).flatMap(([name, value]) => {
      if (value === undefined) return []
      return [[name, typeof value === 'string' ? masked(value) : value.map(masked)]]
    }),
  )
}

/** Cut off at the cap, where a character of up to four bytes may have been left out. */
function shownBody(text: string | null, { echoMask }: Sent): string | null {
  if (text === null || !echoMask) return text
  return echoMask(text, { isCut: Buffer.byteLength(text) > RESPONSE_BODY_BYTES_MAX - 4 })
}

/** To 0.1 ms: finer is noise of the event loop. */
function millisecondsSince(startedAt: number): number {
  return Math.round((performance.now() - startedAt) * 10) / 10
}
