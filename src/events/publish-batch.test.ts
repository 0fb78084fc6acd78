import t from 'tap'
import { createPool } from '../postgres/pool.ts'
import { holdKeys } from '../testing/data/idempotency.ts'
import { createTenant } from '../testing/data/tenant.ts'
import { untilHolds } from '../testing/until.ts'
import { createTestDatabase } from '../testing/wiring/database.ts'
import { createKeyLocks, type KeyLocks } from './key-locks.ts'
import { createPublisher } from './publish.ts'
import { createBatchPublisher } from './publish-batch.ts'
import { BatchRefused, DatabaseUnavailable } from './publish-refused.ts'
import type { PublishItem } from './publisher.ts'

const { url, pool } = await createTestDatabase(t)
const publishing = createPool({
  connectionString: url,
  max: 3,
  applicationName: 'publish-batch-test',
})
t.teardown(() => publishing.end())
const { publishAll, idle } = createBatchPublisher({ pool: publishing })

async function bundle() {
  const tenant = await createTenant(pool)
  const item = (values: Partial<PublishItem> = {}): PublishItem => ({
    body: '{"type":"invoice.paid","data":1}',
    tenant: tenant.key,
    idempotencyKey: null,
    ...values,
  })
  const count = async () => {
    const text = 'select count(*)::int as events from postrider.event where tenant_id = $1'
    return (await pool.query(text, [tenant.id])).rows[0].events
  }
  return { item, count }
}

t.test('a refused item undoes its neighbours, and every refused one is told', async (t) => {
  const { item, count } = await bundle()
  const items = [item({ tenant: 'nobody' }), item(), item({ body: '{"type":"a"}' })]
  const error = await publishAll(items).catch((error: unknown) => error)
  t.ok(error instanceof BatchRefused)
  t.match(error, {
    refusals: [
      { index: 0, refusal: { code: 'tenant_not_found' } },
      { index: 2, refusal: { code: 'data_missing' } },
    ],
  })
  t.equal(await count(), 0)
})

t.test('keys that stay held refuse the batch, and each is named', async (t) => {
  const { item, count } = await bundle()
  const producer = await holdKeys(t, pool, { tenant: item().tenant, keys: ['k', 'l'] })
  const keys = [null, 'k', 'free', 'l']
  const items = keys.map((idempotencyKey) => item({ idempotencyKey }))
  const { publishAll } = createBatchPublisher({ pool: publishing, keyWaitMsMax: 0 })
  const error = await publishAll(items).catch((error: unknown) => error)
  t.match(error, {
    name: 'BatchRefused',
    refusals: [
      { index: 1, refusal: { code: 'idempotency_key_busy' } },
      { index: 3, refusal: { code: 'idempotency_key_busy' } },
    ],
  })
  t.equal(await count(), 0)
  await producer.query('rollback')
  t.equal((await publishAll(items)).filter(({ duplicate }) => duplicate).length, 0)
})

for (const [end, duplicate] of [
  ['commit', true],
  ['rollback', false],
] as const) {
  t.test(`a batch waits for a held key, and others pass it: ${end}`, async (t) => {
    const { item, count } = await bundle()
    const producer = await holdKeys(t, pool, { tenant: item().tenant, keys: ['k'] })
    const patient = createBatchPublisher({ pool: publishing, keyWaitMsMax: Infinity })
    const waiting = [1, 2, 3].map((n) =>
      patient.publishAll([item({ idempotencyKey: `${n}` }), item({ idempotencyKey: 'k' })]),
    )
    for (let n = 0; n < 10; n++) await patient.publishAll([item()])
    t.equal(await count(), 10, 'nothing of those that wait')
    await producer.query(end)
    const published = (await Promise.all(waiting)).flat()
    const ofKey = published.filter((_, n) => n % 2 === 1)
    t.equal(new Set(ofKey.map(({ id }) => id)).size, 1)
    t.equal(ofKey.filter((one) => !one.duplicate).length, duplicate ? 0 : 1)
    t.equal(await count(), 10 + 3 + 1)
  })
}

const patiently =
  (all: KeyLocks['all']): KeyLocks['all'] =>
  (items, _endsAt, publish) =>
    all(items, Infinity, publish)

t.test('batches and single events that share keys are published one after the other', async (t) => {
  const { item, count } = await bundle()
  const locks = createKeyLocks()
  // They wait here for as long as it takes, and not at all for the database.
  const keyLocks = { ...locks, all: patiently(locks.all) }
  const batches = createBatchPublisher({ pool: publishing, keyLocks, keyWaitMsMax: 0 })
  const single = createPublisher({ pool: publishing, keyLocks, keyWaitMsMax: 0 })
  const [a, b] = ['a', 'b'].map((idempotencyKey) => item({ idempotencyKey })) as [
    PublishItem,
    PublishItem,
  ]
  await Promise.all(
    Array.from({ length: 10 }, () => [
      batches.publishAll([a, b]),
      single.publish(a),
      batches.publishAll([b, a]),
      single.publish(b),
    ]).flat(),
  )
  t.equal(await count(), 2)
})

t.test('more batches than connections at once all get through', async (t) => {
  const { item, count } = await bundle()
  const batch = () => publishAll([item(), item()])
  await Promise.all([
    ...Array.from({ length: 10 }, batch),
    t.rejects(publishAll([item({ tenant: '' })])),
  ])
  await idle()
  t.equal(await count(), 20)
})

t.test('a lost connection is an outage, and the next batch has a new one', async (t) => {
  const { item, count } = await bundle()
  const lock = await pool.connect()
  t.teardown(() => lock.release())
  await lock.query('begin; lock table postrider.event')
  const waiting = publishAll([item()])
  const rejected = t.rejects(waiting, new DatabaseUnavailable())
  await untilHolds(
    pool,
    `select exists (select from pg_stat_activity
       where application_name = 'publish-batch-test' and wait_event_type = 'Lock') as holds`,
  )
  await lock.query(
    `select pg_terminate_backend(pid) from pg_stat_activity
     where application_name = 'publish-batch-test' and wait_event_type = 'Lock'`,
  )
  await rejected
  await lock.query('rollback')
  await publishAll([item()])
  t.equal(await count(), 1)
})

t.test('a batch that takes too long is told to be smaller', async (t) => {
  const { item, count } = await bundle()
  const impatient = createPool({
    connectionString: url,
    max: 1,
    applicationName: 'impatient',
    statementTimeoutMs: 1_000,
  })
  t.teardown(() => impatient.end())
  const lock = await pool.connect()
  t.teardown(() => lock.release())
  await lock.query('begin; lock table postrider.event')
  const batches = createBatchPublisher({ pool: impatient })
  await t.rejects(batches.publishAll([item(), item()]), { code: 'batch_too_slow' })
  await lock.query('rollback')
  t.equal(await count(), 0)
  t.match(await batches.publishAll([item()]), [{ duplicate: false }], 'the connection goes on')
})

// One tenant whose batches took long, with a thousand endpoints, took every lane, and all others were refused.
t.test('a tenant whose batches take long leaves a lane to the others', async (t) => {
  const [slow, quick] = [await bundle(), await bundle()]
  await pool.query(`
    create function public.wait_for_test() returns trigger language plpgsql as
      $$ begin perform pg_advisory_xact_lock(77); return new; end $$`)
  await pool.query(`create trigger wait_for_test before insert on postrider.event
    for each row when (new.type = 'slow') execute function public.wait_for_test()`)
  const lock = await pool.connect()
  await lock.query('select pg_advisory_lock(77)')
  const items = [slow.item({ body: '{"type":"slow","data":1}' })]
  const waiting = Array.from({ length: 4 }, () => publishAll(items))
  await untilHolds(
    pool,
    `select count(*) = 2 as holds from pg_locks where locktype = 'advisory' and objid = 77 and not granted`,
  )
  t.equal((await publishAll([quick.item()])).length, 1)
  t.equal(await quick.count(), 1)
  await lock.query('select pg_advisory_unlock(77)')
  lock.release()
  t.equal((await Promise.all(waiting)).length, 4)
  t.equal(await slow.count(), 4)
})
