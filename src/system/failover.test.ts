/** A primary that is overtaken and does not know it, as seen by real processes; two real servers. */
import { once } from 'node:events'
import net, { type AddressInfo, type Socket } from 'node:net'
import t from 'tap'
import { createPool } from '../postgres/pool.ts'
import { openServers } from '../postgres/servers.ts'
import { createTenant } from '../testing/data/tenant.ts'
import { captureLog } from '../testing/log-lines.ts'
import { startReplicatedPostgres } from '../testing/servers/standby.ts'
import { untilAnswer, untilHolds } from '../testing/until.ts'
import { runCommand } from '../testing/wiring/command.ts'
import { startService } from '../testing/wiring/service.ts'

const { primary, standby, promote, setSynchronous } = await startReplicatedPostgres(t)
const name = await startName(primary.port)
const severalHosts = `${primary.url.replace(/:\d+\/.*$/, `:${primary.port},127.0.0.1:${standby.port}/postgres`)}?target_session_attrs=read-write`
const nameUrl = Object.assign(new URL(primary.url), { port: `${name.port}` }).href
const atPrimary = `127.0.0.1:${primary.port}`
const atStandby = `127.0.0.1:${standby.port}`

/** Like a Service, DNS or a virtual address: it may lead elsewhere, and leaves alone what is connected. */
async function startName(port: number) {
  const target = { port }
  const sockets = new Set<Socket>()
  const server = net.createServer((client) => {
    const upstream = net.connect({ host: '127.0.0.1', port: target.port })
    for (const socket of [client, upstream]) {
      sockets.add(socket.on('error', () => undefined))
      socket.on('close', () => {
        client.destroy()
        upstream.destroy()
      })
    }
    client.pipe(upstream).pipe(client)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => {
    server.close()
    for (const socket of sockets) socket.destroy()
  })
  return {
    port: (server.address() as AddressInfo).port,
    leadTo: (other: number) => {
      target.port = other
    },
  }
}

const readyOf = async (url: string) => {
  const response = await fetch(`${url}/ready`)
  return {
    status: response.status,
    ...((await response.json()) as { checks: { server?: string } }),
  }
}

/** Once it is ready: a probe that takes long, as on a busy machine, is answered 503. */
const readyAt = (url: string) =>
  untilAnswer(
    () => readyOf(url),
    ({ status }) => status === 200,
  )

t.test('commands use the primary among several hosts and refuse a standby in words', async (t) => {
  const run = (command: string, DATABASE_URL: string, ...args: string[]) =>
    runCommand([command, ...args], { env: { DATABASE_URL } })
  for (const command of ['migrate', 'doctor']) {
    t.match(await run(command, standby.url), { exitCode: 1, stderr: /this server is a standby/ })
    t.match(await run(command, `${standby.url}?target_session_attrs=primary`), {
      exitCode: 75,
      stderr: new RegExp(`${atStandby} is a standby`),
    })
    t.match(await run(command, severalHosts), { exitCode: 0 })
  }
  const follows = /^warning: 1 standbys follow, and no commit waits for them/m
  t.match((await run('doctor', severalHosts)).stdout, follows)
  await setSynchronous(true)
  t.notMatch((await run('doctor', severalHosts)).stdout, follows)
  const { stdout } = await run('config', severalHosts)
  t.match(stdout, new RegExp(`^database ${atPrimary} is a primary of timeline 1; in use$`, 'm'))
  t.match(stdout, new RegExp(`^database ${atStandby} is a standby$`, 'm'))
  t.match(JSON.parse((await run('config', severalHosts, '--json')).stdout), {
    servers: [
      { host: atPrimary, isInUse: true },
      { host: atStandby, is: 'is a standby', isInUse: false },
    ],
  })
})

t.test(
  'processes leave a primary that was overtaken, by several hosts and by one name',
  async (t) => {
    const apis = [
      await startService(t, 'api', { DATABASE_URL: severalHosts }),
      await startService(t, 'api', { DATABASE_URL: nameUrl }),
    ]
    const runners = [
      await startService(t, 'runner', { DATABASE_URL: severalHosts }),
      await startService(t, 'runner', { DATABASE_URL: nameUrl }),
    ]
    const tenant = await createTenant(primary.pool)
    const publish = async (url: string) => {
      const response = await fetch(`${url}/api/events`, {
        method: 'POST',
        headers: { authorization: 'Bearer test-admin-key', 'content-type': 'application/json' },
        body: JSON.stringify({ tenant: tenant.key, type: 'a', data: 1 }),
      })
      return { status: response.status, ...((await response.json()) as { id?: string }) }
    }
    for (const [at, { url }] of apis.entries()) {
      const server = [atPrimary, `127.0.0.1:${name.port}`][at]
      t.match(await readyAt(url), { checks: { server } })
      t.equal((await publish(url)).status, 202)
    }
    const noted = (isSynchronous: boolean) =>
      untilHolds(
        standby.pool,
        'select is_synchronous = $1 as holds from postrider.timeline where timeline = 1',
        [isSynchronous],
      )
    await noted(true)
    await setSynchronous(false)
    await noted(false)
    await untilHolds(
      standby.pool,
      'select exists (select from postrider.tenant where key = $1) as holds',
      [tenant.key],
    )

    await promote()
    name.leadTo(standby.port)
    const changed = [...apis, ...runners].map((service) =>
      service.line('database.server_changed', (line) => line['timeline'] === 2),
    )
    await Promise.all(changed)
    for (const { url } of apis) {
      const { id } = await untilAnswer(
        () => publish(url),
        ({ status }) => status === 202,
      )
      const where = 'select exists (select from postrider.event where id = $1) as holds'
      const holds = async (pool: typeof primary.pool) =>
        (await pool.query(where, [id])).rows[0].holds
      t.strictSame([await holds(primary.pool), await holds(standby.pool)], [false, true])
    }
    t.match(await readyAt(apis[0]?.url ?? ''), { checks: { server: atStandby } })
    for (const runner of runners) {
      const { url } = await runner.line('runner.probed')
      await untilAnswer(
        () => readyOf(url as string),
        ({ status }) => status === 200,
      )
    }
    await untilHolds(
      standby.pool,
      'select exists (select from postrider.timeline where timeline = 2) as holds',
    )
    t.match(await runCommand(['doctor', '--strict'], { env: { DATABASE_URL: nameUrl } }), {
      exitCode: 1,
      stdout:
        /^warning: failover at \S+ to timeline 2; not synchronous: what was acknowledged shortly before can be gone$/m,
    })
    t.strictSame(
      await Promise.all([...apis, ...runners].map((service) => service.stop())),
      [0, 0, 0, 0],
    )
  },
)

const setReadOnly = async (value: string) => {
  await standby.pool.query(`alter system set default_transaction_read_only = ${value}`)
  await standby.pool.query('select pg_reload_conf()')
}

t.test('a server that turned read-only is left, and used again when it no longer is', async (t) => {
  const api = await startService(t, 'api', { DATABASE_URL: standby.url })
  await untilAnswer(
    () => readyOf(api.url),
    ({ status }) => status === 200,
  )
  await setReadOnly('on')
  await api.line('database.server_changed', (line) => line['isWritable'] === false)
  await untilAnswer(
    () => readyOf(api.url),
    ({ status }) => status === 503,
  )
  await setReadOnly('off')
  await api.line('database.server_changed', (line) => line['isWritable'] === true)
  await untilAnswer(
    () => readyOf(api.url),
    ({ status }) => status === 200,
  )
  t.equal(await api.stop(), 0)
})

t.test('where only an overtaken server accepts writes, /ready and the log say so', async (t) => {
  const api = await startService(t, 'api', { DATABASE_URL: severalHosts })
  const ready = (database: string) =>
    untilAnswer(
      () => readyOf(api.url),
      ({ checks }) => (checks as { database?: string }).database === database,
    )
  await ready('reachable')
  await setReadOnly('on')
  t.match(await api.line('database.only_overtaken_left'), {
    host: atPrimary,
    timeline: 1,
    overtakenBy: 2,
  })
  t.match(await ready('only an overtaken server accepts writes'), { status: 503 })
  await setReadOnly('off')
  t.match(await ready('reachable'), { status: 200, checks: { server: atStandby } })
  t.equal(await api.stop(), 0)
})

t.test(
  'a lost connection has the server looked at, again and again until it is well',
  async (t) => {
    const lines = captureLog()
    const connectionString = `${standby.url}?target_session_attrs=read-write`
    const servers = await openServers(connectionString, lines.log, { lookEveryMs: 3_600_000 })
    t.teardown(() => servers.stop())
    const pool = createPool({ connectionString, servers, max: 1, applicationName: 'suspicious' })
    t.teardown(() => pool.end())
    await pool.query('select')
    await setReadOnly('on')
    await standby.pool.query(
      `select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'suspicious'`,
    )
    const changed = (isWritable: boolean) =>
      lines.line('database.server_changed', (line) => line['isWritable'] === isWritable)
    await changed(false)
    await t.rejects(pool.query('select'), { code: '25006' })
    await setReadOnly('off')
    await changed(true)
    t.match(await pool.query('select 1 as one'), { rows: [{ one: 1 }] })
  },
)
