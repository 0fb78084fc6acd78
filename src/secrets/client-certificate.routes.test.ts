import t from 'tap'
import type { TenantId } from '../ids.ts'
import { createTenant } from '../testing/data/tenant.ts'
import { makeCertificates } from '../testing/servers/certificates.ts'
import { createTestApi } from '../testing/wiring/api.ts'
import { createTestDatabase } from '../testing/wiring/database.ts'

const { pool } = await createTestDatabase(t)
const { request, apiKeys } = createTestApi(pool)
const certificates = await makeCertificates()
const UNKNOWN_ID = '00000000-0000-7000-8000-000000000000'
const inputOf = ({ key, cert }: { key: string; cert: string }) => ({
  certificate: cert,
  privateKey: key,
})

async function bundle() {
  const tenant = await createTenant(pool)
  const { id } = await tenant.addEndpoint({ url: 'https://example.com/' })
  const call = (method: string, options = {}, of = id) =>
    request(method, `/api/tenants/${tenant.key}/endpoints/${of}/client-certificate`, options)
  return { tenant, id, call }
}

t.test('given, shown without its key, replaced, taken away', async (t) => {
  const { call } = await bundle()
  const none = { status: 404, json: { code: 'client_certificate_not_found' } }
  t.match(await call('GET'), none)
  const given = await call('PUT', { body: inputOf(certificates.client) })
  t.equal(given.status, 200)
  t.match(given.json, { subject: 'CN=client', fingerprint: /^[0-9A-F:]{95}$/, validTo: /Z$/ })
  t.strictSame((await call('GET')).json, given.json)
  t.notMatch(given.text, 'PRIVATE')
  t.match(await call('PUT', { body: inputOf(certificates.otherClient) }), {
    json: { subject: 'CN=other-client' },
  })
  t.match(await call('DELETE'), { status: 204, text: '' })
  t.match(await call('GET'), none)
  t.equal((await call('DELETE')).status, 204, 'there is none')
})

t.test('422 names what cannot be used', async (t) => {
  const { call } = await bundle()
  const { client, otherClient, expired } = certificates
  const cases: [unknown, string[]][] = [
    [{}, ['certificate', 'privateKey']],
    [{ certificate: 'x', privateKey: 'y' }, ['certificate', 'privateKey']],
    [inputOf({ cert: client.cert, key: otherClient.key }), ['privateKey']],
    [inputOf(expired), ['certificate']],
    [{ ...inputOf(client), passphrase: 'x' }, ['passphrase']],
    [{ certificate: 'x'.repeat(65_537), privateKey: client.key }, ['certificate']],
  ]
  for (const [body, fields] of cases) {
    const { status, json, text } = await call('PUT', { body })
    t.equal(status, 422)
    t.strictSame(json.errors.map(({ field }: { field: string }) => field).sort(), fields)
    t.notMatch(text, 'BEGIN', 'nothing of it is quoted')
  }
})

t.test('each route: 401, 403 and 404', async (t) => {
  const { id, call } = await bundle()
  const other = await bundle()
  await call('PUT', { body: inputOf(certificates.client) })
  const reader = await apiKeys.issue({ name: 'r', scopes: ['read'] })
  const publisher = await apiKeys.issue({ name: 'p', scopes: ['publish'] })
  const tenantId = other.tenant.id as TenantId
  const foreign = await apiKeys.issue({ name: 'f', scopes: ['read', 'manage'], tenantId })
  const body = inputOf(certificates.client)
  for (const [method, options, lacking] of [
    ['GET', {}, publisher],
    ['PUT', { body }, reader],
    ['DELETE', {}, reader],
  ] as const) {
    t.equal((await call(method, { ...options, key: null })).status, 401, method)
    t.equal((await call(method, { ...options, key: lacking.key })).status, 403, method)
    t.match(await call(method, { ...options, key: foreign.key }), {
      status: 404,
      json: { code: 'tenant_not_found' },
    })
    for (const unknown of [UNKNOWN_ID, 'x']) {
      t.match(await call(method, options, unknown), { json: { code: 'endpoint_not_found' } })
    }
    t.match(await other.call(method, options, id), { status: 404 }, 'of another tenant')
  }
  t.equal((await call('GET')).status, 200)
})
