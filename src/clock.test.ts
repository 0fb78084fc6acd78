import t, { type Test } from 'tap'
import { every } from './clock.ts'

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
