import t from 'tap'
import { DEFAULT_RETRY_SCHEDULE } from '../config/config.ts'
import {
  DEFAULT_RETRY_JITTER,
  nextDelaySeconds,
  RETRY_AFTER_SECONDS_MAX,
  type RetrySchedule,
} from './retry-policy.ts'

const DEFAULT_DELAYS = DEFAULT_RETRY_SCHEDULE.split(',').map(Number)
const DAY_SECONDS = 86_400
/** The largest value of Math.random. */
const JUST_BELOW_1 = 1 - 2 ** -53
/** In the middle, chance adds and takes nothing. */
const MIDDLE = 0.5

const schedule = (overrides: Partial<RetrySchedule> = {}): RetrySchedule => ({
  delaysSeconds: DEFAULT_DELAYS,
  jitter: DEFAULT_RETRY_JITTER,
  retryAfterMaxSeconds: RETRY_AFTER_SECONDS_MAX,
  ...overrides,
})

t.test('the default schedule makes ten attempts within three days', async (t) => {
  const delays: number[] = []
  for (let step = 1; ; step += 1) {
    const delay = nextDelaySeconds(schedule(), step, { random: MIDDLE })
    if (delay === null) break
    delays.push(delay)
  }
  t.strictSame(delays, [...DEFAULT_DELAYS])
  t.equal(delays.length, 9)
  const totalSeconds = delays.reduce((sum, delay) => sum + delay)
  t.ok(totalSeconds > 2.5 * DAY_SECONDS && totalSeconds < 3 * DAY_SECONDS)
})

t.test('gives up once the schedule is used up', async (t) => {
  const two = schedule({ delaysSeconds: [5, 300] })
  t.equal(nextDelaySeconds(two, 2, { random: MIDDLE }), 300)
  t.equal(nextDelaySeconds(two, 3, { random: MIDDLE }), null)
  t.equal(nextDelaySeconds(two, 3, { random: MIDDLE, retryAfterSeconds: 60 }), null)
  t.equal(nextDelaySeconds(schedule({ delaysSeconds: [] }), 1, { random: MIDDLE }), null)
})

t.test('jitter keeps to its part of the delay at both ends of chance', async (t) => {
  const hundred = schedule({ delaysSeconds: [100] })
  t.equal(nextDelaySeconds(hundred, 1, { random: 0 }), 90)
  const longest = nextDelaySeconds(hundred, 1, { random: JUST_BELOW_1 }) ?? 0
  t.ok(longest > 109.9999 && longest < 110.0001, `${longest}`)
})

t.test('without jitter the delay is the schedule', async (t) => {
  const exact = schedule({ delaysSeconds: [100], jitter: 0 })
  t.equal(nextDelaySeconds(exact, 1, { random: 0 }), 100)
  t.equal(nextDelaySeconds(exact, 1, { random: JUST_BELOW_1 }), 100)
})

t.test('Retry-After stretches a delay, never shortens it, and only up to the cap', async (t) => {
  const capped = schedule({ delaysSeconds: [100], retryAfterMaxSeconds: 1_000 })
  const after = (retryAfterSeconds: number | null) =>
    nextDelaySeconds(capped, 1, { random: MIDDLE, retryAfterSeconds })
  t.equal(after(null), 100)
  t.equal(after(0), 100)
  t.equal(after(99), 100)
  t.equal(after(101), 101)
  t.equal(after(1_000), 1_000)
  t.equal(after(1_001), 1_000)
})
