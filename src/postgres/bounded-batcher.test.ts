import t from 'tap'
import { createBoundedBatcher } from './bounded-batcher.ts'

/** One lane, batches of two; the test answers each batch, and says how late it is. */
function bundle({ waitMsMax = 100, sizeMax = 1_000 } = {}) {
  const clock = { ms: 0 }
  const sent: number[][] = []
  const answers: (() => void)[] = []
  let arrived = Promise.withResolvers<void>()
  const batcher = createBoundedBatcher<number, number>({
    maxItems: 2,
    lanes: 1,
    waitMsMax,
    sizeMax,
    sizeOf: (item) => item,
    refusal: () => new Error('too busy'),
    now: () => clock.ms,
    run: (items) => {
      sent.push([...items])
      const { promise, resolve } = Promise.withResolvers<number[]>()
      answers.push(() => resolve(items.map((item) => item * 10)))
      arrived.resolve()
      arrived = Promise.withResolvers()
      return promise
    },
  })
  return { batcher, clock, sent, answers, nextBatch: () => arrived.promise }
}

const REFUSED = { status: 'rejected', reason: { message: 'too busy' } }

// While the database hung, 1,200 publishes went out a hundred per five seconds, and the last was told 77
// seconds later (issue 6).
t.test('what has waited too long when its turn comes is refused, and not sent', async (t) => {
  const { batcher, clock, sent, answers, nextBatch } = bundle()
  const results = [1, 2, 3, 4, 5, 6, 7].map(batcher.add)
  await nextBatch()
  clock.ms = 101
  answers[0]?.()
  t.match(await Promise.allSettled(results), [
    { value: 10 },
    { value: 20 },
    ...Array.from({ length: 5 }, () => REFUSED),
  ])
  t.strictSame(sent, [[1, 2]])
})

t.test('what has waited just as long as it may is sent', async (t) => {
  const { batcher, clock, answers, nextBatch } = bundle()
  const results = [1, 2, 3].map(batcher.add)
  await nextBatch()
  clock.ms = 100
  const next = nextBatch()
  answers[0]?.()
  await next
  answers[1]?.()
  t.strictSame(await Promise.all(results), [10, 20, 30])
})

t.test('of one batch only those go that are not late, each with its own result', async (t) => {
  const { batcher, clock, sent, answers, nextBatch } = bundle()
  const first = [batcher.add(1), batcher.add(2)]
  await nextBatch()
  const late = batcher.add(3)
  clock.ms = 101
  const timely = batcher.add(4)
  const next = nextBatch()
  answers[0]?.()
  await next
  answers[1]?.()
  t.strictSame(await Promise.all(first), [10, 20])
  t.match(await Promise.allSettled([late, timely]), [REFUSED, { value: 40 }])
  t.strictSame(sent, [[1, 2], [4]])
})

t.test('what would make the queue too large is refused at once', async (t) => {
  const { batcher, answers, nextBatch } = bundle({ sizeMax: 10 })
  const taken = [batcher.add(4), batcher.add(6)]
  await t.rejects(batcher.add(1), { message: 'too busy' })
  await nextBatch()
  answers[0]?.()
  t.strictSame(await Promise.all(taken), [40, 60])
  const next = nextBatch()
  const again = batcher.add(10)
  await next
  answers[1]?.()
  t.equal(await again, 100, 'there is room again')
})

t.test('a single item of any size is taken while nothing else waits', async (t) => {
  const { batcher, answers, nextBatch } = bundle({ sizeMax: 10 })
  const large = batcher.add(11)
  await nextBatch()
  answers[0]?.()
  t.equal(await large, 110)
})
