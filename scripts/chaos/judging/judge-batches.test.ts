import t from 'tap'
import { judge } from './judge.ts'
import { judgeBatches } from './judge-batches.ts'
import { attempt, evidence, request } from './sample-evidence.ts'

const inBatch = (at: number, values: Parameters<typeof request>[0] = {}) =>
  request({ batch: 'batch', at, ...values })
const cutOffFirst = (batchId = 'batch', changes: object = {}) => [
  { ...attempt(1, 1_490, 'abandoned'), batchId: 'batch' },
  { ...attempt(2, 8_990, 'delivered'), batchId, ...changes },
]

function judged(received: ReturnType<typeof request>[], attempts = cutOffFirst()) {
  const { stored, ...rest } = evidence()
  return judgeBatches({ ...rest, received, stored: { ...stored, attempts } })
}

t.test('what comes alone is in no batch', async (t) => {
  t.match(judgeBatches(evidence()), { batches: 0, batchesRepeated: 0, batchesWithoutAuditRow: 0 })
})

t.test('a batch with several events counts once, whatever becomes of it', async (t) => {
  const other = { id: 'other', n: 2 }
  const both = (at: number, answer: 'ok' | 'too_large' | 'item_failed') => [
    inBatch(at, { answer }),
    inBatch(at, other),
  ]
  t.match(judged(both(1_500, 'too_large')), { batches: 1, halved: 1, itemsFailed: 0 })
  t.match(judged(both(1_500, 'item_failed')), { batches: 1, halved: 0, itemsFailed: 1 })
  t.match(judged([...both(1_500, 'ok'), ...both(9_000, 'ok')]), { batches: 2, batchesRepeated: 1 })
  const refused = [inBatch(1_500, { answer: 'unavailable' }), inBatch(9_000)]
  t.match(judged(refused), { batches: 0, batchesRepeated: 0 }, 'it had not taken the first')
})

t.test('a repeat is known by the id of its batch', async (t) => {
  t.match(judged([inBatch(1_500), inBatch(9_000)]), { repeatsUnderAnotherId: 0 })
  const renamed = [inBatch(1_500), inBatch(9_000, { batch: 'another' })]
  t.match(judged(renamed, cutOffFirst('another')), { repeatsUnderAnotherId: 1 })
  const manual = cutOffFirst('another', { trigger: 'manual' })
  t.match(judged(renamed, manual), { repeatsUnderAnotherId: 0 }, 'a person had it retried')
  const often = [1, 2, 3].map((n) => ({ ...attempt(n, n, 'abandoned'), batchId: 'batch' }))
  t.match(judged(renamed, often), { repeatsUnderAnotherId: 0 }, 'it was put off')
  const failed = [inBatch(1_500, { answer: 'item_failed' }), inBatch(9_000, { batch: 'another' })]
  t.match(judged(failed, cutOffFirst('another')), { repeatsUnderAnotherId: 0 }, 'it was not taken')
  const late = [...failed, inBatch(9_500, { answer: 'item_failed' })]
  t.match(
    judged(late, cutOffFirst('another')),
    { repeatsUnderAnotherId: 0 },
    'that id is known too',
  )
  const refused = [inBatch(1_500, { answer: 'unavailable' }), ...late.slice(1)]
  t.match(judged(refused, cutOffFirst('another')), { repeatsUnderAnotherId: 1 })
})

t.test('the attempt of an event says which batch it was in', async (t) => {
  t.match(judged([inBatch(1_500)]), { batchesWithoutAuditRow: 0 })
  t.match(judged([inBatch(1_500, { batch: 'another' })]), { batchesWithoutAuditRow: 1 })
})

t.test(
  'an event that fails in a batch, or is ignored in its repeat, has not arrived',
  async (t) => {
    for (const answer of ['item_failed', 'ignored', 'too_large'] as const) {
      t.match(judge({ ...evidence(), received: [inBatch(1_500, { answer })] }), { lost: 1 }, answer)
    }
  },
)
