/** W3C trace context (https://www.w3.org/TR/trace-context): which trace something belongs to, and where in it. */
export interface TraceContext {
  traceparent: string
  /** For the vendors of the tracing; stays with us, receivers never get it. */
  tracestate: string | null
}

/** What a span tells: words of ours, ids and numbers; never a payload, a URL or a header. */
type SpanAttributes = Record<string, string | number | boolean>

export interface OpenSpan {
  /** For whatever comes after this: its parent is this span. */
  context: TraceContext
  /** @param problem why it failed, if it did */
  end(attributes: SpanAttributes, problem?: string | null): void
}

/**
 * - `publish`: an event, or a batch, from read to committed
 * - `attempt`: from claimed to finished
 * - `request`: the HTTP request of an attempt
 */
export type SpanName = 'publish' | 'attempt' | 'request'

export interface Tracing {
  /** @param parent null begins a trace */
  startSpan(name: SpanName, parent: TraceContext | null, attributes: SpanAttributes): OpenSpan
  /** Sends what is waiting, within a bound. Safe to call twice. */
  stop(): Promise<void>
}

export interface TracingOptions {
  /** Where an OTLP/HTTP receiver is, without `/v1/traces`. */
  endpoint: string
  /** Share of the traces that begin here which are recorded; those of a producer follow its decision. */
  sampleRatio: number
  version: string
  /** Spans get lost: the receiver is away, or refuses them. Told once until some get through. */
  onLost(error: Error): void
}

/** Version 00 is the only one there is; ids of zeros alone mean none. */
const TRACEPARENT = /^00-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})$/
/** The specification has vendors make do with 512 characters. */
const TRACESTATE = /^[ -~]{1,512}$/

/** Reads the headers of a request. Malformed ones count as none, as the specification wants it. */
export function readTraceContext(
  header: (name: string) => string | undefined,
): TraceContext | null {
  const traceparent = header('traceparent')
  if (traceparent === undefined || !TRACEPARENT.test(traceparent)) return null
  const tracestate = header('tracestate') ?? ''
  return { traceparent, tracestate: TRACESTATE.test(tracestate) ? tracestate : null }
}

/** The parts of a `traceparent` that `readTraceContext` or Postgres has let through. */
export function partsOf({ traceparent }: TraceContext) {
  const [, traceId = '', spanId = '', flags = ''] = TRACEPARENT.exec(traceparent) ?? []
  return { traceId, spanId, traceFlags: Number.parseInt(flags, 16) }
}
