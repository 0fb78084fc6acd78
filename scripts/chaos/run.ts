/**
 * Shows under faults that nothing acknowledged is lost, and ends non-zero unless that is so.
 *
 *     npm run chaos -- --seconds 600 --rate 40 --seed 7
 *
 * Everything it starts is its own and on 127.0.0.1: a durable Postgres, Redis when it is installed, two APIs,
 * three runners or more, a receiver that fails at random. The last line of stdout is the result as JSON; what
 * happens meanwhile is on stderr when somebody watches. docs/explanation/guarantees.md tells the method.
 */
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { readOptions } from '../bench/options.ts'
import { runProgram } from '../bench/program.ts'
import { runChaos } from './chaos.ts'
import { reportOf } from './report.ts'

/** Starting and stopping everything, on a machine that is busy with something else. */
const MINUTES_AROUND = 5

const given = readOptions({
  seconds: { default: 60, help: 'how long faults strike; longer until each kind has struck' },
  pause: { default: 2.2, help: 'seconds between two faults, on average' },
  rate: { default: 40, help: 'events a second, half by HTTP and half by SQL' },
  seed: { default: Date.now() % 1_000_000, help: 'of the random choices' },
  ahead: { default: 12, help: 'seconds that an event is published ahead at most' },
  down: {
    default: 20,
    help: 'seconds that one receiver is down in every two minutes; its circuit opens',
  },
  runners: { default: 3, least: 2, help: 'how many runners are kept running' },
  durable: { default: 1, help: '0 for a Postgres in memory that waits for no disk' },
  drain: {
    default: 240,
    help: 'seconds afterwards in which at least one more delivery has to become final',
  },
  keep: {
    default: 0,
    help: '1 keeps ledgers and logs; they are kept anyway when something is wrong',
  },
})

await runProgram(
  async (cleanup) => {
    const folder = await mkdtemp(join(tmpdir(), 'postrider-chaos-'))
    await chmod(folder, 0o711)
    const startedAt = performance.now()
    const say = (line: string) => {
      if (!process.stderr.isTTY) return
      const seconds = ((performance.now() - startedAt) / 1000).toFixed(1)
      console.error(`${seconds.padStart(7)} s  ${line}`)
    }
    const options = {
      ...given,
      pauseSeconds: given.pause,
      aheadSeconds: given.ahead,
      downSeconds: given.down,
      isDurable: given.durable !== 0,
      drainSeconds: given.drain,
      folder,
      say,
    }
    const findings = await runChaos(cleanup, options)
    const report = reportOf(options, findings)
    console.log(JSON.stringify(report))
    if (!report.ok) {
      const { faults, lives } = findings
      await writeFile(join(folder, 'report.json'), JSON.stringify({ report, faults, lives }))
      console.error(`kept ${folder}`)
      for (const violation of findings.leftovers.violations) console.error(violation)
      process.exitCode = 1
    } else if (given.keep === 0) {
      cleanup.defer(() => rm(folder, { recursive: true, force: true }))
    }
  },
  { minutesMax: (given.seconds + given.drain) / 60 + MINUTES_AROUND },
)
