import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import type { DeliveryId, EndpointId, TenantId } from '../../ids.ts'
import { createClaim } from '../../runner/claim.ts'
import { createDeliver } from '../../runner/deliver.ts'
import { createFinish } from '../../runner/finish.ts'
import { parseCidrs } from '../../sending/egress.ts'
import { createLookup } from '../../sending/lookup.ts'
import { createSender } from '../../sending/send.ts'
import { ENCRYPTION, secretBox } from '../../testing/data/encryption.ts'
import { createTenant } from '../../testing/data/tenant.ts'
import { makeCertificates } from '../../testing/servers/certificates.ts'
import { type NameAnswer, startNameServer } from '../../testing/servers/name-server.ts'
import { startHttpProxy } from '../../testing/servers/proxy.ts'
import { startReceiver } from '../../testing/servers/receiver.ts'
import { createTestServices } from '../../testing/wiring/api.ts'
import { createTestDatabase } from '../../testing/wiring/database.ts'
import { startService } from '../../testing/wiring/service.ts'

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
      secretBox.encrypt,
    )
    const { clientCertificates } = createTestServices(pool, ENCRYPTION)
    await clientCertificates.set(tenant.id as TenantId, endpoint.id as EndpointId, {
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
    await tenant.addEndpoint({ url: plain.url, event_types: ['plain'] }, secretBox.encrypt)
    await tenant.publish('plain')
    await receiver.received(2)
    t.equal(await runner.stop(), 0)
    const { rows } = await pool.query(
      `select a.outcome, a.reason, a.error from postrider.attempt a join postrider.endpoint e on e.id = a.endpoint_id
     where e.url like 'http:%'`,
    )
    t.strictSame(rows, [
      { outcome: 'blocked', reason: 'blocked_url', error: 'only https is allowed here' },
    ])
    t.equal(plain.connections(), 0)
  },
)

/**
 * An endpoint, and what a runner makes of the deliveries to it while a name server answers with one address (or
 * several) after the other. Only 127.0.0.1 may be dialled.
 */
async function delivering(t: Test, { url, answers }: { url: string; answers: string[][] }) {
  const names = await startNameServer(({ type }): NameAnswer => {
    return type === 'A' ? ((answers.length > 1 ? answers.shift() : answers[0]) ?? []) : []
  })
  const sender = createSender({
    allow: parseCidrs('127.0.0.1'),
    lookup: createLookup({ servers: [names.address], hostsFile: join(folder, 'no-hosts') }),
  })
  t.teardown(() => Promise.all([sender.close(), names[Symbol.asyncDispose]()]))
  const tenant = await createTenant(pool)
  const endpoint = await tenant.addEndpoint({ url, retry_schedule: [60, 60] })
  const runner = `runner-of-${endpoint.id}`
  await pool.query('select postrider.register_runner($1, $2, $3)', [runner, 'host', 1])
  const deliver = createDeliver({
    claim: createClaim(pool, runner),
    send: sender.send,
    finish: createFinish(pool, { disableAfterSeconds: 86_400 }),
    decryptSecret: (secret) => secret,
    linkOf: ({ eventId }) => `https://example.com/${eventId}`,
    schedule: { delaysSeconds: [60], jitter: 0, retryAfterMaxSeconds: 60 },
    timeoutMs: 5_000,
    random: Math.random,
    onFault: (error) => t.fail(String(error)),
    holdUnreadable: async ({ detail }) => t.fail(detail),
    tracing: null,
    log: () => {},
  })
  await tenant.publish()
  const state = async () => {
    const { rows } = await pool.query<{ id: string; state: string; due_attempt: number }>(
      'select id, state, due_attempt from postrider.delivery where tenant_id = $1',
      [tenant.id],
    )
    if (!rows[0]) throw new Error('the event matched no endpoint')
    return rows[0]
  }
  return {
    /** Makes the next attempt, and tells what came of it and what that made of the delivery. */
    attempt: async () => {
      const { id, due_attempt: dueAttempt } = await state()
      const result = await deliver({ deliveryId: id as DeliveryId, dueAttempt })
      return [result?.outcome, result?.reason, (await state()).state]
    },
    failures: async () => {
      const { rows } = await pool.query<{ failures: number }>(
        'select failures from postrider.circuit where endpoint_id = $1',
        [endpoint.id],
      )
      return rows[0]?.failures ?? 0
    },
  }
}

// Issue 14: one look-up that gave a forbidden address ended the delivery for good.
t.test('a name that is wrong once costs one attempt, and the next one delivers', async (t) => {
  await using receiver = await startReceiver()
  for (const wrong of [['0.0.0.0'], ['10.0.0.1'], ['127.0.0.2', '192.168.0.1']]) {
    const { attempt, failures } = await delivering(t, {
      url: `http://receiver.test:${receiver.port}/`,
      answers: [wrong, ['127.0.0.1']],
    })
    t.strictSame(await attempt(), ['blocked', 'blocked_name', 'pending'], String(wrong))
    t.equal(await failures(), 1, 'it counts for the endpoint')
    t.strictSame(await attempt(), ['delivered', null, 'delivered'])
    t.equal(await failures(), 0)
  }
  t.equal(receiver.requests.length, 3)
})

t.test('a name that stays wrong uses the schedule up, and nothing is ever dialled', async (t) => {
  await using receiver = await startReceiver({ host: '127.0.0.2' })
  const { attempt } = await delivering(t, {
    url: `http://receiver.test:${receiver.port}/`,
    answers: [['127.0.0.2']],
  })
  t.strictSame(await attempt(), ['blocked', 'blocked_name', 'pending'])
  t.strictSame(await attempt(), ['blocked', 'blocked_name', 'pending'])
  t.strictSame(await attempt(), ['blocked', 'blocked_name', 'failed'])
  t.equal(receiver.connections(), 0)
})

t.test('of several addresses only those that are allowed are dialled', async (t) => {
  await using receiver = await startReceiver()
  const { attempt } = await delivering(t, {
    url: `http://receiver.test:${receiver.port}/`,
    answers: [['10.0.0.1', '127.0.0.1', '192.168.0.1']],
  })
  t.strictSame(await attempt(), ['delivered', null, 'delivered'])
})

t.test('an address in the URL itself is final, in every notation', async (t) => {
  for (const host of [
    '10.0.0.1',
    '10.0.0.1.',
    '167772161',
    '0x0a000001',
    '012.0.0.1',
    '10.1',
    '[::ffff:10.0.0.1]',
    '[::ffff:a00:1]',
    '[fd00::1]',
    '0.0.0.0',
  ]) {
    const { attempt } = await delivering(t, { url: `http://${host}/`, answers: [['127.0.0.1']] })
    t.strictSame(await attempt(), ['blocked', 'blocked_address', 'failed'], host)
  }
})
