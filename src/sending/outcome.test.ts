import { readFileSync } from 'node:fs'
import t from 'tap'
import { type AttemptOutcome, isRetryable } from './outcome.ts'
import { type AttemptReason, REASONS, reasonOfStatus } from './reason.ts'

const CASES: [AttemptOutcome, number | null, boolean][] = [
  ['delivered', 200, false],
  ['rejected', 410, false],
  ['rejected', 409, true],
  ['rejected', 411, true],
  ['rejected', 404, true],
  ['rejected', 302, true],
  ['rejected', 503, true],
  ['unreachable', null, true],
  ['interrupted', null, true],
]

for (const [outcome, statusCode, retryable] of CASES) {
  t.test(`${outcome} ${statusCode ?? ''} is ${retryable ? 'tried again' : 'final'}`, async (t) => {
    t.equal(
      isRetryable({ outcome, statusCode, reason: reasonOfStatus(statusCode ?? 200) }),
      retryable,
    )
  })
}

const BLOCKED: [AttemptReason, boolean][] = [
  ['blocked_address', false],
  ['blocked_url', false],
  ['erased', false],
  ['blocked_name', true],
]

for (const [reason, retryable] of BLOCKED) {
  t.test(`blocked with ${reason} is ${retryable ? 'tried again' : 'final'}`, async (t) => {
    t.equal(isRetryable({ outcome: 'blocked', statusCode: null, reason }), retryable)
  })
}

t.test('the docs list every reason, with what it means', async (t) => {
  const docs = readFileSync(
    new URL('../../docs/reference/failure-reasons.md', import.meta.url),
    'utf8',
  )
  const rows = [...docs.matchAll(/^\| `(\w+)` \| \w+ \| (.*) \|$/gm)]
  t.strictSame(Object.fromEntries(rows.map(([, reason, words]) => [reason, words])), REASONS)
})
