import t from 'tap'
import { createFanOutEstimate } from './fan-out-estimate.ts'
import type { PublishItem } from './publisher.ts'

const item = (tenant = 'a'): PublishItem => ({ body: '{}', tenant, idempotencyKey: null })

function bundle() {
  const clock = { ms: 0 }
  const estimate = createFanOutEstimate(() => clock.ms)
  /** Stores an event that has so many deliveries, and brings how it went. */
  const store = async (deliveries: number) => {
    let way = ''
    const published = { id: 'e', deliveries, duplicate: false }
    const by = (name: string) => async () => {
      way = name
      return published
    }
    const ways = { alone: by('alone'), first: by('first'), together: by('together') }
    await estimate.store(item(), ways)
    return way
  }
  return { clock, store }
}

t.test(
  'the first goes with other first ones; up to ten deliveries go together, more alone',
  async (t) => {
    for (const [deliveries, next] of [
      [0, 'together'],
      [10, 'together'],
      [11, 'alone'],
    ] as const) {
      const { store } = bundle()
      t.strictSame([await store(deliveries), await store(deliveries)], ['first', next])
    }
  },
)

t.test('one that is wide among narrow ones is remembered for some events', async (t) => {
  const { store } = bundle()
  await store(20)
  const ways = []
  for (let n = 0; n < 7; n += 1) ways.push(await store(1))
  t.strictSame(ways, [...Array(6).fill('alone'), 'together'])
})

t.test('what is known is forgotten after ten seconds without an event', async (t) => {
  const { clock, store } = bundle()
  await store(1)
  clock.ms += 10_000
  t.equal(await store(1), 'together')
  clock.ms += 10_001
  t.equal(await store(1), 'first')
})
