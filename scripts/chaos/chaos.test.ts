import { join } from 'node:path'
import t from 'tap'
import { isInstalled } from '../../src/testing/programs.ts'
import { runToReport } from './run-to-report.ts'

const PROGRAM = join(import.meta.dirname, 'run.ts')
/**
 * It goes on until every fault has struck and every operation has been done, and no longer. `npm run chaos` goes on
 * for a minute with 40 events a second, three runners, a disk, and a receiver that is down until its circuit opens.
 */
const OPTIONS = { seconds: 0, pause: 0.5, rate: 8, ahead: 3, down: 0, runners: 2, durable: 0 }
/** Starting everything, and coming to rest. */
const MS_MAX = 480_000

t.setTimeout(MS_MAX)

t.test('every kind of fault once loses nothing and leaves nothing unexplained', async (t) => {
  const report = await runToReport(t, PROGRAM, OPTIONS)
  if (!report) return
  t.match(report, {
    ok: true,
    failures: [],
    lost: 0,
    early: 0,
    inversions: 0,
    lastStatesLost: 0,
    notErased: 0,
    erasedWithoutEnd: 0,
    sentAfterErasure: 0,
    repeatsUnderAnotherId: 0,
    batchesWithoutAuditRow: 0,
    requestsWithoutAuditRow: 0,
    abandonedForNothing: 0,
    violations: 0,
    open: 0,
  })
  t.equal(report.repeatsExplained, report.repeated)
  t.ok(report.accepted > 100, 'it was under load')
  t.ok(report.scheduled > 0, 'some of it for later')
  t.ok(report.inOrder > 30, 'some of it in order')
  t.ok(report.collapsed > 0, 'some in place of others')
  t.ok(report.batches > 5, 'some in batches')
  t.ok(report.itemsFailed > 0, 'of which some events failed')
  for (const kind of [
    'kill runner',
    'kill api',
    'freeze runner',
    'freeze api',
    'restart runner',
    'restart api',
    'terminate backends',
    'restart postgres immediate',
    'restart postgres fast',
    ...(isInstalled('redis-server') ? ['kill redis'] : []),
  ]) {
    t.ok(report.faults[kind] > 0, kind)
  }
  for (const operation of ['retry', 'pause', 'resume', 'limit', 'erase', 'erase oldest']) {
    t.ok(report.operations[operation] > 0, operation)
  }
})
