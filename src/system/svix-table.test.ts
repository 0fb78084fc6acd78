/** Every row of the table in docs/svix.md, on one server with a runner, as SDKs of Svix call it over HTTP. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { Webhook } from 'standardwebhooks'
import t from 'tap'
import { ENCRYPTION } from '../testing/data/encryption.ts'
import { startReceiver } from '../testing/servers/receiver.ts'
import { untilAnswer } from '../testing/until.ts'
import { createTestDatabase } from '../testing/wiring/database.ts'
import { startEverything } from '../testing/wiring/everything.ts'
import { startService } from '../testing/wiring/service.ts'

const { pool, url: databaseUrl } = await createTestDatabase(t)
const env = { ...ENCRYPTION, SVIX_API: 'true', RETRY_SCHEDULE: '3600' }
const service = await startEverything(t, databaseUrl, env)
await startService(t, 'runner', { DATABASE_URL: databaseUrl, ...env })
const receiver = await startReceiver()
t.teardown(() => receiver.close())

async function svix(method: string, path: string, body?: unknown, token = service.adminKey) {
  const response = await service.call(method, `/api/v1${path}`, body, token)
  const text = await response.text()
  return { status: response.status, json: text === '' ? undefined : JSON.parse(text) }
}

const idsOf = ({ json }: { json: { data: { id: string }[] } }) => json.data.map(({ id }) => id)

/** Application `uid` with an endpoint `hook` at the receiver. */
async function application(uid: string, values: object = {}) {
  const app = `/app/${uid}`
  const made = await svix('POST', '/app', { name: uid, uid, metadata: { plan: 'gold' } })
  const url = `${receiver.url}/${uid}`
  const endpoint = await svix('POST', `${app}/endpoint`, { uid: 'hook', url, ...values })
  return { app, made, endpoint, hook: `${app}/endpoint/hook`, path: `/${uid}` }
}

const publish = (app: string, values: object = {}) =>
  svix('POST', `${app}/msg`, { eventType: 'invoice.paid', payload: { amount: 1 }, ...values })

/** Once so many requests have come at the path. */
const requestsAt = (path: string, count: number) =>
  untilAnswer(
    async () => receiver.requests.filter((request) => request.path === path),
    ({ length }) => length >= count,
  )

/** Once so many attempts of the message are written down. */
const attemptsOf = (app: string, message: string, count: number) =>
  untilAnswer(
    () => svix('GET', `${app}/attempt/msg/${message}`),
    ({ json }) => json.data.length >= count,
  )

t.test('the table names every operation that the document has, and no other', async (t) => {
  const { json } = await svix('GET', '/openapi.json')
  const served = Object.entries(json.paths as Record<string, object>).flatMap(([path, methods]) =>
    Object.keys(methods).map((method) => nameOf(method, path.replace('/api/v1', ''))),
  )
  const page = readFileSync(join(import.meta.dirname, '..', '..', 'docs', 'svix.md'), 'utf8')
  const rows = page.split('\n').flatMap((line) => {
    const [, first = '', verdict = ''] = line.split('|').map((cell) => cell.trim())
    if (!/^(same|differs)$/.test(verdict)) return []
    const methods = first.match(/\b(GET|POST|PUT|PATCH|DELETE)\b/g) ?? []
    const path = /(\{app\}[^`\s]*|\/[^`\s]+)/.exec(first)?.[0] ?? ''
    return methods.map((method) => nameOf(method, path.replace('{app}', '/app/{}')))
  })
  t.strictSame(rows.toSorted(), served.filter((one) => !one.startsWith('HEAD')).toSorted())
})

const nameOf = (method: string, path: string) =>
  `${method.toUpperCase()} ${path.replace(/\{\w*\}/g, '{}').replace(/^\/\//, '/')}`

t.test('health needs no token', async (t) => {
  t.equal((await fetch(`${service.url}/api/v1/health/ping`)).status, 204)
  t.equal((await fetch(`${service.url}/api/v1/health/ping/`, { method: 'HEAD' })).status, 204)
  t.equal((await fetch(`${service.url}/api/v1/health`)).status, 200)
})

t.test('applications', async (t) => {
  const made = await svix('POST', '/app', { name: 'First', uid: 'first' })
  t.match(made, { status: 201, json: { id: /^app_[0-9A-Za-z]{27}$/, uid: 'first' } })
  const { id } = made.json
  const again = { name: 'First', uid: 'first' }
  t.match(await svix('POST', '/app', again), { status: 409, json: { code: 'conflict' } })
  t.match(await svix('POST', '/app?get_if_exists=true', again), { status: 200, json: { id } })
  t.match(await svix('GET', '/app/first'), { status: 200, json: { id } })
  t.match(await svix('PUT', `/app/${id}`, { name: 'Put', uid: 'put' }), {
    status: 200,
    json: { id, name: 'Put', uid: 'put' },
  })
  t.match(await svix('PATCH', '/app/put', { name: 'Patched' }), {
    json: { name: 'Patched', uid: 'put' },
  })
  t.ok(idsOf(await svix('GET', '/app?limit=250')).includes(id))
  t.equal((await svix('DELETE', `/app/${id}`)).status, 204)
  t.match(await svix('GET', `/app/${id}`), { status: 404, json: { code: 'not_found' } })
  t.match(await svix('POST', '/app', { name: 'x', throttleRate: 5 }), { status: 422 })
})

t.test('event types', async (t) => {
  const made = await svix('POST', '/event-type', {
    ...{ name: 'invoice.paid', description: 'Paid' },
    schemas: { 1: { type: 'object', examples: [{ amount: 5 }] } },
  })
  t.equal(made.status, 201)
  t.match(await svix('POST', '/event-type', { name: 'invoice.paid', description: '' }), {
    status: 409,
    json: { code: 'event_type_exists' },
  })
  t.match(await svix('GET', '/event-type?with_content=true'), {
    json: { data: [{ name: 'invoice.paid', schemas: { 1: { type: 'object' } } }], done: true },
  })
  t.match(await svix('PUT', '/event-type/other', { description: 'Put' }), { status: 201 })
  t.match(await svix('PATCH', '/event-type/other', { description: 'New' }), { status: 200 })
  t.match(await svix('GET', '/event-type/other'), { json: { description: 'New', archived: false } })
  t.equal((await svix('DELETE', '/event-type/other')).status, 204)
  t.match(await svix('GET', '/event-type/other'), { json: { archived: true } })
  t.equal((await svix('DELETE', '/event-type/other?expunge=true')).status, 204)
  t.equal((await svix('GET', '/event-type/other')).status, 404)
  const flagged = { name: 'beta', description: '', featureFlag: 'beta' }
  t.match(await svix('POST', '/event-type', flagged), { status: 422 })
})

t.test('endpoints, with headers and secret', async (t) => {
  const { app, hook, endpoint } = await application('endpoints', {
    ...{ filterTypes: ['invoice.paid'], rateLimit: 50, channels: ['eu'] },
  })
  t.match(endpoint, { status: 201, json: { eventTypes: ['invoice.paid'], throttleRate: 50 } })
  const { id } = endpoint.json
  t.match(await svix('GET', hook), { status: 200, json: { id, channels: ['eu'] } })
  t.strictSame(idsOf(await svix('GET', `${app}/endpoint`)), [id])
  t.match(await svix('PUT', `${app}/endpoint/${id}`, { uid: 'hook', url: receiver.url }), {
    json: { id, eventTypes: null, channels: null },
  })
  t.match(await svix('PATCH', hook, { disabled: true }), { json: { disabled: true } })
  t.match(await svix('PATCH', hook, { disabled: false }), { json: { disabled: false } })

  const headers = { 'X-Team': 'a', Authorization: 'Bearer abc' }
  t.equal((await svix('PUT', `${hook}/headers`, { headers })).status, 204)
  t.match(await svix('GET', `${hook}/headers`), {
    json: { headers: { 'X-Team': 'a' }, sensitive: ['Authorization'] },
  })
  t.equal(
    (await svix('PATCH', `${hook}/headers`, { headers: { 'X-Team': null, 'X-B': 'b' } })).status,
    204,
  )
  const { json } = await svix('GET', `${hook}/headers`)
  t.strictSame(json.headers, { 'X-B': 'b' })
  t.equal((await svix('PUT', `${hook}/headers`, { headers: { 'svix-id': 'a' } })).status, 422)

  const { key } = (await svix('GET', `${hook}/secret`)).json
  t.match(key, /^whsec_/)
  t.equal((await svix('POST', `${hook}/secret/rotate`, {})).status, 204)
  t.not((await svix('GET', `${hook}/secret`)).json.key, key)
  t.equal((await svix('DELETE', hook)).status, 204)
  t.equal((await svix('GET', hook)).status, 404)
})

t.test('messages are sent as Svix sends them, and attempts are told', async (t) => {
  const { app, hook, endpoint, path } = await application('messages')
  const { id: endpointId } = endpoint.json
  const payload = { amount: 1.5, text: 'ü' }
  const made = await publish(app, { eventId: 'one', payload, channels: ['eu'], tags: ['a'] })
  t.match(made, {
    status: 202,
    json: { id: /^msg_/, eventType: 'invoice.paid', payload, eventId: 'one' },
  })
  const { id } = made.json
  t.match(await publish(app, { eventId: 'one' }), { status: 409 })
  const [request] = await requestsAt(path, 1)
  t.equal(request?.body, JSON.stringify(payload))
  t.equal(request?.headers['svix-id'], id)
  for (const name of ['id', 'timestamp', 'signature']) {
    t.equal(request?.headers[`svix-${name}`], request?.headers[`webhook-${name}`])
  }
  const { key } = (await svix('GET', `${hook}/secret`)).json
  const webhook = new Webhook(key)
  t.strictSame(
    webhook.verify(request?.body ?? '', request?.headers as Record<string, string>),
    payload,
  )

  t.match(await svix('GET', `${app}/msg/one`), { json: { id, payload, channels: ['eu'] } })
  t.strictSame(idsOf(await svix('GET', `${app}/msg?event_types=invoice.paid&channel=eu`)), [id])
  t.equal((await svix('GET', `${app}/msg?tag=a`)).status, 422)

  const { json: attempts } = await attemptsOf(app, id, 1)
  const attempt = { msgId: id, endpointId, status: 0, responseStatusCode: 200, triggerType: 0 }
  t.match(attempts, { data: [attempt], done: true })
  const [{ id: attemptId }] = attempts.data
  for (const list of [
    'attempt/endpoint/hook',
    `msg/${id}/attempt`,
    `msg/${id}/endpoint/hook/attempt`,
  ]) {
    t.match(await svix('GET', `${app}/${list}`), { json: { data: [attempt] } }, list)
  }
  const single = `${app}/msg/${id}/attempt/${attemptId}`
  t.match(await svix('GET', single), {
    json: { id: attemptId, response: 'ok', url: `${receiver.url}${path}` },
  })
  t.match(await svix('GET', `${app}/msg/${id}/endpoint`), {
    json: { data: [{ id: endpointId, status: 0 }] },
  })
  t.match(await svix('GET', `${hook}/msg`), { json: { data: [{ id, status: 0 }] } })
  t.match(await svix('GET', `${hook}/stats`), { json: { success: 1, fail: 0 } })
  t.equal((await svix('DELETE', `${single}/content`)).status, 204)
  t.match(await svix('GET', single), { json: { response: 'EXPUNGED' } })

  t.match(await svix('POST', `${app}/msg/${id}/endpoint/hook/resend`), { status: 202, json: {} })
  t.equal((await requestsAt(path, 2))[1]?.headers['svix-id'], id, 'under the same id')
  t.match(await attemptsOf(app, id, 2), {
    json: { data: [{ triggerType: 1 }, { triggerType: 0 }] },
  })
  t.equal((await svix('DELETE', `${app}/msg/${id}/content`)).status, 204)
  t.match(await svix('GET', `${app}/msg/${id}`), { json: { payload: { expired: true } } })
})

t.test('what failed is recovered with one attempt, and an example is sent', async (t) => {
  const { app, hook, path } = await application('recovery')
  receiver.answerWith(() => 500)
  const { id } = (await publish(app)).json
  t.match(await attemptsOf(app, id, 1), {
    json: { data: [{ status: 2, responseStatusCode: 500 }] },
  })
  t.match(await svix('GET', `${hook}/msg?status=3`), { json: { data: [{ id, status: 3 }] } })
  receiver.answerWith(() => 200)
  const since = new Date(Date.now() - 3_600_000).toISOString()
  t.match(await svix('POST', `${hook}/recover`, { since }), {
    status: 202,
    json: { id: /^qtask_/ },
  })
  await requestsAt(path, 2)
  t.match(await attemptsOf(app, id, 2), { json: { data: [{ status: 0 }, { status: 2 }] } })
  const old = new Date(Date.now() - 15 * 86_400_000).toISOString()
  t.equal((await svix('POST', `${hook}/recover`, { since: old })).status, 422)

  const example = await svix('POST', `${hook}/send-example`, { eventType: 'invoice.paid' })
  t.match(example, { status: 200, json: { id: /^msg_/ } })
  const requests = await requestsAt(path, 3)
  t.equal(requests[2]?.headers['svix-id'], example.json.id)
})

t.test('the portal opens, and its token is for its application alone', async (t) => {
  const { app } = await application('portal')
  await application('stranger')
  for (const operation of ['app-portal-access', 'dashboard-access']) {
    const access = await svix('POST', `/auth/${operation}/portal`, {})
    t.match(access, { status: 200, json: { url: String, token: String } })
    const { url, token } = access.json
    t.equal((await fetch(url, { redirect: 'manual' })).status, 303)
    t.equal((await svix('GET', `${app}/endpoint`, undefined, token)).status, 200)
    t.equal((await svix('GET', '/app/stranger/endpoint', undefined, token)).status, 404)
    t.equal((await svix('GET', '/app', undefined, token)).status, 403)
  }
  const flagged = { featureFlags: ['beta'] }
  t.equal((await svix('POST', '/auth/app-portal-access/portal', flagged)).status, 422)
})

t.test('what is refused is refused in words, and never as a fault', async (t) => {
  const paths = [
    ['POST', '/auth/logout'],
    ['GET', '/app/messages/endpoint/hook/transformation'],
    ['GET', '/connector'],
    ['GET', '/stream'],
    ['POST', '/ingest/api/v1/source'],
    ['GET', '/background-task'],
    ['POST', '/environment/export'],
    ['GET', '/operational-webhook/endpoint'],
    ['POST', '/stats/usage/app'],
    ['POST', '/app/messages/endpoint/hook/replay-missing'],
    ['GET', '/app/messages/integration'],
  ] as const
  for (const [method, path] of paths) {
    const refused = await svix(method, path, method === 'POST' ? {} : undefined)
    t.match(refused, { json: { code: String, detail: String } }, path)
    t.ok([400, 404].includes(refused.status), path)
  }
})

t.test('ids that Svix gave stand for what was imported, and are shown', async (t) => {
  const { hook, endpoint, path } = await application('imported')
  const given = { app: 'app_2srOrx2ZWZBpBUvZwXKQmoEYga2', ep: 'ep_2srOrx2ZWZBpBUvZwXKQmoEYga2' }
  await pool.query(`update postrider.tenant set svix_id = $1 where uid = 'imported'`, [given.app])
  await pool.query(
    `update postrider.endpoint e set svix_id = $1 from postrider.tenant t
     where t.id = e.tenant_id and t.uid = 'imported'`,
    [given.ep],
  )
  for (const named of [hook, `/app/${given.app}/endpoint/${given.ep}`]) {
    t.match(await svix('GET', named), { json: { id: given.ep } }, named)
  }
  t.match(await svix('GET', '/app/imported'), { json: { id: given.app } })
  const own = `/app/imported/endpoint/${endpoint.json.id}`
  t.match(await svix('GET', own), { json: { id: given.ep } }, 'our own id stands for it too')
  const { id } = (await publish(`/app/${given.app}`)).json
  await requestsAt(path, 1)
  const attempts = await attemptsOf(`/app/${given.app}`, id, 1)
  t.match(attempts, { json: { data: [{ endpointId: given.ep }] } })
})

t.test(
  'what is made through one API is right in the other, in SQL, console and portal',
  async (t) => {
    const ours = async (method: string, path: string, body?: unknown) =>
      (await service.call(method, `/api/tenants/both${path}`, body)).json() as Promise<never>
    const { app, hook, path } = await application('both', { eventTypes: ['invoice.paid'] })
    const { id: svixId } = (await svix('GET', hook)).json
    const { rows } = await pool.query(
      `select e.id, e.shape, t.key, t.uid from postrider.endpoint e join postrider.tenant t on t.id = e.tenant_id
     where e.uid = 'hook' and t.uid = 'both' and e.deleted_at is null`,
    )
    const [{ id, ...stored }] = rows
    t.strictSame(stored, { shape: 'svix', key: 'both', uid: 'both' }, 'the key is the uid')
    t.match(await ours('GET', `/endpoints/${id}`), {
      id,
      eventTypes: ['invoice.paid'],
      state: 'active',
    })

    await pool.query(`select postrider.publish('both', 'invoice.paid', '{"from":"sql"}')`)
    const [request] = await requestsAt(path, 1)
    t.equal(request?.body, '{"from":"sql"}', 'SQL publishes in the form of Svix')
    t.match(request?.headers['svix-id'], /^msg_/)
    const event = { tenant: 'both', type: 'invoice.paid', data: { from: 'http' } }
    await service.call('POST', '/api/events', event)
    t.equal((await requestsAt(path, 2))[1]?.body, '{"from":"http"}')
    t.match(await svix('GET', `${app}/msg`), {
      json: { data: [{ payload: { from: 'http' } }, { payload: { from: 'sql' } }] },
    })

    for (const state of ['pause', 'resume'] as const) {
      await service.call('POST', `/api/tenants/both/endpoints/${id}/${state}`)
      t.match(await svix('GET', hook), { json: { disabled: state === 'pause' } }, state)
    }
    await svix('PATCH', hook, { disabled: true })
    t.match(await ours('GET', `/endpoints/${id}`), { state: 'disabled' })
    await svix('PATCH', hook, { disabled: false })
    t.match(await ours('GET', `/endpoints/${id}`), { state: 'active' })
    await ours('PATCH', `/endpoints/${id}`, { eventTypes: ['invoice.*'] })
    t.match(
      await svix('GET', hook),
      { json: { eventTypes: ['invoice.*'] } },
      'patterns show as they are',
    )
    await svix('PATCH', hook, { eventTypes: null })
    t.match(await ours('GET', `/endpoints/${id}`), { eventTypes: ['*'] })

    await service.call('PUT', '/api/tenants/ours', { name: 'Ours' })
    const made = await service.call('POST', '/api/tenants/ours/endpoints', { url: receiver.url })
    t.equal(made.status, 201)
    const list = await svix('GET', '/app?limit=250')
    const found = list.json.data.find(({ name }: { name: string }) => name === 'Ours')
    t.match(await svix('GET', `/app/${found.id}/endpoint`), {
      json: { data: [{ url: receiver.url, eventTypes: null, disabled: false }] },
    })

    const console_ = { headers: { cookie: await service.signIn() } }
    const page = await (await fetch(`${service.url}/console/endpoints/${id}`, console_)).text()
    t.match(page, `${receiver.url}${path}`)
    const portal = { headers: { cookie: await service.enter('both') } }
    const inPortal = await fetch(`${service.url}/portal/endpoints/${id}`, portal)
    t.equal(inPortal.status, 200)
    t.match(await inPortal.text(), `${receiver.url}${path}`)
    t.equal((await svix('GET', `${app}/endpoint/${svixId}`)).status, 200)
  },
)
