import t from 'tap'
import { secretBox } from '../../testing/data/encryption.ts'
import { createTenant } from '../../testing/data/tenant.ts'
import { isLong } from '../../testing/long.ts'
import { startReceiver } from '../../testing/servers/receiver.ts'
import { createTestDatabase } from '../../testing/wiring/database.ts'
import { type Service, startService } from '../../testing/wiring/service.ts'

const { pool, url } = await createTestDatabase(t)

const startRunner = () => startService(t, 'runner', { DATABASE_URL: url, LOG_LEVEL: 'info' })
const idOf = async (runner: Service) => String((await runner.line('runner.started'))['runnerId'])
const drain = (id: string, who = 'ann') =>
  pool.query<{ held: number }>('select postrider.drain_runner($1, $2) as held', [id, who])
const health = async (id: string) =>
  (await pool.query('select * from postrider.runner_health where id = $1', [id])).rows[0]

t.test('a drained runner finishes what it has, takes nothing more, and exits 0', async (t) => {
  await using receiver = await startReceiver()
  const answered = Promise.withResolvers<void>()
  receiver.answerWith((_, n) =>
    n === 1 ? answered.promise.then(() => ({ status: 200 })) : { status: 200 },
  )
  const tenant = await createTenant(pool)
  await tenant.addEndpoint({ url: receiver.url }, secretBox.encrypt)
  const runner = await startRunner()
  const id = await idOf(runner)
  const first = await tenant.publish()
  await receiver.received(1)

  t.strictSame((await drain(id)).rows, [{ held: 1 }])
  await runner.line('runner.drain_requested')
  t.match(await health(id), { state: 'draining', jobs_locked: '1' })
  const later = await tenant.publish()
  answered.resolve()
  t.equal(await runner.ended, 0)
  t.match(await health(id), { state: 'stopped', jobs_locked: '0' })
  const { rows } = await pool.query(
    'select event_id, state from postrider.delivery where tenant_id = $1 order by id',
    [tenant.id],
  )
  t.strictSame(rows, [
    { event_id: first, state: 'delivered' },
    { event_id: later, state: 'pending' },
  ])

  const heir = await startRunner()
  const [, request] = await receiver.received(2)
  t.equal(request?.headers['webhook-id'], later, 'it is left to the others')
  t.equal(await heir.stop(), 0)
})

if (isLong)
  t.test('only the runner that was named is drained, and its log row says by whom', async (t) => {
    const [named, other] = await Promise.all([startRunner(), startRunner()])
    const id = await idOf(named)
    await drain(id)
    t.equal(await named.ended, 0)
    t.match(await health(await idOf(other)), { state: 'live' })
    const { rows } = await pool.query(
      'select who, action, target_kind from postrider.audit_log where target_id = $1',
      [id],
    )
    t.strictSame(rows, [{ who: 'ann', action: 'drain_runner', target_kind: 'runner' }])
    t.equal(await other.stop(), 0)
  })

t.test('asking twice is one request', async (t) => {
  await pool.query(`select postrider.register_runner('elsewhere', 'host', 1)`)
  await drain('elsewhere', 'ann')
  await drain('elsewhere', 'bob')
  const { rows } = await pool.query(
    `select who from postrider.audit_log where target_id = 'elsewhere'`,
  )
  t.strictSame(rows, [{ who: 'ann' }])
})

t.test('a runner that is unknown or has ended is refused, with a hint', async (t) => {
  await t.rejects(drain('nobody'), { code: 'P0002', hint: /runner_health/ })
  await pool.query(`select postrider.register_runner('gone', 'host', 1)`)
  await pool.query(`select postrider.stop_runner('gone')`)
  await t.rejects(drain('gone'), { code: '55000', hint: /holds no work/ })
  await pool.query(`select postrider.register_runner('dead', 'host', 1)`)
  await pool.query(`update postrider.runner set reaped_at = now() where id = 'dead'`)
  await t.rejects(drain('dead'), { code: '55000', message: /has ended already/ })
})
