import t from 'tap'
import { grow, newShare, type Share, shrink } from './share.ts'

const MAX = 210

/** A share in use to the last permit, at a receiver that takes so long with so many under way. */
function bundle(takesMs: (underWay: number) => number) {
  const share = newShare(0)
  const clock = { ms: 0 }
  /** All that it allows are begun together, and have ended before the next are begun. */
  const round = () => {
    const underWay = Math.floor(share.size)
    const tookMs = takesMs(underWay)
    const since = clock.ms
    clock.ms += tookMs
    for (let left = underWay; left > 0; left -= 1) {
      const oldestAt = left === 1 ? clock.ms : since
      grow(share, { tookMs, now: clock.ms, oldestAt, max: MAX })
    }
    return underWay
  }
  const rounds = (count: number) => Array.from({ length: count }, round)
  return { share, clock, round, rounds }
}

const sizeOf = ({ size }: Share) => Math.floor(size)

t.test(
  'it begins with four permits and doubles while answers are as quick as before',
  async (t) => {
    const { rounds } = bundle(() => 2_000)
    t.strictSame(rounds(8), [4, 8, 16, 32, 64, 128, 210, 210])
  },
)

t.test(
  'where more permits make every answer slower in proportion it takes the last doubling back, and stays',
  async (t) => {
    // One after another, each for 50 ms: four wait for 200 ms, sixteen for 800 ms.
    const { share, rounds } = bundle((underWay) => underWay * 50)
    rounds(20)
    t.equal(sizeOf(share), 16)
  },
)

t.test('and tries again little by little, as a receiver may be slower for good', async (t) => {
  let factor = 1
  const { share, rounds } = bundle(() => 300 * factor)
  rounds(3)
  t.equal(sizeOf(share), 32)
  factor = 3
  rounds(2)
  t.ok(share.size <= 32 && share.isHolding)
  rounds(150)
  t.ok(share.size > 32, `${share.size} permits`)
})

t.test('answers within half a second are never too slow', async (t) => {
  const { rounds } = bundle((underWay) => Math.min(underWay * 50, 499))
  t.equal(rounds(10).at(-1), MAX)
})

t.test(
  'trouble halves it once for all that were under way, and then it grows by one a round',
  async (t) => {
    const { share, clock, rounds } = bundle(() => 1_000)
    rounds(4)
    t.equal(sizeOf(share), 64)
    share.hasAnswered = true
    shrink(share, clock.ms - 10, clock.ms)
    share.hasAnswered = true
    shrink(share, clock.ms - 5, clock.ms + 1)
    t.equal(share.size, 32, 'those before it say nothing new')
    share.hasAnswered = true
    clock.ms += 1
    t.strictSame(rounds(3), [32, 33, 34])
  },
)

t.test('one that was begun since halves it again', async (t) => {
  const { share, clock, rounds } = bundle(() => 1_000)
  rounds(4)
  shrink(share, clock.ms, clock.ms)
  share.hasAnswered = true
  shrink(share, clock.ms, clock.ms + 5)
  t.equal(share.size, 16)
})

t.test(
  'trouble without an answer in between gives back one permit, and answers bring it back to half',
  async (t) => {
    const { share, clock, rounds } = bundle(() => 1_000)
    rounds(4)
    shrink(share, clock.ms - 10, clock.ms)
    shrink(share, clock.ms - 9, clock.ms)
    t.equal(share.size, 1)
    shrink(share, clock.ms - 8, clock.ms)
    t.equal(share.size, 1, 'and no fewer')
    share.hasAnswered = true
    t.strictSame(rounds(7), [1, 2, 4, 8, 16, 32, 33])
  },
)

t.test('within a round it at most doubles, however many answer', async (t) => {
  const share = newShare(0)
  for (let n = 0; n < 100; n += 1) grow(share, { tookMs: 5, now: 10, oldestAt: -1, max: MAX })
  t.equal(share.size, 8, 'one that is still under way may not even be accepted')
  grow(share, { tookMs: 5, now: 10, oldestAt: 10, max: MAX })
  grow(share, { tookMs: 5, now: 10, oldestAt: 10, max: MAX })
  t.equal(share.size, 9)
})
