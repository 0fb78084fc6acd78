import t from 'tap'
import type { TenantId } from '../ids.ts'
import { createLineSteps } from '../testing/data/lines.ts'
import { createWork } from '../testing/data/work.ts'
import { createTestApi } from '../testing/wiring/api.ts'
import { createTestDatabase } from '../testing/wiring/database.ts'

const { pool } = await createTestDatabase(t)
const { request, apiKeys } = createTestApi(pool)
const UNKNOWN_ID = '00000000-0000-7000-8000-000000000000'

async function bundle(columns: Record<string, unknown> = {}) {
  const work = await createWork(pool, columns)
  const call = (path: string, options = {}) =>
    request('POST', `/api/tenants/${work.tenant.key}/deliveries/${path}`, options)
  return { work, call }
}

t.test('retry makes the next attempt due now, and reopens what has failed', async (t) => {
  const { work, call } = await bundle()
  const delivery = await work.publish()
  await work.finish(await work.claim(delivery), 500)
  const { status, json } = await call(`${delivery.id}/retry`)
  t.equal(status, 202)
  t.match(json, { id: delivery.id, state: 'pending', attemptCount: 1, finishedAt: null })
  t.notOk('attempts' in json, 'they are read where they are asked for')
  const due = await work.deliveryOf(delivery.eventId)
  t.match(due, { job_number: due.due_attempt, trigger: 'manual' })
  t.ok((due.run_in ?? 1) <= 0, 'due')
  t.match(await work.audited(), [{ who: 'admin key', action: 'retry_now' }])
})

t.test('a collapsed one says by which event, and is not sent again before that one', async (t) => {
  const { work, call } = await bundle({ collapse_ms: 3_600_000 })
  const { attempt, runJobs } = createLineSteps(pool)
  const [older = '', newer = ''] = await work.publishInOrder('a', 'a')
  await runJobs(work, 'advance')
  const { id } = await work.deliveryOf(older)
  const base = `/api/tenants/${work.tenant.key}`
  const collapsed = {
    id,
    state: 'collapsed',
    collapsedBy: newer,
    orderingKey: 'a',
    attemptCount: 0,
  }
  t.match((await request('GET', `${base}/deliveries/${id}`)).json, { ...collapsed, attempts: [] })
  const listed = await request('GET', `${base}/deliveries?state=collapsed`)
  t.match(listed.json.data, [collapsed])
  t.match(await call(`${id}/retry`), {
    status: 409,
    json: {
      code: 'state_conflict',
      detail: /^a newer event of the ordering key .* is sent instead$/,
    },
  })
  t.match(await call(`${id}/cancel`), { status: 409, json: { detail: /already collapsed/ } })
  const bulk = { action: 'redeliver', states: ['collapsed'], preview: true }
  t.match(await call('bulk', { body: bulk }), { json: { count: 1 } })
  await attempt(work, newer, 200)
  const again = await call(`${id}/retry`)
  t.match(again, { status: 202, json: { state: 'pending', collapsedBy: null } })
  const replay = { since: '2026-01-01T00:00:00Z', states: ['collapsed'], preview: true }
  t.match(await request('POST', `${base}/replays`, { body: replay }), { json: { count: 0 } })
})

t.test('retry is refused in flight and where the endpoint takes nothing', async (t) => {
  const { work, call } = await bundle()
  const delivery = await work.publish()
  const claimed = await work.claim(delivery)
  t.match(await call(`${delivery.id}/retry`), {
    status: 409,
    json: { code: 'in_flight', detail: /in flight/ },
  })
  await work.finish(claimed, 500, 60)
  await pool.query(`update postrider.endpoint set state = 'paused' where id = $1`, [
    work.endpoint.id,
  ])
  const paused = await call(`${delivery.id}/retry`)
  t.match(paused, { status: 409, json: { code: 'state_conflict', detail: /paused/ } })
  t.notMatch(paused.text, 'select', 'the hint for psql stays inside')
})

t.test('cancel ends what is open, also what is planned for later, and only once', async (t) => {
  const { work, call } = await bundle()
  const deliverAt = new Date(Date.now() + 29 * 86_400_000).toISOString()
  const event = { tenant: work.tenant.key, type: 'a', data: 1, deliverAt }
  const { json: published } = await request('POST', '/api/events', { body: event })
  const { id, job } = await work.deliveryOf(published.id)
  t.ok(job)
  const { status, json } = await call(`${id}/cancel`)
  t.equal(status, 200)
  t.match(json, { id, state: 'cancelled', nextAttemptAt: null })
  t.match(json.finishedAt, /Z$/)
  t.equal((await work.deliveryOf(published.id)).job, null)
  t.match(await call(`${id}/cancel`), { status: 409, json: { code: 'state_conflict' } })

  const inFlight = await work.publish()
  await work.claim(inFlight)
  t.match((await call(`${inFlight.id}/cancel`)).json, { state: 'cancelled', attemptCount: 1 })
})

t.test('both routes: 401, 403, 404', async (t) => {
  const { work, call } = await bundle()
  const other = await bundle()
  const { id } = await work.publish()
  const reader = await apiKeys.issue({ name: 'r', scopes: ['read', 'publish'] })
  const tenantId = other.work.tenant.id as TenantId
  const foreign = await apiKeys.issue({ name: 'f', scopes: ['manage'], tenantId })
  for (const action of ['retry', 'cancel']) {
    const path = `${id}/${action}`
    t.equal((await call(path, { key: null })).status, 401, action)
    t.equal((await call(path, { key: reader.key })).status, 403, action)
    t.match(await call(path, { key: foreign.key }), { json: { code: 'tenant_not_found' } })
    for (const unknown of [UNKNOWN_ID, 'x', '%00']) {
      const missing = { status: 404, json: { code: 'delivery_not_found' } }
      t.match(await call(`${unknown}/${action}`), missing, `${action} ${unknown}`)
    }
    t.match(await other.call(path), { status: 404, json: { code: 'delivery_not_found' } })
    t.match(await request('GET', `/api/tenants/${work.tenant.key}/deliveries/${path}`), {
      status: 405,
    })
  }
  const state = 'select state from postrider.delivery where id = $1'
  t.match((await pool.query(state, [id])).rows, [{ state: 'pending' }], 'nothing was done')
})
