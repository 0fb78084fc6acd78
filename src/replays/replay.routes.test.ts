import t from 'tap'
import { createWork } from '../testing/data/work.ts'
import { createTestApi } from '../testing/wiring/api.ts'
import { createTestDatabase } from '../testing/wiring/database.ts'

const { pool } = await createTestDatabase(t)
const { request } = createTestApi(pool)
const UNKNOWN_ID = '00000000-0000-7000-8000-000000000000'
const since = new Date(Date.now() - 3_600_000).toISOString()

async function bundle() {
  const work = await createWork(pool)
  const delivery = await work.publish()
  await work.finish(await work.claim(delivery), 500)
  const call = (method: string, path = '', body?: unknown, key?: string | null) =>
    request(method, `/api/tenants/${work.tenant.key}/replays${path}`, {
      ...(body !== undefined && { body }),
      ...(key !== undefined && { key }),
    })
  return { work, call }
}

t.test('a preview counts, a start begins, and GET shows how far it is', async (t) => {
  const { call } = await bundle()
  t.match(await call('POST', '', { since, preview: true }), { status: 200, json: { count: 1 } })
  const started = await call('POST', '', { since, ratePerSecond: 5 })
  t.match(started, {
    status: 201,
    json: {
      state: 'running',
      mode: 'redeliver',
      total: 1,
      done: 0,
      ratePerSecond: 5,
      finishedAt: null,
    },
  })
  const { id } = started.json
  await pool.query('select postrider.replay_step($1)', [id])
  t.match(await call('GET', `/${id}`), { status: 200, json: { id, done: 1 } })
  t.match(await call('GET'), { status: 200, json: { data: [{ id }], nextCursor: null } })
})

t.test('cancel ends it, also twice', async (t) => {
  const { call, work } = await bundle()
  const { json } = await call('POST', '', { since })
  for (let i = 0; i < 2; i++) {
    t.match(await call('POST', `/${json.id}/cancel`), { status: 200, json: { state: 'cancelled' } })
  }
  t.match(await work.audited(), [
    { action: 'start_replay' },
    { who: 'admin key', action: 'cancel_replay' },
  ])
})

t.test('what an endpoint missed needs that endpoint', async (t) => {
  const { call, work } = await bundle()
  const late = await work.tenant.addEndpoint({ url: 'http://127.0.0.1:2/' })
  t.match(await call('POST', '', { since, mode: 'missed', endpointId: late.id, preview: true }), {
    status: 200,
    json: { count: 1 },
  })
  t.match(await call('POST', '', { since, mode: 'missed' }), {
    status: 422,
    json: { errors: [{ field: 'endpointId' }] },
  })
})

t.test('refuses what it cannot do, naming every field', async (t) => {
  const { call } = await bundle()
  t.match(
    await call('POST', '', {
      since: 'yesterday',
      states: ['pending'],
      statusClass: 6,
      ratePerSecond: 0,
      x: 1,
    }),
    { status: 422, json: { code: 'request_invalid' } },
  )
  t.match(await call('POST', '', { since, until: since }), {
    status: 422,
    json: { errors: [{ field: 'until' }] },
  })
  for (const preview of [true, false]) {
    t.match(await call('POST', '', { since: '2099-01-01T00:00:00Z', preview }), {
      status: 422,
      json: { errors: [{ field: 'since', message: 'is not in the past' }] },
    })
  }
  t.match(await call('POST', '', { since, endpointId: UNKNOWN_ID }), {
    status: 404,
    json: { code: 'endpoint_not_found' },
  })
  t.match(await call('GET', `/${UNKNOWN_ID}`), { status: 404, json: { code: 'replay_not_found' } })
  t.match(await call('POST', '/nonsense/cancel'), {
    status: 404,
    json: { code: 'replay_not_found' },
  })
  t.equal((await call('POST', '', { since }, null)).status, 401)
  t.equal((await call('GET', '', undefined, 'wrong')).status, 401)
  t.equal((await request('GET', '/api/tenants/nobody/replays')).status, 404)
})
