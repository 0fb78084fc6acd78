import { once } from 'node:events'
import { type AddressInfo, createServer } from 'node:net'
import t from 'tap'
import { EXIT, EXIT_MEANINGS } from './terminal/exit-code.ts'
import { createTenant } from './testing/data/tenant.ts'
import { isLong } from './testing/long.ts'
import { freePort } from './testing/servers/free-port.ts'
import { readTestServer } from './testing/servers/postgres-server.ts'
import { startReceiver } from './testing/servers/receiver.ts'
import { urlOf, withAdmin } from './testing/servers/template.ts'
import { runCli, serviceEnvironment, startCli } from './testing/wiring/cli.ts'
import { runCommand } from './testing/wiring/command.ts'
import { createTestDatabase } from './testing/wiring/database.ts'

const { url, pool } = await createTestDatabase(t)
const service = serviceEnvironment(url)

t.test('help and version are printed and exit 0', async (t) => {
  const help = await runCli(t, ['--help'])
  t.equal(help.exitCode, EXIT.ok)
  for (const command of ['dev', 'api', 'runner', 'migrate', 'config', 'publish', 'tenant']) {
    t.match(help.stdout, new RegExp(`^  ${command}\\b`, 'm'), command)
  }
  for (const code of Object.keys(EXIT_MEANINGS)) t.match(help.stdout, `  ${code}  `)
  t.match(await runCli(t, ['--version']), { exitCode: 0, stdout: /^\d+\.\d+\.\d+\n$/ })
})

/** One line that says what is wrong, and two that say how the command is used. */
const wrongUse = (usage: string) =>
  new RegExp(`^error: .+\\nUsage: postrider ${usage}\\nMore with --help\\.\\n$`, 's')

t.test('a wrong command line exits 2 and says what is wrong', async (t) => {
  const wrong: [string[], RegExp][] = [
    [['delivr'], wrongUse('\\[options\\] \\[command\\]')],
    [['tenant', 'create'], /missing required argument 'tenant'/],
    [['ordering', 'list', 'acme'], wrongUse('ordering list \\[options\\] <tenant> <id>')],
    [['ordering', 'lists'], wrongUse('ordering \\[options\\] \\[command\\]')],
    [['tenant', 'list', 'a', 'b'], wrongUse('tenant list \\[options\\]')],
    [['tenant', 'list', '--limit'], wrongUse('tenant list \\[options\\]')],
    [
      ['endpoint', 'create', 'acme', '--rate-per-second', 'a'],
      wrongUse('endpoint create \\[options\\] <tenant> <url>'),
    ],
    [['replay', 'start', 'acme', '--mode', 'a'], wrongUse('replay start \\[options\\] <tenant>')],
    [['api', '--port', '80'], wrongUse('api \\[options\\]')],
    [['publish', 'acme', 'invoice.paid', '{'], /data is not JSON/],
    [[], /Usage: postrider/],
  ]
  for (const [args, stderr] of wrong) {
    t.match(await runCommand(args), { exitCode: EXIT.usage, stdout: '', stderr }, args.join(' '))
  }
  const asProcess = await runCli(t, ['delivr'])
  t.match(asProcess, { exitCode: EXIT.usage, stdout: '', stderr: /unknown command 'delivr'/ })
})

t.test('a wrong configuration exits 78 and names every mistake', async (t) => {
  const env = { PORT: 'http', RETRY_SCHEDULE: 'soon' }
  for (const command of ['api', 'runner', 'migrate', 'dev', 'config']) {
    const { exitCode, stderr } = await runCommand([command], { env })
    t.equal(exitCode, EXIT.config, command)
    t.match(stderr, /PORT is not a number\n.*RETRY_SCHEDULE \(entry 1\)/, command)
    if (command === 'api') t.match(stderr, /DATABASE_URL.*\n.*SECRET_ENCRYPTION_KEY/)
  }
  t.match(await runCli(t, ['config'], { env }), { exitCode: EXIT.config, stdout: '' })
})

t.test('a database that is not there is never exit 0', async (t) => {
  const env = { ...service, DATABASE_URL: `postgres://u:p@127.0.0.1:${await freePort()}/none` }
  for (const command of ['api', 'runner', 'migrate']) {
    const { exitCode, stderr } = await runCommand([command], { env })
    t.equal(exitCode, EXIT.temporary, command)
    t.match(stderr, /database is not available: .*ECONNREFUSED/, command)
  }
})

t.test('a password, role or database that is refused is a mistake in DATABASE_URL', async (t) => {
  const wrong = new URL(url)
  wrong.password = 'wrong'
  for (const DATABASE_URL of [wrong.href, urlOf(url, 'no_such_database')]) {
    const { exitCode, stderr } = await runCommand(['api'], { env: { ...service, DATABASE_URL } })
    t.equal(exitCode, EXIT.config)
    t.match(stderr, /DATABASE_URL is refused: /)
    t.notMatch(stderr, wrong.password)
  }
})

t.test('without its schema, api and runner exit 1; migrate makes it, once', async (t) => {
  const server = await readTestServer()
  const name = `cli_${process.pid}`
  await withAdmin(server.url, (admin) => admin.query(`create database ${name}`))
  t.teardown(() =>
    withAdmin(server.url, (admin) => admin.query(`drop database ${name} with (force)`)),
  )
  const env = { ...service, DATABASE_URL: urlOf(server.url, name) }
  for (const command of ['api', 'runner']) {
    const missing = await runCommand([command], { env })
    t.match(missing, { exitCode: EXIT.failed, stderr: /run `postrider migrate`/ }, command)
  }
  const plan = await runCommand(['migrate', '--plan'], { env })
  t.match(plan, { exitCode: EXIT.ok, stdout: /create table postrider\.tenant/ })
  const first = await runCommand(['migrate', '--json'], { env })
  t.equal(first.exitCode, EXIT.ok)
  t.ok(JSON.parse(first.stdout).applied.length > 0)
  const second = await runCommand(['migrate'], { env })
  t.match(second, { exitCode: EXIT.ok, stdout: 'the database is up to date\n' })
})

t.test('a port that is taken is named', async (t) => {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => new Promise<void>((resolve) => server.close(() => resolve())))
  const { port } = server.address() as AddressInfo
  const { exitCode, stderr } = await runCommand(['api'], { env: { ...service, PORT: `${port}` } })
  t.equal(exitCode, EXIT.config)
  t.match(stderr, `PORT ${port} is in use`)
})

t.test('SIGTERM and SIGINT stop api and runner in order, exit 0', async (t) => {
  // One signal each: they are handled alike, and an API is stopped by SIGINT below.
  for (const [command, signal] of [
    ['api', 'SIGTERM'],
    ['runner', 'SIGINT'],
  ] as const) {
    const child = startCli(t, [command], { env: service })
    await child.printed(new RegExp(`"${command}\\.started"`))
    child.kill(signal)
    t.equal((await child.exited).exitCode, EXIT.ok, `${command} after ${signal}`)
  }
})

if (isLong)
  t.test('a second signal ends a stop that takes too long, exit 1', async (t) => {
    const tenant = await createTenant(pool)
    const hanging = Promise.withResolvers<number>()
    await using receiver = await startReceiver({ answer: () => hanging.promise })
    const runner = startCli(t, ['runner'], { env: service })
    await runner.printed(/"runner\.started"/)
    const env = { ...service, POSTRIDER_API_KEY: service.POSTRIDER_ADMIN_KEY }
    const api = startCli(t, ['api'], { env })
    const [, port] = /:(\d+)"/.exec(await api.printed(/"api\.started"/)) ?? []
    const client = { env: { ...env, POSTRIDER_URL: `http://127.0.0.1:${port}` } }
    t.match(await runCommand(['endpoint', 'create', tenant.key, receiver.url], client), {
      exitCode: 0,
    })
    await tenant.publish()
    await receiver.received(1)

    // Waits for the answer, so one signal alone would take as long as DELIVERY_TIMEOUT_SECONDS.
    const impatience = setInterval(() => runner.kill('SIGINT'), 100)
    const { exitCode } = await runner.exited
    clearInterval(impatience)
    hanging.resolve(200)
    t.equal(exitCode, EXIT.failed)
    api.kill('SIGINT')
    t.equal((await api.exited).exitCode, EXIT.ok)
  })

t.test('a runner that ends by itself exits 75', async (t) => {
  const child = startCli(t, ['runner'], { env: service })
  const started = await child.printed(/"runner\.started"/)
  const [, id] = /"runnerId":"([^"]+)"/.exec(started) ?? []
  // What another runner does to one that it holds for dead.
  const { rowCount } = await pool.query(
    'update postrider.runner set reaped_at = now() where id = $1',
    [id],
  )
  t.equal(rowCount, 1)
  const { exitCode, stderr } = await child.exited
  t.equal(exitCode, EXIT.temporary)
  t.match(stderr, /the service ended unexpectedly: /)
})

t.test('a fault that nobody handled stops in order and exits 70', async (t) => {
  const planted = 'process.on("SIGUSR2", () => Promise.reject(new Error("planted")))'
  const nodeArgs = [`--import=data:text/javascript,${encodeURIComponent(planted)}`]
  const child = startCli(t, ['runner'], { env: service, nodeArgs })
  await child.printed(/"runner\.started"/)
  child.kill('SIGUSR2')
  const { exitCode, stderr, stdout } = await child.exited
  t.equal(exitCode, EXIT.internal)
  t.match(stderr, /postrider: Error: planted\n +at /)
  t.match(stdout, '"runner.stopped"', 'its work was handed back')
})

t.test('a reader that has seen enough is no error', async (t) => {
  const child = startCli(t, ['config', '--markdown'])
  child.closeOutput()
  t.match(await child.exited, { exitCode: EXIT.ok, stderr: '' })
})
