import { setTimeout as delay } from 'node:timers/promises'

/** SQLSTATEs and system errors that say the connection or the server is away, not that we asked wrongly. */
const OUTAGE_CODES = new Set([
  '08000', '08001', '08003', '08004', '08006', // connection exceptions
  '08007', // the outcome of a transaction is not known: see CommitNotReplicated
  '57P01', '57P02', '57P03', // admin shutdown, crash shutdown, cannot connect now
  '53300', // too many connections
  '25006', // read-only transaction: this server has become a standby
  'ECONNRESET', 'ECONNREFUSED', 'EPIPE', 'ETIMEDOUT', 'EHOSTUNREACH', 'ENETUNREACH', 'ENOTFOUND', 'EAI_AGAIN',
]) // biome-ignore format: one class of errors a line
/** What pg and pg-pool say without a code when a connection is lost or none is to be had. */
const OUTAGE_MESSAGE =
  /Connection terminated|not queryable|timeout exceeded when trying to connect|timeout expired|Client was closed/i

/**
 * What PgBouncer ends a session with, whatever the reason (`server login has been failing`, `server conn crashed?`,
 * `query_wait_timeout`). Postgres names a routine as well; and a violation of ours is an ERROR.
 */
const PROTOCOL_VIOLATION = '08P01'

/** Another transaction was in the way; the same statement succeeds when tried again. */
const CONFLICT_CODES = new Set(['40001', '40P01'])

/**
 * Insufficient resources (disk, memory, connections), operator intervention (also 57014, a statement that was
 * cancelled), system error. It is the server that has a problem; the statement is right.
 */
const CLASSES_OF_TROUBLE = new Set(['53', '57', '58'])
const SQLSTATE_LENGTH = 5

/** Somebody ended the statement: `statement_timeout`, or an operator. */
const QUERY_CANCELED = '57014'

/**
 * Pauses double from the first to the longest, so that a short blip is short and a long one costs little. The longest
 * is what a delivery waits for after a failover.
 */
const FIRST_PAUSE_MS = 50
const LONGEST_PAUSE_MS = 500

/** Whether the database was away, as far as the error tells. */
export function isOutage(error: unknown): boolean {
  const { code, message } = asRecord(error)
  if (OUTAGE_CODES.has(String(code)) || OUTAGE_MESSAGE.test(String(message))) return true
  return isEndOfPooler(error)
}

/** Whether a pooler has ended the session, rather than the server behind it. */
export function isEndOfPooler(error: unknown): boolean {
  const { code, severity, routine } = asRecord(error)
  return code === PROTOCOL_VIOLATION && severity === 'FATAL' && routine === undefined
}

/** Whether the server has no session left for this role. */
export const isOutOfSessions = (error: unknown): boolean => asRecord(error).code === '53300'

/** Whether the statement lost against another transaction and may be tried again at once. */
export function isConflict(error: unknown): boolean {
  return CONFLICT_CODES.has(String(asRecord(error).code))
}

/** Whether the statement was ended because it took too long. */
export function isTimeout(error: unknown): boolean {
  return asRecord(error).code === QUERY_CANCELED
}

/** Whether the same statement will succeed later: an outage, a conflict, or trouble of the server. */
export function isPassing(error: unknown): boolean {
  const code = String(asRecord(error).code)
  const isTrouble = code.length === SQLSTATE_LENGTH && CLASSES_OF_TROUBLE.has(code.slice(0, 2))
  return isTrouble || isOutage(error) || isConflict(error)
}

/** Failures that are further apart belong to different outages. */
const BETWEEN_OUTAGES_MS = 10_000

/**
 * Tells whether a failure is worth a line in the log: of an outage, or of a full disk, the first one is; the others say
 * the same some hundred times a second.
 */
export function createOutageNews(): (error: unknown) => boolean {
  let lastAt = Number.NEGATIVE_INFINITY
  return (error) => {
    if (asRecord(error).code !== UNAVAILABLE && !isPassing(error)) return true
    const before = lastAt
    lastAt = performance.now()
    return lastAt - before > BETWEEN_OUTAGES_MS
  }
}

/** How a duty tells its failure: an outage is told by the connections that it breaks, and each would say so each second. */
export const levelOf = (error: unknown): 'debug' | 'warn' => (isOutage(error) ? 'debug' : 'warn')

/** Of errors of our own, that say the same to somebody outside. */
const UNAVAILABLE = 'database_unavailable'

/**
 * Calls `run` until it succeeds, as long as its errors are of the kind that passes, for `forMs` at most. Only
 * for what may be done twice: a lost answer does not tell whether the statement was committed.
 */
export async function retryThroughOutage<T>(
  run: () => Promise<T>,
  options: { forMs: number; onRetry?: (error: unknown) => void },
): Promise<T> {
  const endsAt = performance.now() + options.forMs
  for (let pauseMs = FIRST_PAUSE_MS; ; pauseMs = Math.min(pauseMs * 2, LONGEST_PAUSE_MS)) {
    try {
      return await run()
    } catch (error) {
      if (!isPassing(error)) throw error
      if (performance.now() > endsAt) throw error
      options.onRetry?.(error)
    }
    await delay(pauseMs * (0.5 + Math.random()))
  }
}

/** A conflict with a runner that is just taking a job is short; three in a row are not one. */
const TRIES_MAX = 3

/**
 * Calls `run` again where it lost against another transaction.
 *
 * `run` is a whole transaction, or a statement that is one by itself: of a transaction that has lost Postgres
 * takes no further statement.
 */
export async function retryConflicts<T>(run: () => Promise<T>): Promise<T> {
  for (let tried = 1; ; tried++) {
    try {
      return await run()
    } catch (error) {
      if (!isConflict(error) || tried === TRIES_MAX) throw error
    }
  }
}

function asRecord(
  error: unknown,
): Partial<Record<'code' | 'message' | 'severity' | 'routine', unknown>> {
  return typeof error === 'object' && error !== null ? error : {}
}
