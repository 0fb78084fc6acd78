import { join } from 'node:path'
import t from 'tap'
import { isLong } from '../../src/testing/long.ts'
import { missing } from '../../src/testing/programs.ts'
import { runToReport } from '../chaos/run-to-report.ts'
import { POSTGRES_BIN, WAYS } from './cluster.ts'
import { secondsWithout } from './gaps.ts'
import { HAPROXY } from './proxy.ts'

const PROGRAM = join(import.meta.dirname, 'run.ts')
/** Each has an API and a runner, which take as much of the processor as the cluster does. */
const WAYS_OF_RUN = isLong ? WAYS : (['hosts'] as const)
/** Most of it for three servers that start, one after another, on a machine that is busy. */
const MS_MAX = 600_000

t.setTimeout(MS_MAX)

t.test('the longest pause between successes counts, from the strike to the end', async (t) => {
  const span = { at: 10_000, until: 20_000 }
  t.equal(secondsWithout([], span), 10, 'nothing succeeded')
  t.equal(secondsWithout([1_000, 11_000, 14_500, 19_000, 30_000], span), 4.5, 'between two')
  t.equal(secondsWithout([9_000, 13_000, 13_500, 16_000, 18_500], span), 3, 'from the strike')
  t.equal(secondsWithout([12_000, 13_000, 16_000], span), 4, 'up to the end')
  t.equal(secondsWithout([18_000, 12_000, 16_000, 14_000], span), 2, 'in whatever order')
})

const programs = [`${POSTGRES_BIN}/postgres`, 'patroni', 'etcd', HAPROXY]
const skip = programs.map(missing).find((reason) => reason !== undefined) ?? false

t.test(
  `a primary that dies loses nothing, found by ${WAYS_OF_RUN.join(', ')}`,
  { skip },
  async (t) => {
    const options = {
      ...{ failovers: 1, kinds: 'kill-postmaster', limits: 0, ways: WAYS_OF_RUN.join() },
      rate: isLong ? 20 : 3,
    }
    const report = await runToReport(t, PROGRAM, options)
    if (!report) return
    t.match(report, {
      ok: true,
      failures: [],
      lost: 0,
      twoIds: 0,
      requestsWithoutAuditRow: 0,
      violations: 0,
      open: 0,
      kinds: { 'kill-postmaster': { count: 1 } },
    })
    t.equal(report.repeatsExplained, report.repeated)
    const [{ without202 }] = report.failovers
    t.strictSame(Object.keys(without202), WAYS_OF_RUN)
    t.ok(report.accepted > 0, 'it was under load')
  },
)
