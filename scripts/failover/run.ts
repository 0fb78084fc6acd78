/**
 * Shows that a Postgres which fails over loses nothing that was acknowledged, and ends non-zero unless that is so.
 *
 *     npm run failover -- --failovers 3 --kinds switchover,zombie --ways hosts
 *
 * Everything it starts is its own and on 127.0.0.1: three Postgres under Patroni, etcd and HAProxy by the files of
 * deploy/patroni, a receiver, and for each way to the primary an API and a runner. Needs Debian's
 * packages postgresql-15, patroni, etcd-server and haproxy; `--patroni` names another Patroni, such as version 4 in a
 * virtual environment of Python. The last line of stdout is the result as JSON; what happens meanwhile is on stderr
 * when somebody watches. docs/how-to/high-availability.md tells more.
 */
import { chmod, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { readOptions } from '../bench/options.ts'
import { runProgram } from '../bench/program.ts'
import { WAYS, type Way } from './cluster.ts'
import { runFailovers } from './failover.ts'
import { reportOf } from './report.ts'
import { KINDS, type Kind } from './strikes.ts'

/** Starting and stopping everything, on a machine that is busy with something else. */
const MINUTES_AROUND = 8
/** What the longest takes, with the return of the server that was the primary. */
const MINUTES_EACH = 5

const given = readOptions({
  failovers: { default: 10, least: 1, help: 'how many; the kinds come in turn' },
  kinds: { default: KINDS.join(), among: KINDS, help: 'what is done, comma separated' },
  ways: {
    default: WAYS.join(),
    among: WAYS,
    help: 'how processes find the primary, comma separated',
  },
  rate: { default: 40, help: 'events a second, half by HTTP and half by SQL' },
  seed: { default: Date.now() % 1_000_000, help: 'of the random choices' },
  away: { default: 60, help: 'seconds without a standby' },
  drain: { default: 240, help: 'seconds until every delivery has to be final' },
  limits: { default: 1, help: '0 does not judge how long anything took' },
  patroni: { default: 'patroni', help: 'the program; quorum commit needs version 4' },
  keep: {
    default: 0,
    help: '1 keeps ledgers and logs; they are kept anyway when something is wrong',
  },
})

await runProgram(
  async (cleanup) => {
    const kinds = given.kinds.split(',') as Kind[]
    const folder = await mkdtemp(join(tmpdir(), 'postrider-failover-'))
    await chmod(folder, 0o711)
    const startedAt = performance.now()
    const say = (line: string) => {
      if (!process.stderr.isTTY && given.keep === 0) return
      const seconds = ((performance.now() - startedAt) / 1000).toFixed(1)
      console.error(`${seconds.padStart(7)} s  ${line}`)
    }
    const options = {
      ...given,
      kinds: Array.from({ length: given.failovers }, (_, i) => kinds[i % kinds.length] as Kind),
      ways: given.ways.split(',') as Way[],
      awaySeconds: given.away,
      drainSeconds: given.drain,
      hasLimits: given.limits !== 0,
      folder,
      say,
    }
    const findings = await runFailovers(cleanup, options)
    const report = reportOf(options, findings)
    console.log(JSON.stringify(report))
    if (!report.ok) {
      console.error(`kept ${folder}`)
      for (const violation of findings.leftovers.violations) console.error(violation)
      process.exitCode = 1
    } else if (given.keep === 0) {
      cleanup.defer(() => rm(folder, { recursive: true, force: true }))
    }
  },
  { minutesMax: given.failovers * MINUTES_EACH + MINUTES_AROUND },
)
