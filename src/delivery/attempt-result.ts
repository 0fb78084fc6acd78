import { type IncomingHttpHeaders, STATUS_CODES } from 'node:http'
import { isIP } from 'node:net'
import type { Timings } from 'got'
import type { AttemptResult, AttemptTimings } from '../attempts/outcome.ts'
import { reasonOfStatus } from '../attempts/reason.ts'
import type { AnswerHead, Exchange } from './exchange.ts'
import { describeFailure, type Failure } from './failure.ts'
import { maskHeaders } from './request-headers.ts'
import { parseRetryAfter } from './retry-after.ts'

/** Statuses whose `Retry-After` is about a later attempt; on a 3xx it is about the redirect. */
const RETRY_AFTER_STATUSES = new Set([429, 503])

/** What was asked for: the host as in the URL, the headers before masking. */
export interface Sent {
  host: string
  headers: Record<string, string>
  /** `performance.now()` of the call. */
  startedAt: number
  /** Through a proxy, which did part of the dialling. */
  isProxied?: boolean
}

/** The record of a try that never got as far as a connection. */
export function resultOfFailure(sent: Sent, { outcome, reason, error }: Failure): AttemptResult {
  return {
    outcome,
    statusCode: null,
    reason,
    error,
    durationMs: millisecondsSince(sent.startedAt),
    timings: { dnsMs: null, connectMs: null, tlsMs: null, firstByteMs: null },
    requestHeaders: maskHeaders({ host: sent.host, ...sent.headers }),
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
      timings: timingsOf(sent, exchange),
    }
  }
  const reason = reasonOfStatus(answer.statusCode)
  return {
    ...resultOfFailure(sent, describeFailure(undefined)),
    outcome: reason === null ? 'delivered' : 'rejected',
    statusCode: answer.statusCode,
    reason,
    error: reason && statusError(answer.statusCode),
    timings: timingsOf(sent, exchange),
    responseHeaders: definedHeaders(answer.headers),
    responseBody: await exchange.body.text(answer.headers['content-encoding']),
    retryAfterSeconds: retryAfterOf(answer),
  }
}

function statusError(statusCode: number): string {
  const words = `the receiver answered ${statusCode} ${STATUS_CODES[statusCode] ?? ''}`.trim()
  return statusCode >= 300 && statusCode < 400 ? `${words}; redirects are not followed` : words
}

function retryAfterOf({ statusCode, headers }: AnswerHead): number | null {
  return RETRY_AFTER_STATUSES.has(statusCode)
    ? parseRetryAfter(headers['retry-after'], Date.now())
    : null
}

/** A reused connection carries the times of its first request; this one dialled nothing. */
function timingsOf({ host, isProxied }: Sent, { timings, reusedSocket }: Exchange): AttemptTimings {
  const phases: Partial<Timings['phases']> = timings?.phases ?? {}
  const dialled = !reusedSocket
  if (isProxied) {
    // Until the receiver can be spoken to; what of it the proxy spent on what is not to be known.
    const connectMs = dialled ? (phases.wait ?? null) : null
    return { dnsMs: null, connectMs, tlsMs: null, firstByteMs: phases.firstByte ?? null }
  }
  const lookedUp = dialled && isIP(hostnameOf(host)) === 0
  return {
    dnsMs: lookedUp ? (phases.dns ?? null) : null,
    connectMs: dialled ? (phases.tcp ?? null) : null,
    tlsMs: dialled ? (phases.tls ?? null) : null,
    firstByteMs: phases.firstByte ?? null,
  }
}

const hostnameOf = (host: string) => host.replace(/:\d+$/, '').replace(/^\[|\]$/g, '')

function definedHeaders(headers: IncomingHttpHeaders): Record<string, string | string[]> {
  return Object.fromEntries(
    Object.entries(headers).filter(
      (entry): entry is [string, string | string[]] => entry[1] !== undefined,
    ),
  )
}

/** To 0.1 ms: finer is noise of the event loop. */
function millisecondsSince(startedAt: number): number {
  return Math.round((performance.now() - startedAt) * 10) / 10
}
