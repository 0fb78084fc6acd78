import { once } from 'node:events'
import { setTimeout as delay } from 'node:timers/promises'
import { EndedUnasked } from '../terminal/exit-code.ts'

/** Kubernetes kills after 30 s; ending a little earlier leaves an exit code that says something. */
const STOP_MS_MAX = 29_000
/** Writing down and handing on what was cut off. With the default of SHUTDOWN_SECONDS both bounds agree. */
const HAND_ON_MS_MAX = 4_000
/** Whatever ended the service is broken already, and what is left may wait for it for ever. */
const STOP_AFTER_END_MS_MAX = 5_000

/** Something that runs until it is stopped. */
export interface Service {
  /** Stops in order. Safe to call twice. */
  stop(): Promise<void>
  /** Settles when the service has ended; before `stop` was called, that is a failure. */
  ended: Promise<unknown>
}

export interface StopBounds {
  /** After the signal. */
  stopMsMax?: number
  /** When the service has ended unasked. */
  stopAfterEndMsMax?: number
}

/** How long a runner may take to stop that was told to let its attempts end for so long. */
export function stopMsOf({ shutdownSeconds }: { shutdownSeconds: number }): number {
  return shutdownSeconds * 1000 + HAND_ON_MS_MAX
}

/**
 * Keeps a service running until the signal, then stops it, within bounds: a runner whose database is
 * away would go on trying to hand its work back.
 *
 * @throws EndedUnasked when it ended by itself, whether its promise was resolved or rejected, or
 * did not stop in time: a supervisor must see that in the exit code
 */
export async function runService(
  service: Service,
  stopSignal: AbortSignal,
  { stopMsMax = STOP_MS_MAX, stopAfterEndMsMax = STOP_AFTER_END_MS_MAX }: StopBounds = {},
): Promise<void> {
  const ended = service.ended.then(
    () => new EndedUnasked('the service ended unexpectedly'),
    (cause: unknown) => new EndedUnasked('the service ended unexpectedly', { cause }),
  )
  const failure = await Promise.race([aborted(stopSignal), ended])
  const late = await stopWithin(service, failure ? stopAfterEndMsMax : stopMsMax)
  if (failure ?? late) throw failure ?? late
}

async function aborted(signal: AbortSignal): Promise<undefined> {
  if (!signal.aborted) await once(signal, 'abort')
}

async function stopWithin(service: Service, msMax: number): Promise<EndedUnasked | undefined> {
  const timer = new AbortController()
  const late = delay(msMax, undefined, { signal: timer.signal }).then(
    () => new EndedUnasked(`the service did not stop within ${msMax} ms`),
    () => undefined,
  )
  try {
    return await Promise.race([service.stop().then(() => undefined), late])
  } finally {
    timer.abort()
  }
}
