import t from 'tap'
import { createWakeUpTimer } from './wake-up-timer.ts'

t.test('it rings once for all that become due at about the same time', async (t) => {
  // Its timers alone do not keep a process alive.
  const alive = setInterval(() => undefined, 1_000)
  t.teardown(() => clearInterval(alive))
  const rung = Promise.withResolvers<void>()
  let rings = 0
  const wakeUpTimer = createWakeUpTimer(() => {
    rings += 1
    rung.resolve()
  })
  for (let n = 0; n < 100; n += 1) wakeUpTimer.set(20)
  await rung.promise
  const later = Promise.withResolvers<void>()
  createWakeUpTimer(later.resolve).set(200)
  await later.promise
  // Two where the boundary between two tenths of a second lies between them.
  t.ok(rings <= 2, `${rings}`)
})

t.test('what is due later is left to polling', async (t) => {
  const alive = setInterval(() => undefined, 1_000)
  t.teardown(() => clearInterval(alive))
  const near = Promise.withResolvers<void>()
  createWakeUpTimer(() => t.fail('it rang')).set(1_001)
  createWakeUpTimer(near.resolve).set(1_000)
  await near.promise
})
