import t from 'tap'
import { PostriderError } from './error.ts'
import { isRepeatable, pauseMs } from './retry.ts'

const failure = (status: number | null, code = 'a', retryAfter: string | null = null) => ({
  error: new PostriderError('refused', { code, ...(status !== null && { status }) }),
  retryAfter,
})
const first = { tried: 1, isRepeatable: true, random: 0.5 }

t.test('what may be sent again: reading, setting, and what has an idempotency key', async (t) => {
  for (const method of ['GET', 'PUT']) t.equal(isRepeatable(method), true, method)
  for (const method of ['POST', 'PATCH', 'DELETE']) t.equal(isRepeatable(method), false, method)
  t.equal(isRepeatable('POST', { 'Idempotency-Key': 'a' }), true)
})

t.test(
  'tries again after no answer, a fault of the server, and where it was told to wait',
  async (t) => {
    const cases: [number | null, string, boolean, boolean][] = [
      [null, 'unreachable', true, false],
      [null, 'timeout', true, false],
      [500, 'internal_error', true, false],
      [502, 'unexpected_answer', true, false],
      [503, 'database_unavailable', true, false],
      [409, 'idempotency_key_busy', true, false],
      [409, 'state_conflict', false, false],
      [429, 'rate_limited', true, true],
      [400, 'json_invalid', false, false],
      [401, 'unauthenticated', false, false],
      [422, 'request_invalid', false, false],
      [200, 'unexpected_answer', false, false],
    ]
    for (const [status, code, repeatable, otherwise] of cases) {
      const again = (isRepeatable: boolean) =>
        pauseMs(failure(status, code), { ...first, isRepeatable }) !== null
      t.equal(again(true), repeatable, `${status} ${code}`)
      t.equal(again(false), otherwise, `${status} ${code}, not repeatable`)
    }
  },
)

t.test('pauses double, by chance shorter, up to five seconds', async (t) => {
  const pauses = (random: number) =>
    [1, 2, 3, 10].map((tried) => pauseMs(failure(503), { ...first, tried, random }))
  t.strictSame(pauses(0), [0, 0, 0, 0])
  t.strictSame(pauses(0.5), [100, 200, 400, 2_500])
})

t.test('Retry-After is the least, in seconds or as a date', async (t) => {
  const asked = (retryAfter: string) => pauseMs(failure(429, 'rate_limited', retryAfter), first)
  t.equal(asked('2'), 2_000)
  t.equal(asked('0'), 100)
  t.equal(asked('soon'), 100)
  const inTen = asked(new Date(Date.now() + 10_000).toUTCString()) ?? 0
  t.ok(inTen > 8_000 && inTen <= 10_000, `${inTen}`)
  t.equal(asked('Wed, 21 Oct 2015 07:28:00 GMT'), 100)
})

t.test('who is asked to wait more than 30 s is told at once', async (t) => {
  t.equal(pauseMs(failure(503, 'a', '30'), first), 30_000)
  t.equal(pauseMs(failure(503, 'a', '31'), first), null)
})
