import t from 'tap'
import { createTenant } from '../testing/data/tenant.ts'
import { makeCertificates } from '../testing/servers/certificates.ts'
import { createTestApi } from '../testing/wiring/api.ts'
import { createTestDatabase } from '../testing/wiring/database.ts'

const { pool } = await createTestDatabase(t)
const { request } = createTestApi(pool)

const ENDPOINT = {
  url: 'https://example.com/hook',
  headers: { authorization: 'Bearer credential', 'x-team': 'a' },
}

async function lastOf(targetId: string) {
  const { rows } = await pool.query(
    'select who, session_role, action, target_kind, detail from postrider.audit_log where target_id = $1 order by id desc limit 1',
    [targetId],
  )
  return rows[0]
}

const countOf = async (targetId: string) =>
  (await pool.query('select from postrider.audit_log where target_id = $1', [targetId])).rowCount

t.test(
  'an endpoint: what was changed stands there before and after, credentials masked',
  async (t) => {
    const { key, id: tenantId } = await createTenant(pool)
    const path = `/api/tenants/${key}/endpoints`
    const { id } = (await request('POST', path, { body: ENDPOINT })).json
    t.match(await lastOf(id), {
      who: 'admin key',
      session_role: 'postgres',
      action: 'create_endpoint',
      target_kind: 'endpoint',
      detail: { after: { url: ENDPOINT.url, headers: { authorization: '***', 'x-team': 'a' } } },
    })

    const body = {
      url: 'https://example.com/other',
      headers: { authorization: 'Bearer new', 'x-team': 'a', 'x-place': 'b' },
    }
    await request('PATCH', `${path}/${id}`, { body })
    const changed = await lastOf(id)
    t.equal(changed.action, 'change_endpoint')
    t.strictSame(changed.detail, {
      before: { url: ENDPOINT.url, headers: { authorization: '***' } },
      after: { url: body.url, headers: { authorization: '***', 'x-place': 'b' } },
      client: 'unknown',
    })

    const count = await countOf(id)
    await request('PATCH', `${path}/${id}`, { body })
    t.equal(await countOf(id), count, 'what changes nothing leaves no row')
    await pool.query('select postrider.pause_endpoint($1, $2)', [id, 'ann'])
    t.match(await lastOf(id), { action: 'pause_endpoint', who: 'ann' }, 'states have separate rows')
    await request('POST', `${path}/${id}/resume`)
    t.match(await lastOf(id), { action: 'resume_endpoint', detail: { client: 'unknown' } })

    await request('POST', `${path}/${id}/secret/rotate`, { body: { overlapSeconds: 60 } })
    t.match(await lastOf(id), {
      action: 'rotate_secret',
      who: 'admin key',
      detail: { overlapSeconds: 60 },
    })
    await request('DELETE', `${path}/${id}`)
    t.match(await lastOf(id), { action: 'delete_endpoint', who: 'admin key' })
    const { rows } = await pool.query(
      `select count(*)::int as secrets from postrider.audit_log
     where tenant_id = $1 and detail::text ~ 'credential|Bearer|whsec_'`,
      [tenantId],
    )
    t.strictSame(rows, [{ secrets: 0 }])
  },
)

t.test('tenants and event types: who made, changed and deleted them', async (t) => {
  const { json } = await request('POST', '/api/keys', { body: { name: 'a', scopes: ['manage'] } })
  const who = `api key ${json.id}`
  const asKey = { key: json.key }
  await request('PUT', '/api/tenants/audited', { ...asKey, body: { name: 'First' } })
  const { rows } = await pool.query(`select id from postrider.tenant where key = 'audited'`)
  t.match(await lastOf(rows[0].id), {
    who,
    action: 'create_tenant',
    detail: { after: { name: 'First' } },
  })
  await request('PATCH', '/api/tenants/audited', { ...asKey, body: { name: 'Second' } })
  t.match(await lastOf(rows[0].id), {
    who,
    action: 'change_tenant',
    detail: { before: { name: 'First' }, after: { name: 'Second' } },
  })

  const schema = { type: 'object', description: 'x'.repeat(3_000) }
  await request('PUT', '/api/event-types/audited.type', { body: { description: 'A' } })
  await request('PATCH', '/api/event-types/audited.type', { body: { schema } })
  t.match(
    await lastOf('audited.type'),
    {
      action: 'change_event_type',
      detail: { after: { schema: { bytes: Number, sha256: String } } },
    },
    'a long value is told by its size and hash',
  )
  await request('DELETE', '/api/event-types/audited.type')
  t.match(await lastOf('audited.type'), {
    action: 'delete_event_type',
    target_kind: 'event_type',
    detail: { before: { description: 'A' } },
  })
})

t.test(
  'a change in SQL is written down under the role of its session, and goes with its rollback',
  async (t) => {
    const tenant = await createTenant(pool)
    await pool.query(`update postrider.tenant set retention_days = 7 where id = $1`, [tenant.id])
    t.match(await lastOf(tenant.id), {
      who: 'postgres',
      action: 'change_tenant',
      detail: { after: { retention_days: 7 } },
    })
    const before = await countOf(tenant.id)
    const client = await pool.connect()
    await client.query('begin')
    await client.query(`update postrider.tenant set name = 'never' where id = $1`, [tenant.id])
    await client.query('rollback')
    client.release()
    t.equal(await countOf(tenant.id), before)
  },
)

const MASKED: Record<string, string> = {
  Authorization: 'x',
  'X-Api-Key': 'x',
  x_api_key: 'x',
  'Ocp-Apim-Subscription-Key': 'x',
  'X-Session': 'x',
  'X-Custom': 'Bearer x',
  'X-Basic': 'basic eDp5',
  'X-Proxy': 'http://user:password@example.com',
  'X-Long': 'sk_live_4eC39HqLyjWDarjtT1zdp7dc',
  'X-Jwt': 'eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln',
}
const SHOWN: Record<string, string> = {
  'X-Team': 'payments',
  'X-Keyboard': 'qwerty',
  'X-Since': '2026-01-31T12:00:00.000Z',
  'X-Environment': 'production-in-the-north',
  Accept: 'application/json, text/plain',
}

t.test('values of headers are masked that look like credentials, and no others', async (t) => {
  const { key } = await createTenant(pool)
  const { json } = await request('POST', `/api/tenants/${key}/endpoints`, {
    body: { url: ENDPOINT.url, headers: { ...MASKED, ...SHOWN } },
  })
  const { headers } = (await lastOf(json.id)).detail.after
  for (const [name, value] of Object.entries(headers)) {
    const shown = Object.entries(SHOWN).find(([n]) => n.toLowerCase() === name.toLowerCase())
    t.equal(value, shown ? shown[1] : '***', name)
  }
  t.equal(Object.keys(headers).length, Object.keys({ ...MASKED, ...SHOWN }).length)
})

t.test('a certificate: that it was set and taken away, and never its key', async (t) => {
  const { key } = await createTenant(pool)
  const path = `/api/tenants/${key}/endpoints`
  const { id } = (await request('POST', path, { body: ENDPOINT })).json
  const { cert: certificate, key: privateKey } = (await makeCertificates()).client
  const body = { certificate, privateKey }
  t.equal((await request('PUT', `${path}/${id}/client-certificate`, { body })).status, 200)
  t.match(await lastOf(id), {
    action: 'change_endpoint',
    who: 'admin key',
    detail: { after: { client_certificate: certificate, client_key_encrypted: '***' } },
  })
  await request('DELETE', `${path}/${id}/client-certificate`)
  t.strictSame((await lastOf(id)).detail.after, {
    client_certificate: null,
    client_key_encrypted: null,
  })
})

t.test('keys, links and states of tenants: from where as well', async (t) => {
  const { key, id } = await createTenant(pool)
  const made = await request('POST', '/api/keys', {
    body: { name: 'worker', scopes: ['publish'], tenant: key },
  })
  t.match(await lastOf(made.json.id), {
    action: 'create_api_key',
    detail: { name: 'worker', scopes: ['publish'], client: 'unknown' },
  })
  const calls: [string, string, string][] = [
    ['POST', 'portal-links', 'create_portal_link'],
    ['DELETE', 'portal-links', 'revoke_portal_links'],
    ['POST', 'suspend', 'suspend_tenant'],
    ['POST', 'resume', 'resume_tenant'],
  ]
  for (const [method, path, action] of calls) {
    const { status } = await request(method, `/api/tenants/${key}/${path}`, { body: {} })
    t.ok(status < 300, `${action} ${status}`)
    t.match(await lastOf(id), { action, who: 'admin key', detail: { client: 'unknown' } })
  }
})

t.test('a tenant that is deleted leaves one row, not one for each endpoint', async (t) => {
  const { key, id } = await createTenant(pool)
  for (let n = 0; n < 3; n++) {
    await request('POST', `/api/tenants/${key}/endpoints`, { body: ENDPOINT })
  }
  await request('DELETE', `/api/tenants/${key}`)
  const { rows } = await pool.query(
    `select action, who, detail ->> 'client' as client from postrider.audit_log
     where tenant_id = $1 and action ~ '^delete_'`,
    [id],
  )
  t.strictSame(rows, [{ action: 'delete_tenant', who: 'admin key', client: 'unknown' }])
})

t.test('what the service keeps next to the settings leaves no row', async (t) => {
  const { key } = await createTenant(pool)
  const { id } = (await request('POST', `/api/tenants/${key}/endpoints`, { body: ENDPOINT })).json
  const count = await countOf(id)
  await pool.query(
    `update postrider.endpoint set unreadable_since = now(), unreadable_detail = 'lost' where id = $1`,
    [id],
  )
  t.equal(await countOf(id), count)
})
