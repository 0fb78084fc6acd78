import t from 'tap'
import { createSilenceWatch } from './silence.ts'

const at = (id: string, seconds: number) => ({ id, seen_at: new Date(seconds * 1000) })

t.test('a heartbeat that stands still becomes silent after the time, not before', async (t) => {
  const watch = createSilenceWatch(5_000)
  t.same(watch.observe([at('a', 1)], 0), [])
  t.same(watch.observe([at('a', 1)], 4_999), [])
  t.same(watch.observe([at('a', 1)], 5_000), ['a'])
})

t.test('every new heartbeat starts the count again', async (t) => {
  const watch = createSilenceWatch(5_000)
  watch.observe([at('a', 1)], 0)
  t.same(watch.observe([at('a', 2)], 4_999), [])
  t.same(watch.observe([at('a', 2)], 9_998), [])
  t.same(watch.observe([at('a', 2)], 9_999), ['a'])
})

t.test('an old heartbeat is no silence: after an outage everybody has one', async (t) => {
  const watch = createSilenceWatch(5_000)
  t.same(watch.observe([at('a', -1_000_000), at('b', 0)], 0), [])
})

t.test('a runner that left and came back is counted again', async (t) => {
  const watch = createSilenceWatch(5_000)
  watch.observe([at('a', 1), at('b', 1)], 0)
  watch.observe([at('b', 1)], 3_000)
  t.same(watch.observe([at('a', 1), at('b', 1)], 6_000), ['b'])
})

t.test('tells when to look again, for those who are not silent yet', async (t) => {
  const watch = createSilenceWatch(5_000)
  t.equal(watch.nextInMs(0), Number.POSITIVE_INFINITY)
  watch.observe([at('a', 1)], 0)
  watch.observe([at('a', 1), at('b', 1)], 1_000)
  t.equal(watch.nextInMs(4_400), 600)
  t.equal(
    watch.nextInMs(5_000),
    1_000,
    'one that is silent and not reaped, since it holds its lock',
  )
  t.equal(watch.nextInMs(6_000), Number.POSITIVE_INFINITY)
})
