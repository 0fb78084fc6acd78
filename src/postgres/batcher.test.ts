import t from 'tap'
import { createBatcher } from './batcher.ts'

/** A batcher whose batches are answered by the test, with `value * 10`. */
function bundle({ maxItems = 100, lanes = 1 } = {}) {
  const sent: { items: readonly number[]; answer: () => void; fail: (error: Error) => void }[] = []
  let arrived = Promise.withResolvers<void>()
  const batcher = createBatcher<number, number>({
    maxItems,
    lanes,
    run: (items) => {
      const { promise, resolve, reject } = Promise.withResolvers<(number | Error)[]>()
      const answer = () => resolve(items.map((i) => (i < 0 ? new Error(`refused ${i}`) : i * 10)))
      sent.push({ items, answer, fail: reject })
      arrived.resolve()
      return promise
    },
  })
  /** Waits until so many batches were sent. */
  const batches = async (count: number) => {
    while (sent.length < count) {
      arrived = Promise.withResolvers()
      await arrived.promise
    }
    return sent.map(({ items }) => items)
  }
  const nth = (n: number) => sent[n] ?? t.bailout(`no batch ${n}`)
  return { batcher, sent, batches, nth: nth as (n: number) => (typeof sent)[number] }
}

t.test('sends a single item at once and answers it', async (t) => {
  const { batcher, batches, nth } = bundle()
  const result = batcher.add(1)
  t.strictSame(await batches(1), [[1]])
  nth(0).answer()
  t.equal(await result, 10)
})

t.test('groups what is added in the same turn', async (t) => {
  const { batcher, batches, nth } = bundle()
  const results = [1, 2, 3].map(batcher.add)
  await Promise.resolve()
  results.push(batcher.add(4))
  t.strictSame(await batches(1), [[1, 2, 3, 4]])
  nth(0).answer()
  t.strictSame(await Promise.all(results), [10, 20, 30, 40])
})

t.test('items that arrive while a batch is in flight go together in the next', async (t) => {
  const { batcher, sent, batches, nth } = bundle()
  const first = batcher.add(1)
  await batches(1)
  const later = [batcher.add(2)]
  await new Promise(setImmediate)
  later.push(batcher.add(3))
  await new Promise(setImmediate)
  t.equal(sent.length, 1, 'nothing is sent while the lane is busy')
  nth(0).answer()
  t.strictSame(await batches(2), [[1], [2, 3]])
  nth(1).answer()
  t.strictSame(await Promise.all([first, ...later]), [10, 20, 30])
})

t.test('splits what exceeds the largest batch, in order', async (t) => {
  const { batcher, batches, nth } = bundle({ maxItems: 2 })
  const results = [1, 2, 3, 4, 5].map(batcher.add)
  for (const n of [0, 1, 2]) {
    await batches(n + 1)
    nth(n).answer()
  }
  t.strictSame(await batches(3), [[1, 2], [3, 4], [5]])
  t.strictSame(await Promise.all(results), [10, 20, 30, 40, 50])
})

t.test('a batch that fails rejects its own items and no others', async (t) => {
  const { batcher, batches, nth } = bundle({ maxItems: 2 })
  const results = [1, 2, 3].map(batcher.add)
  await batches(1)
  nth(0).fail(new Error('connection lost'))
  await batches(2)
  nth(1).answer()
  const settled = await Promise.allSettled(results)
  t.match(settled, [
    { status: 'rejected', reason: { message: 'connection lost' } },
    { status: 'rejected', reason: { message: 'connection lost' } },
    { status: 'fulfilled', value: 30 },
  ])
})

t.test('an error among the results rejects that item alone', async (t) => {
  const { batcher, batches, nth } = bundle()
  const settled = Promise.allSettled([1, -2, 3].map(batcher.add))
  await batches(1)
  nth(0).answer()
  t.match(await settled, [
    { value: 10 },
    { status: 'rejected', reason: { message: 'refused -2' } },
    { value: 30 },
  ])
})

t.test('has as many batches in flight as there are lanes, and no more', async (t) => {
  const { batcher, sent, batches, nth } = bundle({ maxItems: 1, lanes: 2 })
  const results = [1, 2, 3].map(batcher.add)
  await batches(2)
  await new Promise(setImmediate)
  t.equal(sent.length, 2)
  nth(1).answer()
  t.strictSame(await batches(3), [[1], [2], [3]])
  nth(0).answer()
  nth(2).answer()
  t.strictSame(await Promise.all(results), [10, 20, 30])
})

t.test('is idle when nothing is waiting or in flight', async (t) => {
  const { batcher, batches, nth } = bundle()
  await batcher.idle()
  const results = [batcher.add(1)]
  let idle = false
  const done = batcher.idle().then(() => {
    idle = true
  })
  await batches(1)
  results.push(batcher.add(2))
  nth(0).answer()
  await batches(2)
  t.notOk(idle, 'a batch was waiting')
  nth(1).answer()
  await Promise.all([...results, done])
  t.ok(idle)
})

/** One lane, batches of two; the test answers each batch, and says how late it is. */
function boundedBundle({ waitMsMax = 100, sizeMax = 1_000 } = {}) {
  const clock = { ms: 0 }
  const sent: number[][] = []
  const answers: (() => void)[] = []
  let arrived = Promise.withResolvers<void>()
  const batcher = createBatcher<number, number>({
    maxItems: 2,
    lanes: 1,
    bounds: {
      waitMsMax,
      sizeMax,
      sizeOf: (item) => item,
      refusal: () => new Error('too busy'),
      now: () => clock.ms,
    },
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
  const { batcher, clock, sent, answers, nextBatch } = boundedBundle()
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
  const { batcher, clock, answers, nextBatch } = boundedBundle()
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
  const { batcher, clock, sent, answers, nextBatch } = boundedBundle()
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
  const { batcher, answers, nextBatch } = boundedBundle({ sizeMax: 10 })
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
  const { batcher, answers, nextBatch } = boundedBundle({ sizeMax: 10 })
  const large = batcher.add(11)
  await nextBatch()
  answers[0]?.()
  t.equal(await large, 110)
})
