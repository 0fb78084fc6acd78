import t from 'tap'
import { EXIT } from '../terminal/exit-code.ts'
import { verdict } from '../terminal/verdict.ts'
import { runService, type Service } from './run-service.ts'

/** A service that records what was asked of it; `end` and `fail` end it unasked. */
function bundle(overrides: Partial<Service> = {}) {
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  const calls: string[] = []
  const service: Service = {
    stop: async () => {
      calls.push('stop')
      resolve()
    },
    ended: promise,
    ...overrides,
  }
  const signal = new AbortController()
  const bounds = { stopMsMax: 50, stopAfterEndMsMax: 50 }
  return {
    service,
    signal,
    calls,
    end: resolve,
    fail: reject,
    run: () => runService(service, signal.signal, bounds),
  }
}

const hangs = () => new Promise<void>(() => undefined)
const exitCodeOf = (promise: Promise<void>) =>
  promise.then(
    () => EXIT.ok,
    (error) => verdict(error).exitCode,
  )

t.test('a signal stops the service, and all is well', async (t) => {
  const { run, signal, calls } = bundle()
  const running = run()
  signal.abort()
  t.equal(await exitCodeOf(running), EXIT.ok)
  t.strictSame(calls, ['stop'])
})

t.test('a signal that came while it started stops it at once', async (t) => {
  const { run, signal, calls } = bundle()
  signal.abort()
  t.equal(await exitCodeOf(run()), EXIT.ok)
  t.strictSame(calls, ['stop'])
})

t.test('an end that nobody asked for is never 0, resolved or rejected', async (t) => {
  // graphile-worker resolves its promise when it gives up.
  const resolved = bundle()
  resolved.end()
  t.equal(await exitCodeOf(resolved.run()), EXIT.temporary)
  t.strictSame(resolved.calls, ['stop'], 'the rest is stopped anyway')

  const rejected = bundle()
  rejected.fail(new Error('reaped'))
  await t.rejects(rejected.run(), { cause: { message: 'reaped' } })
})

t.test('stopping has a bound, and what exceeds it is not 0', async (t) => {
  const asked = bundle({ stop: hangs })
  asked.signal.abort()
  t.equal(await exitCodeOf(asked.run()), EXIT.temporary)

  // A database that was killed: the service ended, and its stop waits for the database.
  const unasked = bundle({ stop: hangs })
  unasked.fail(new Error('lost'))
  await t.rejects(unasked.run(), { cause: { message: 'lost' } }, 'the first cause is the one told')
})

t.test('a stop that fails is told', async (t) => {
  const { run, signal } = bundle({ stop: () => Promise.reject(new Error('broken')) })
  signal.abort()
  t.equal(await exitCodeOf(run()), EXIT.internal)
})
