import t from 'tap'
import type { ErasedLine } from '../ledger.ts'
import type { StoredAttempt } from './judge.ts'
import { judgeErasures } from './judge-erasures.ts'
import { attempt, evidence, request } from './sample-evidence.ts'

const NOTHING_WRONG = { notErased: 0, erasedWithoutEnd: 0, sentAfterErasure: 0 }

/** An event that was erased at 1,600, after it had been delivered; what a case changes makes it go wrong. */
function erasure({
  lines = [{ id: 'event', n: 1, outcome: 'accepted', at: 1_600 }],
  state = 'delivered',
  attempts = [attempt(1, 1_490, 'delivered')],
  received = [request()],
}: {
  lines?: ErasedLine[]
  state?: string
  attempts?: StoredAttempt[]
  received?: ReturnType<typeof request>[]
} = {}) {
  const { stored, ...rest } = evidence()
  const events = stored.events.map((event) => ({ ...event, isErased: true }))
  const deliveries = stored.deliveries.map((delivery) => ({ ...delivery, state }))
  return { ...rest, received, erased: lines, stored: { ...stored, events, deliveries, attempts } }
}

t.test('an event that was delivered before it was erased is all right', async (t) => {
  t.match(judgeErasures(erasure()), { ...NOTHING_WRONG, erased: 1, erasedAndReceived: 1 })
})

t.test('an erased event that nobody got ends cancelled or blocked', async (t) => {
  const end = (state: string, ...outcomes: string[]) => {
    const attempts = outcomes.map((outcome, i) => attempt(i + 1, 1_400 + i * 300, outcome))
    return judgeErasures(erasure({ state, attempts, received: [] }))
  }
  t.match(end('cancelled'), { ...NOTHING_WRONG, erased: 1, erasedAndReceived: 0 })
  t.match(end('failed', 'rejected', 'blocked'), NOTHING_WRONG)
  t.match(end('failed', 'blocked', 'rejected'), { erasedWithoutEnd: 1 })
  t.match(end('delivered', 'delivered'), { erasedWithoutEnd: 1 }, 'the receiver does not have it')
  t.match(end('pending'), { erasedWithoutEnd: 1 })
})

t.test('an erasure that was acknowledged and is not there is found', async (t) => {
  const { stored, ...rest } = erasure()
  for (const event of stored.events) event.isErased = false
  t.match(judgeErasures({ ...rest, stored }), { notErased: 1, erased: 0 })
  const erased = rest.erased.map((line) => ({ ...line, outcome: 'unknown' }) as const)
  t.match(judgeErasures({ ...rest, erased, stored }), NOTHING_WRONG, 'unless its answer was lost')
})

t.test('a request after the erasure needs an attempt that was under way', async (t) => {
  const sentAt = (at: number, ...attempts: StoredAttempt[]) =>
    judgeErasures(erasure({ attempts, received: [request({ at })] })).sentAfterErasure
  const underWay = { ...attempt(1, 1_590, 'delivered'), finishedAt: 1_700 }
  t.equal(sentAt(1_650, underWay), 0)
  t.equal(sentAt(1_650, { ...underWay, finishedAt: 1_647 }), 1, 'it had ended')
  t.equal(sentAt(1_650, { ...underWay, finishedAt: null }), 0, 'it has not ended')
  t.equal(sentAt(1_650, { ...underWay, startedAt: 1_603 }), 1, 'it began after')
  t.equal(sentAt(1_650), 1)
  t.equal(sentAt(1_602), 0, 'as early as clocks can tell')
  for (const outcome of ['abandoned', 'stale', 'interrupted']) {
    t.equal(sentAt(9_000, attempt(1, 1_590, outcome)), 0, `${outcome}: nobody knows when it ended`)
  }
})

t.test('the first answer counts, and the last loss where there was none', async (t) => {
  const sent = (...lines: ErasedLine[]) =>
    judgeErasures(erasure({ lines, attempts: [attempt(1, 1_700, 'delivered')] }))
  const line = { id: 'event', n: 1 }
  const [lost, first, second] = [
    { ...line, outcome: 'unknown', at: 1_000 },
    { ...line, outcome: 'accepted', at: 1_400 },
    { ...line, outcome: 'accepted', at: 1_600 },
  ] as const
  t.match(sent(lost, first, second), { sentAfterErasure: 1 })
  t.match(sent(lost, { ...lost, at: 1_600 }), { sentAfterErasure: 0 })
  t.match(sent(lost, second), { sentAfterErasure: 0 })
})
