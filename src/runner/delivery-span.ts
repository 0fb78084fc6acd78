import type { AttemptResult } from '../sending/outcome.ts'
import type { AttemptReason } from '../sending/reason.ts'
import type { SendRequest } from '../sending/send.ts'
import type { OpenSpan, TraceContext, Tracing } from '../tracing/tracing.ts'
import type { Claimed } from './claim.ts'
import type { Verdict } from './finish.ts'

/** The wide log line of one attempt. */
export interface DeliveryAttempted {
  tenantId: string
  endpointId: string
  eventId: string
  eventType: string | null
  deliveryId: string
  attemptId: string
  attempt: number
  outcome: string
  statusCode: number | null
  reason: AttemptReason | null
  error: string | null
  errorDetail?: string
  durationMs: number
  /** From when the event could first be sent to the end of this attempt. */
  ageMs: number
  verdict: Verdict
  nextInSeconds: number | null
  /** Of the request, where that had several events. */
  batchId?: string
}

/** The trace that an event was published in. */
export function traceOf({
  traceparent,
  tracestate,
}: Pick<Claimed, 'traceparent' | 'tracestate'>): TraceContext | null {
  return traceparent === null ? null : { traceparent, tracestate }
}

/** A span from the claim to the finish, under the one that published; null where spans go nowhere. */
export function startAttemptSpan(
  tracing: Tracing | null,
  claimed: Omit<Claimed, 'body'>,
): OpenSpan | null {
  if (!tracing) return null
  return tracing.startSpan('attempt', traceOf(claimed), {
    'postrider.tenant_id': claimed.tenantId,
    'postrider.endpoint_id': claimed.endpointId,
    'postrider.event_id': claimed.eventId,
    'postrider.delivery_id': claimed.deliveryId,
    'postrider.attempt_id': claimed.attemptId,
    'postrider.attempt': claimed.attemptNumber,
  })
}

export function endAttemptSpan(span: OpenSpan, attempted: DeliveryAttempted): void {
  const { outcome, reason, verdict, ageMs } = attempted
  const attributes = {
    'postrider.outcome': outcome,
    ...errorType(reason),
    'postrider.verdict': verdict,
    'postrider.age_ms': ageMs,
  }
  span.end(attributes, outcome === 'delivered' ? null : outcome)
}

/** The attribute that OpenTelemetry has for it. */
const errorType = (reason: AttemptReason | null) =>
  reason === null ? {} : { 'error.type': reason }

/**
 * Sends with the trace context as a header: the receiver can go on with the trace. Its parent is the span of
 * this very request, or the producer's own where spans go nowhere. No tracestate and no baggage: those were
 * meant for the producer's own systems.
 */
export async function sendTraced(
  send: (request: SendRequest) => Promise<AttemptResult>,
  request: SendRequest,
  { tracing, parent }: { tracing: Tracing | null; parent: TraceContext | null },
): Promise<AttemptResult> {
  if (!tracing) return send(parent ? { ...request, traceparent: parent.traceparent } : request)
  // Paths and queries of receivers' URLs hold secrets, so that only the host is told.
  const host = URL.parse(request.url)?.host ?? ''
  const span = tracing.startSpan('request', parent, {
    'http.request.method': 'POST',
    'server.address': host,
  })
  try {
    const result = await send({ ...request, traceparent: span.context.traceparent })
    const { statusCode, outcome, reason } = result
    const status = statusCode === null ? {} : { 'http.response.status_code': statusCode }
    span.end({ ...status, ...errorType(reason) }, outcome === 'delivered' ? null : outcome)
    return result
  } catch (error) {
    span.end({}, 'not sent')
    throw error
  }
}
