/**
 * Prints the files that `npm test` gives to tap, one a line: those that start whole programs as they are, and one for
 * each group of others, which run one after the other in one process. Those that need a browser are one group: they
 * share it.
 *
 * Most files belong to a group. A separate process costs each between a quarter and a whole second of the
 * processor, for what tap and the API load and compile, before the first test.
 */
import { globSync, mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { isLong } from '../src/testing/long.ts'
import { TOGETHER } from '../src/testing/process/together-folder.ts'

const root = join(import.meta.dirname, '..')
/**
 * tap sorts the files by their names, so these start first, in a group each: they take the longest, most of it waiting, and
 * at the end the processor would wait with them.
 */
const LONGEST = [
  'src/system/runner/small-receiver.test.ts',
  'src/system/hostile-settings.test.ts',
  'src/system/runner/circuit.test.ts',
  'src/system/outages.test.ts',
]
/** They start the program or servers. */
const ALONE = /^scripts\/|^src\/system\/(?:runner\/|[^/]+$)/
/** But for these: they read files, or use the database of the tests. */
const READS =
  /^scripts\/(?:chaos\/judging|bench\/measure|languages)\/|^src\/system\/(?:cli-client|dba-guide|docs|layers|security-guide|unused|views|words)\./
const IN_BROWSER = /\.browser\.test\.ts$/
/**
 * Only a long run has these: mostly whole processes, for every kind of load, fault, server and client; upgrades, costs with
 * many rows, and pages in browsers as well. A short run has one of most kinds: a running service, an outage of the
 * database, chaos, a failover, hostile settings with PgBouncer, a circuit, and a first run in a browser.
 */
const LONG = [
  'scripts/bench/bench.test.ts',
  'scripts/hostile/hostile.test.ts',
  'scripts/repeats/repeats.test.ts',
  'scripts/snippets.test.ts',
  'src/attempts/live.browser.test.ts',
  'src/deliveries/delivery-page.browser.test.ts',
  'src/endpoints/filter-lane.test.ts',
  'src/events/route-cost.test.ts',
  'src/operations/overview.browser.test.ts',
  'src/portal-links/frames.browser.test.ts',
  'src/portal-links/portal.browser.test.ts',
  'src/postgres/embedded/embedded-postgres.test.ts',
  'src/postgres/migrate/tenant-role.test.ts',
  'src/postgres/migrate/upgrade.test.ts',
  'src/queue/lost-answers.test.ts',
  'src/service/few-connections.test.ts',
  'src/system/api-clients.test.ts',
  'src/system/api-connections.test.ts',
  'src/system/api-fairness.test.ts',
  'src/system/api-log.test.ts',
  'src/system/api-metrics.test.ts',
  'src/system/api-redis.test.ts',
  'src/system/api-stop.test.ts',
  'src/system/api-streams.test.ts',
  'src/system/backup.test.ts',
  'src/system/console/barriers.browser.test.ts',
  'src/system/console/by-hand.browser.test.ts',
  'src/system/console/widths.browser.test.ts',
  'src/system/copies.test.ts',
  'src/system/failover.test.ts',
  'src/system/http/conflicts.test.ts',
  'src/system/http/pgbouncer.test.ts',
  'src/system/http/roles.test.ts',
  'src/system/http/slow-clients.test.ts',
  'src/system/replicated-commits.test.ts',
  'src/system/runner/delete-tenant.test.ts',
  'src/system/runner/egress.test.ts',
  'src/system/runner/fan-out.test.ts',
  'src/system/runner/hanging-events.test.ts',
  'src/system/runner/hanging-tenant.test.ts',
  'src/system/runner/long-outage.test.ts',
  'src/system/runner/overload.test.ts',
  'src/system/runner/poison.test.ts',
  'src/system/runner/roles.test.ts',
  'src/system/runner/small-receiver.test.ts',
  'src/system/runner/unreadable-secrets.test.ts',
  'src/system/silent-network.test.ts',
  'src/system/svix-table.test.ts',
  'src/system/tracing.test.ts',
]
/** With 12, a run needs a tenth more of the processor's time. 48 save nothing, and the last group ends late. */
const GROUP_MAX = 24

const all = globSync('{src,scripts}/**/*.test.ts', { cwd: root }).sort()
const unknown = [...LONG, ...LONGEST].filter((file) => !all.includes(file))
if (unknown.length > 0)
  throw new Error(`there is no ${unknown.join(', no ')}: scripts/test-groups.ts`)
const files = isLong ? all : all.filter((file) => !LONG.includes(file))
const inBrowser = files.filter((file) => IN_BROWSER.test(file))
const isAlone = (file: string) => ALONE.test(file) && !READS.test(file)
const together = files.filter((file) => !isAlone(file) && !IN_BROWSER.test(file))
const groupCount = Math.ceil(together.length / GROUP_MAX)

const folder = join(root, TOGETHER)
rmSync(folder, { recursive: true, force: true })
mkdirSync(folder, { recursive: true })

/** Of neighbours, as files of one folder import the same. */
function groupOf(n: number): string[] {
  const [from, to] = [n, n + 1].map((at) => Math.round((at * together.length) / groupCount))
  return together.slice(from, to)
}

function writeGroup(group: readonly string[], n: number): string {
  const name = `${TOGETHER}${String(n + 1).padStart(2, '0')}.test.ts`
  const lines = [
    `import { runTogether } from '../../src/testing/process/together.ts'`,
    `await runTogether(${JSON.stringify(group, null, 2)})`,
  ]
  writeFileSync(join(root, name), `${lines.join('\n')}\n`)
  return name
}

const groups = [
  ...LONGEST.filter((file) => files.includes(file)).map((file) => [file]),
  inBrowser,
  // Those of src/system first, which take the longest.
  ...Array.from({ length: groupCount }, (_, n) => groupOf(n)).reverse(),
]
const grouped = new Set(groups.flat())
const others = files.filter((file) => !grouped.has(file))
console.log([...groups.map(writeGroup), ...others].join('\n'))
