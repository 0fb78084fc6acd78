import t from 'tap'
import { SweptMap } from './swept-map.ts'

t.test('forgets what is stale when it has grown', async (t) => {
  const map = new SweptMap<number>((value) => value < 0, 4)
  for (const n of [1, -2, -3, 4]) map.set(String(n), n)
  t.equal(map.size, 4, 'nothing is looked for below the least size')
  map.set('5', 5)
  t.strictSame([...map.values()], [1, 4, 5])
})

t.test('is bounded by twice what is in use', async (t) => {
  let now = 0
  const map = new SweptMap<number>((expiresAt) => expiresAt <= now, 10)
  for (; now < 10_000; now += 1) map.set(String(now), now + 100)
  t.ok(map.size <= 200, `holds ${map.size} of which 100 are in use`)
})

t.test('keeps all that is in use', async (t) => {
  const map = new SweptMap<number>(() => false, 10)
  for (let n = 0; n < 1_000; n += 1) map.set(String(n), n)
  t.equal(map.size, 1_000)
})
