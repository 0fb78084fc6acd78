import t from 'tap'
import { createKeyLocks } from './key-locks.ts'
import { keyBusy } from './publish-refused.ts'
import type { Published, PublishItem } from './publisher.ts'
import { WAIT_BOUNDS } from './wait-bounds.ts'

const PUBLISHED: Published = { id: 'one', deliveries: 1, duplicate: false }
const item = (idempotencyKey: string, body = '{}'): PublishItem => ({
  body,
  tenant: 'acme',
  idempotencyKey,
})

function bundle() {
  const turns = createKeyLocks()
  const first = Promise.withResolvers<Published>()
  let published = 0
  const publish = (answer: Promise<Published> = Promise.resolve(PUBLISHED)) => {
    return () => {
      published += 1
      return answer
    }
  }
  return { turns, first, publish, count: () => published }
}

t.test('those that wait for a key hold a bounded amount of memory', async (t) => {
  const { turns, first, publish, count } = bundle()
  const quarter = item('held', 'x'.repeat(WAIT_BOUNDS.sizeMax / 4 - 8_192))
  const waiting = Array.from({ length: 4 }, () => turns.one(quarter, 0, publish(first.promise)))
  await t.rejects(turns.one(item('held'), 0, publish()), { code: 'database_unavailable' })
  await t.rejects(turns.all([item('other')], 0, publish()), { code: 'database_unavailable' })
  first.resolve(PUBLISHED)
  t.equal((await Promise.all(waiting)).filter(({ duplicate }) => duplicate).length, 3)
  t.equal(count(), 1)
  t.strictSame(await turns.one(item('held'), 0, publish()), PUBLISHED, 'there is room again')
})

t.test('an item larger than the room is taken when nothing waits', async (t) => {
  const { turns, publish } = bundle()
  const large = item('large', 'x'.repeat(WAIT_BOUNDS.sizeMax + 1))
  t.strictSame(await turns.one(large, 0, publish()), PUBLISHED)
})

t.test('keys are told apart by tenant, and neither waits for the other', async (t) => {
  const { turns, first, publish } = bundle()
  const held = turns.one(item('a'), 0, publish(first.promise))
  t.strictSame(await turns.one({ ...item('a'), tenant: 'other' }, 0, publish()), PUBLISHED)
  t.strictSame(await turns.one(item('b'), 0, publish()), PUBLISHED)
  first.resolve(PUBLISHED)
  await held
})

t.test('a twin that was busy leaves its turn to one that may still wait', async (t) => {
  const { turns, first, publish } = bundle()
  const held = turns.one(item('a'), 0, publish(first.promise))
  const over = turns.one(item('a'), 0, publish())
  const patient = turns.one(item('a'), Number.POSITIVE_INFINITY, publish())
  first.reject(keyBusy())
  await t.rejects(held, { code: 'idempotency_key_busy' })
  await t.rejects(over, { code: 'idempotency_key_busy' })
  t.strictSame(await patient, PUBLISHED)
})

t.test(
  'a batch whose time is over begins when its keys are free, and is busy when they are not',
  async (t) => {
    const { turns, first, publish } = bundle()
    const second = Promise.withResolvers<Published>()
    const held = turns.one(item('a'), 0, publish(first.promise))
    const over = turns.all([item('a'), item('b')], 0, publish())
    const patient = turns.all([item('a')], Number.POSITIVE_INFINITY, publish(second.promise))
    const later = t.rejects(turns.all([item('b'), item('a')], 0, publish()), {
      code: 'idempotency_key_busy',
    })
    first.resolve(PUBLISHED)
    await held
    t.strictSame(await over, PUBLISHED, 'the first in line')
    await later
    second.resolve(PUBLISHED)
    t.strictSame(await patient, PUBLISHED)
    t.strictSame(await turns.all([item('a')], 0, publish()), PUBLISHED)
  },
)
