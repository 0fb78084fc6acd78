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
  // 300 years are enough; what is longer stops being exact.
  ['99999999999', 9_999_999_999],
  ['9'.repeat(40), 9_999_999_999],
  [`${'0'.repeat(20)}120`, 120],
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
  ['\t120\t', 120],
  ['+120', null],
  ['1 2', null],
  ['Thu, 15 Jan 2026 12:01:00', null],
  ['Thu, 31 Feb 2026 12:01:00 GMT', null],
  ['Thu, 15 Foo 2026 12:01:00 GMT', null],
  ['Thu, 15 Jan 2026 24:00:00 GMT', null],
  ['Thu, 15 Jan 2026 12:60:00 GMT', null],
  ['Wed, 15 Jan 2026 12:01:00 GMT', 60],
  // The two old forms of RFC 9110, 5.6.7, which everybody has to read.
  ['Thursday, 15-Jan-26 12:01:00 GMT', 60],
  ['Thursday, 15-Jan-26 11:59:59 GMT', null],
  ['Thursday, 31-Feb-26 12:01:00 GMT', null],
  ['Thursday, 15-Jan-26 12:01:00', null],
  ['Thu, 15-Jan-26 12:01:00 GMT', null],
  ['Thu Jan 15 12:01:00 2026', 60],
  ['Thu Jan 15 11:59:59 2026', null],
  ['Sun Feb  1 12:00:00 2026', 17 * 86_400],
  ['Sun Feb 1 12:00:00 2026', null],
  ['Thu Jan 15 12:01:00 2026 GMT', null],
]

for (const [header, seconds] of CASES) {
  t.test(`reads Retry-After: ${header ?? '(absent)'} as ${seconds}`, async (t) => {
    t.equal(parseRetryAfter(header, NOW), seconds)
  })
}

t.test('a date between two seconds is rounded up, so that nobody is asked too early', async (t) => {
  t.equal(parseRetryAfter('Thu, 15 Jan 2026 12:00:01 GMT', NOW + 1), 1)
})

// In 2026, 76 may be 1976 or 2076; RFC 9110 draws the line at 50 years ahead, to the second.
t.test('a year of two digits is at most 50 years ahead', async (t) => {
  const inFiftyYears = (Date.UTC(2076, 0, 15, 12) - NOW) / 1000
  t.equal(parseRetryAfter('Wednesday, 15-Jan-76 12:00:00 GMT', NOW), inFiftyYears)
  t.equal(parseRetryAfter('Wednesday, 15-Jan-76 12:00:01 GMT', NOW), null, 'that is 1976')
  t.equal(parseRetryAfter('Sunday, 06-Nov-94 08:49:37 GMT', NOW), null, 'that is 1994')
  const newYear = Date.UTC(2099, 11, 31, 23, 59, 59)
  t.equal(parseRetryAfter('Friday, 01-Jan-00 00:00:00 GMT', newYear), 1, 'the next century')
})
