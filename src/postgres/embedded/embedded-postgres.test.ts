import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import {
  chmod,
  chown,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  rm,
  watch,
  writeFile,
} from 'node:fs/promises'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import pg from 'pg'
import t, { type Test } from 'tap'
import { scratchFolder } from '../../testing/scratch.ts'
import { layOutCluster } from '../../testing/servers/cluster.ts'
import { isAlive } from '../process-lock.ts'
import { canEnter, postgresAccount } from './embedded-account.ts'
import { type PostgresOptions, startPostgres, stopPostgres } from './embedded-postgres.ts'

const settings = { fsync: 'off' }
const isRoot = process.getuid?.() === 0
const DEBIAN_15 = '/usr/lib/postgresql/15/bin'
/** The user that owns nothing; the same on every Linux. */
const NOBODY = { uid: 65534, gid: 65534 }

/** A folder that everybody can enter, unlike what mkdtemp makes. */
async function folder(t: Test, mode = 0o711): Promise<string> {
  const path = await mkdtemp(join(scratchFolder(), 'embedded-'))
  await chmod(path, mode)
  t.teardown(() => rm(path, { recursive: true, force: true }))
  return path
}

/** The same after a first start: making the data is most of what that takes. */
async function usedFolder(t: Test): Promise<string> {
  const path = await folder(t)
  await layOutCluster(path)
  return path
}

async function start(t: Test, options: PostgresOptions) {
  const postgres = await startPostgres({ settings, ...options })
  t.teardown(() => postgres.stop())
  return postgres
}

/** Starts Postgres in its own process, which says the server's id and waits to be killed. */
function startElsewhere(
  dataDir: string,
  options: { uid?: number; gid?: number } = {},
): ChildProcess {
  const module = new URL('./embedded-postgres.ts', import.meta.url)
  const program = `
    import { startPostgres } from '${module}'
    const dataDir = ${JSON.stringify(dataDir)}
    const { pid, stop } = await startPostgres({ dataDir, settings: { fsync: 'off' } })
    process.once('SIGTERM', stop)
    console.log(pid)`
  // An empty environment, by its own program: tap would add to one that is given to spawn, and
  // what it adds writes into the checkout, which another user may not.
  const args = ['-i', process.execPath, '--input-type=module-typescript', '-e', program]
  return spawn('/usr/bin/env', args, { ...options, stdio: ['ignore', 'pipe', 'inherit'] })
}

async function firstLine(child: ChildProcess): Promise<string> {
  if (!child.stdout) throw new Error('the child has no output to read')
  const lines = createInterface(child.stdout)
  const [line] = await Promise.race([once(lines, 'line'), once(lines, 'close')])
  return line ?? ''
}

async function kill(child: ChildProcess): Promise<void> {
  const exit = once(child, 'exit')
  child.kill('SIGKILL')
  await exit
}

async function query(url: string, text: string): Promise<Record<string, unknown>[]> {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  try {
    return (await client.query(text)).rows
  } finally {
    await client.end()
  }
}

t.test('starts with UTF-8, and lets in only who knows the password', async (t) => {
  const { url } = await start(t, { dataDir: await folder(t) })
  const rows = await query(
    url,
    `select current_setting('server_encoding') as encoding, current_setting('TimeZone') as zone,
      current_setting('listen_addresses') as listens, lower('Ä') as lower`,
  )
  t.same(rows, [{ encoding: 'UTF8', zone: 'UTC', listens: '127.0.0.1', lower: 'ä' }])
  const guess = Object.assign(new URL(url), { password: 'guess' }).href
  await t.rejects(query(guess, 'select 1'), { code: '28P01' })
})

t.test('keeps data and port from one start to the next', async (t) => {
  const dataDir = await folder(t)
  const first = await startPostgres({ dataDir, settings })
  await query(first.url, 'create table kept as select 42 as answer')
  await Promise.all([first.stop(), first.stop()])
  await first.exited
  const second = await start(t, { dataDir })
  t.equal(second.url, first.url)
  t.same(await query(second.url, 'select answer from kept'), [{ answer: 42 }])
})

t.test('replaces a server whose process was killed', async (t) => {
  const dataDir = await usedFolder(t)
  const killed = startElsewhere(dataDir)
  const orphan = Number(await firstLine(killed))
  await kill(killed)
  t.ok(isAlive(orphan), 'it outlived its process')
  const { url, pid } = await start(t, { dataDir })
  t.not(pid, orphan)
  t.notOk(isAlive(orphan))
  t.same(await query(url, 'select 1 as one'), [{ one: 1 }])
})

t.test('leaves a server alone whose process lives', async (t) => {
  const dataDir = await usedFolder(t)
  const { url } = await start(t, { dataDir })
  const message = new RegExp(`in use by process ${process.pid}`)
  await t.rejects(startPostgres({ dataDir, settings }), { message })
  await t.rejects(stopPostgres(dataDir), { message })
  t.same(await query(url, 'select 1 as one'), [{ one: 1 }])
})

t.test('lets a detached server go on, and stops it by its folder', async (t) => {
  const dataDir = await usedFolder(t)
  const { url, pid } = await startPostgres({ dataDir, settings, detached: true })
  t.same(await query(url, 'select 1 as one'), [{ one: 1 }])
  await stopPostgres(dataDir)
  t.notOk(isAlive(pid))
  await stopPostgres(dataDir)
})

t.test('begins again when the first start was killed while it made the data', async (t) => {
  const dataDir = await folder(t)
  const changes = watch(dataDir)
  const killed = startElsewhere(dataDir)
  for await (const { filename } of changes) if (filename?.startsWith('init.')) break
  await kill(killed)
  t.notOk(existsSync(join(dataDir, 'data')))
  const { url } = await start(t, { dataDir })
  t.same(await query(url, 'select 1 as one'), [{ one: 1 }])
  t.notOk((await readdir(dataDir)).some((name) => name.startsWith('init.')))
})

t.test('is not held up by a pid file that names some other process', async (t) => {
  const dataDir = await usedFolder(t)
  await (await startPostgres({ dataDir, settings })).stop()
  const pidFile = join(dataDir, 'data', 'postmaster.pid')
  await writeFile(pidFile, `${process.pid}\n${dataDir}/data\n1\n5432\n\n\n0 0\nready\n`)
  const { url } = await start(t, { dataDir })
  t.same(await query(url, 'select 1 as one'), [{ one: 1 }])
})

t.test('sets a new password when the file with the old one was lost', async (t) => {
  const dataDir = await usedFolder(t)
  const first = await startPostgres({ dataDir, settings })
  await first.stop()
  await rm(join(dataDir, 'password'))
  const { url } = await start(t, { dataDir })
  t.not(url, first.url)
  t.same(await query(url, 'select 1 as one'), [{ one: 1 }])
})

t.test('takes another port when the one from last time is taken', async (t) => {
  const dataDir = await usedFolder(t)
  const first = await startPostgres({ dataDir, settings })
  await first.stop()
  const other = createServer().listen({ port: first.port, host: '127.0.0.1' })
  await once(other, 'listening')
  t.teardown(() => other.close())
  t.not((await start(t, { dataDir })).port, first.port)
})

t.test('says so when the port that was asked for is taken', async (t) => {
  const { port } = await start(t, { dataDir: await usedFolder(t) })
  const second = startPostgres({ dataDir: await usedFolder(t), port, settings })
  await t.rejects(second, { message: `port ${port} is taken; choose another` })
})

t.test('quotes the log of Postgres when it does not start', async (t) => {
  const started = startPostgres({
    dataDir: await usedFolder(t),
    settings: { max_connections: 'many' },
  })
  await t.rejects(started, {
    message: /does not start in .*\n.*invalid value for .*max_connections/,
  })
})

t.test('refuses a folder with something else in it', async (t) => {
  const dataDir = await folder(t)
  await mkdir(join(dataDir, 'data'))
  await writeFile(join(dataDir, 'data', 'notes.txt'), 'mine')
  await t.rejects(startPostgres({ dataDir, settings }), { code: 'ENOTEMPTY' })
  t.equal(await readFile(join(dataDir, 'data', 'notes.txt'), 'utf8'), 'mine')
})

t.test(
  'as root keeps the data elsewhere when only root can enter the folder',
  {
    skip: !isRoot && 'needs root',
  },
  async (t) => {
    const dataDir = join(await folder(t, 0o700), 'postgres')
    const first = await startPostgres({ dataDir, settings })
    const elsewhere = (await readFile(join(dataDir, 'data-is-elsewhere'), 'utf8')).trim()
    t.teardown(() => rm(elsewhere, { recursive: true }))
    t.teardown(() => rm(`${elsewhere}.old`, { recursive: true }))
    t.match(elsewhere, /^\/var\/lib\/postrider\/[0-9a-f]{16}$/)
    await query(first.url, 'create table kept as select 42 as answer')
    await first.stop()

    const second = await startPostgres({ dataDir, settings })
    t.same(await query(second.url, 'select answer from kept'), [{ answer: 42 }])
    await second.stop()

    await rm(dataDir, { recursive: true })
    const third = await start(t, { dataDir })
    t.same(await query(third.url, `select to_regclass('kept') as kept`), [{ kept: null }])
  },
)

t.test('root runs Postgres as a user that is there, and adds none', async (t) => {
  if (!isRoot) return void t.equal(postgresAccount(['no-such-user']), undefined, 'as itself')
  const before = await readFile('/etc/passwd', 'utf8')
  t.strictSame(postgresAccount(['no-such-user', 'nobody']), NOBODY)
  t.throws(() => postgresAccount(['no-such-user']), /no user no-such-user.*an ordinary user/)
  t.equal(await readFile('/etc/passwd', 'utf8'), before)
})

t.test(
  'as root goes on with the data of an ordinary user, as that user',
  {
    skip: !isRoot
      ? 'needs root'
      : !canEnter(NOBODY, import.meta.dirname) && 'only root can enter here',
  },
  async (t) => {
    const dataDir = await folder(t)
    await chown(dataDir, NOBODY.uid, NOBODY.gid)
    const child = startElsewhere(dataDir, NOBODY)
    t.match(await firstLine(child), /^\d+$/, 'starts for a user who owns nothing else')
    const exit = once(child, 'exit')
    child.kill('SIGTERM')
    t.same(await exit, [0, null])
    const { url, pid } = await start(t, { dataDir })
    t.match(
      await readFile(`/proc/${pid}/status`, 'utf8'),
      new RegExp(`^Uid:\\s+${NOBODY.uid}`, 'm'),
    )
    t.same(await query(url, 'select 1 as one'), [{ one: 1 }])
  },
)

t.test(
  'runs the Postgres of a given folder, and never on data of another version',
  {
    skip: !existsSync(DEBIAN_15) && 'needs Postgres 15: apt-get install postgresql',
  },
  async (t) => {
    const dataDir = await folder(t)
    const old = await startPostgres({ dataDir, binaries: DEBIAN_15, settings })
    const rows = await query(
      old.url,
      `select current_setting('server_version') as version, lower('Ä') as lower`,
    )
    await old.stop()
    t.match(rows, [{ version: /^15\./, lower: 'ä' }])
    await t.rejects(startPostgres({ dataDir, settings }), {
      message: /was created by Postgres 15, but this is/,
    })
  },
)
