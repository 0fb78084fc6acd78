import { hostname } from 'node:os'
import { setTimeout as delay } from 'node:timers/promises'
import {
  type Context,
  createTraceState,
  ROOT_CONTEXT,
  type Span,
  SpanKind,
  SpanStatusCode,
  trace,
} from '@opentelemetry/api'
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-http'
import {
  defaultResource,
  detectResources,
  envDetector,
  resourceFromAttributes,
} from '@opentelemetry/resources'
import {
  BatchSpanProcessor,
  ParentBasedSampler,
  type SpanExporter,
  TraceIdRatioBasedSampler,
  TracerProvider,
} from '@opentelemetry/sdk-trace'
import {
  partsOf,
  type SpanName,
  type TraceContext,
  type Tracing,
  type TracingOptions,
} from './tracing.ts'

/** Some seconds of a busy runner; beyond that spans are dropped, never deliveries held up. */
const SPANS_WAITING_MAX = 8_192
const EXPORT_EVERY_MS = 1_000
/** What waits at the end is sent as far as this allows: stopping has its own bound. */
const STOP_MS_MAX = 2_000

const KINDS = {
  publish: SpanKind.PRODUCER,
  attempt: SpanKind.CONSUMER,
  request: SpanKind.CLIENT,
} satisfies Record<SpanName, SpanKind>

/**
 * Spans over OTLP/HTTP. Nothing is registered globally, so a context is handed on by the code that has it. The
 * standard variables for headers, timeout, compression, certificates, name and attributes of the service are
 * read by the packages of OpenTelemetry.
 */
export function createTracing({ endpoint, sampleRatio, version, onLost }: TracingOptions): Tracing {
  const exporter = new OTLPTraceExporter({ url: `${endpoint.replace(/\/+$/, '')}/v1/traces` })
  const provider = new TracerProvider({
    resource: resourceOf(version),
    sampler: new ParentBasedSampler({ root: new TraceIdRatioBasedSampler(sampleRatio) }),
    spanProcessors: [
      new BatchSpanProcessor({
        exporter: reporting(exporter, onLost),
        maxQueueSize: SPANS_WAITING_MAX,
        scheduledDelayMillis: EXPORT_EVERY_MS,
      }),
    ],
  })
  const tracer = provider.getTracer('postrider', version)
  let stopping: Promise<unknown> | undefined
  return {
    startSpan(name, parent, attributes) {
      const options = { kind: KINDS[name], attributes }
      const span = tracer.startSpan(name, options, contextOf(parent))
      return {
        context: traceContextOf(span),
        end(more, problem = null) {
          span.setAttributes(more)
          if (problem !== null) span.setStatus({ code: SpanStatusCode.ERROR, message: problem })
          span.end()
        },
      }
    },
    async stop() {
      stopping ??= provider.shutdown().catch(() => undefined)
      await Promise.race([stopping, delay(STOP_MS_MAX, undefined, { ref: false })])
    },
  }
}

/** The variables of the environment win over ours. */
function resourceOf(version: string) {
  const ours = resourceFromAttributes({
    'service.name': 'postrider',
    'service.version': version,
    'service.instance.id': `${hostname()}:${process.pid}`,
  })
  return defaultResource()
    .merge(ours)
    .merge(detectResources({ detectors: [envDetector] }))
}

function contextOf(parent: TraceContext | null): Context {
  if (!parent) return ROOT_CONTEXT
  const { tracestate } = parent
  return trace.setSpanContext(ROOT_CONTEXT, {
    ...partsOf(parent),
    isRemote: true,
    ...(tracestate !== null && { traceState: createTraceState(tracestate) }),
  })
}

function traceContextOf(span: Span): TraceContext {
  const { traceId, spanId, traceFlags, traceState } = span.spanContext()
  const flags = traceFlags.toString(16).padStart(2, '0')
  return {
    traceparent: `00-${traceId}-${spanId}-${flags}`,
    tracestate: traceState?.serialize() || null,
  }
}

function reporting(exporter: SpanExporter, onLost: TracingOptions['onLost']): SpanExporter {
  let isLosing = false
  return {
    export: (spans, done) =>
      exporter.export(spans, (result) => {
        if (result.error && !isLosing) onLost(result.error)
        isLosing = result.error !== undefined
        done(result)
      }),
    shutdown: () => exporter.shutdown(),
    forceFlush: async () => await exporter.forceFlush?.(),
  }
}
