import { randomBytes } from 'node:crypto'
import t from 'tap'
import { resealAll } from '../../secrets/reseal.ts'
import { createSecretBox } from '../../secrets/secrets.ts'
import { createTenant } from '../../testing/data/tenant.ts'
import { startReceiver } from '../../testing/servers/receiver.ts'
import { untilHolds } from '../../testing/until.ts'
import { runCommand } from '../../testing/wiring/command.ts'
import { createTestDatabase } from '../../testing/wiring/database.ts'
import { startService } from '../../testing/wiring/service.ts'

/** More than a look at the newest few finds. */
const NEWER_ENDPOINTS = 25
const [KEY, LOST] = [randomBytes(32), randomBytes(32)]
const keys = (...list: Buffer[]) => list.map((key) => key.toString('base64')).join(',')
const seal = createSecretBox([KEY]).encrypt
const sealWithLost = createSecretBox([LOST]).encrypt

async function bundle(t: Parameters<typeof startService>[0]) {
  const { pool, url } = await createTestDatabase(t)
  const receiver = await startReceiver()
  t.teardown(() => receiver.close())
  const tenant = await createTenant(pool)
  const environment = (...list: Buffer[]) => ({
    DATABASE_URL: url,
    SECRET_ENCRYPTION_KEY: keys(...list),
  })
  return {
    pool,
    receiver,
    tenant,
    start: (...list: Buffer[]) => startService(t, 'runner', environment(...list)),
    cli: (args: string[], ...list: Buffer[]) => runCommand(args, { env: environment(...list) }),
    /** Resolves when so many deliveries of an endpoint are in this state, and none in another. */
    until: (endpointId: string, state: string, count: number) =>
      untilHolds(
        pool,
        `select count(*) = ${count} and bool_and(state = '${state}') as holds
         from postrider.delivery where endpoint_id = $1`,
        [endpointId],
      ),
    attempts: async () =>
      (await pool.query('select count(*)::int as count from postrider.attempt')).rows[0].count,
  }
}

// Each was claimed again every minute, without end and without anybody being told (issue 14).
t.test('what no key opens is held, said, and released by one command', async (t) => {
  const { pool, receiver, tenant, start, cli, until, attempts } = await bundle(t)
  const types = { event_types: ['a.b'] }
  const lost = await tenant.addEndpoint({ url: receiver.url, ...types }, sealWithLost)
  for (let n = 0; n < NEWER_ENDPOINTS; n++) {
    await tenant.addEndpoint({ url: receiver.url, event_types: ['c.d'] }, seal)
  }
  for (let n = 0; n < 30; n++) await tenant.publish('a.b')

  const runner = await start(KEY)
  t.match(await runner.line('secrets.unreadable'), {
    checked: NEWER_ENDPOINTS + 1,
    unreadable: 1,
    endpoints: 1,
    named: [{ id: lost.id, url: receiver.url, detail: /does not list the key/ }],
  })
  await until(lost.id, 'held', 30)
  const before = await attempts()
  for (let n = 0; n < 5; n++) await tenant.publish('a.b')
  await tenant.publish('c.d')
  await receiver.received(NEWER_ENDPOINTS)
  await until(lost.id, 'held', 35)
  await untilHolds(
    pool,
    `select count(*) = ${NEWER_ENDPOINTS} as holds from postrider.delivery where state = 'delivered'`,
  )
  t.equal(await attempts(), before + NEWER_ENDPOINTS, 'what is published later is never claimed')

  const checked = await cli(['secrets', 'check'], KEY)
  t.equal(checked.exitCode, 1)
  t.match(checked.stdout, `1 of ${NEWER_ENDPOINTS + 1} cannot be opened`)
  t.match(checked.stdout, lost.id)
  const doctor = await cli(['doctor', '--json'], KEY)
  t.match(JSON.parse(doctor.stdout), {
    violations: [{ kind: 'secret_unreadable', id: lost.id, detail: /^35 deliveries/ }],
  })
  const refused = await cli(['secrets', 'release'], KEY)
  t.match(refused, { exitCode: 1, stdout: 'released 0 endpoints; 1 stays held\n' })
  await runner.stop()

  t.match(await cli(['secrets', 'check', '--json'], KEY, LOST), {
    exitCode: 0,
    stdout: `{"checked":${NEWER_ENDPOINTS + 1},"unreadable":0,"endpoints":0,"named":[]}\n`,
  })
  t.match(await cli(['secrets', 'release'], KEY, LOST), {
    exitCode: 0,
    stdout: 'released 1 endpoint; 0 stay held\n',
  })
  await start(KEY, LOST)
  await until(lost.id, 'delivered', 35)
  t.match((await cli(['doctor'], KEY)).exitCode, 0)
  const { rows } = await pool.query(
    `select who, action, target_id from postrider.audit_log where action = 'release_secrets'`,
  )
  t.strictSame(rows, [
    { who: 'postrider secrets release', action: 'release_secrets', target_id: lost.id },
  ])
})

t.test('a runner that starts with the key releases what it can open', async (t) => {
  const { pool, receiver, tenant, start, until } = await bundle(t)
  await tenant.addEndpoint({ url: receiver.url, event_types: ['c.d'] }, seal)
  const types = { event_types: ['a.b'] }
  const lost = await tenant.addEndpoint({ url: receiver.url, ...types }, sealWithLost)
  const neverFound = createSecretBox([randomBytes(32)]).encrypt
  const stays = await tenant.addEndpoint({ url: receiver.url, ...types }, neverFound)
  await tenant.publish('a.b')
  const first = await start(KEY)
  await until(lost.id, 'held', 1)
  await until(stays.id, 'held', 1)
  await first.stop()

  const second = await start(KEY, LOST)
  t.match(await second.line('secrets.released'), { endpoints: 1 })
  t.match(await second.line('secrets.unreadable'), { endpoints: 1, named: [{ id: stays.id }] })
  await until(lost.id, 'delivered', 1)
  const { rows } = await pool.query(
    `select state, held_reason as reason from postrider.delivery where endpoint_id = $1`,
    [stays.id],
  )
  t.strictSame(rows, [{ state: 'held', reason: 'secret' }])
})

t.test('a client key that no key opens holds as well, until it is taken away', async (t) => {
  const { pool, receiver, tenant, start, until } = await bundle(t)
  const endpoint = await tenant.addEndpoint({ url: receiver.url }, seal)
  const set = (key: string | null) =>
    pool.query(
      `update postrider.endpoint set client_certificate = $2, client_key_encrypted = $2, url = $3 where id = $1`,
      // Only receivers over TLS ask for it.
      [endpoint.id, key, key === null ? receiver.url : receiver.url.replace('http', 'https')],
    )
  await set(sealWithLost('PEM', endpoint.id, 'client-key'))
  await tenant.publish()
  const runner = await start(KEY)
  t.match(await runner.line('secrets.unreadable'), {
    checked: 2,
    unreadable: 1,
    named: [{ id: endpoint.id }],
  })
  await until(endpoint.id, 'held', 1)
  await set(null)
  await until(endpoint.id, 'delivered', 1)
})

t.test('a long address does not widen the rows of other endpoints', async (t) => {
  const { tenant, cli } = await bundle(t)
  const long = `https://example.com/${'a'.repeat(2_000)}`
  await tenant.addEndpoint({ url: long }, sealWithLost)
  await tenant.addEndpoint({ url: 'https://example.com/' }, sealWithLost)
  const { stdout } = await cli(['secrets', 'check'], KEY)
  const lines = stdout.trimEnd().split('\n')
  t.match(lines, [/^2 of 2/, /^id +detail +url$/, /aaa$/, /com\/$/])
  t.ok((lines[3]?.length ?? 0) < 300)
})

t.test('a secret header that no key opens holds as well, until it is given again', async (t) => {
  const { pool, receiver, tenant, start, cli, until } = await bundle(t)
  const endpoint = await tenant.addEndpoint({ url: receiver.url }, seal)
  const set = (sealed: string) =>
    pool.query('update postrider.endpoint set secret_headers = $2 where id = $1', [
      endpoint.id,
      { Authorization: sealed },
    ])
  await set(sealWithLost('Bearer a', endpoint.id, 'header:authorization'))
  await tenant.publish()
  const runner = await start(KEY)
  t.match(await runner.line('secrets.unreadable'), { checked: 2, unreadable: 1 })
  await until(endpoint.id, 'held', 1)
  t.match(await cli(['secrets', 'check'], KEY), { exitCode: 1, stdout: /1 of 2 cannot be opened/ })
  t.equal(receiver.requests.length, 0)
  await set(seal('Bearer b', endpoint.id, 'header:authorization'))
  await until(endpoint.id, 'delivered', 1)
  t.equal(receiver.requests[0]?.headers['authorization'], 'Bearer b')
})

t.test(
  'rotate-encryption encrypts everything again, goes on where it was stopped, and says what it cannot',
  async (t) => {
    const NEXT = randomBytes(32)
    const { pool, receiver, tenant, start, cli, until } = await bundle(t)
    for (let n = 0; n < 250; n++)
      await tenant.addEndpoint({ url: receiver.url, event_types: ['no'] }, seal)
    const endpoint = await tenant.addEndpoint({ url: receiver.url }, seal)
    await tenant.addSecret(endpoint.id, seal)
    await pool.query(
      'update postrider.endpoint set client_certificate = $2, client_key_encrypted = $3, secret_headers = $4 where id = $1',
      [
        endpoint.id,
        'PEM',
        seal('KEY', endpoint.id, 'client-key'),
        { 'X-Code': seal('a', endpoint.id, 'header:x-code') },
      ],
    )
    const left = async () => {
      const text = `select count(*)::int as count from (
      select encrypted from postrider.endpoint_secret
      union all select client_key_encrypted from postrider.endpoint where client_key_encrypted is not null
      union all select h.value from postrider.endpoint e, jsonb_each_text(e.secret_headers) h
    ) as s (sealed) where sealed not like $1`
      const [, id] = createSecretBox([NEXT]).encrypt('x', endpoint.id, 'client-key').split('.')
      return (await pool.query(text, [`v2.${id}.%`])).rows[0].count
    }
    const box = createSecretBox([NEXT, KEY])
    const { id: last } = (
      await pool.query('select id from postrider.audit_log order by id desc limit 1')
    ).rows[0]
    const stop = new AbortController()
    const options = { who: 'a test', signal: stop.signal, onProgress: () => stop.abort() }
    t.match(await resealAll(pool, box, options), { endpoints: 100, isDone: false })
    const before = await left()
    t.ok(before > 0 && before < 254, `${before} left`)

    const done = await cli(['rotate-encryption', '--json'], NEXT, KEY)
    t.equal(done.exitCode, 0)
    t.match(JSON.parse(done.stdout), { endpoints: 251, resealed: 151, unreadable: 0, isDone: true })
    t.equal(await left(), 0)
    const audited = await pool.query(
      `select action, sum((detail ->> 'endpoints')::int)::int as endpoints from postrider.audit_log
     where id > $1 group by action order by action`,
      [last],
    )
    t.strictSame(audited.rows, [{ action: 'reseal', endpoints: 251 }], 'and says so once a batch')
    t.match(await cli(['rotate-encryption'], NEXT), {
      exitCode: 0,
      stdout: '0 of 251 endpoints encrypted again\n',
    })

    await start(NEXT)
    await pool.query(
      'update postrider.endpoint set client_certificate = null, client_key_encrypted = null where id = $1',
      [endpoint.id],
    )
    await tenant.publish()
    await until(endpoint.id, 'delivered', 1)
    t.match(receiver.requests[0]?.headers, { 'x-code': 'a' })

    await tenant.addEndpoint({ url: receiver.url, event_types: ['no'] }, sealWithLost)
    const refused = await cli(['rotate-encryption'], NEXT)
    t.match(refused, { exitCode: 1, stderr: /1 endpoint has a secret/ })
  },
)

t.test('a runner that can open none of them does not start', async (t) => {
  const { receiver, tenant, cli } = await bundle(t)
  await tenant.addEndpoint({ url: receiver.url }, sealWithLost)
  const { exitCode, stderr } = await cli(['runner'], KEY)
  t.equal(exitCode, 78)
  t.match(stderr, /SECRET_ENCRYPTION_KEY opens none of the endpoint secrets/)
})
