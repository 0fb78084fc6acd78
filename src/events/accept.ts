import { z } from '@hono/zod-openapi'
import type { Metrics } from '../metrics.ts'
import { readTraceContext, type TraceContext, type Tracing } from '../tracing/tracing.ts'
import type { Published } from './publisher.ts'

/** Of the routes that publish, as documented. Malformed ones count as none, and so are never refused. */
export const traceHeaders = {
  traceparent: z.string().optional().openapi({
    description:
      'W3C trace context of the producer. Stored with the event; its deliveries continue it.',
    example: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01',
  }),
  tracestate: z.string().optional().openapi({
    description: 'Kept next to `traceparent`, up to 512 characters. Receivers never get it.',
  }),
}

/** Takes the headers of the request, when it was read, and what publishes with the trace context that it is given. */
export type Accept = <T extends readonly Published[]>(
  request: { kind: 'event' | 'batch'; readAt: number; header(name: string): string | undefined },
  publish: (trace: TraceContext | null) => Promise<T>,
) => Promise<T>

/**
 * What all requests that publish have in common: they go on with the trace of the producer, in a span of their
 * own where spans are sent somewhere, and what they stored is counted.
 */
export function createAccept({
  metrics,
  tracing,
}: {
  metrics: Pick<Metrics, 'eventsAccepted'>
  tracing: Tracing | null
}): Accept {
  return async ({ kind, readAt, header }, publish) => {
    const trace = readTraceContext(header)
    const published = await (tracing ? inSpan(tracing, kind, trace, publish) : publish(trace))
    metrics.eventsAccepted(kind, published, (performance.now() - readAt) / 1000)
    return published
  }
}

async function inSpan<T extends readonly Published[]>(
  tracing: Tracing,
  kind: string,
  trace: TraceContext | null,
  publish: (trace: TraceContext) => Promise<T>,
): Promise<T> {
  const span = tracing.startSpan('publish', trace, { 'postrider.request': kind })
  try {
    const published = await publish(span.context)
    span.end(describe(published))
    return published
  } catch (error) {
    span.end({}, problemOf(error))
    throw error
  }
}

/** Ids of a batch would be too many for a span; each event knows its trace. */
function describe(published: readonly Published[]) {
  const [first] = published
  const count = { 'messaging.batch.message_count': published.length }
  if (!first || published.length > 1) return count
  const { id, deliveries, duplicate } = first
  return {
    ...count,
    'postrider.event_id': id,
    'postrider.deliveries': deliveries,
    'postrider.duplicate': duplicate,
  }
}

/** Not the message, which may quote the producer. */
function problemOf(error: unknown): string {
  if (error instanceof Error && 'code' in error) return String(error.code)
  return error instanceof Error ? error.name : 'error'
}
