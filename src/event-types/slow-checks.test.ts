import t from 'tap'
import { CheckBudgetUsedUp, SlowChecks } from './slow-checks.ts'

const ENDLESS = JSON.stringify({ type: 'string', pattern: '^(a+)+$' })
const BAD = `${'a'.repeat(40)}!`
const QUICK = JSON.stringify({ type: 'integer' })

/** A clock that goes on by so much whenever it is looked at, and stands still otherwise. */
function createClock(stepMs = 0) {
  let time = 0
  return {
    now: () => {
      time += stepMs
      return time
    },
    passes: (ms: number) => {
      time += ms
    },
  }
}

t.test('finds what a check here would find', async (t) => {
  const checks = new SlowChecks()
  t.strictSame(await checks.check('a', QUICK, 1), [])
  t.match(await checks.check('a', QUICK, 'x'), [{ path: '', message: 'must be integer' }])
})

t.test('a check that never ends is ended, and others of the process go on meanwhile', async (t) => {
  const checks = new SlowChecks()
  await checks.check('a', QUICK, 1) // the thread runs
  const order: string[] = []
  const slow = checks.check('a', ENDLESS, BAD).finally(() => order.push('slow'))
  await new Promise(setImmediate)
  order.push('another')
  t.match(await slow, [{ message: /takes longer than 100 ms/ }])
  t.strictSame(order, ['another', 'slow'])
})

t.test('tenants take turns: one with many waiting is passed by another', async (t) => {
  const checks = new SlowChecks()
  const order: string[] = []
  const check = (tenant: string) =>
    checks.check(tenant, QUICK, 1).then(() => void order.push(tenant))
  await Promise.all([...Array.from({ length: 10 }, () => check('greedy')), check('modest')])
  t.ok(order.indexOf('modest') <= 2, order.join())
})

t.test('one tenant has no more than ten waiting', async (t) => {
  const checks = new SlowChecks()
  const results = await Promise.allSettled(
    Array.from({ length: 12 }, () => checks.check('greedy', QUICK, 1)),
  )
  const refused = results.flatMap((one) => (one.status === 'rejected' ? [one.reason] : []))
  t.match(refused, [{ code: 'too_many_at_once', retryAfterSeconds: 1 }])
  t.equal(refused.length, 1)
})

t.test('the time of a tenant is used up, that of others is not, and it comes back', async (t) => {
  const clock = createClock(100)
  const checks = new SlowChecks(clock)
  const check = (tenant: string) => checks.check(tenant, QUICK, 1)
  let refused: unknown
  for (let n = 0; n < 100 && !refused; n++) {
    refused = await check('greedy').then(
      () => undefined,
      (error) => error,
    )
  }
  t.ok(refused instanceof CheckBudgetUsedUp)
  const { code, retryAfterSeconds } = refused as CheckBudgetUsedUp
  t.equal(code, 'too_many_at_once')
  t.ok(retryAfterSeconds >= 1 && retryAfterSeconds <= 10)
  t.strictSame(await check('modest'), [])
  clock.passes(10_000)
  t.strictSame(await check('greedy'), [])
})

t.test('what cannot be handed over is refused, and the next is checked', async (t) => {
  const checks = new SlowChecks()
  let nested: unknown = 1
  for (let depth = 0; depth < 100_000; depth++) nested = [nested]
  t.match(await checks.check('a', QUICK, nested), [{ message: /cannot be checked/ }])
  t.strictSame(await checks.check('a', QUICK, 1), [])
})

t.test('a thread that ends, here for a schema that is none, is started again', async (t) => {
  const checks = new SlowChecks()
  t.match(await checks.check('a', '{"type": 1}', 1), [{ message: /cannot be checked/ }])
  t.strictSame(await checks.check('a', QUICK, 1), [])
})
