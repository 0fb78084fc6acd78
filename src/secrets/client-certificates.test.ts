import t from 'tap'
import type { EndpointId, TenantId } from '../ids.ts'
import { secretBox } from '../testing/data/encryption.ts'
import { createTenant } from '../testing/data/tenant.ts'
import { createWork } from '../testing/data/work.ts'
import { makeCertificates } from '../testing/servers/certificates.ts'
import { createTestServices } from '../testing/wiring/api.ts'
import { createTestDatabase } from '../testing/wiring/database.ts'

const { pool } = await createTestDatabase(t)
const { client, otherClient, expired } = await makeCertificates()
const { endpoints, clientCertificates: certificates } = createTestServices(pool)
const input = ({ cert, key }: { cert: string; key: string }) => ({
  certificate: cert,
  privateKey: key,
})

async function bundle() {
  const tenantId = (await createTenant(pool)).id as TenantId
  const { endpoint } = await endpoints.create(tenantId, { url: 'https://a.test' })
  const row = async () => {
    const text =
      'select client_certificate, client_key_encrypted, updated_at from postrider.endpoint where id = $1'
    return (await pool.query(text, [endpoint.id])).rows[0]
  }
  return { tenantId, id: endpoint.id, row }
}

t.test(
  'an endpoint has no certificate until one is set, and none after it was cleared',
  async (t) => {
    const { tenantId, id } = await bundle()
    t.equal(await certificates.get(tenantId, id), null)
    const described = await certificates.set(tenantId, id, input(client))
    t.match(described, { subject: 'CN=client' })
    t.strictSame(await certificates.get(tenantId, id), described)

    await certificates.set(tenantId, id, input(otherClient))
    t.match(await certificates.get(tenantId, id), { subject: 'CN=other-client' })

    await certificates.clear(tenantId, id)
    t.equal(await certificates.get(tenantId, id), null)
    await certificates.clear(tenantId, id)
  },
)

t.test('the key is stored encrypted, for this endpoint only', async (t) => {
  const { tenantId, id, row } = await bundle()
  const before = await row()
  await certificates.set(tenantId, id, input(client))
  const { client_certificate, client_key_encrypted, updated_at } = await row()
  t.equal(client_certificate, client.cert)
  t.match(client_key_encrypted, /^v2\./)
  t.equal(secretBox.decrypt(client_key_encrypted, id, 'client-key'), client.key)
  const other = await bundle()
  t.throws(() => secretBox.decrypt(client_key_encrypted, other.id, 'client-key'), {
    code: 'secret_unreadable',
  })
  t.ok(updated_at > before.updated_at)
})

t.test('what is refused changes nothing', async (t) => {
  const { tenantId, id } = await bundle()
  await certificates.set(tenantId, id, input(client))
  await t.rejects(certificates.set(tenantId, id, input(expired)), {
    code: 'client_certificate_invalid',
    mistakes: [{ field: 'certificate', message: /^has expired/ }],
  })
  t.match(await certificates.get(tenantId, id), { subject: 'CN=client' })
})

t.test('the endpoint of another tenant, or a deleted one, is not found', async (t) => {
  const { tenantId, id, row } = await bundle()
  const other = await bundle()
  await certificates.set(tenantId, id, input(client))
  const notFound = { code: 'endpoint_not_found' }
  await t.rejects(certificates.get(other.tenantId, id), notFound)
  await t.rejects(certificates.set(other.tenantId, id, input(otherClient)), notFound)
  await t.rejects(certificates.clear(other.tenantId, id), notFound)
  t.match(await certificates.get(tenantId, id), { subject: 'CN=client' })

  await endpoints.delete(tenantId, id)
  await t.rejects(certificates.get(tenantId, id), notFound)
  t.match(await row(), { client_certificate: null, client_key_encrypted: null })
})

t.test('a claim carries the certificate and its encrypted key, or neither', async (t) => {
  const work = await createWork(pool)
  const tenantId = work.tenant.id as TenantId
  const endpointId = work.endpoint.id as EndpointId
  t.match(await work.claim(await work.publish()), {
    clientCertificate: null,
    clientKeyEncrypted: null,
  })
  await certificates.set(tenantId, endpointId, input(client))
  const claimed = await work.claim(await work.publish())
  t.equal(claimed?.clientCertificate, client.cert)
  t.equal(
    secretBox.decrypt(claimed?.clientKeyEncrypted ?? '', endpointId, 'client-key'),
    client.key,
  )
})
