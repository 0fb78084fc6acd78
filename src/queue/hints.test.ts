import pg from 'pg'
import t from 'tap'
import { secretBox } from '../testing/data/encryption.ts'
import { createTenant } from '../testing/data/tenant.ts'
import { isLong } from '../testing/long.ts'
import { startReceiver } from '../testing/servers/receiver.ts'
import { createTestDatabase } from '../testing/wiring/database.ts'
import { startService } from '../testing/wiring/service.ts'

const { pool, url } = await createTestDatabase(t)
const receiver = await startReceiver()
t.teardown(() => receiver[Symbol.asyncDispose]())
const tenant = await createTenant(pool)
await tenant.addEndpoint({ url: receiver.url }, secretBox.encrypt)

/** A role with nothing but CONNECT, which PUBLIC has by default. */
async function connectStranger() {
  const name = `stranger_${process.pid}`
  await pool.query(`create role ${name} login password 'x'`)
  const client = new pg.Client({
    connectionString: Object.assign(new URL(url), { username: name, password: 'x' }).href,
  })
  await client.connect()
  t.teardown(async () => {
    await client.end()
    await pool.query(`drop role ${name}`)
  })
  return client
}

t.test('a runner', async (t) => {
  const stranger = await connectStranger()
  const runner = await startService(t, 'runner', { DATABASE_URL: url, LOG_LEVEL: 'info' })
  await runner.line('runner.started')
  let sent = 0
  const delivers = async () => {
    await tenant.publish()
    sent += 1
    await receiver.received(sent)
  }
  await delivers()

  t.test('is not stopped by a notification about a migration that never was', async () => {
    // Until 2026 this one statement of any role ended every runner.
    for (const payload of [
      '{"migrationNumber":99,"breaking":true}',
      '{"breaking":1}',
      '[',
      '',
      'null',
    ]) {
      await stranger.query('select pg_notify($1, $2)', ['worker:migrate', payload])
    }
    await delivers()
  })

  if (isLong)
    t.test('works on through a flood of wake-ups with any text', async () => {
      const texts = [
        `'x' || i`,
        `'{"count":' || i || 'e300}'`,
        `'{"count":"' || i || '"}'`,
        `repeat('[', 4000) || i`,
      ]
      for (const text of texts) {
        await stranger.query(
          `select count(pg_notify('jobs:insert', ${text})) from generate_series(1, 5000) as i`,
        )
      }
      await delivers()
    })

  t.test('works on through a flood of notifications about migrations', async () => {
    await stranger.query(
      `select count(pg_notify('worker:migrate', '{"breaking":true,"n":' || i || '}'))
       from generate_series(1, 5000) as i`,
    )
    await delivers()
  })

  t.test('stops when graphile-worker really was migrated beyond it', async (t) => {
    await pool.query('insert into graphile_worker.migrations (id, breaking) values (1000000, true)')
    await pool.query(
      `select pg_notify('worker:migrate', '{"migrationNumber":1000000,"breaking":true}')`,
    )
    t.equal(await runner.ended, 75)
  })
})
