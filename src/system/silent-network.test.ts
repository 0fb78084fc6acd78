import t from 'tap'
import { secretBox } from '../testing/data/encryption.ts'
import { createTenant } from '../testing/data/tenant.ts'
import { startPostgresProxy } from '../testing/servers/postgres-proxy.ts'
import { startReceiver } from '../testing/servers/receiver.ts'
import { untilAnswer } from '../testing/until.ts'
import { createTestDatabase } from '../testing/wiring/database.ts'
import { startService } from '../testing/wiring/service.ts'

t.setTimeout(600_000)

const { pool, url } = await createTestDatabase(t)

/** Without these, TCP would find out in up to 15 minutes. */
const HEARS_NOTHING_MS_MAX = 60_000

// Its idle connections were kept, and every statement on them waited for ever: the runner was known as
// living, by a connection that it had dialled again, and did nothing.
t.test('a runner whose database host died works on as soon as there is another', async (t) => {
  await using receiver = await startReceiver()
  const tenant = await createTenant(pool)
  await tenant.addEndpoint({ url: receiver.url }, secretBox.encrypt)
  const answer = Promise.withResolvers<number>()
  receiver.answerWith((_, n) => (n === 1 ? answer.promise : 200))
  const proxy = await startPostgresProxy(t, url)
  const runner = await startService(t, 'runner', { DATABASE_URL: proxy.url })
  await tenant.publish()
  await receiver.received(1)

  proxy.replace()
  answer.resolve(200)
  await tenant.publish()
  await receiver.received(2, HEARS_NOTHING_MS_MAX)
  await runner.line('runner.presence_lost')
  const { rows } = await pool.query(
    `select outcome, count(*)::int from postrider.attempt where tenant_id = $1 group by 1`,
    [tenant.id],
  )
  t.notOk(
    rows.some(({ outcome }) => outcome === 'abandoned'),
    'nobody else took over',
  )
  t.equal(await runner.stop(), 0)
})

t.test('an API whose database does not answer says so within bounds, and goes on', async (t) => {
  const tenant = await createTenant(pool)
  const proxy = await startPostgresProxy(t, url)
  const api = await startService(t, 'api', { DATABASE_URL: proxy.url })
  const publish = () =>
    fetch(`${api.url}/api/events`, {
      method: 'POST',
      headers: {
        authorization: 'Bearer test-admin-key',
        'content-type': 'application/json',
        'idempotency-key': 'once',
      },
      body: JSON.stringify({ tenant: tenant.key, type: 'a.b', data: {} }),
      signal: AbortSignal.timeout(HEARS_NOTHING_MS_MAX),
    })
  t.equal((await publish()).status, 202)

  proxy.hang()
  const hung = await publish()
  t.equal(hung.status, 503)
  t.equal(hung.headers.get('retry-after'), '1')
  const ready = await fetch(`${api.url}/ready`)
  t.match([ready.status, await ready.json()], [503, { ready: false }])

  proxy.replace()
  const again = await untilAnswer(publish, ({ status }) => status === 202)
  t.match(await again.json(), { duplicate: true })
  t.equal(await api.stop(), 0)
})
