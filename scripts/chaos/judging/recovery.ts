import type { Fault } from '../faults.ts'
import type { Life } from '../supervisor.ts'
import type { StoredAttempt } from './judge.ts'

/** Milliseconds; null where nothing was measured. */
export interface Times {
  count: number
  p50Ms: number | null
  maxMs: number | null
}

export interface RecoveryTimes {
  /** Of all deliveries that a killed runner was sending. */
  all: Times
  /**
   * Of those, the ones where nothing else stood in the way: another runner was at work all the time, and no
   * connection to the database was cut.
   */
  undisturbed: Times
}

/**
 * From the SIGKILL of a runner to the next claim of each delivery that it was sending.
 *
 * Nobody can take over while the database is away, or while every other runner is dead or frozen as well.
 */
export function recoveryTimes(
  lives: readonly Life[],
  faults: readonly Fault[],
  attempts: readonly StoredAttempt[],
): RecoveryTimes {
  const runners = lives.filter(({ runnerId }) => runnerId !== null)
  const killed = new Map(
    runners.filter(({ asked }) => asked === 'SIGKILL').map((life) => [life.runnerId, life]),
  )
  const next = new Map(
    attempts.map((attempt) => [`${attempt.deliveryId} ${attempt.number}`, attempt]),
  )
  const recoveries = attempts
    .filter(({ outcome }) => outcome === 'abandoned')
    .flatMap(({ runner, deliveryId, number }) => {
      const life = killed.get(runner)
      const heir = next.get(`${deliveryId} ${number + 1}`)
      return life && heir ? [{ from: life.askedAt, until: heir.startedAt }] : []
    })
  const frozen = faults.filter(({ kind }) => kind === 'freeze runner')
  const away = faults.filter(
    ({ kind }) => kind.startsWith('restart postgres') || kind === 'terminate backends',
  )
  const isUndisturbed = ({ from, until }: Span) =>
    !away.some((fault) => overlap(fault, { from, until })) &&
    runners.some((life) => worksThroughout(life, frozen, { from, until }))
  return {
    all: timesOf(recoveries),
    undisturbed: timesOf(recoveries.filter(isUndisturbed)),
  }
}

interface Span {
  from: number
  until: number
}

const overlap = (fault: Fault, { from, until }: Span) => fault.at < until && fault.until > from

function worksThroughout(life: Life, freezes: readonly Fault[], span: Span): boolean {
  return (
    life.startedAt < span.from &&
    (life.endedAt === null || life.endedAt > span.until) &&
    !freezes.some((freeze) => freeze.pid === life.pid && overlap(freeze, span))
  )
}

function timesOf(spans: readonly Span[]): Times {
  const times = spans.map(({ from, until }) => Math.max(0, until - from)).toSorted((a, b) => a - b)
  return {
    count: times.length,
    p50Ms: rounded(times[Math.floor((times.length - 1) / 2)]),
    maxMs: rounded(times.at(-1)),
  }
}

function rounded(ms: number | undefined): number | null {
  return ms === undefined ? null : Math.round(ms)
}
