import { EventEmitter, once } from 'node:events'
import t from 'tap'
import type { AttemptId, EndpointId, TenantId } from '../ids.ts'
import { createDatabase } from '../postgres/pool.ts'
import { EVERY_TENANT } from '../tenants/listed-tenants.ts'
import { createWork } from '../testing/data/work.ts'
import { createTestDatabase } from '../testing/wiring/database.ts'
import { LiveAttempts, type LiveReader, NoReaderFree, TooManyReaders } from './live.ts'
import { idAt } from './live-feed.ts'
import type { ReadOptions } from './live-missed.ts'
import { type LiveMessage, WAITING_MAX } from './live-reader.ts'

const { pool } = await createTestDatabase(t)

async function bundle() {
  const errors = new EventEmitter()
  const live = new LiveAttempts({
    database: createDatabase(pool),
    onError: (error) => errors.emit('failed', error),
  })
  const work = await createWork(pool)
  const tenantId = work.tenant.id as TenantId
  /** Makes an attempt from begin to end. */
  const attempt = async (status = 200) => {
    const claimed = await work.claim(await work.publish())
    await work.finish(claimed, status)
    return claimed?.attemptId
  }
  return { live, work, tenantId, attempt, errors }
}

async function opened(live: LiveAttempts, options: ReadOptions) {
  const reader = await live.open(options)
  return { ...reader, next: nextOf(reader) }
}

/** The next message; rejects at the end. */
function nextOf(reader: LiveReader) {
  const messages = reader.messages()
  return async (): Promise<LiveMessage> => {
    const { value, done } = await messages.next()
    if (done) throw new Error(`it has ended: ${await reader.ended}`)
    return value
  }
}

/** Attempts that have ended, in one statement; of one delivery. */
async function insertEnded({ work, tenantId }: Awaited<ReturnType<typeof bundle>>, count: number) {
  const { id } = await work.publish()
  await pool.query(
    `insert into postrider.attempt
       (tenant_id, delivery_id, endpoint_id, number, trigger, outcome, status_code, runner, finished_at)
     select $1, $2, $3, n, 'schedule', 'delivered', 200, 'r', now() from generate_series(1, $4::int) as n`,
    [tenantId, id, work.endpoint.id, count],
  )
}

t.test('an attempt is told at its end, with its delivery and its event', async (t) => {
  const { live, work, tenantId, attempt } = await bundle()
  const reader = await opened(live, { tenants: tenantId, withBody: true })
  t.teardown(reader.close)
  const id = await attempt(500)
  const { attempt: told, delivery, event, body } = await reader.next()
  t.match(told, { id, outcome: 'rejected', status_code: 500, number: 1 })
  t.match(delivery, { id: told.delivery_id, state: 'failed', tenant_id: tenantId })
  t.match(event, { id: delivery.event_id, type: 'invoice.paid' })
  t.match(JSON.parse(body ?? ''), { type: 'invoice.paid', data: { id: 1 } })
  t.equal(told.endpoint_id, work.endpoint.id)
})

t.test('an attempt that had begun before anybody read is told at its end', async (t) => {
  const { live, work, tenantId } = await bundle()
  const claimed = await work.claim(await work.publish())
  const reader = await opened(live, { tenants: tenantId })
  t.teardown(reader.close)
  await work.finish(claimed, 200)
  t.equal((await reader.next()).attempt.id, claimed?.attemptId)
})

t.test('what is committed late is told, although later attempts were told before', async (t) => {
  // Ids and times are given before the commit, so reading from the highest one on would skip these.
  const { live, work, tenantId, attempt } = await bundle()
  const delivery = await work.publish()
  const reader = await opened(live, { tenants: tenantId })
  t.teardown(reader.close)
  const client = await pool.connect()
  t.teardown(() => client.release())
  await client.query('begin')
  const { rows } = await client.query(
    'select attempt_id, delivery_id from postrider.claim_many(array[$1::uuid], array[1], $2)',
    [delivery.id, work.runner],
  )
  const later = [await attempt(), await attempt()]
  t.strictSame([(await reader.next()).attempt.id, (await reader.next()).attempt.id], later)
  t.ok(later.every((id) => id && id > rows[0].attempt_id))
  const result = { attempt_id: rows[0].attempt_id, delivery_id: delivery.id, outcome: 'delivered' }
  await client.query('select * from postrider.finish_many($1)', [JSON.stringify([result])])
  await client.query('commit')
  t.equal((await reader.next()).attempt.id, rows[0].attempt_id)
})

t.test('answers are read only while somebody wants them', async (t) => {
  const { live, tenantId, attempt } = await bundle()
  const brief = await opened(live, { tenants: tenantId, withAnswers: false })
  t.teardown(brief.close)
  const first = await attempt(500)
  const { attempt: alone } = await brief.next()
  t.match(alone, { id: first, reason: 'status_5xx', response_headers: null, response_body: null })
  t.ok(alone.request_headers)

  const whole = await opened(live, { tenants: tenantId })
  t.teardown(whole.close)
  const second = await attempt(500)
  t.match((await whole.next()).attempt, { id: second, response_headers: '{}' })
  t.match((await brief.next()).attempt, { id: second })
})

t.test('a filter lets through what it names', async (t) => {
  const { live, work, tenantId } = await bundle()
  const other = await work.tenant.addEndpoint({ url: 'http://127.0.0.1:1/' })
  const filters: ReadOptions[] = [
    { tenants: tenantId, endpointId: work.endpoint.id as EndpointId },
    { tenants: tenantId, endpointId: other.id as EndpointId },
    { tenants: tenantId, type: 'invoice.*' },
    { tenants: tenantId, type: 'order.paid' },
    { tenants: tenantId, type: '*' },
    { tenants: tenantId, outcome: 'rejected' },
    { tenants: tenantId, statusClass: 5 },
    { tenants: tenantId, statusClass: 2 },
    { tenants: tenantId, reason: 'status_5xx' },
  ]
  const readers = await Promise.all(filters.map((options) => opened(live, options)))
  const all = await opened(live, { tenants: tenantId })
  t.teardown(() => [all, ...readers].map(({ close }) => close()))
  const eventId = await work.tenant.publish('invoice.paid')
  await work.tenant.publish('order.paid')
  const { rows } = await pool.query(
    'select id, due_attempt, event_id, endpoint_id from postrider.delivery where tenant_id = $1',
    [tenantId],
  )
  for (const row of rows) {
    const isInvoice = row.event_id === eventId
    await work.finish(await work.claim(row), isInvoice ? 200 : 500)
  }
  const messages = [await all.next(), await all.next(), await all.next(), await all.next()]
  const matching: ((message: LiveMessage) => boolean)[] = [
    ({ attempt }) => attempt.endpoint_id === work.endpoint.id,
    ({ attempt }) => attempt.endpoint_id === other.id,
    ({ event }) => event?.type === 'invoice.paid',
    ({ event }) => event?.type === 'order.paid',
    () => true,
    ({ attempt }) => attempt.outcome === 'rejected',
    ({ attempt }) => attempt.status_code === 500,
    ({ attempt }) => attempt.status_code === 200,
    ({ attempt }) => attempt.reason === 'status_5xx',
  ]
  for (const [index, reader] of readers.entries()) {
    const expected = messages.filter((message) => matching[index]?.(message))
    const told: LiveMessage[] = []
    while (told.length < expected.length) told.push(await reader.next())
    t.strictSame(
      told.map(({ attempt }) => attempt.id),
      expected.map(({ attempt }) => attempt.id),
      JSON.stringify(filters[index]),
    )
  }
})

t.test('a tenant is told its own attempts, the operator those of all', async (t) => {
  const mine = await bundle()
  const { live, tenantId } = mine
  const others = await bundle()
  const reader = await opened(live, { tenants: tenantId })
  const operator = await opened(live, { tenants: EVERY_TENANT })
  t.teardown(() => [reader, operator].map(({ close }) => close()))
  const foreign = await others.attempt()
  const own = await mine.attempt()
  t.equal((await reader.next()).attempt.id, own)
  t.equal((await operator.next()).attempt.id, foreign)
  t.equal((await operator.next()).attempt.id, own)
})

t.test('who comes back with a cursor is told what ended meanwhile', async (t) => {
  const { live, tenantId, attempt } = await bundle()
  const reader = await opened(live, { tenants: tenantId })
  const first = await attempt()
  const { cursor, attempt: told } = await reader.next()
  t.equal(told.id, first)
  reader.close()
  const missed = [await attempt(), await attempt(500)]
  const again = await opened(live, { tenants: tenantId, after: cursor })
  t.teardown(again.close)
  const now = await attempt()
  t.equal(again.hasGap, false)
  t.strictSame(
    [(await again.next()).attempt.id, (await again.next()).attempt.id],
    missed,
    'the attempt of the cursor does not come again',
  )
  t.equal((await again.next()).attempt.id, now)
  const filtered = await opened(live, { tenants: tenantId, after: cursor, outcome: 'rejected' })
  t.teardown(filtered.close)
  t.equal((await filtered.next()).attempt.id, missed[1])
})

t.test('who was away for too long is told so', async (t) => {
  const { live, tenantId } = await bundle()
  const minutes = (n: number) => String(Date.now() - n * 60_000)
  for (const [after, hasGap] of [
    [minutes(14), false],
    [minutes(16), true],
    ['nonsense', true],
  ] as const) {
    const reader = await live.open({ tenants: tenantId, after })
    t.equal(reader.hasGap, hasGap, after)
    reader.close()
  }
})

t.test('who missed more than 1,000 is told so, and the latest of them', async (t) => {
  const parts = await bundle()
  const { live, tenantId } = parts
  const after = String(Date.now() - 60_000)
  await insertEnded(parts, 1_000)
  const enough = await live.open({ tenants: tenantId, after })
  t.equal(enough.hasGap, false)
  enough.close()
  await insertEnded(parts, 1)
  const reader = await opened(live, { tenants: tenantId, after })
  t.teardown(reader.close)
  t.equal(reader.hasGap, true)
  t.equal((await reader.next()).attempt.number, 2)
})

t.test('who reads too slowly is cut off, and nobody else', async (t) => {
  const parts = await bundle()
  const { live, tenantId, attempt } = parts
  const slow = await opened(live, { tenants: tenantId })
  const quick = await opened(live, { tenants: tenantId })
  t.teardown(quick.close)
  const reading = (async () => {
    for (let n = 0; n <= WAITING_MAX; n += 1) await quick.next()
    return await quick.next()
  })()
  await insertEnded(parts, WAITING_MAX + 1)
  t.equal(await slow.ended, 'too_slow')
  await t.rejects(slow.next(), /too_slow/)
  const id = await attempt()
  t.equal((await reading).attempt.id, id)
})

t.test('what waits for a reader may be as much as is said', async (t) => {
  const parts = await bundle()
  const reader = await opened(parts.live, { tenants: parts.tenantId })
  t.teardown(reader.close)
  await insertEnded(parts, WAITING_MAX)
  for (let n = 1; n <= WAITING_MAX; n += 1) t.equal((await reader.next()).attempt.number, n)
})

t.test('a reader says where it is once nothing waits for it', async (t) => {
  const { live, tenantId, attempt } = await bundle()
  const reader = await opened(live, { tenants: tenantId })
  const id = await attempt()
  t.equal((await reader.next()).attempt.id, id)
  const cursor = reader.cursor()
  t.match(cursor, /^\d{13}$/)
  reader.close()
  const later = await attempt()
  const again = await opened(live, { tenants: tenantId, after: cursor ?? '' })
  t.teardown(again.close)
  const told = [(await again.next()).attempt.id]
  if (told[0] === id) told.push((await again.next()).attempt.id) // some may come again
  t.equal(told.at(-1), later)
})

t.test('a tenant has 20 readers, and a place is free again once one has gone', async (t) => {
  const { live, tenantId } = await bundle()
  const readers = await Promise.all(
    Array.from({ length: 20 }, () => live.open({ tenants: tenantId })),
  )
  await t.rejects(live.open({ tenants: tenantId }), TooManyReaders)
  const operator = await live.open({ tenants: EVERY_TENANT })
  operator.close()
  readers[0]?.close()
  const next = await live.open({ tenants: tenantId })
  for (const reader of [...readers, next]) reader.close()
})

t.test('a stop ends every reader and lets no more in', async (t) => {
  const { live, tenantId } = await bundle()
  const reader = await live.open({ tenants: tenantId })
  live.stop()
  t.equal(await reader.ended, 'stopped')
  await t.rejects(live.open({ tenants: tenantId }), NoReaderFree)
})

t.test('a lost database is read again, and what ended meanwhile is told', async (t) => {
  const { live, tenantId, attempt, errors } = await bundle()
  const reader = await opened(live, { tenants: tenantId })
  t.teardown(reader.close)
  const failed = once(errors, 'failed')
  await pool.query('alter table postrider.attempt rename column finished_at to away')
  await failed
  await pool.query('alter table postrider.attempt rename column away to finished_at')
  const id = await attempt()
  t.equal((await reader.next()).attempt.id, id)
})

t.test('the lowest id of a millisecond is that of Postgres', async (t) => {
  for (const ms of [0, 1, Date.now(), 2 ** 48 - 1]) {
    const { rows } = await pool.query(
      'select postrider.id_at(to_timestamp($1::float8 / 1000)) as id',
      [ms],
    )
    t.equal(idAt(ms) as AttemptId, rows[0].id)
  }
})
