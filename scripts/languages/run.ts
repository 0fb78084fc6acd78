/**
 * Runs the recipes of docs/how-to/publish-from-any-language.md and receive-in-any-language.md, in every language that
 * is installed: `npm run test:languages`. Ends non-zero if one is wrong, and in CI also if one is not run that has to be.
 *
 * Each publishes, and fails with its event and at its commit, which must leave nothing; a runner delivers what it
 * published, and the recipe that receives gets this request, changed and repeated: one effect. Python's package of
 * CloudEvents reads the shapes of that name. Libraries come from PyPI, the Go module proxy, Maven Central, npm and
 * Debian's packages, and stay in .tap/languages.
 */
import { spawnSync } from 'node:child_process'
import { mkdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import pg from 'pg'
import { migrate } from '../../src/postgres/migrate/migrate.ts'
import { createPool } from '../../src/postgres/pool.ts'
import { secretBox } from '../../src/testing/data/encryption.ts'
import { createTenant } from '../../src/testing/data/tenant.ts'
import { isInstalled } from '../../src/testing/programs.ts'
import { startReceiver } from '../../src/testing/servers/receiver.ts'
import { startRestartablePostgres } from '../../src/testing/servers/restartable-postgres.ts'
import { startService } from '../../src/testing/wiring/service.ts'
import { readOptions } from '../bench/options.ts'
import { type Cleanup, runProgram } from '../bench/program.ts'
import { readCloudEvents } from './read-cloudevents.ts'
import { PRODUCERS, RECEIVERS } from './recipes.ts'
import { REFUSED_EVENT, REFUSED_INVOICE, type Surroundings, tryRecipe } from './try-recipe.ts'
import type { Way } from './way.ts'
import { ASK_PIP, PYTHON, WAYS } from './ways.ts'

const given = readOptions({
  only: { default: '', help: 'such as `java`, `go pgx` or `python,go`' },
})
const isWanted = (name: string) => given.only.split(',').some((only) => name.startsWith(only))

const ROOT = join(import.meta.dirname, '..', '..')
const MINUTES_MAX = 30
const CLOUD_EVENTS = 'python cloudevents'
const isCi = Boolean(process.env['CI'])
/** Languages that CI does not have to run, each with the reason. A registry that is out of reach is one for all. */
const ALLOWED_NOT_RUN: Record<string, string> = {
  go: 'Debian 12 has Go 1.19, and the libraries take 1.25',
}
/** Of the producer and of the receiver; the first trigger looks at an invoice when the transaction commits. */
const TABLES = `
  create table invoice (id int primary key, paid boolean not null default false);
  create table booking (invoice int not null, id int generated always as identity primary key);
  insert into invoice (id) values (1), (${REFUSED_INVOICE}), (${REFUSED_EVENT});
  create function refuse() returns trigger language plpgsql as
    $$ begin raise 'refused'; end $$;
  create constraint trigger refuse after update on invoice deferrable initially deferred
    for each row when (new.paid and new.id = ${REFUSED_INVOICE}) execute function refuse();
  create trigger refuse after insert on postrider.event
    for each row when (new.data ->> 'id' = '${REFUSED_EVENT}') execute function refuse()`

async function surround(cleanup: Cleanup): Promise<Surroundings> {
  const teardown = (done: () => unknown) => cleanup.defer(async () => void (await done()))
  const { url } = await startRestartablePostgres({ teardown })
  await migrate(url)
  const pool = new pg.Pool({ connectionString: url })
  pool.on('error', () => undefined) // when Postgres is stopped at the end
  cleanup.defer(() => pool.end())
  await pool.query(readFileSync(join(ROOT, 'sql/inbox.sql'), 'utf8'))
  await pool.query(TABLES)
  const receiver = await startReceiver()
  cleanup.defer(() => receiver.close())
  const secret = await addEndpoint(url, receiver.url)
  await startService({ teardown }, 'runner', { DATABASE_URL: url })
  const folder = join(ROOT, '.tap', 'languages')
  mkdirSync(folder, { recursive: true })
  return { pool, url, secret, receiver, folder }
}

/** @returns the secret of the endpoint */
async function addEndpoint(url: string, receiverUrl: string): Promise<string> {
  const pool = createPool({ connectionString: url, max: 1, applicationName: 'languages' })
  try {
    const tenant = await createTenant(pool)
    await pool.query("update postrider.tenant set key = 'acme' where id = $1", [tenant.id])
    return (await tenant.addEndpoint({ url: receiverUrl }, secretBox.encrypt)).secret
  } finally {
    await pool.end()
  }
}

/** Why it is not run; null = it is. */
function missingFor({ needs, probe, ask }: Omit<Way, 'files' | 'run'>): NotRun | null {
  const program = needs.find((each) => !isInstalled(each))
  if (program) return { reason: `${program} is not installed`, isOutOfReach: false }
  if (probe && !runs(probe)) {
    return { reason: 'its library for Postgres is not installed', isOutOfReach: false }
  }
  const isOutOfReach = isCi && ask !== undefined && !runs(ask)
  return isOutOfReach
    ? { reason: `its registry cannot be reached (${ask.join(' ')})`, isOutOfReach }
    : null
}

interface NotRun {
  reason: string
  isOutOfReach: boolean
}

/** A registry that does not answer is given up after this long. */
const RUN_MS_MAX = 20_000

const runs = ([program = '', ...args]: readonly string[]): boolean =>
  spawnSync(program, args, { stdio: 'ignore', timeout: RUN_MS_MAX }).status === 0

/** Says how one went, and has the program fail when it went wrong. */
async function tell(
  way: Omit<Way, 'files' | 'run'>,
  attempt: () => Promise<string[]>,
): Promise<void> {
  const notRun = missingFor(way)
  const language = way.name.split(' ')[0] ?? ''
  if (notRun) {
    console.log(`${way.name}: not run, ${notRun.reason}`)
    const isAllowed = !isCi || notRun.isOutOfReach || language in ALLOWED_NOT_RUN
    if (!isAllowed) process.exitCode = 1
    return
  }
  const wrong = await attempt().catch(whatItSaid)
  console.log(`${way.name}: ${wrong.join('; ') || 'ok'}`)
  if (wrong.length > 0) process.exitCode = 1
}

/** What a build that failed has printed. */
const whatItSaid = (error: { stdout?: unknown; stderr?: unknown }): string[] => [
  [error, error.stdout, error.stderr].filter((each) => each !== undefined).join('\n'),
]

await runProgram(
  async (cleanup) => {
    const surroundings = await surround(cleanup)
    for (const way of WAYS.filter(({ name }) => isWanted(name))) {
      const producer = PRODUCERS.get(way.name) ?? ''
      const receiver = RECEIVERS.get(way.receiver ?? way.name) ?? ''
      await tell(way, () => tryRecipe(way, { producer, receiver }, surroundings))
    }
    if (isWanted(CLOUD_EVENTS)) {
      const way = { name: CLOUD_EVENTS, needs: PYTHON, ask: ASK_PIP }
      await tell(way, () => readCloudEvents(surroundings))
    }
  },
  { minutesMax: MINUTES_MAX },
)
