import t from 'tap'
import { CheckBudgetUsedUp, SlowChecks } from './slow-checks.ts'

const ENDLESS = JSON.stringify({ type: 'string', pattern: '^(a+)+$' })
const BAD = `${'a'.repeat(40)}!`
const QUICK = JSON.stringify({ type: 'integer' })

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
  await checks.check('modest', QUICK, 1) // the thread runs
  const order: string[] = []
  const check = (tenant: string) =>
    checks.check(tenant, QUICK, 1).then(() => void order.push(tenant))
  await Promise.all([...Array.from({ length: 10 }, () => check('greedy')), check('modest')])
  t.ok(order.indexOf('modest') <= 2, order.join())
})

t.test('one tenant has no more than ten waiting', async (t) => {
  const checks = new SlowChecks()
  await checks.check('modest', QUICK, 1) // the thread runs
  const results = await Promise.allSettled(
    Array.from({ length: 12 }, () => checks.check('greedy', QUICK, 1)),
  )
  const refused = results.flatMap((one) => (one.status === 'rejected' ? [one.reason] : []))
  t.match(refused, [{ code: 'too_many_at_once', retryAfterSeconds: 1 }])
  t.equal(refused.length, 1)
})

t.test('the time of a tenant is used up, that of others is not, and it comes back', async (t) => {
  let time = 1
  const checks = new SlowChecks({ now: () => time, budgetMs: 50 })
  await checks.check('greedy', QUICK, 1)
  t.match(await checks.check('greedy', ENDLESS, BAD), [{ message: /takes longer than 100 ms/ }])
  const refused = await checks.check('greedy', QUICK, 1).catch((error) => error)
  t.ok(refused instanceof CheckBudgetUsedUp)
  t.match(refused, { code: 'too_many_at_once', retryAfterSeconds: 10 })
  t.strictSame(await checks.check('modest', QUICK, 1), [])
  time = 10_000
  t.match(await checks.check('greedy', QUICK, 1).catch((error) => error), { retryAfterSeconds: 1 })
  time = 10_002
  t.strictSame(await checks.check('greedy', QUICK, 1), [])
})

t.test("time that passes while the thread starts is not the tenant's", async (t) => {
  let time = 0
  const checks = new SlowChecks({ now: () => time++ * 1_000, budgetMs: 1_000 })
  for (let n = 0; n < 3; n++) t.strictSame(await checks.check('a', QUICK, 1), [])
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
