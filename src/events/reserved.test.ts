/** What belongs to the service itself is published by nobody else, whichever way they take (issue 15). */

import t, { type Test } from 'tap'
import { publish } from '../outbox/outbox.ts'
import { createPool } from '../postgres/pool.ts'
import { createWork } from '../testing/data/work.ts'
import { isLong } from '../testing/long.ts'
import { connect, createRolesDatabase } from '../testing/servers/roles-server.ts'

t.test('on Postgres 18', (t) => conformance(t))
if (isLong) t.test('on Postgres 15', (t) => conformance(t, 15))

const OPERATOR = 'postrider:operator'
const DENIED = '42501'
const REFUSED = '22023'
const FORGED = { type: 'endpoint.disabled', data: { endpointId: 'forged' } }

async function conformance(t: Test, major?: number) {
  const database = await createRolesDatabase(
    t,
    ['postrider_producer', 'postrider_operator', 'postrider_runner', 'postrider_api'],
    major ? { major } : {},
  )
  if (!database) return t.plan(0, 'Postgres 15 is not installed: apt-get install postgresql')
  const { url, urls } = database
  const pool = createPool({ connectionString: url, max: 4, applicationName: 'test' })
  t.teardown(() => pool.end())
  const producer = await connect(t, urls.postrider_producer)
  const work = await createWork(pool)
  const stored = async () =>
    (
      await pool.query(
        `select ev.type from postrider.event ev
         join postrider.tenant t on t.id = ev.tenant_id
         where t.key ~ '^postrider:' or ev.type ~ '^postrider[.]'`,
      )
    ).rows
  const many = async (...events: object[]) =>
    (await producer.query('select * from postrider.publish_many($1)', [JSON.stringify(events)]))
      .rows

  for (const tenant of [OPERATOR, 'postrider:', 'postrider:nobody']) {
    t.test(`nothing is published for the tenant ${tenant}`, async (t) => {
      const call = producer.query('select postrider.publish($1, $2, $3)', [tenant, 'a.b', '{}'])
      await t.rejects(call, { code: REFUSED, message: /^tenant_reserved: /, column: 'tenant' })
      const event = { tenant, ...FORGED }
      await t.rejects(publish(producer, event), { code: REFUSED, message: /^tenant_reserved: / })
      const own = { tenant: work.tenant.key, type: 'a.b', data: 1 }
      t.match(await many(event, own, { ...event, idempotencyKey: 'k' }), [
        { event_id: null, error: 'tenant_reserved' },
        { event_id: String, error: null },
        { event_id: null, error: 'tenant_reserved' },
      ])
      const lone = { ...event, data: '\ud800' }
      t.match(
        await producer.query('select * from postrider.publish_many($1::text::json)', [
          JSON.stringify([lone, event]).replace('\\ud800', '\\u0000'),
        ]),
        { rows: [{ error: 'data_unsupported' }, { error: 'tenant_reserved' }] },
        'also where the items are looked at one by one',
      )
      const twice = `[{"tenant": "${work.tenant.key}", "type": "a.b", "data": 1, "tenant": "${tenant}"}]`
      t.match(await producer.query('select * from postrider.publish_many($1)', [twice]), {
        rows: [{ error: 'tenant_reserved' }],
      })
      t.strictSame(await stored(), [])
    })
  }

  t.test('nor a type that begins with postrider., for any tenant', async (t) => {
    const { key: tenant } = work.tenant
    for (const type of ['postrider.test', 'postrider.a.b']) {
      const call = producer.query('select postrider.publish($1, $2, $3)', [tenant, type, '{}'])
      await t.rejects(call, { code: REFUSED, message: /^type_reserved: /, column: 'type' })
      t.match(await many({ tenant, type, data: 1 }), [{ error: 'type_reserved' }])
    }
    t.strictSame(await stored(), [])
    for (const type of ['postrider', 'postriders.a', 'a.postrider.b', 'endpoint.disabled']) {
      t.match(await many({ tenant, type, data: 1 }), [{ error: null }], type)
    }
  })

  t.test('nor what only the Svix-compatible API says of an event', async (t) => {
    const event = { tenant: work.tenant.key, type: 'a.b', data: 1 }
    const eraseAt = '2100-01-01T00:00:00Z'
    for (const own of [{ asSvix: true }, { svix: { tags: ['a'] } }, { eraseAt }]) {
      t.match(await many({ ...event, ...own }, event), [
        { event_id: null, error: 'member_unknown' },
        { event_id: String, error: null },
      ])
    }
    const api = await connect(t, urls.postrider_api)
    const publish = (item: object) =>
      api.query('select error from postrider.publish_many($1)', [JSON.stringify([item])])
    const own = { asSvix: true, svix: {}, eraseAt }
    t.match((await publish({ ...event, ...own })).rows, [{ error: null }])
    t.match((await publish({ ...event, ...own, other: 1 })).rows, [{ error: 'member_unknown' }])
  })

  t.test('a producer has no right to what does so for the service itself', async (t) => {
    const event = JSON.stringify([{ tenant: OPERATOR, ...FORGED }])
    for (const call of [
      `postrider.store_events('${event}', true)`,
      `postrider.store_events('${event}', false)`,
      `postrider.emit('${work.tenant.id}', 'endpoint.disabled', '{}')`,
      `postrider.publish_test('${work.endpoint.id}', 'endpoint.disabled', '{}')`,
    ]) {
      for (const role of [producer, await connect(t, urls.postrider_operator)]) {
        await t.rejects(role.query(`select ${call}`), { code: DENIED }, call)
      }
    }
    t.strictSame(await stored(), [])
  })

  t.test('an operator does not silence the tenant of operational events either', async (t) => {
    const operator = await connect(t, urls.postrider_operator)
    await t.rejects(operator.query('select postrider.suspend_tenant($1)', [OPERATOR]), {
      code: '55000',
      message: /reserved/,
    })
  })

  t.test('what the service has to say is published as before', async (t) => {
    const due = await work.publish()
    await pool.query(`update postrider.delivery set schedule_step = 1000 where id = $1`, [due.id])
    await work.finish(await work.claim(due), 410, null)
    t.strictSame(
      (await stored()).map(({ type }) => type),
      ['endpoint.disabled', 'delivery.exhausted'],
    )
  })
}
