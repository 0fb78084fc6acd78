import type { Fault } from '../faults.ts'
import type { Life } from '../supervisor.ts'
import type { StoredAttempt } from './judge.ts'

/** The longest that an attempt takes here, with the outage that it may have begun in. */
const AROUND_MS = 30_000

/**
 * Attempts that were found abandoned although nothing had happened to their runner: it was neither killed nor
 * found dead, and no connection was cut around their time (a claim whose answer is lost is never sent). One of
 * them is a live attempt that another has taken over. Pure.
 */
export function abandonedForNothing(
  attempts: readonly StoredAttempt[],
  {
    lives,
    reaped,
    faults,
  }: { lives: readonly Life[]; reaped: Set<string>; faults: readonly Fault[] },
): StoredAttempt[] {
  const killed = new Set(
    lives.filter(({ asked }) => asked === 'SIGKILL').map(({ runnerId }) => runnerId),
  )
  const cuts = faults.filter(({ kind }) => /^(?:terminate|restart postgres)/.test(kind))
  return attempts.filter(
    ({ outcome, runner, startedAt }) =>
      (outcome === 'abandoned' || outcome === 'stale') &&
      !killed.has(runner) &&
      !reaped.has(runner) &&
      !cuts.some(({ at, until }) => at - AROUND_MS < startedAt && startedAt < until + AROUND_MS),
  )
}
