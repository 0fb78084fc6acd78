import t from 'tap'
import { secretBox } from '../../testing/data/encryption.ts'
import { createTenant } from '../../testing/data/tenant.ts'
import { startReceiver } from '../../testing/servers/receiver.ts'
import { untilHolds } from '../../testing/until.ts'
import { createTestDatabase } from '../../testing/wiring/database.ts'
import { startService } from '../../testing/wiring/service.ts'

const { pool, url } = await createTestDatabase(t)
/** As many as the product is meant for; each takes two milliseconds of the processor. */
const ENDPOINTS = 10_000
/** As many requests on a busy machine. */
t.setTimeout(600_000)

t.test(
  'an event for thousands of endpoints reaches each, others are served meanwhile, and a crash in the middle neither loses nor doubles one',
  async (t) => {
    const receiver = await startReceiver()
    t.teardown(() => receiver.close())
    const tenant = await createTenant(pool)
    const first = await tenant.addEndpoint({ url: `${receiver.url}/1` }, secretBox.encrypt)
    await pool.query(
      `with made as (
       insert into postrider.endpoint (tenant_id, url)
       select $1, $2 || n from generate_series(2, $3::int) n returning id, tenant_id)
     insert into postrider.endpoint_secret (tenant_id, endpoint_id, encrypted)
     select made.tenant_id, made.id, s.encrypted from made, postrider.endpoint_secret s where s.endpoint_id = $4`,
      [tenant.id, `${receiver.url}/`, ENDPOINTS, first.id],
    )
    // Secrets are sealed for one endpoint each, so the copies cannot be opened; these give each its own.
    const { rows: endpoints } = await pool.query(
      'select id from postrider.endpoint where tenant_id = $1',
      [tenant.id],
    )
    await pool.query(
      `update postrider.endpoint_secret s set encrypted = x.encrypted
     from unnest($1::uuid[], $2::text[]) as x (endpoint_id, encrypted) where s.endpoint_id = x.endpoint_id`,
      [
        endpoints.map(({ id }) => id),
        endpoints.map(({ id }) => secretBox.encrypt(first.secret, id, 'signing-secret')),
      ],
    )

    const other = await createTenant(pool)
    await other.addEndpoint({ url: `${receiver.url}/other` }, secretBox.encrypt)
    const env = { DATABASE_URL: url, LOG_LEVEL: 'warn' }
    const victim = await startService(t, 'runner', { ...env, LOG_LEVEL: 'info' })
    await startService(t, 'runner', { ...env, LOG_LEVEL: 'info' })

    const eventId = await tenant.publish()
    await receiver.received(ENDPOINTS / 20, 60_000)
    await other.publish()
    const sentBefore = receiver.requests.length
    await victim.stop('SIGKILL')
    await untilHolds(
      pool,
      'select bool_and(finished_at is not null) as holds from postrider.delivery where event_id = $1',
      [eventId],
    )

    const { rows } = await pool.query(
      `select count(distinct d.endpoint_id)::int as endpoints, count(*) filter (where a.outcome = 'delivered')::int as delivered,
       count(*) filter (where a.outcome = 'abandoned')::int as abandoned
     from postrider.delivery d join postrider.attempt a on a.delivery_id = d.id where d.event_id = $1 and d.state = 'delivered'`,
      [eventId],
    )
    t.match(rows, [{ endpoints: ENDPOINTS, delivered: ENDPOINTS }])
    const paths = receiver.requests.map(({ path }) => path)
    t.equal(new Set(paths).size, ENDPOINTS + 1, 'each endpoint, and that of the other tenant')
    t.ok(
      paths.length <= ENDPOINTS + 1 + rows[0].abandoned,
      'each repeat has an attempt that was cut off',
    )
    const before = paths.indexOf('/other')
    t.ok(
      before > 0 && before - sentBefore < paths.length / 2,
      `the other tenant was served as number ${before}, published after ${sentBefore}`,
    )
  },
)
