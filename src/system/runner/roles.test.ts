/** A real runner, logged in as a member of postrider_runner and of nothing else. */
import t, { type Test } from 'tap'
import { assertRights } from '../../postgres/migrate/assert-rights.ts'
import { grantRoles, migrate } from '../../postgres/migrate/migrate.ts'
import { RIGHTS } from '../../postgres/migrate/rights.ts'
import { createPool } from '../../postgres/pool.ts'
import { secretBox } from '../../testing/data/encryption.ts'
import { createTenant } from '../../testing/data/tenant.ts'
import { startReceiver } from '../../testing/servers/receiver.ts'
import {
  connect,
  createRolesDatabase,
  startRolesServer,
} from '../../testing/servers/roles-server.ts'
import { startService } from '../../testing/wiring/service.ts'

t.test('on Postgres 18', (t) => conformance(t))
t.test('on Postgres 15', (t) => conformance(t, 15))

async function conformance(t: Test, major?: number) {
  const database = await createRolesDatabase(t, ['postrider_runner'], major ? { major } : {})
  if (!database) return t.plan(0, 'Postgres 15 is not installed: apt-get install postgresql')
  const { url, server, urls } = database
  const pool = createPool({ connectionString: url, max: 4, applicationName: 'test' })
  t.teardown(() => pool.end())
  const start = (databaseUrl = urls.postrider_runner, env = {}) =>
    startService(t, 'runner', { DATABASE_URL: databaseUrl, RETRY_SCHEDULE: '0.1', ...env })
  const owner = await connect(t, url)

  t.test('it delivers, tries again, and does its duties without a complaint', async (t) => {
    await using receiver = await startReceiver()
    receiver.answerWith((_, n) => ({ status: n === 1 ? 503 : 200 }))
    const tenant = await createTenant(pool)
    const endpoint = await tenant.addEndpoint({ url: receiver.url }, secretBox.encrypt)
    await addDay(40)
    const runner = await start(undefined, { RUNNER_PORT: '0' })
    await tenant.publish()
    await receiver.received(2)

    await owner.query('select postrider.pause_endpoint($1)', [endpoint.id])
    const held = await tenant.publish()
    await owner.query('select postrider.resume_endpoint($1)', [endpoint.id])
    await receiver.received(3)
    await runner.line('delivery.attempted', ({ eventId }) => eventId === held)
    await owner.query(
      `select postrider.start_replay($1, since => now() - interval '1 hour', states => '{delivered}')`,
      [tenant.key],
    )
    await receiver.received(5)

    t.match((await runner.line('retention.applied'))['dropped'], [/^\d{4}-\d\d-\d\d$/])
    const { url: probes } = await runner.line('runner.probed')
    const metrics = await (await fetch(`${probes}/metrics`)).text()
    t.match(metrics, /^postrider_database_up 1$/m, 'it may read what it shows')
    t.equal(await runner.stop(), 0)
    t.strictSame(
      runner.lines.filter(({ level }) => ['warn', 'error', 'fatal'].includes(level)),
      [],
    )
  })

  /** An empty day that is over, as long ago as said. */
  async function addDay(daysAgo: number) {
    await owner.query(
      `select postrider.create_partition(parent, (clock_timestamp() at time zone 'UTC')::date - $1::int)
       from unnest(array['event', 'delivery', 'attempt']) as parent`,
      [daysAgo],
    )
  }

  t.test(
    'who may publish during a drop by somebody who is not the owner waits 100 ms at most',
    async (t) => {
      await addDay(41)
      const tenant = await createTenant(pool)
      const reader = await connect(t, url)
      await reader.query('begin')
      await reader.query('select from postrider.event limit 1')
      const runner = await connect(t, urls.postrider_runner)
      const detach = runner.query(
        `select postrider.detach_partition((clock_timestamp() at time zone 'UTC')::date - 41, 'event')`,
      )
      await Promise.all([
        t.rejects(detach, { code: '55P03' }, 'it gives up'),
        t.resolves(tenant.publish(), 'which lets go who publishes, though the reader stays'),
      ])
      await reader.query('commit')
      const today = runner.query(
        `select postrider.detach_partition((clock_timestamp() at time zone 'UTC')::date, 'event')`,
      )
      await t.rejects(
        today,
        { code: '55000', hint: /retention_plan/ },
        'a day in use is not touched',
      )
    },
  )

  t.test('without membership it does not start, and says what to run', async (t) => {
    const stranger = await server.login(url, 'stranger')
    await server.asAdmin('grant connect on database postrider to stranger')
    await t.rejects(start(stranger), {
      message: /ended with 1 .*role stranger lacks .*grant postrider_runner to stranger;/s,
    })
  })

  t.test('with grants, but no policy, it does not idle: it does not start', async (t) => {
    const { missing } = await withChange(
      'drop policy postrider_service on graphile_worker._private_jobs',
      () => refusalOf(start()),
    )
    t.match(
      missing,
      /role my_runner lacks .*row-level security hides graphile_worker._private_jobs/s,
    )
    t.match(missing, /run `postrider migrate --roles` again/)
  })

  t.test('each single right is asked for', async (t) => {
    const { functions, tables = {}, jobs = {} } = RIGHTS.postrider_runner
    const revokes = [
      ...functions.map((name) => [`all on function postrider.${name}`, name]),
      ...Object.keys(tables).map((name) => [`all on postrider.${name}`, name]),
      ...Object.keys(jobs).map((name) => [`all on graphile_worker.${name}`, name]),
      ['usage on schema postrider', 'usage on schema postrider'],
      ['usage on schema graphile_worker', 'usage on schema graphile_worker'],
    ]
    const runner = await connect(t, urls.postrider_runner)
    for (const [right, name = ''] of revokes) {
      await owner.query(`revoke ${right} from postrider_runner`)
      await t.rejects(assertRights(runner, 'postrider_runner'), { message: new RegExp(name) }, name)
      // More than it had, and quicker than all grants again for each.
      await owner.query(`grant ${right} to postrider_runner`)
    }
    await t.resolves(assertRights(runner, 'postrider_runner'))
  })

  t.end()

  /** Undone afterwards by `migrate --roles`, which brings every grant back. */
  async function withChange<T>(change: string, use: () => Promise<T>): Promise<T> {
    await owner.query(change)
    try {
      return await use()
    } finally {
      await grantRoles(url)
    }
  }

  async function refusalOf(starting: Promise<unknown>): Promise<{ missing: string }> {
    return await starting.then(
      () => ({ missing: 'nothing: it started' }),
      (error: Error) => ({ missing: error.message }),
    )
  }
}

t.test('a database without the schema is reported as that', async (t) => {
  const server = await startRolesServer(t)
  const url = (await server?.createDatabase('empty')) ?? ''
  await t.rejects(startService(t, 'runner', { DATABASE_URL: url }), {
    message: /run `postrider migrate`/,
  })
  await migrate(url)
})
