/** What became of messages, as SDKs of Svix ask for it. */
import t from 'tap'
import type { EventId } from '../../ids.ts'
import { createWork } from '../../testing/data/work.ts'
import { createTestApi } from '../../testing/wiring/api.ts'
import { createTestDatabase } from '../../testing/wiring/database.ts'
import { svixId, uuidOf } from '../svix-id.ts'

const { pool } = await createTestDatabase(t)
const { request } = createTestApi(pool, { svixApi: true })

/** An application whose deliveries are attempted by the test. */
async function application() {
  const work = await createWork(pool)
  const base = `/api/v1/app/${svixId('app', work.tenant.id)}`
  const get = (path: string) => request('GET', `${base}${path}`)
  const publish = async (body: object = {}) => {
    const message = { eventType: 'invoice.paid', payload: { n: 1 }, ...body }
    const { json } = await request('POST', `${base}/msg`, { body: message })
    return { id: json.id as string, eventId: uuidOf('msg', json.id) as EventId }
  }
  /** An attempt of the delivery that is open. */
  const attempt = async (eventId: string, status: number, nextInSeconds: number | null = null) =>
    work.finish(await work.claim(await work.deliveryOf(eventId)), status, nextInSeconds)
  return { ...work, ep: svixId('ep', work.endpoint.id), base, get, publish, attempt }
}

t.test('attempts of a message are listed, newest first, with what was answered', async (t) => {
  const { get, publish, attempt, ep, deliveryOf, claim, base } = await application()
  const { id, eventId } = await publish({ eventId: 'mine', channels: ['red'] })
  t.strictSame((await get(`/attempt/msg/${id}`)).json, { data: [], iterator: null, done: true })
  await attempt(eventId, 500, 0)
  await attempt(eventId, 404, 0)
  await claim(await deliveryOf(eventId))
  const { json } = await get(`/attempt/msg/${id}`)
  const [newest, oldest] = json.data
  t.match(json, {
    data: { length: 2 },
    done: true,
    iterator: oldest.id,
    prevIterator: `-${newest.id}`,
  })
  t.match(newest, {
    ...{ id: /^atmpt_\w{27}$/, msgId: id, endpointId: ep, url: 'http://127.0.0.1:1/' },
    ...{ response: '', responseStatusCode: 404, responseDurationMs: 10, triggerType: 0 },
    ...{ status: 2, statusText: 'fail', timestamp: String },
  })
  t.strictSame((await get(`/msg/mine/attempt/${newest.id}`)).json, newest)
  for (const path of [
    `/msg/${id}/attempt`,
    `/msg/${id}/endpoint/${ep}/attempt`,
    '/attempt/msg/mine',
  ]) {
    t.strictSame((await get(path)).json.data, [newest, oldest], path)
  }
  const ids = async (query: string) =>
    (await get(`/attempt/msg/${id}?${query}`)).json.data.map((one: { id: string }) => one.id)
  t.strictSame(await ids('limit=1'), [newest.id])
  t.strictSame(await ids(`iterator=${newest.id}`), [oldest.id])
  t.strictSame(await ids(`iterator=-${oldest.id}`), [newest.id])
  t.strictSame(await ids('status_code_class=500&expanded_statuses=true'), [oldest.id])
  t.strictSame(await ids('status=0'), [])
  t.strictSame(await ids('status=3'), [])
  t.strictSame(await ids('status=2&channel=red&event_types=a,invoice.paid'), [newest.id, oldest.id])
  t.strictSame(await ids('channel=blue'), [])
  t.strictSame(await ids(`endpoint_id=${ep}`), [newest.id, oldest.id])
  t.equal((await get(`/attempt/msg/${id}?endpoint_id=nope`)).status, 404)
  t.equal((await get(`/attempt/msg/${id}?status=9`)).status, 422)
  t.equal((await get(`/attempt/msg/${id}?with_content=false`)).json.data[0].response, '{}')
  t.equal(
    (await request('GET', `${base}/msg/${(await publish()).id}/attempt/${newest.id}`)).status,
    404,
  )
})

t.test('attempts of an endpoint are those of all its messages', async (t) => {
  const { get, publish, attempt, ep, tenant } = await application()
  const other = await tenant.addEndpoint({ url: 'http://127.0.0.1:2/', event_types: ['other'] })
  const [first, second] = [await publish(), await publish({ eventType: 'other.kind' })]
  await attempt(first.eventId, 500, 0)
  await attempt(second.eventId, 200)
  await attempt(first.eventId, 200)
  const messages = async (query = '') =>
    (await get(`/attempt/endpoint/${ep}?${query}`)).json.data.map(
      (one: { msgId: string }) => one.msgId,
    )
  t.strictSame(await messages(), [first.id, second.id, first.id])
  t.strictSame(await messages('status=0'), [first.id, second.id])
  t.strictSame(await messages('event_types=other.kind'), [second.id])
  const page = (await get(`/attempt/endpoint/${ep}?limit=2`)).json
  t.equal(page.done, false)
  t.strictSame(await messages(`limit=2&iterator=${page.iterator}`), [first.id])
  const none = await get(`/attempt/endpoint/${svixId('ep', other.id)}`)
  t.strictSame(none.json, { data: [], iterator: null, done: true })
  t.equal((await get('/attempt/endpoint/nope')).status, 404)
})

t.test(
  'a message says to which endpoints it went, and an endpoint which messages it got',
  async (t) => {
    const { get, publish, attempt, ep, base } = await application()
    const [done, open, never] = [
      await publish(),
      await publish({ channels: ['red'] }),
      await publish(),
    ]
    await attempt(done.eventId, 200)
    await attempt(open.eventId, 500, 3_600)
    const destinations = async (id: string, query = '') =>
      (await get(`/msg/${id}/endpoint${query}`)).json
    t.match(await destinations(done.id), {
      data: [
        { id: ep, url: 'http://127.0.0.1:1/', status: 0, statusText: 'success', nextAttempt: null },
      ],
      ...{ iterator: ep, prevIterator: `-${ep}`, done: true },
    })
    t.match((await destinations(open.id)).data, [
      { status: 3, statusText: 'sending', nextAttempt: String },
    ])
    t.strictSame((await destinations(never.id)).data, [])
    t.strictSame((await destinations(done.id, `?iterator=${ep}`)).data, [])

    const messages = async (query = '') => (await get(`/endpoint/${ep}/msg?${query}`)).json.data
    t.match(await messages(), [
      { id: open.id, status: 3, payload: { n: 1 }, nextAttempt: String },
      { id: done.id, status: 0, statusText: 'success' },
    ])
    t.match(await messages('status=0&with_content=false'), [{ id: done.id, payload: {} }])
    t.match(await messages('channel=red'), [{ id: open.id }])
    t.strictSame(await messages('status=1'), [])
    await pool.query('select postrider.cancel(id) from postrider.delivery where event_id = $1', [
      open.eventId,
    ])
    t.match(await messages('status=2'), [{ id: open.id, statusText: 'fail' }])
    t.match(await messages('status=4&expanded_statuses=true'), [
      { id: open.id, statusText: 'canceled' },
    ])
    await request('DELETE', `${base}/endpoint/${ep}`)
    t.match((await destinations(done.id)).data, [{ id: ep }], 'deleted ones too')
  },
)

t.test('what was answered is erased, and said to be', async (t) => {
  const { get, publish, attempt, base } = await application()
  const { id, eventId } = await publish()
  await attempt(eventId, 200)
  const [{ id: attemptId }] = (await get(`/attempt/msg/${id}`)).json.data
  const path = `${base}/msg/${id}/attempt/${attemptId}`
  t.equal((await request('DELETE', `${path}/content`)).status, 204)
  t.equal((await request('GET', path)).json.response, 'EXPUNGED')
  t.equal((await request('DELETE', `${base}/msg/${id}/attempt/nope/content`)).status, 404)
})

t.test('a message is sent once more, and for the first time to who did not get it', async (t) => {
  const { get, publish, attempt, base, ep, tenant, deliveryOf, claim, finish, audited } =
    await application()
  const { id, eventId } = await publish()
  const resend = (to: string, message = id) =>
    request('POST', `${base}/msg/${message}/endpoint/${to}/resend`)
  await claim(await deliveryOf(eventId))
  t.match(await resend(ep), { status: 409, json: { code: 'in_flight' } })
  const other = await publish()
  await attempt(other.eventId, 500)
  const again = await resend(ep, other.id)
  t.strictSame([again.status, again.json], [202, {}])
  t.match(await deliveryOf(other.eventId), {
    state: 'pending',
    trigger: 'manual',
    schedule_step: 1_000_000,
  })
  await attempt(other.eventId, 200)
  t.match((await get(`/attempt/msg/${other.id}`)).json.data, [
    { status: 0, triggerType: 1 },
    { status: 2 },
  ])

  const unmatched = await tenant.addEndpoint({ url: 'http://127.0.0.1:2/', event_types: ['never'] })
  const to = svixId('ep', unmatched.id)
  const both = await Promise.all([resend(to, other.id), resend(to, other.id)])
  t.strictSame(
    both.map(({ status }) => status),
    [202, 202],
  )
  const { rows } = await pool.query('select * from postrider.delivery where endpoint_id = $1', [
    unmatched.id,
  ])
  t.match(
    rows,
    [{ state: 'pending', trigger: 'manual', schedule_step: 1_000_000 }],
    'one, however often',
  )
  t.match(await audited(), [{ action: 'retry_now' }, { action: 'resend' }, { action: 'retry_now' }])
  await finish(await claim(rows[0]), 200)
  t.match(
    (await get(`/msg/${other.id}/endpoint`)).json.data.map((one: { status: number }) => one.status),
    [0, 0],
  )

  await pool.query(`update postrider.endpoint set state = 'paused' where id = $1`, [unmatched.id])
  t.match(await resend(to, other.id), { status: 409, json: { code: 'state_conflict' } })
  await request('DELETE', `${base}/msg/${other.id}/content`)
  t.match(await resend(ep, other.id), { status: 400, json: { code: 'missing_payload' } })
  t.equal((await resend('nope')).status, 404)
  t.equal((await resend(ep, 'nope')).status, 404)
})

t.test('what is answered after the payload was erased in its time is erased as well', async (t) => {
  const { get, publish, claim, deliveryOf, finish } = await application()
  const { id, eventId } = await publish({ payloadRetentionPeriod: 5, tags: ['a'] })
  const claimed = await claim(await deliveryOf(eventId))
  const eraseNow = async () => {
    await pool.query(
      `update postrider.event_erasure set erase_at = now() - interval '1 second' where event_id = $1`,
      [eventId],
    )
    await pool.query('select postrider.erase_due()')
    const { rows } = await pool.query(
      'select erase_at > now() as is_later from postrider.event_erasure where event_id = $1',
      [eventId],
    )
    return rows
  }
  t.strictSame(await eraseNow(), [{ is_later: true }], 'one is on the wire')
  t.match((await get(`/msg/${id}`)).json, { payload: { expired: true }, tags: null })
  await finish(claimed, 200)
  await pool.query(
    `update postrider.attempt set response_body = 'of a person' where delivery_id = $1`,
    [(await deliveryOf(eventId)).id],
  )
  t.strictSame(await eraseNow(), [])
  t.match((await get(`/attempt/msg/${id}`)).json.data, [{ response: '' }])
})
