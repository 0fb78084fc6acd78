import t from 'tap'
import { within } from './within.ts'

t.test('brings what the promise brings', async (t) => {
  t.equal(await within(1_000, Promise.resolve(7)), 7)
  await t.rejects(within(1_000, Promise.reject(new Error('refused'))), { message: 'refused' })
})

t.test('gives up after the time', async (t) => {
  const startedAt = performance.now()
  await t.rejects(within(50, new Promise(() => undefined)), { code: 'took_too_long' })
  t.ok(performance.now() - startedAt >= 49)
})

t.test('does not take a pause of our own process for one of the other', async (t) => {
  // The answer is there, but this process is too busy to see it before its timer.
  const answered = Promise.withResolvers<string>()
  const result = within(20, answered.promise)
  block(60)
  setImmediate(answered.resolve, 'answer') // sockets are served after timers
  t.equal(await result, 'answer')
})

t.test('gives a pause of our own one more chance, and no third', async (t) => {
  const result = within(20, new Promise(() => undefined))
  block(60)
  await t.rejects(result, { code: 'took_too_long' })
})

function block(ms: number): void {
  const endsAt = performance.now() + ms
  while (performance.now() < endsAt);
}
