import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import t from 'tap'

const PROGRAM = join(import.meta.dirname, 'run.ts')
const SECONDS = 60
/** Half of what the program does by default: other tests run on the same machine. */
const RATE = 20
/** Starting everything, and coming to rest. */
const MS_AROUND = 480_000

t.setTimeout(SECONDS * 1000 + MS_AROUND)

t.test('a minute of faults loses nothing and leaves nothing unexplained', async (t) => {
  const child = spawn(
    process.execPath,
    [PROGRAM, '--seconds', String(SECONDS), '--rate', String(RATE)],
    { stdio: ['ignore', 'pipe', 'pipe'], env: { PATH: process.env['PATH'] } },
  )
  t.teardown(() => child.kill('SIGTERM'))
  const [stdout, stderr, [exitCode]] = await Promise.all([
    text(child.stdout),
    text(child.stderr),
    once(child, 'exit'),
  ])
  const line = stdout.trim().split('\n').at(-1) ?? ''
  t.comment(line)
  t.equal(exitCode, 0, stderr)
  const report = JSON.parse(line)
  t.match(report, {
    ok: true,
    failures: [],
    lost: 0,
    early: 0,
    notErased: 0,
    erasedWithoutEnd: 0,
    sentAfterErasure: 0,
    requestsWithoutAuditRow: 0,
    abandonedForNothing: 0,
    violations: 0,
    open: 0,
  })
  t.equal(report.repeatsExplained, report.repeated)
  t.ok(report.accepted > (SECONDS * RATE) / 2, 'it was under load')
  t.ok(report.scheduled > 0, 'some of it for later')
  for (const kind of [
    'kill runner',
    'kill api',
    'freeze runner',
    'restart api',
    'terminate backends',
  ]) {
    t.ok(report.faults[kind] > 0, kind)
  }
  t.ok(report.circuitsOpened > 0 || report.faults['kill redis'] > 0, 'a circuit or Redis was away')
  for (const operation of ['retry', 'pause', 'resume', 'limit', 'erase', 'erase oldest']) {
    t.ok(report.operations[operation] > 0, operation)
  }
  t.ok(
    Object.keys(report.faults).some((kind) => kind.startsWith('restart postgres')),
    'Postgres was restarted',
  )
})
