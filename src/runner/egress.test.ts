import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { createDatabase } from '../database/pool.ts'
import { createClientCertificates } from '../endpoints/client-certificates.ts'
import type { EndpointId, TenantId } from '../ids.ts'
import { makeCertificates } from '../testing/certificates.ts'
import { createTestDatabase } from '../testing/database.ts'
import { startHttpProxy } from '../testing/proxy.ts'
import { startReceiver } from '../testing/receiver.ts'
import { encryptSecret, startService } from '../testing/service.ts'
import { createTenant } from '../testing/tenant.ts'

const { pool, url: databaseUrl } = await createTestDatabase(t)
const certificates = await makeCertificates()
const folder = await mkdtemp(join(tmpdir(), 'postrider-egress-'))
t.teardown(() => rm(folder, { recursive: true }))

t.test(
  'a runner sends through its proxy, with the certificate of the endpoint, to a receiver of a private authority',
  async (t) => {
    const caFile = join(folder, 'ca.pem')
    await writeFile(caFile, certificates.ca)
    await using proxy = await startHttpProxy({ credentials: { username: 'a', password: 'b' } })
    await using receiver = await startReceiver({
      tls: { ...certificates.valid, clientCa: certificates.ca },
    })
    const tenant = await createTenant(pool)
    const endpoint = await tenant.addEndpoint(
      { url: `https://receiver.test:${receiver.port}/` },
      encryptSecret,
    )
    await createClientCertificates({
      database: createDatabase(pool),
      box: { encrypt: encryptSecret },
    }).set(tenant.id as TenantId, endpoint.id as EndpointId, {
      certificate: certificates.client.cert,
      privateKey: certificates.client.key,
    })
    const runner = await startService(t, 'runner', {
      DATABASE_URL: databaseUrl,
      EGRESS_PROXY: proxy.url,
      EGRESS_CA_FILE: caFile,
      HTTPS_ONLY: 'true',
    })
    await tenant.publish()
    t.match(await receiver.received(1), [{ clientCertificate: 'CN=client' }])
    t.strictSame(proxy.asked, [`receiver.test:${receiver.port}`])

    await using plain = await startReceiver()
    await tenant.addEndpoint({ url: plain.url, event_types: ['plain'] }, encryptSecret)
    await tenant.publish('plain')
    await receiver.received(2)
    t.equal(await runner.stop(), 0)
    const { rows } = await pool.query(
      `select a.outcome, a.error from postrider.attempt a join postrider.endpoint e on e.id = a.endpoint_id
     where e.url like 'http:%'`,
    )
    t.strictSame(rows, [{ outcome: 'blocked', error: 'only https is dialled here' }])
    t.equal(plain.connections(), 0)
  },
)
