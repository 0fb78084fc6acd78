import t from 'tap'
import { createWatermark, HELD_BACK_MS_MAX } from './live-watermark.ts'

const AT = 1_800_000_000_000
const first = { at: AT, xmin: 10n, xid: 10n }

t.test(
  'a poll settles what was before the poll before it, once all its writers have ended',
  async (t) => {
    const watermark = createWatermark(first)
    t.equal(watermark.settled(), AT - HELD_BACK_MS_MAX)
    watermark.note({ at: AT + 200, xmin: 11n, xid: 13n })
    t.equal(watermark.settled(), AT)
    watermark.note({ at: AT + 400, xmin: 14n, xid: 14n })
    t.equal(watermark.settled(), AT + 200)
  },
)

t.test('a writer that is still at it keeps the watermark back', async (t) => {
  const watermark = createWatermark(first)
  watermark.note({ at: AT + 200, xmin: 10n, xid: 13n })
  t.equal(watermark.settled(), AT + 200 - HELD_BACK_MS_MAX)
  watermark.note({ at: AT + 400, xmin: 11n, xid: 14n })
  t.equal(watermark.settled(), AT)
})

t.test('but not for longer than those of attempts take', async (t) => {
  const watermark = createWatermark(first)
  watermark.note({ at: AT + HELD_BACK_MS_MAX, xmin: 10n, xid: 13n })
  t.equal(watermark.settled(), AT)
  watermark.note({ at: AT + HELD_BACK_MS_MAX + 1, xmin: 10n, xid: 13n })
  t.equal(watermark.settled(), AT + 1)
})
