import t from 'tap'
import { createTimeLimit, TookTooLong } from './time-limit.ts'

const within = createTimeLimit()
const cell = new Int32Array(new SharedArrayBuffer(4))

/** As a thread does that the machine gives no processor: time goes on, and nothing is done. */
const standStill = () => Atomics.wait(cell, 0, 0)

t.test('code that never ends is ended', async (t) => {
  let runs = 0
  t.throws(
    () =>
      within(100, () => {
        runs += 1
        for (;;);
      }),
    TookTooLong,
  )
  t.ok(runs >= 1)
})

t.test('code that had no processor in its time runs once more', async (t) => {
  let runs = 0
  const answer = within(20, () => {
    runs += 1
    if (runs === 1) standStill()
    return 'done'
  })
  t.equal(answer, 'done')
  t.equal(runs, 2)
})

t.test('a machine that never gives it any is no reason to try for ever', async (t) => {
  let runs = 0
  const hang = () => {
    runs += 1
    standStill()
  }
  t.throws(() => within(10, hang), TookTooLong)
  t.equal(runs, 2)
})

t.test('what the code throws by itself is thrown, once', async (t) => {
  let runs = 0
  const fail = () => {
    runs += 1
    throw new RangeError('too deep')
  }
  t.throws(() => within(100, fail), { message: 'too deep' })
  t.equal(runs, 1)
})
