import t from 'tap'
import { createHorizon, HELD_BACK_MS_MAX } from './live-horizon.ts'

const AT = 1_800_000_000_000
const first = { at: AT, xmin: 10n, xid: 10n }

t.test(
  'a poll settles what was before the poll before it, once all its writers have ended',
  async (t) => {
    const horizon = createHorizon(first)
    t.equal(horizon.settled(), AT - HELD_BACK_MS_MAX)
    horizon.note({ at: AT + 200, xmin: 11n, xid: 13n })
    t.equal(horizon.settled(), AT)
    horizon.note({ at: AT + 400, xmin: 14n, xid: 14n })
    t.equal(horizon.settled(), AT + 200)
  },
)

t.test('a writer that is still at it keeps the horizon back', async (t) => {
  const horizon = createHorizon(first)
  horizon.note({ at: AT + 200, xmin: 10n, xid: 13n })
  t.equal(horizon.settled(), AT + 200 - HELD_BACK_MS_MAX)
  horizon.note({ at: AT + 400, xmin: 11n, xid: 14n })
  t.equal(horizon.settled(), AT)
})

t.test('but not for longer than those of attempts take', async (t) => {
  const horizon = createHorizon(first)
  horizon.note({ at: AT + HELD_BACK_MS_MAX, xmin: 10n, xid: 13n })
  t.equal(horizon.settled(), AT)
  horizon.note({ at: AT + HELD_BACK_MS_MAX + 1, xmin: 10n, xid: 13n })
  t.equal(horizon.settled(), AT + 1)
})
