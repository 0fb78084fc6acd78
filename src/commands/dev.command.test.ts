import { spawnSync } from 'node:child_process'
import { existsSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { chmod, rm } from 'node:fs/promises'
import { createServer } from 'node:net'
import { join } from 'node:path'
import pg from 'pg'
import t from 'tap'
import { isLong } from '../testing/long.ts'
import {
  type CliProcess,
  createFolder,
  processEnvironment,
  runCli,
  startCli,
} from '../testing/wiring/cli.ts'
import { runCommand } from '../testing/wiring/command.ts'
import { createTestDatabase, type TestLifetime } from '../testing/wiring/database.ts'

/** What the sandbox says about a request; see received-requests.ts. */
interface Shown {
  headers: Record<string, string>
  body: string
  signature: { verified: boolean; reason: string | null }
}

interface Dev extends CliProcess {
  url: string
  /** All that it printed. */
  greeting: string
  /** The command that it prints for pasting. */
  curl: string
}

/** To make 40 days of partitions, and to plan over them, is a good part of what a start costs. */
const FEW_PARTITIONS = { PGOPTIONS: '-c postrider.partition_days_ahead=2' }

const CHECKOUT = join(import.meta.dirname, '..', '..')
/** Up to six starts, most with a separate database; on a busy machine each takes several seconds. */
t.setTimeout(600_000)

async function startDev(
  t: TestLifetime,
  cwd: string,
  env: Record<string, string> = {},
): Promise<Dev> {
  const child = startCli(t, ['dev'], { cwd, env: { PORT: '0', ...FEW_PARTITIONS, ...env } })
  const greeting = await child.printed(/Stop with Ctrl-C/)
  const find = (pattern: RegExp) => pattern.exec(greeting)?.[1] ?? ''
  return { ...child, greeting, url: find(/API +(\S+)/), curl: find(/^(curl .*)$/m) }
}

/** As root the database of such a folder is kept elsewhere, where its own account can reach it. */
async function removeData(cwd: string): Promise<void> {
  const marker = join(cwd, '.postrider', 'postgres', 'data-is-elsewhere')
  if (existsSync(marker)) await rm(readFileSync(marker, 'utf8').trim(), { recursive: true })
}

/** Runs what was printed, as a person who pastes it. */
function paste(curl: string): { id: string; deliveries: number } {
  const { stdout, stderr } = spawnSync('sh', ['-c', curl], { encoding: 'utf8' })
  if (stdout === '') throw new Error(`${curl} printed nothing: ${stderr}`)
  return JSON.parse(stdout)
}

/** The shell blocks of a section of the README, as they run next to a service with another port. */
function readmeShell(section: string, url: string): string {
  const readme = readFileSync(join(CHECKOUT, 'README.md'), 'utf8')
  const text = readme.split(/^## /m).find((part) => part.startsWith(`${section}\n`)) ?? ''
  return [...text.matchAll(/^```sh\n(.*?)^```$/gms)]
    .map(([, block = '']) => block)
    .filter((block) => block !== 'npm start\n')
    .join('')
    .replaceAll('http://127.0.0.1:8080', url)
    .replaceAll('scripts/postrider', join(CHECKOUT, 'scripts', 'postrider'))
}

/** What the sandbox shows of an event, once the service has said that the attempt is over. */
async function shown({ url, warned }: Dev, eventId: string): Promise<Shown> {
  await warned(new RegExp(`"eventId":"${eventId}".*"msg":"delivery.attempted"`))
  const response = await fetch(`${url}/sandbox/requests.json`)
  const { data } = (await response.json()) as { data: Shown[] }
  const found = data.find(({ headers }) => headers['webhook-id'] === eventId)
  if (!found) throw new Error(`event ${eventId} does not show up in the sandbox`)
  return found
}

t.test('the printed curl delivers to the sandbox, run after run', async (t) => {
  const cwd = createFolder(t)
  const data = (name: string) => join(cwd, '.postrider', name)

  const first = await startDev(t, cwd)
  t.equal((await fetch(`${first.url}/ready`)).status, 200)
  const adminKey = readFileSync(data('admin-key'), 'utf8').trim()
  t.match(first.greeting, `${adminKey} (shown this once)`)
  const published = paste(first.curl)
  t.equal(published.deliveries, 1)
  t.match(await shown(first, published.id), {
    signature: { verified: true, reason: null },
    headers: { 'webhook-signature': /^v1,/ },
    body: /"data":\{"id":1,"amount":100\}/,
  })

  await t.test('keys and the connection are for their owner only', async (t) => {
    for (const name of ['admin-key', 'encryption-key', 'cli.json', 'database-url']) {
      t.equal(statSync(data(name)).mode & 0o777, 0o600, name)
    }
    t.equal(readFileSync(data('.gitignore'), 'utf8'), '*\n', 'and never committed')
  })

  await t.test('the client commands find the service from any folder below', async (t) => {
    const json = '{"n":12345678901234567890.10,"b":1,"a":2}'
    const { stdout } = await runCommand(['publish', 'default', 'number.sent'], { cwd, input: json })
    const { body } = await shown(first, stdout.trim())
    t.match(body, `"data":${json}}`, 'numbers and order arrive as they were sent')
    const list = await runCommand(['endpoint', 'list', 'default', '--json'], { cwd })
    t.match(JSON.parse(list.stdout), { data: [{ url: `${first.url}/sandbox/in/default` }] })
  })

  await t.test(
    'an event published in a transaction of SQL is delivered once it commits',
    async (t) => {
      const client = new pg.Client({
        connectionString: readFileSync(data('database-url'), 'utf8').trim(),
      })
      await client.connect()
      t.teardown(() => client.end())
      const publish = async (end: 'rollback' | 'commit') => {
        await client.query('begin')
        const sql = `select postrider.publish('default', 'invoice.paid', '{"id": 1}') as id`
        const { rows } = await client.query(sql)
        await client.query(end)
        return rows[0].id
      }
      const undone = await publish('rollback')
      t.match(await shown(first, await publish('commit')), { signature: { verified: true } })
      const { rowCount } = await client.query('select from postrider.event where id = $1', [undone])
      t.equal(rowCount, 0)
    },
  )

  await t.test('the README makes a tenant and an endpoint, and publishes to it', async (t) => {
    const script = `${readmeShell('Quick start', first.url)}${readmeShell('Publish', first.url)}`
    const { status, stdout, stderr } = spawnSync('sh', ['-euc', script], {
      cwd,
      env: processEnvironment(),
      encoding: 'utf8',
    })
    t.equal(status, 0, stderr)
    const [secret] = /(?<=^secret +)whsec_\S+$/m.exec(stdout) ?? []
    t.ok(secret, 'the answer shows the secret')
    const [endpointId] = /(?<=^id +)\S+(?=\nurl )/m.exec(stdout) ?? []
    const { id, deliveries } = JSON.parse(stdout.match(/^\{.*\}$/gm)?.at(-1) ?? '{}')
    t.equal(deliveries, 1)
    t.match(await shown(first, id), { signature: { verified: true } })
    const again = await fetch(`${first.url}/api/tenants/acme/endpoints/${endpointId}/secret`, {
      headers: { authorization: `Bearer ${adminKey}` },
    })
    t.match(await again.json(), { secret }, 'and the API shows it again')
  })

  await t.test('a second dev in the folder says so and leaves the first alone', async (t) => {
    const second = await runCli(t, ['dev'], { cwd, env: { PORT: '0' } })
    t.match(second, { exitCode: 1, stderr: `as process ${first.pid}; stop it` })
    t.equal((await fetch(`${first.url}/ready`)).status, 200)
  })

  first.kill('SIGINT')
  t.match(await first.exited, { exitCode: 0, stderr: /"runner\.stopped"/ })
  t.throws(() => statSync(data('cli.json')), 'nobody is sent to a service that has stopped')

  // The first run chose a free port, so this one has another: the endpoint must have moved.
  const again = await startDev(t, cwd)
  t.notMatch(again.greeting, adminKey, 'a key is shown once')
  const next = paste(again.curl)
  t.match(await shown(again, next.id), { signature: { verified: true } })
  const kept = await fetch(`${again.url}/api/tenants/default/events/${published.id}`, {
    headers: { authorization: `Bearer ${adminKey}` },
  })
  t.match(await kept.json(), { id: published.id, deliveries: [{ state: 'delivered' }] })
  if (!isLong) {
    again.kill('SIGINT')
    await again.exited
    return
  }

  again.kill('SIGKILL')
  t.equal((await again.exited).exitCode, null)
  writeFileSync(data('admin-key'), 'a-key-put-there-by-hand')
  const revived = await startDev(t, cwd)
  const last = paste(revived.curl)
  const before = await fetch(`${revived.url}/api/tenants`, {
    headers: { authorization: `Bearer ${adminKey}` },
  })
  t.equal(before.status, 401, 'a key that was put into the file by hand is used instead')
  t.match(await shown(revived, last.id), { signature: { verified: true } })
  const endpoints = await runCommand(['endpoint', 'list', 'default', '--json'], { cwd })
  t.equal(JSON.parse(endpoints.stdout).data.length, 1, 'still one endpoint')

  const pidFile = data('postgres/data/postmaster.pid')
  process.kill(Number.parseInt(readFileSync(pidFile, 'utf8'), 10), 'SIGKILL')
  const died = { exitCode: 75, stderr: /the embedded Postgres ended/ }
  t.match(await revived.exited, died, 'and when its database dies it says so')
})

if (isLong)
  t.test('it runs in a folder that only its owner can enter', async (t) => {
    const cwd = createFolder(t)
    await chmod(cwd, 0o700)
    const dev = await startDev(t, cwd)
    t.teardown(() => removeData(cwd))
    t.match(await shown(dev, paste(dev.curl).id), { signature: { verified: true } })
    dev.kill('SIGTERM')
    t.equal((await dev.exited).exitCode, 0)
  })

if (isLong)
  t.test('with DATABASE_URL and given keys it uses those', async (t) => {
    const { url, pool } = await createTestDatabase(t)
    const cwd = createFolder(t)
    const env = { DATABASE_URL: url, POSTRIDER_ADMIN_KEY: 'an-admin-key-of-my-own' }
    const dev = await startDev(t, cwd, env)
    t.notMatch(dev.greeting, env.POSTRIDER_ADMIN_KEY, 'who set it knows it')
    const { id } = paste(dev.curl)
    t.match(await shown(dev, id), { signature: { verified: true } })
    const { rowCount } = await pool.query('select from postrider.event where id = $1', [id])
    t.equal(rowCount, 1)
    t.throws(() => statSync(join(cwd, '.postrider', 'postgres')), 'no embedded database')
    dev.kill('SIGINT')
    t.equal((await dev.exited).exitCode, 0)
  })

t.test('a taken port is named before a database is made', async (t) => {
  const cwd = createFolder(t)
  const server = createServer().listen(0, '127.0.0.1')
  t.teardown(() => new Promise<void>((resolve) => server.close(() => resolve())))
  await new Promise((resolve) => server.once('listening', resolve))
  const address = server.address()
  const port = `${typeof address === 'object' && address?.port}`
  const { exitCode, stderr } = await runCli(t, ['dev'], { cwd, env: { PORT: port } })
  t.equal(exitCode, 78)
  t.match(stderr, `PORT ${port} is in use`)
  t.throws(() => statSync(join(cwd, '.postrider', 'postgres')))
})

// It was greeted as ready, with an event to publish that was refused.
if (isLong)
  t.test('a copy is greeted with why nothing is sent', async (t) => {
    const { url, pool } = await createTestDatabase(t)
    await pool.query(`update postrider.service set environment = 'production'`)
    const env = { DATABASE_URL: url, POSTRIDER_ENVIRONMENT: 'staging' }
    const { greeting } = await startDev(t, createFolder(t), env)
    t.match(greeting, /Nothing is sent: .*environment production/)
    t.match(greeting, /postrider adopt --open send +they are sent/)
    t.match(greeting, /postrider adopt --open hold +all deliveries are paused until/)
    t.notMatch(greeting, 'Postrider is ready')
  })
