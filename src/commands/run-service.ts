import { once } from 'node:events'
import { EndedUnasked } from './exit-code.ts'

/** Something that runs until it is stopped. */
export interface Service {
  /** Stops in order. Safe to call twice. */
  stop(): Promise<void>
  /** Settles when the service has ended; before `stop` was called, that is a failure. */
  ended: Promise<unknown>
}

/**
 * Keeps a service running until the signal, then stops it.
 *
 * @throws EndedUnasked when it ended by itself, whether its promise was resolved or rejected: a
 * supervisor must see that in the exit code
 */
export async function runService(service: Service, stopSignal: AbortSignal): Promise<void> {
  const ended = service.ended.then(
    () => new EndedUnasked('the service ended by itself'),
    (cause: unknown) => new EndedUnasked('the service ended by itself', { cause }),
  )
  const failure = await Promise.race([aborted(stopSignal), ended])
  await service.stop()
  if (failure) throw failure
}

async function aborted(signal: AbortSignal): Promise<undefined> {
  if (!signal.aborted) await once(signal, 'abort')
}
