import t, { type Test } from 'tap'
import type { DeliveryId, EndpointId } from '../ids.ts'
import { createFinishTogether, type Finished } from '../runner/finish.ts'
import { createReplan } from '../runner/replan.ts'
import {
  type BatchMember,
  type BatchStep,
  createTakeBatch,
  type Taken,
} from '../runner/take-batch.ts'
import type { AttemptResult } from '../sending/outcome.ts'
import { createWork } from '../testing/data/work.ts'
import { untilHolds } from '../testing/until.ts'
import { onBothPostgres, type TestDatabase } from '../testing/wiring/database.ts'

onBothPostgres(t, conformance)

const BOUNDS = { maxEvents: 3, maxWaitMs: 3_600_000, maxBytes: 100_000 }
const CLAIM: BatchStep = { step: 'claim' }

function conformance(t: Test, { pool }: TestDatabase) {
  async function bundle(columns: Record<string, unknown> = {}, bounds = {}) {
    const work = await createWork(pool, {
      batch_bounds: JSON.stringify({ ...BOUNDS, ...bounds }),
      ...columns,
    })
    const takeOne = createTakeBatch(pool, work.runner)
    const finishTogether = createFinishTogether(pool, { disableAfterSeconds: 5 * 86_400 })
    type Delivery = Awaited<ReturnType<typeof work.publish>>
    return {
      ...work,
      publishSome: (count: number) =>
        Promise.all(Array.from({ length: count }, () => work.publish())).then((all) =>
          all.toSorted((a, b) => (a.id < b.id ? -1 : 1)),
        ),
      take: (deliveries: Pick<Delivery, 'id' | 'due_attempt'>[], step = CLAIM): Promise<Taken> =>
        takeOne(
          work.endpoint.id as EndpointId,
          deliveries.map(({ id, due_attempt: dueAttempt }) => ({
            deliveryId: id as DeliveryId,
            dueAttempt,
          })),
          step,
        ),
      /** Of all members alike, unless told otherwise; tried again as the batch that they are. */
      finish: (members: BatchMember[], status: number, more: Partial<Finished> = {}) =>
        finishTogether(
          members.map((member, at) => ({
            deliveryId: member.deliveryId,
            attemptId: member.attemptId,
            result: resultOf(status),
            nextInSeconds: status < 300 ? null : 60,
            batchId: status < 300 ? null : member.batchId,
            isUncounted: at > 0,
            ...more,
          })),
          members[0]?.batchId ?? '',
        ),
      now: (deliveries: Delivery[]) =>
        Promise.all(deliveries.map(({ eventId }) => work.deliveryOf(eventId))),
    }
  }
  const idsOf = (all: { id?: string; deliveryId?: string }[]) =>
    all.map(({ id, deliveryId }) => id ?? deliveryId)
  const breaches = async (tenantId: string) =>
    (
      await pool.query(
        'select kind, detail from postrider.invariant_violation where tenant_id = $1',
        [tenantId],
      )
    ).rows
  const call = (name: string, ...values: unknown[]) =>
    pool
      .query<{ said: unknown }>(
        `select postrider.${name}(${values.map((_, at) => `$${at + 1}`).join(', ')}) as said`,
        values,
      )
      .then(({ rows }) => rows[0]?.said)
  const circuitOf = async (endpointId: string) =>
    (await pool.query('select * from postrider.circuit where endpoint_id = $1', [endpointId])).rows

  t.test('what is not enough is put off, each with its job, and no breach', async (t) => {
    const { tenant, publishSome, take, now } = await bundle()
    const two = await publishSome(2)
    const taken = await take(two)
    t.strictSame([taken.claimed, taken.left.size], [[], 0])
    t.ok((taken.dueInMs ?? 0) > 3_500_000)
    for (const delivery of await now(two)) {
      t.match(delivery, { state: 'pending', due_attempt: 2, job_number: 2, claim: null })
      t.ok((delivery.run_in ?? 0) > 3_500)
    }
    t.strictSame(await breaches(tenant.id), [])
  })

  t.test(
    'a full batch is claimed with those that wait, and one of them keeps its job',
    async (t) => {
      const { tenant, publishSome, take, now } = await bundle()
      const two = await publishSome(2)
      await take(two)
      const [third, fourth] = await publishSome(2)
      const taken = await take([third, fourth] as never)
      t.strictSame(idsOf(taken.claimed), idsOf([...two, third as never]))
      t.strictSame([...taken.left], [fourth?.id])
      t.equal(new Set(taken.claimed.map(({ batchId }) => batchId)).size, 1)
      t.equal(taken.claimed[2]?.url, taken.claimed[0]?.url, 'what they share is told of each')
      const [first, second, last] = await now([...two, third as never])
      for (const one of [first, second]) t.match(one, { state: 'delivering', job: null })
      t.match(
        last,
        { state: 'delivering', due_attempt: 1, job_number: 1 },
        'the one that was woken',
      )
      t.strictSame(await breaches(tenant.id), [])
      t.strictSame((await take([fourth] as never)).claimed, [], 'the next batch is not full')
    },
  )

  t.test('how long a body is, is known without building it', async (t) => {
    const { rows } = await pool.query(
      `select octet_length(postrider.body(e.type, now(), e.data)) - postrider.body_length(e.type, e.data) as difference
       from (values ('a', '1'::json), ('order.paid-2', '{"é": "\u00e9", "n": 1.0}'), ('a.b', '[ ]')) as e (type, data)`,
    )
    t.same(rows, Array(3).fill({ difference: 0 }))
  })

  t.test('a job that is late claims nothing', async (t) => {
    const { publishSome, take, now } = await bundle()
    const three = await publishSome(3)
    const [first] = three
    t.equal((await take([first] as never)).claimed.length, 0)
    t.equal((await take([first] as never)).claimed.length, 0, 'its number is not the newest')
    t.equal((await take(await now([first] as never))).claimed.length, 0, 'and that one is early')
    t.equal((await take(three)).claimed.length, 3, 'it is counted once')
    t.equal((await take([first, three[2]] as never)).claimed.length, 0)
  })

  t.test('a batch that failed is claimed whole by any of its jobs, under its id', async (t) => {
    const { tenant, publishSome, take, finish, now } = await bundle()
    const three = await publishSome(3)
    const { claimed } = await take(three)
    t.strictSame(await finish(claimed, 500), ['pending', 'pending', 'pending'])
    const failed = await now(three)
    t.equal(new Set(failed.map(({ run_at }) => run_at?.getTime())).size, 1, 'due together')
    t.ok(failed.every(({ job_number, due_attempt }) => job_number === due_attempt))
    t.strictSame(await breaches(tenant.id), [])
    const more = await publishSome(2)
    const again = await take([failed[1], ...more] as never)
    t.strictSame(idsOf(again.claimed), idsOf(three), 'and nobody joins it')
    t.equal(again.claimed[0]?.batchId, claimed[0]?.batchId)
    t.strictSame([...again.left].sort(), idsOf(more).sort())
    t.equal((await circuitOf(claimed[0]?.endpointId ?? ''))[0]?.failures, 1, 'one request failed')
    t.strictSame(await finish(again.claimed, 200), ['delivered', 'delivered', 'delivered'])
    t.strictSame(await circuitOf(claimed[0]?.endpointId ?? ''), [])
  })

  t.test('who loses its runner is taken over with the others', async (t) => {
    const { publishSome, take, now, attemptsOf, die, runner } = await bundle()
    const three = await publishSome(3)
    const { claimed } = await take(three)
    await die()
    await call('reconcile', '0 seconds')
    const requeued = await now(three)
    t.ok(
      requeued.every(({ job }) => job !== null),
      'each has a job again',
    )
    await pool.query('update postrider.runner set reaped_at = null where id = $1', [runner])
    const again = await take([requeued[2]] as never)
    t.strictSame(idsOf(again.claimed), idsOf(three))
    t.equal(again.claimed[0]?.batchId, claimed[0]?.batchId)
    for (const { id } of three) {
      t.match(await attemptsOf(id), [{ outcome: 'abandoned' }, { outcome: 'started' }])
    }
  })

  t.test('a payload that kills runners is put off, alone or together', async (t) => {
    const { tenant, publishSome, take, now } = await bundle()
    const three = await publishSome(3)
    const [lead] = three
    t.equal((await take(three)).claimed.length, 3)
    for (const cutOff of [1, 2]) {
      t.equal((await take([lead] as never)).claimed.length, 3, `taken over ${cutOff}`)
    }
    t.equal((await take([lead] as never)).claimed.length, 0)
    for (const delivery of await now(three)) {
      t.equal(delivery.state, 'pending')
      t.ok((delivery.run_in ?? 0) > 500)
    }
    t.strictSame(await breaches(tenant.id), [])
  })

  t.test('halves go at once, each under another id, and cost no step', async (t) => {
    const { endpoint, publishSome, take, finish, now } = await bundle()
    const three = await publishSome(3)
    const { claimed } = await take(three)
    const half = claimed[0]?.attemptId ?? null
    await finish(claimed, 413, { nextInSeconds: 0, isHalved: true, batchId: half })
    t.match(await now(three), Array(3).fill({ state: 'pending', schedule_step: 0 }))
    t.strictSame(await circuitOf(endpoint.id), [], 'it says nothing about the endpoint')
    const again = await take([(await now(three))[0]] as never)
    t.strictSame([again.claimed.length, again.claimed[0]?.batchId], [3, half])
  })

  t.test('a limit puts off the batch as a whole, and takes one slot', async (t) => {
    const { publishSome, take, now, endpoint } = await bundle({ rate_per_second: 1 })
    const three = await publishSome(3)
    const reservation = { at: Date.now() + 60_000, rateVersion: 0 }
    t.equal((await take(three, { step: 'look' })).isReady, true)
    t.match(await now(three), Array(3).fill({ due_attempt: 1 }), 'to look changes nothing')
    const putOff = await take(three, { step: 'put_off', waitMs: 60_000, reservation })
    t.strictSame([putOff.claimed.length, putOff.left.size, putOff.dueInMs], [0, 0, null])
    const waiting = await now(three)
    for (const { run_in } of waiting) t.ok((run_in ?? 0) > 50 && (run_in ?? 0) <= 60)
    const more = await publishSome(2)
    t.equal((await take(more, { step: 'look' })).isReady, false, 'they begin another one')
    await pool.query('update postrider.endpoint set rate_per_second = 10 where id = $1', [
      endpoint.id,
    ])
    const asked: unknown[] = []
    const replan = createReplan({
      pool,
      rateLimiter: {
        reserve: async (id) => {
          asked.push(id)
          return { waitMs: 0, reservation: null }
        },
      },
      snooze: async () => undefined,
      limitsOf: () => ({
        ...{ tenantId: null, ratePerSecond: 10, rateVersion: 1 },
        ...{ maxInFlight: null, timeoutSeconds: null },
      }),
    })
    t.equal(
      await replan(endpoint.id as EndpointId, false),
      1,
      'a changed rate plans one slot for it',
    )
    t.equal((await take([waiting[2]] as never)).claimed.length, 3)
  })

  t.test(
    'cancelled members are left out of it, and its job is not the only way to it',
    async (t) => {
      const { tenant, publishSome, take, finish, now } = await bundle()
      const three = await publishSome(3)
      const { claimed } = await take(three)
      await finish(claimed, 500)
      await call('cancel', three[0]?.id)
      const [, second] = await now(three)
      const again = await take([second] as never)
      t.strictSame(idsOf(again.claimed), idsOf(three.slice(1)))
      t.equal(again.claimed[0]?.batchId, claimed[0]?.batchId, 'fewer, under the same id')
      await call('cancel', three[1]?.id)
      t.strictSame(await finish(again.claimed, 500), ['cancelled', 'pending'])
      t.strictSame(await breaches(tenant.id), [])
    },
  )

  t.test('a person retries one alone, at once; the others wait for their time', async (t) => {
    const { publishSome, take, finish, now } = await bundle()
    const three = await publishSome(3)
    const { claimed } = await take(three)
    await finish(claimed, 500)
    await call('retry_now', three[1]?.id)
    const [first, second] = await now(three)
    const alone = await take([second] as never)
    t.strictSame(idsOf(alone.claimed), [three[1]?.id])
    t.not(alone.claimed[0]?.batchId, claimed[0]?.batchId)
    const others = await take([first] as never)
    t.strictSame(idsOf(others.claimed), [three[0]?.id, three[2]?.id])
  })

  t.test(
    'while the endpoint is paused nothing waits for more, and later all is sent',
    async (t) => {
      const { tenant, endpoint, publishSome, take, finish, now } = await bundle()
      const three = await publishSome(3)
      const { claimed } = await take(three)
      await finish(claimed, 500)
      await call('pause_endpoint', endpoint.id)
      const two = await publishSome(2)
      t.strictSame((await take([...(await now(three)).slice(0, 1), ...two])).claimed, [])
      await take(two)
      t.match(await now([...three, ...two]), Array(5).fill({ state: 'held', job: null }))
      await call('resume_endpoint', endpoint.id)
      t.strictSame(await breaches(tenant.id), [])
      await call('hold_deliveries', idsOf(three.slice(1)), 'paused')
      const again = await take([(await now(three))[0]] as never)
      t.strictSame(idsOf(again.claimed), idsOf(three), 'with those that are held yet')
      t.equal(again.claimed[0]?.batchId, claimed[0]?.batchId)
    },
  )

  t.test('the probe of an open circuit takes its batch along', async (t) => {
    const { endpoint, publishSome, take, finish, now } = await bundle()
    const three = await publishSome(3)
    let { claimed } = await take(three)
    const [batch] = claimed
    for (let failures = 1; failures < 20; failures++) {
      await finish(claimed, 500)
      claimed = (await take([(await now(three))[0]] as never)).claimed
    }
    await finish(claimed, 500)
    t.match(await circuitOf(endpoint.id), [{ failures: 20 }])
    await call('align', endpoint.id)
    t.match(await now(three), Array(3).fill({ state: 'held' }))
    await pool.query('update postrider.circuit set probe_at = now() where endpoint_id = $1', [
      endpoint.id,
    ])
    const probe = await call('probe', endpoint.id)
    const [woken] = (await now(three)).filter(({ id }) => id === probe)
    const probing = await take([woken] as never)
    t.strictSame(idsOf(probing.claimed), idsOf(three))
    t.equal(probing.claimed[0]?.batchId, batch?.batchId)
    await finish(probing.claimed, 200)
    t.strictSame(await circuitOf(endpoint.id), [], 'and closes it')
  })

  t.test(
    'an event that is put into a batch as a later one of its key is published does not wait',
    async (t) => {
      const { tenant, endpoint, publishInOrder, runner, deliveryOf } = await bundle({
        ordering: 'key',
      })
      const [first = ''] = await publishInOrder('a')
      const { id, due_attempt: dueAttempt } = await deliveryOf(first)
      const taking = await pool.connect()
      t.teardown(() => taking.release())
      await taking.query('begin')
      const take = createTakeBatch(taking as unknown as typeof pool, runner)
      await take(endpoint.id as EndpointId, [{ deliveryId: id as DeliveryId, dueAttempt }], CLAIM)
      await publishInOrder('a')
      const moved = pool.query(`select postrider.advance_line($1, $2, 'a', 1)`, [
        tenant.id,
        endpoint.id,
      ])
      await untilHolds(
        pool,
        `select count(*) > 0 as holds from pg_stat_activity
       where datname = current_database() and wait_event_type = 'Lock' and query ~ 'advance_line'`,
      )
      await taking.query('commit')
      await moved
      t.ok(((await deliveryOf(first)).run_in ?? 1) <= 0)
    },
  )

  t.test('a deleted endpoint and a deleted tenant leave nothing', async (t) => {
    const { tenant, endpoint, publishSome, take, now } = await bundle()
    const two = await publishSome(2)
    await take(two)
    await pool.query('select postrider.delete_endpoint($1, $2)', [tenant.id, endpoint.id])
    t.strictSame((await take(await now(two))).claimed, [])
    t.match(await now(two), Array(2).fill({ state: 'cancelled' }))
    await pool.query('delete from postrider.tenant where id = $1', [tenant.id])
    const { rows } = await pool.query('select from postrider.batch_room where tenant_id = $1', [
      tenant.id,
    ])
    t.strictSame(rows, [])
  })

  t.test('an endpoint without batches refuses, one with batches is not sent singly', async (t) => {
    const plain = await bundle({ batch_bounds: null })
    const delivery = await plain.publish()
    t.strictSame([...(await plain.take([delivery])).single], [delivery.id])
    t.ok(await plain.claim(delivery))
    const batched = await bundle()
    const other = await batched.publish()
    await t.rejects(batched.claim(other), { code: 'sent_in_batches' })
    t.match(await batched.deliveryOf(other.eventId), { state: 'pending', due_attempt: 1 })
  })
}

const resultOf = (statusCode: number): AttemptResult => ({
  outcome: statusCode < 300 ? 'delivered' : 'rejected',
  statusCode,
  reason: statusCode < 300 ? null : statusCode < 500 ? 'status_4xx' : 'status_5xx',
  error: null,
  durationMs: 10,
  timings: { dnsMs: null, connectMs: null, tlsMs: null, firstByteMs: null },
  requestHeaders: {},
  responseHeaders: {},
  responseBody: '',
  retryAfterSeconds: null,
})
