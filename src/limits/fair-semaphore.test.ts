import t, { type Test } from 'tap'
import {
  FairSemaphore,
  type SemaphoreBounds,
  TooManyAtOnce,
  type Worker,
} from './fair-semaphore.ts'

/** Far longer than the test. */
const NEVER_MS = 600_000

function bundle(t: Test, bounds: Partial<SemaphoreBounds> = {}) {
  const semaphore = new FairSemaphore({
    ...{ atOnce: 3, atOncePerKey: 2, waiting: 100, waitingPerKey: 50, waitMs: NEVER_MS },
    ...bounds,
  })
  const begun: string[] = []
  const given: (() => void)[] = []
  /** Notes when the turn has come; `given` gives them back, in the order in which they came. */
  const acquire = (key: string, tenant: Worker['tenant'] = null) =>
    semaphore.acquire({ key, tenant }).then((release) => {
      begun.push(tenant ? `${key} ${tenant}` : key)
      given.push(release)
    })
  /** Gives the oldest turn back, and lets who comes next begin. */
  const end = async () => {
    given.shift()?.()
    await settled()
  }
  // Nobody waits any more when the test is over.
  t.teardown(async () => {
    while (given.length > 0) await end()
  })
  return { semaphore, begun, given, acquire, end }
}

/** Lets promises that are settled be heard of. */
const settled = () => new Promise((resolve) => setImmediate(resolve))

t.test('so many at once, of one key, and in all', async (t) => {
  const { begun, acquire, end } = bundle(t)
  for (const key of ['a', 'a', 'a', 'b', 'b', 'c']) void acquire(key)
  await settled()
  t.strictSame(begun, ['a', 'a', 'b'])
  await end()
  t.strictSame(begun, ['a', 'a', 'b', 'a'])
  for (let n = 1; n <= 2; n++) await end()
  t.strictSame(begun.sort(), ['a', 'a', 'a', 'b', 'b', 'c'])
})

t.test('keys acquire semaphore, whichever of them has how many waiting', async (t) => {
  const { begun, acquire, end } = bundle(t, { atOnce: 1, atOncePerKey: 1 })
  for (let n = 1; n <= 20; n++) void acquire('greedy')
  await settled()
  for (const key of ['b', 'c', 'b', 'c']) void acquire(key)
  for (let n = 1; n <= 8; n++) await end()
  t.strictSame(begun.slice(1, 7), ['greedy', 'b', 'c', 'greedy', 'b', 'c'])
  t.strictSame(new Set(begun.slice(7)), new Set(['greedy']))
})

t.test('several keys of one tenant have no more than it', async (t) => {
  const { begun, acquire, end } = bundle(t, { atOnce: 9, atOncePerTenant: 2 })
  for (const key of ['a', 'b', 'c']) void acquire(key, 'acme')
  void acquire('c', 'other')
  await settled()
  t.strictSame(begun, ['a acme', 'b acme', 'c other'], 'what fits goes past what does not')
  await end()
  t.strictSame(begun.at(-1), 'c acme')
})

t.test('a turn is given back once', async (t) => {
  const { begun, given, acquire } = bundle(t, { atOnce: 1, atOncePerKey: 1 })
  for (const key of ['a', 'b', 'c']) void acquire(key)
  await settled()
  const [first] = given
  first?.()
  first?.()
  await settled()
  t.strictSame(begun, ['a', 'b'])
})

t.test('as many wait as may, of one key and in all; others are refused at once', async (t) => {
  const { acquire, semaphore } = bundle(t, { atOnce: 1, waiting: 3, waitingPerKey: 2 })
  for (const key of ['a', 'b', 'b', 'c']) void acquire(key)
  await t.rejects(semaphore.acquire({ key: 'd' }), TooManyAtOnce)
  const few = bundle(t, { atOnce: 1, waiting: 3, waitingPerKey: 2 })
  for (const key of ['a', 'b', 'b']) void few.acquire(key)
  await t.rejects(few.semaphore.acquire({ key: 'b' }), {
    retryAfterSeconds: 1,
    code: 'too_many_at_once',
  })
})

t.test('who has waited for too long is refused, and no longer waits', async (t) => {
  const { semaphore, given, acquire, begun } = bundle(t, { atOnce: 1, waiting: 1, waitMs: 20 })
  await acquire('a')
  await t.rejects(semaphore.acquire({ key: 'b' }), TooManyAtOnce)
  given.shift()?.()
  await acquire('c')
  t.strictSame(begun, ['a', 'c'])
})

t.test('nothing is kept of keys that are done', async (t) => {
  const { acquire, given, begun } = bundle(t, { atOnce: 2, atOncePerKey: 1 })
  for (let n = 0; n < 1_000; n++) {
    await acquire(`key ${n}`, `tenant ${n}`)
    given.shift()?.()
  }
  t.equal(begun.length, 1_000)
})
