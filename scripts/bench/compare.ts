/**
 * This checkout next to a commit: fresh processes, fresh databases on one Postgres, order reversed
 * each round, medians and raw values. Ratios are to the commit.
 *
 *     node scripts/bench/compare.ts main~5 --rounds 5 --trials throughput,latency
 */
import { join } from 'node:path'
import { contest } from './measure/contest.ts'
import { commitOf, startReport } from './measure/report.ts'
import { TRIALS, trialsOf } from './measure/trials.ts'
import { readOptions } from './options.ts'
import { runProgram } from './program.ts'
import { postrider } from './systems/postrider-contender.ts'
import { startServer } from './systems/server.ts'
import { CHECKOUT } from './systems/system.ts'
import { checkOut } from './systems/worktree.ts'

const [ref = '', ...args] = process.argv.slice(2)
const isRef = ref !== '' && !ref.startsWith('-')
const options = readOptions(
  {
    trials: { default: 'throughput,latency', among: TRIALS, help: `of ${TRIALS.join(', ')}` },
    rounds: { default: 3, help: 'of both, in every trial' },
    events: { default: 5000, help: 'of throughput' },
    seconds: { default: 20, help: 'of latency and slow' },
    bytes: { default: 300, help: 'of each payload' },
  },
  isRef ? args : ['--help'],
)

await runProgram(
  async (cleanup) => {
    const server = await startServer(cleanup)
    const root = await checkOut(cleanup, ref, join(server.folder, 'checkout'))
    const [before, now] = await Promise.all([root, CHECKOUT].map(commitOf))
    await contest(cleanup, {
      ...options,
      contenders: [
        postrider(server, { name: `before ${before}`, root }),
        postrider(server, { name: `now ${now}` }),
      ],
      trials: trialsOf(options),
      report: await startReport('compare', server),
    })
  },
  { minutesMax: 90 },
)
