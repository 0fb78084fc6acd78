import t from 'tap'
import { parseRetryAfter } from './retry-after.ts'

const NOW = Date.UTC(2026, 0, 15, 12, 0, 0)

const CASES: [header: string | undefined, seconds: number | null][] = [
  [undefined, null],
  ['', null],
  ['0', 0],
  ['120', 120],
  [' 120 ', 120],
  ['9999999999', 9_999_999_999],
  ['99999999999', null],
  ['-1', null],
  ['1.5', null],
  ['1e3', null],
  ['soon', null],
  ['120, 240', null],
  ['Thu, 15 Jan 2026 12:01:00 GMT', 60],
  ['Thu, 15 Jan 2026 12:00:00 GMT', 0],
  ['Thu, 15 Jan 2026 11:59:59 GMT', null],
  ['Thu, 99 Jan 2026 12:01:00 GMT', null],
  ['2026-01-15T12:01:00Z', null],
  ['Thu, 15 Jan 2026 12:01:00 +0100', null],
]

for (const [header, seconds] of CASES) {
  t.test(`reads Retry-After: ${header ?? '(absent)'} as ${seconds}`, async (t) => {
    t.equal(parseRetryAfter(header, NOW), seconds)
  })
}

t.test('a date between two seconds is rounded up, so that nobody is asked too early', async (t) => {
  t.equal(parseRetryAfter('Thu, 15 Jan 2026 12:00:01 GMT', NOW + 1), 1)
})
