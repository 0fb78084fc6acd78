import t, { type Test } from 'tap'
import type { EventId, TenantId } from '../ids.ts'
import { createTenant } from '../testing/data/tenant.ts'
import { createTestServices } from '../testing/wiring/api.ts'
import { onBothPostgres, type TestDatabase } from '../testing/wiring/database.ts'

onBothPostgres(t, conformance)

function conformance(t: Test, { pool }: TestDatabase) {
  const { routing } = createTestServices(pool)
  const URL = 'http://127.0.0.1:1/'

  async function bundle() {
    const tenant = await createTenant(pool)
    const explain = async (eventId: string) => {
      const routes = await routing.explain(tenant.id as TenantId, eventId as EventId)
      return new Map(routes.map((route) => [String(route.endpointId), route]))
    }
    const change = (id: string, assignment: string) =>
      pool.query(
        `update postrider.endpoint set ${assignment}, updated_at = clock_timestamp() where id = $1`,
        [id],
      )
    return { tenant, explain, change }
  }

  t.test('what route_items() decided and what is explained are the same', async (t) => {
    const { tenant, explain } = await bundle()
    const eventTypes = [['*'], ['order.*'], ['order.paid'], ['order'], ['invoice.paid', 'a.b.*']]
    const filters = [
      null,
      '$.n > 1',
      '!($.n > 1)',
      '$.n == "x"',
      '$.a[*] == 2 && $.n < 5',
      '$.b == true',
    ]
    for (const event_types of eventTypes) {
      for (const filter of filters) await tenant.addEndpoint({ url: URL, event_types, filter })
    }
    const types = ['order', 'order.paid', 'order.paid.late', 'invoice.paid', 'a.b', 'a.b.c']
    const datas = [{ n: 1 }, { n: 2, a: [1, 2] }, { n: 'x' }, [], 5, { b: true, a: [2], n: 3 }]
    let matched = 0
    for (const type of types) {
      for (const data of datas) {
        const id = await tenant.publish(type, data)
        const { rows } = await pool.query<{ endpoint_id: string }>(
          'select endpoint_id from postrider.delivery where event_id = $1',
          [id],
        )
        const routes = await explain(id)
        // As if nothing had been delivered, so that the reasons are worked out.
        await pool.query('delete from postrider.delivery where event_id = $1', [id])
        const reasons = await explain(id)
        for (const [endpointId, { reason, deliveryId }] of routes) {
          const isDelivered = rows.some(({ endpoint_id }) => endpoint_id === endpointId)
          const explained = reasons.get(endpointId)?.reason
          matched += Number(isDelivered)
          if (isDelivered)
            t.match({ reason, explained }, { reason: null, explained: 'changed_later' })
          else t.match({ reason, deliveryId }, { reason: /^(?:type|filter)$/, deliveryId: null })
          t.equal(isDelivered, !['type', 'filter'].includes(String(explained)))
        }
      }
    }
    t.ok(matched > 100, `${matched} deliveries`)
  })

  t.test(
    'channels decide alike in publish, in what is explained, in a replay and among violations',
    async (t) => {
      const { tenant, explain } = await bundle()
      const add = async (columns = {}) =>
        (
          await tenant.addEndpoint({
            url: URL,
            created_at: new Date(Date.now() - 3_600_000),
            updated_at: new Date(Date.now() - 3_600_000),
            ...columns,
          })
        ).id
      const all = await add()
      const red = await add({ channels: ['red'] })
      const both = await add({ channels: ['red', 'blue'], filter: '$.id == 1' })
      const green = await add({ channels: ['green'], event_types: ['a.*'] })
      const cases: [channels: string[] | null, endpoints: string[]][] = [
        [null, [all]],
        [['red'], [all, red, both]],
        [['blue'], [all, both]],
        [
          ['grey', 'red'],
          [all, red, both],
        ],
        [['Red'], [all]],
      ]
      for (const [channels, endpoints] of cases) {
        const { rows } = await pool.query<{ id: string }>(
          `select postrider.publish($1, 'a.b', '{"id": 1}', channels => $2) as id`,
          [tenant.key, channels],
        )
        const id = rows[0]?.id ?? ''
        const routes = await explain(id)
        for (const endpoint of [all, red, both, green]) {
          const isRouted = endpoints.includes(endpoint)
          t.equal(routes.get(endpoint)?.reason, isRouted ? null : 'channel', `${channels}`)
          t.equal(routes.get(endpoint)?.deliveryId !== null, isRouted, `${channels}`)
        }
        await pool.query('delete from postrider.delivery where event_id = $1', [id])
        const reasons = await explain(id)
        for (const endpoint of endpoints) t.not(reasons.get(endpoint)?.reason, 'channel')
        const missed = await pool.query<{ endpoint_id: string }>(
          `select e.id as endpoint_id from postrider.endpoint e
         where e.tenant_id = $1 and $2 = any (postrider.missed_events(jsonb_populate_record(
           null::postrider.replay, jsonb_build_object('tenant_id', $1::uuid, 'endpoint_id', e.id, 'event_types', '{*}',
             'position', postrider.id_at('2026-01-01'), 'since', now() - interval '1 hour',
             'until', now() + interval '1 hour')), 100))`,
          [tenant.id, id],
        )
        t.strictSame(new Set(missed.rows.map(({ endpoint_id }) => endpoint_id)), new Set(endpoints))
        const violations = await pool.query<{ detail: string }>(
          `select detail from postrider.violations_of_routing(now() - interval '1 hour', 1000) as v where v.id = $1`,
          [id],
        )
        t.equal(violations.rows.length, endpoints.length)
        for (const endpoint of endpoints) {
          t.ok(violations.rows.some(({ detail }) => detail.includes(endpoint)))
        }
      }
    },
  )

  t.test('each reason', async (t) => {
    const { tenant, explain, change } = await bundle()
    const add = async (columns = {}) => (await tenant.addEndpoint({ url: URL, ...columns })).id
    const matched = await add()
    const type = await add({ event_types: ['other'] })
    const filter = await add({ filter: '$.id > 1' })
    const disabled = await add({ state: 'disabled' })
    const enabled = await add({ state: 'disabled', disabled_reason: 'it was gone' })
    const changed = await add({ event_types: ['other'] })
    const paused = await add({ state: 'paused' })
    const deleted = await add()
    const deletedUnmatched = await add({ event_types: ['other'] })
    const event = await tenant.publish('a', { id: 1 })
    const later = await add()
    await pool.query(`select postrider.enable_endpoint($1)`, [enabled])
    await change(changed, `event_types = '{a}'`)
    await change(deleted, 'deleted_at = now()')
    await change(deletedUnmatched, 'deleted_at = now()')

    const routes = await explain(event)
    const reasonOf = (id: string) => routes.get(id)?.reason
    for (const id of [matched, paused, deleted]) {
      t.match(routes.get(id), { reason: null, deliveryId: /^[0-9a-f-]{36}$/, url: URL })
    }
    t.equal(reasonOf(type), 'type')
    t.equal(reasonOf(filter), 'filter')
    t.equal(reasonOf(disabled), 'disabled')
    t.equal(reasonOf(enabled), 'disabled')
    t.equal(reasonOf(changed), 'changed_later')
    t.equal(reasonOf(later), 'created_later')
    t.equal(routes.has(deletedUnmatched), false)
    t.match(routes.get(type), { changedSince: false })
    t.match(routes.get(changed), { changedSince: true })
    t.equal(routes.size, 9)

    await pool.query('update postrider.event set data = null where id = $1', [event])
    t.match((await explain(event)).get(filter), { reason: 'erased' })
    const { rows } = await pool.query(`select * from postrider.publish_test($1, 'a', '1')`, [
      matched,
    ])
    const test = await explain(rows[0].event_id)
    t.match([test.get(matched), test.get(later)], [{ reason: null }, { reason: 'test' }])
  })

  t.test('100 endpoints, those that got the event first; nothing of another tenant', async (t) => {
    const { tenant, explain } = await bundle()
    const other = await bundle()
    const { id } = await tenant.addEndpoint({ url: URL, event_types: ['a'] })
    for (let n = 0; n < 100; n++) await tenant.addEndpoint({ url: URL, event_types: ['b'] })
    const event = await tenant.publish('a')
    const routes = [...(await explain(event)).values()]
    t.equal(routes.length, 100)
    t.match(routes[0], { endpointId: id, reason: null })
    t.equal((await other.explain(event)).size, 0)
  })
  return t.end()
}
