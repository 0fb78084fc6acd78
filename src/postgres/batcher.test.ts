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
