import { execFileSync } from 'node:child_process'
import { availableParallelism, cpus, loadavg, totalmem } from 'node:os'
import type { ChaosOptions, Findings } from './chaos.ts'
import type { Fault } from './faults.ts'
import type { Life } from './supervisor.ts'

/** The line that a run ends with. */
export function reportOf(options: ChaosOptions, findings: Findings) {
  const { verdict, erasures, batches, drained, leftovers, recovery, faults, lives, badAnswers } =
    findings
  const failures = failuresOf(findings)
  return {
    ok: failures.length === 0,
    failures,
    seconds: options.seconds,
    rate: options.rate,
    runners: options.runners,
    seed: options.seed,
    ...verdict,
    ...erasures,
    ...batches,
    violations: leftovers.violations.length,
    attemptsStarted: leftovers.attemptsStarted,
    jobsLocked: leftovers.jobsLocked,
    open: drained.open,
    drainSeconds: drained.seconds,
    postponed: drained.postponed,
    recovery,
    circuitsOpened: findings.circuitsOpened,
    abandonedForNothing: findings.abandonedForNothing,
    operations: Object.fromEntries(findings.operations),
    faults: countBy(faults, ({ kind }) => kind),
    ends: countBy(lives, endOf),
    badAnswers: Object.fromEntries(badAnswers),
    skipped: findings.skipped,
    commit: commit(),
    node: process.versions.node,
    machine: machine(),
    /** Processes that wanted a core at a time, ours among them, over the last five minutes. */
    load: Math.round((loadavg()[1] ?? 0) * 10) / 10,
  }
}

/** What must not be, in words; empty when the promise was kept. */
function failuresOf(findings: Findings): string[] {
  const { erasures, batches } = findings
  return inWords([
    ...failuresOfSystem(findings),
    [erasures.notErased, 'events that have their data although it was erased'],
    [erasures.erasedWithoutEnd, 'deliveries of erased events that did not end as they should'],
    [erasures.sentAfterErasure, 'requests about events that were erased before'],
    [batches.repeatsUnderAnotherId, 'repeats of events under the id of another batch'],
    [batches.batchesWithoutAuditRow, 'events of batches whose attempts do not say so'],
    [findings.abandonedForNothing, 'attempts that were taken over from a runner that lived'],
  ])
}

/** How many there are of something that must not be. */
type Wrong = [count: number, what: string]

export const inWords = (wrong: readonly Wrong[]): string[] =>
  wrong.filter(([count]) => count > 0).map(([count, what]) => `${count} ${what}`)

/** What any system must not do, whatever is done to it. */
type Behaviour = Pick<
  Findings,
  'verdict' | 'drained' | 'leftovers' | 'badAnswers' | 'lives' | 'reaped' | 'faults'
>

export function failuresOfSystem(findings: Behaviour): Wrong[] {
  const { verdict, drained, leftovers, badAnswers } = findings
  return [
    [verdict.lost, 'lost deliveries'],
    [verdict.pairs - verdict.delivered, 'deliveries that do not end as delivered'],
    [verdict.repeated - verdict.repeatsExplained, 'repeats that no attempt explains'],
    [verdict.early, 'requests before the time of their event'],
    [verdict.inversions, 'requests before an earlier event of the same ordering key had arrived'],
    [
      verdict.lastStatesLost,
      'last events of an ordering key that an endpoint for the newest lacks',
    ],
    [verdict.requestsWithoutAuditRow, 'requests without an audit row'],
    [verdict.doubled, 'events stored twice'],
    [verdict.twoIds, 'events with two ids'],
    [verdict.ghosts, 'events that nobody committed'],
    [verdict.halfStored, 'transactions stored in part'],
    [drained.open, 'deliveries that are still open'],
    [leftovers.violations.length, 'invariant violations'],
    [leftovers.attemptsStarted, 'attempts that nobody has finished'],
    [leftovers.jobsLocked, 'jobs that are still locked'],
    [
      [...badAnswers.values()].reduce((sum, count) => sum + count, 0),
      'answers that no outage explains',
    ],
    [
      findings.lives.filter((life) => isStrange(life, findings)).length,
      'processes that ended without a reason',
    ],
    [verdict.accepted === 0 ? 1 : 0, 'run without a single event'],
  ]
}

/** An exit code that a supervisor is meant to answer by starting again: see docs/reference/exit-codes.md. */
const TEMPORARY = 75

/**
 * Whether a process ended in a way that nothing explains. Good reasons for 75: the database was away when it
 * started; a runner found itself replaced while it was frozen or cut off; and one that was told to stop gave
 * up after a while because the database was away.
 */
function isStrange(life: Life, { reaped, faults }: Behaviour): boolean {
  const { asked, end, hasStarted, runnerId } = life
  if (asked === 'SIGKILL') return end !== 'SIGKILL'
  if (end === TEMPORARY) {
    const wasReplaced = runnerId !== null && reaped.has(runnerId)
    return hasStarted && !wasReplaced && !stoppedDuringOutage(life, faults)
  }
  return asked === null || (end !== 0 && (hasStarted || end !== 'SIGTERM'))
}

function stoppedDuringOutage({ asked, askedAt, endedAt }: Life, faults: readonly Fault[]): boolean {
  return (
    asked !== null &&
    faults.some(
      ({ kind, at, until }) =>
        kind.startsWith('restart postgres') && at < (endedAt ?? askedAt) && until > askedAt,
    )
  )
}

export function endOf({ name, asked, end }: Life): string {
  const kind = name.split('-')[0]
  return asked === null ? `${kind} ${end} unasked` : `${kind} ${end}`
}

export function countBy<T>(list: readonly T[], keyOf: (item: T) => string): Record<string, number> {
  const groups = [...Map.groupBy(list, keyOf)].toSorted(([a], [b]) => a.localeCompare(b))
  return Object.fromEntries(groups.map(([key, items]) => [key, items.length]))
}

/** With a `+` when the checkout differs from it. */
export function commit(): string {
  try {
    const git = (...args: string[]) =>
      execFileSync('git', args, { cwd: import.meta.dirname, encoding: 'utf8' }).trim()
    const isDirty = git('status', '--porcelain', '--untracked-files=no') !== ''
    return `${git('rev-parse', '--short', 'HEAD')}${isDirty ? '+' : ''}`
  } catch {
    return 'unknown'
  }
}

export function machine(): string {
  const model = cpus()[0]?.model.trim() || 'unknown processor'
  const memoryGb = Math.round(totalmem() / 2 ** 30)
  return `${availableParallelism()} cores of ${model}, ${memoryGb} GB, ${process.platform}`
}
