import t from 'tap'
import type { TenantId } from '../ids.ts'
import { createWork } from '../testing/data/work.ts'
import { createTestApi } from '../testing/wiring/api.ts'
import { createTestDatabase } from '../testing/wiring/database.ts'

const { pool } = await createTestDatabase(t)
const { request, apiKeys } = createTestApi(pool)
const UNKNOWN_ID = '00000000-0000-7000-8000-000000000000'

async function bundle() {
  const work = await createWork(pool)
  const path = `/api/tenants/${work.tenant.key}/endpoints`
  const call = (action: string, options = {}) =>
    request('POST', `${path}/${work.endpoint.id}/${action}`, options)
  const disable = () =>
    pool.query(
      `update postrider.endpoint set state = 'disabled', disabled_reason = 'it was gone' where id = $1`,
      [work.endpoint.id],
    )
  const states = async () => {
    const text = 'select state from postrider.delivery where endpoint_id = $1 order by id'
    const { rows } = await pool.query<{ state: string }>(text, [work.endpoint.id])
    return rows.map(({ state }) => state)
  }
  return { work, path, call, disable, states }
}

t.test('pause holds the deliveries, resume releases them', async (t) => {
  const { work, call, states } = await bundle()
  await work.publish()
  t.match(await call('pause'), { status: 200, json: { id: work.endpoint.id, state: 'paused' } })
  t.match(await call('pause'), { status: 200 }, 'twice is once')
  await work.publish()
  t.strictSame(await states(), ['held', 'held'])
  t.match(await call('resume'), { status: 200, json: { state: 'active' } })
  t.strictSame(await states(), ['pending', 'pending'])
  t.match(await work.audited(), [
    { who: 'admin key', action: 'pause_endpoint' },
    { who: 'admin key', action: 'resume_endpoint' },
  ])
})

t.test('enable takes a disabled endpoint back, with or without what was held', async (t) => {
  const { work, call, disable, states } = await bundle()
  await work.publish()
  await call('pause')
  t.match(await call('enable'), { status: 409, json: { code: 'state_conflict', detail: /paused/ } })
  await disable()
  for (const action of ['pause', 'resume']) {
    t.match(await call(action), { status: 409, json: { detail: /is disabled: it was gone/ } })
  }
  t.match(await call('enable'), { status: 200, json: { state: 'active', disabledReason: null } })
  t.strictSame(await states(), ['pending'])
  await call('pause')
  await disable()
  t.match(await call('enable', { body: { deliverHeld: false } }), { status: 200 })
  t.strictSame(await states(), ['cancelled'])
})

t.test('a delivery says why it is held, wherever it is shown', async (t) => {
  const { work, call, disable, path } = await bundle()
  const delivery = await work.publish()
  const tenant = `/api/tenants/${work.tenant.key}`
  const shown = async () => {
    const answers = await Promise.all([
      request('GET', `${tenant}/deliveries/${delivery.id}`),
      request('GET', `${tenant}/deliveries`),
      request('GET', `${tenant}/events/${delivery.eventId}`),
    ])
    const [one, list, event] = answers.map(({ json }) => json)
    const of = ({ state, heldReason }: Record<string, string>) => `${state} ${heldReason}`
    return [...new Set([of(one), of(list.data[0]), of(event.deliveries[0])])]
  }
  const align = () => pool.query('select postrider.align($1)', [work.endpoint.id])
  t.strictSame(await shown(), ['pending null'])
  await call('pause')
  t.strictSame(await shown(), ['held paused'])
  await disable()
  await align()
  t.strictSame(await shown(), ['held disabled'])
  await pool.query(`update postrider.endpoint set state = 'active' where id = $1`, [
    work.endpoint.id,
  ])

  const endpoint = () => request('GET', `${path}/${work.endpoint.id}`)
  t.match(await endpoint(), { json: { unreadableSince: null } })
  await pool.query(`select postrider.hold_unreadable($1, array[$2], 'no key')`, [
    work.endpoint.id,
    work.endpoint.secret,
  ])
  await align()
  t.strictSame(await shown(), ['held secret'])
  t.match(await endpoint(), { json: { state: 'active', unreadableSince: /^20/ } })
  const retry = await request('POST', `${tenant}/deliveries/${delivery.id}/retry`)
  t.match(retry, {
    status: 409,
    json: { code: 'state_conflict', detail: /no key of this service/ },
  })
  t.match(await call('test'), { status: 409, json: { detail: /no key of this service/ } })
  t.match(await call('resume'), { status: 200 })
  t.strictSame(await shown(), ['held secret'], 'it is active, and no other key has come')

  // The old secret is no text of the box here, as if its key were lost.
  const refused = await request('GET', `${path}/${work.endpoint.id}/secret`)
  t.match(refused, {
    status: 409,
    json: { code: 'secret_unreadable', detail: /^no key of this service/ },
  })
  t.match(await call('secret/rotate'), { status: 200, json: { expiring: [] } })
  t.match(await endpoint(), { json: { unreadableSince: null } })
  t.match(await work.audited(), [
    { action: 'pause_endpoint' },
    { who: 'a change of the secret', action: 'release_secrets' },
    { action: 'rotate_secret' },
  ])
})

// What is published while an endpoint is disabled has no delivery to it, and nothing said so (issue 14).
t.test('enable says what was missed, with the replay that delivers it', async (t) => {
  const { work, call, states } = await bundle()
  const before = await work.tenant.publish()
  await pool.query(`select postrider.disable_endpoint($1, 'it was gone')`, [work.endpoint.id])
  const missed = [await work.tenant.publish(), await work.tenant.publish()]
  const { json } = await call('enable')
  t.match(json, {
    state: 'active',
    missed: { how: /\/replays/, replay: { mode: 'missed', endpointId: work.endpoint.id } },
  })
  const after = await work.tenant.publish()

  const replays = `/api/tenants/${work.tenant.key}/replays`
  const { replay: body } = json.missed
  t.match(await request('POST', replays, { body: { ...body, preview: true } }), {
    json: { count: 2 },
  })
  const started = await request('POST', replays, { body })
  t.match(started, { status: 201, json: { total: 2 } })
  await pool.query('select postrider.replay_step($1)', [started.json.id])
  t.equal((await states()).length, 4)
  const { rows } = await pool.query(
    `select event_id, trigger from postrider.delivery where endpoint_id = $1 order by event_id`,
    [work.endpoint.id],
  )
  t.strictSame(
    rows.map(({ event_id, trigger }) => [event_id, trigger]),
    [[before, 'schedule'], ...missed.map((event) => [event, 'replay']), [after, 'schedule']],
  )
  t.match(await call('enable'), { status: 200, json: { missed: null } }, 'it was not disabled')
})

t.test('enable that has much to cancel is called again', async (t) => {
  const { work, call, disable } = await bundle()
  await call('pause')
  await pool.query(
    `insert into postrider.delivery (tenant_id, endpoint_id, event_id, state, held_reason, next_attempt_at)
     select $1, $2, postrider.uuidv7(), 'held', 'paused', now() from generate_series(1, 10001)`,
    [work.tenant.id, work.endpoint.id],
  )
  await disable()
  const body = { deliverHeld: false }
  await pool.query('update postrider.endpoint set disabled_at = now() where id = $1', [
    work.endpoint.id,
  ])
  t.match(await call('enable', { body }), {
    status: 202,
    json: { state: 'disabled', missed: null },
  })
  t.match(await call('enable', { body }), {
    status: 200,
    json: { state: 'active', missed: { since: /^20/ } },
  })
})

t.test('each route: 401, 403, 404, and 422 where it takes a body', async (t) => {
  const { work, path, call } = await bundle()
  const other = await bundle()
  const reader = await apiKeys.issue({ name: 'r', scopes: ['read', 'publish'] })
  const tenantId = other.work.tenant.id as TenantId
  const foreign = await apiKeys.issue({ name: 'f', scopes: ['manage'], tenantId })
  for (const action of ['pause', 'resume', 'enable', 'test']) {
    t.equal((await call(action, { key: null })).status, 401, action)
    t.equal((await call(action, { key: reader.key })).status, 403, action)
    t.match(await call(action, { key: foreign.key }), { json: { code: 'tenant_not_found' } })
    const missing = { status: 404, json: { code: 'endpoint_not_found' } }
    for (const unknown of [UNKNOWN_ID, 'x', '%00']) {
      t.match(await request('POST', `${path}/${unknown}/${action}`), missing, action)
    }
    t.match(await request('POST', `${other.path}/${work.endpoint.id}/${action}`), missing)
    if (action === 'enable') {
      t.match(await call(action, { body: { deliverHeld: 'no' } }), { status: 422 })
      t.match(await call(action, { body: { other: 1 } }), { status: 422 })
    }
  }
})
