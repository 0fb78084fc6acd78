import { loadavg } from 'node:os'
import { commit, countBy, endOf, failuresOfSystem, inWords, machine } from '../chaos/report.ts'
import type { Failover, FailoverOptions, Findings } from './failover.ts'
import type { Kind } from './strikes.ts'

/** Deliveries go on so many seconds after the first 202 at the latest. */
const DELIVERIES_AFTER_SECONDS = 2
/** How long a process may take to see what Patroni has done. */
const NOTICED_SECONDS = 2
const SWITCHOVER_SECONDS = 4

/** The line that a run ends with. */
export function reportOf(options: FailoverOptions & { hasLimits: boolean }, findings: Findings) {
  const { verdict, drained, leftovers, lives, failovers, cluster } = findings
  const failures = failuresOf(findings, options)
  return {
    ok: failures.length === 0,
    failures,
    kinds: costsByKind(failovers),
    failovers: failovers.map(({ at, until, ...failover }) => ({
      ...failover,
      seconds: Math.round((until - at) / 1000),
    })),
    rate: options.rate,
    seed: options.seed,
    ...verdict,
    violations: leftovers.violations.length,
    attemptsStarted: leftovers.attemptsStarted,
    jobsLocked: leftovers.jobsLocked,
    open: drained.open,
    drainSeconds: drained.seconds,
    postponed: drained.postponed,
    restartedByHand: 0,
    reaped: findings.reaped.size,
    ends: countBy(lives, endOf),
    badAnswers: Object.fromEntries(findings.badAnswers),
    skipped: findings.skipped,
    ttl: cluster.ttl,
    synchronousMode: cluster.synchronousMode,
    versions: { ...cluster.versions, node: process.versions.node },
    commit: commit(),
    machine: machine(),
    load: Math.round((loadavg()[1] ?? 0) * 10) / 10,
  }
}

/** Of each kind the longest, and how many there were. */
function costsByKind(failovers: readonly Failover[]) {
  const kinds = Map.groupBy(failovers, ({ kind }) => kind)
  const costs = [...kinds].map(([kind, all]) => [
    kind,
    {
      count: all.length,
      secondsWithout202: Math.max(...all.map(longest202)),
      secondsWithoutDeliveries: Math.max(...all.map((one) => one.withoutDeliveries)),
    },
  ])
  return Object.fromEntries(costs)
}

const longest202 = ({ without202 }: Failover) => Math.max(...Object.values(without202))

/** What must not be, in words; empty when the promise was kept. */
function failuresOf(findings: Findings, { hasLimits }: { hasLimits: boolean }): string[] {
  const { failovers, cluster } = findings
  const uncancelled = failovers.filter(
    ({ kind, cancelled }) => kind === 'cancelled-wait' && !cancelled,
  )
  const wrong = inWords([
    ...failuresOfSystem({ ...findings, faults: [] }),
    [uncancelled.length, 'runs in which no wait could be cancelled'],
  ])
  return hasLimits ? [...wrong, ...failovers.flatMap((one) => tooSlow(one, cluster.ttl))] : wrong
}

function tooSlow(failover: Failover, ttl: number): string[] {
  const limits: Partial<Record<Kind, number>> = {
    switchover: SWITCHOVER_SECONDS,
    'kill-primary': ttl + NOTICED_SECONDS,
  }
  const limit = limits[failover.kind]
  if (limit === undefined) return []
  const { kind, withoutDeliveries } = failover
  const seconds = longest202(failover)
  return [
    ...(seconds > limit ? [`${kind}: ${seconds} s without 202, more than ${limit}`] : []),
    ...(withoutDeliveries > limit + DELIVERIES_AFTER_SECONDS
      ? [`${kind}: ${withoutDeliveries} s without deliveries`]
      : []),
  ]
}
