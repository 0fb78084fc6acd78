import t, { type Test } from 'tap'
import { every, once, oneAtATime } from './clock.ts'

const failed = (t: Test) => (error: unknown) => void t.fail(String(error))

t.test('works at once, again and again, and not after it was stopped', async (t) => {
  let turns = 0
  const third = Promise.withResolvers<void>()
  const recurring = every(
    1,
    async () => {
      turns += 1
      if (turns === 3) third.resolve()
    },
    failed(t),
  )
  await third.promise
  await recurring.stop()
  const stoppedAt = turns
  const later = Promise.withResolvers<void>()
  const witness = every(1, async () => later.resolve(), failed(t))
  await later.promise
  await witness.stop()
  t.equal(turns, stoppedAt)
})

t.test('never works twice at a time, and stops only when it is done', async (t) => {
  const gate = Promise.withResolvers<void>()
  let atOnce = 0
  let done = false
  const recurring = every(
    1,
    async () => {
      atOnce += 1
      await gate.promise
      done = true
    },
    failed(t),
  )
  const second = Promise.withResolvers<void>()
  let other = 0
  const clock = every(1, async () => void (++other === 3 && second.resolve()), failed(t))
  await second.promise
  await clock.stop()
  t.equal(atOnce, 1)
  const stopped = recurring.stop()
  gate.resolve()
  await stopped
  t.ok(done)
})

t.test('a failure is reported, and the next turn comes anyway', async (t) => {
  const errors: unknown[] = []
  const twice = Promise.withResolvers<void>()
  const recurring = every(
    1,
    () => Promise.reject(new Error('away')),
    (error) => {
      errors.push(error)
      if (errors.length === 2) twice.resolve()
    },
  )
  await twice.promise
  await recurring.stop()
  t.match(errors, [{ message: 'away' }, { message: 'away' }])
})

t.test('once runs at the first call, and gives all calls the same', async (t) => {
  let runs = 0
  const run = once(async () => ++runs)
  t.equal(runs, 0)
  t.strictSame(await Promise.all([run(), run()]), [1, 1])
  t.equal(await run(), 1)
})

t.test('one at a time joins what is under way, and begins again when that has ended', async (t) => {
  let runs = 0
  const run = oneAtATime(async () => {
    runs += 1
    if (runs === 2) throw new Error('failed')
    return runs
  })
  t.strictSame(await Promise.all([run(), run()]), [1, 1])
  const failed = await Promise.allSettled([run(), run()])
  t.match(failed, [{ status: 'rejected' }, { status: 'rejected' }])
  t.equal(await run(), 3)
})
