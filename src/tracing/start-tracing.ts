import type { Tracing, TracingOptions } from './tracing.ts'

/** Null where no receiver is configured: nothing of OpenTelemetry is loaded then, and no span costs anything. */
export async function startTracing(
  options: Omit<TracingOptions, 'endpoint'> & { endpoint: string | undefined },
): Promise<Tracing | null> {
  const { endpoint } = options
  if (endpoint === undefined) return null
  const { createTracing } = await import('./otlp.ts')
  return createTracing({ ...options, endpoint })
}
