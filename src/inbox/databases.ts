/** Runs work in a transaction of pg, Kysely, Drizzle or Prisma, none of which is imported. */
import type { Transaction } from '../sql-in-transaction.ts'

/** A client of a pool of `pg`. */
interface PgClient {
  query(text: string): PromiseLike<unknown>
  query(text: string, values: unknown[]): PromiseLike<unknown>
  on(name: 'error', handle: (error: Error) => void): unknown
  removeListener(name: 'error', handle: (error: Error) => void): unknown
  release(isBroken?: boolean): void
}
/** A `Pool` of `pg`. */
export interface PgDatabase {
  connect(): Promise<PgClient>
}
/** A `Kysely`. */
export interface KyselyDatabase {
  transaction: unknown
  executeQuery: unknown
}
/** What `drizzle(…)` returns, for any driver of Postgres. */
export interface DrizzleDatabase {
  transaction: unknown
  execute: unknown
}
/** A `PrismaClient`. */
export interface PrismaDatabase {
  $transaction: unknown
}
export type Database = PgDatabase | KyselyDatabase | DrizzleDatabase | PrismaDatabase

type Taking<Tx> = (tx: Tx) => Promise<unknown>

/** What the transaction of a database is, as its library types it. */
export type TransactionOf<D> = D extends { $transaction(work: Taking<infer Tx>): unknown }
  ? Tx
  : D extends { transaction(): { execute(work: Taking<infer Tx>): unknown } }
    ? Tx
    : D extends { transaction(work: Taking<infer Tx>): unknown }
      ? Tx
      : // Two signatures, as `Pool` has them: of more than there are here only the last would be looked at.
        D extends { connect: { (): Promise<infer Client>; (callback: never): unknown } }
        ? Client
        : never

type Work = (tx: Transaction) => Promise<unknown>

/** Commits when the work resolves, and rolls back when it rejects. */
export async function inTransaction(database: Database, work: Work): Promise<unknown> {
  if ('$transaction' in database) {
    return await inPrismaTransaction(database as PrismaClient, work)
  }
  if ('executeQuery' in database) {
    const kysely = database as { transaction(): { execute(work: Work): unknown } }
    return await kysely.transaction().execute(work)
  }
  if ('transaction' in database) {
    return await (database as { transaction(work: Work): unknown }).transaction(work)
  }
  if ('connect' in database) return await inPgTransaction(database, work)
  throw new TypeError('the database is none of pg, Kysely, Drizzle or Prisma')
}

interface PrismaClient {
  $transaction(work: Work, limits: { timeout: number; maxWait: number }): unknown
}
/** Its own are 5 s and 2 s: less than a repeat waits for the first, and no other library has any. */
const PRISMA_LIMITS = {
  /** Longer than Postrider waits for a response. */
  timeout: 70_000,
  /** For a connection: as long as for the first. */
  maxWait: 10_000,
}
/** What Prisma says of a transaction that began too late, or lasted too long. */
const PRISMA_EXPIRED = 'P2028'

/** No connection was free for a transaction. */
export class DatabaseBusy extends Error {
  override readonly name = 'DatabaseBusy'
}

async function inPrismaTransaction(prisma: PrismaClient, work: Work): Promise<unknown> {
  let hasBegun = false
  const begun: Work = (tx) => {
    hasBegun = true
    return work(tx)
  }
  try {
    return await prisma.$transaction(begun, PRISMA_LIMITS)
  } catch (cause) {
    if (hasBegun || !statesOf(cause).includes(PRISMA_EXPIRED)) throw cause
    throw new DatabaseBusy('no connection to the database was free in time', { cause })
  }
}

/** The handler ended the transaction, or caught the error of a statement: Postgres then rolls back what is committed. */
export class TransactionRolledBack extends Error {
  override readonly name = 'TransactionRolledBack'
  readonly code = 'transaction_rolled_back'
  constructor(options?: ErrorOptions) {
    super(
      'the transaction of the event was rolled back, and nothing of it is applied: a statement of the handler failed or ended it. Let the error reach the inbox, or set a savepoint before a statement whose error you catch',
      options,
    )
  }
}

/** Of an aborted transaction Postgres answers a commit with ROLLBACK, and without an error. */
function assertCommitted(result: unknown): void {
  const { command } = Object(result) as { command?: unknown }
  if (command === 'ROLLBACK') throw new TransactionRolledBack()
}

const ignore = (): void => undefined

async function inPgTransaction(pool: PgDatabase, work: Work): Promise<unknown> {
  const client = await pool.connect()
  // A connection that is cut between two statements emits it; the next statement rejects anyway.
  client.on('error', ignore)
  let broken = false
  try {
    await client.query('begin')
    const result = await work(client)
    assertCommitted(await client.query('commit'))
    return result
  } catch (error) {
    broken = await client.query('rollback').then(
      () => false,
      () => true,
    )
    throw error
  } finally {
    client.removeListener('error', ignore)
    client.release(broken)
  }
}

/** What Prisma says instead of 40001 and 40P01. */
const PRISMA_CONFLICT = 'P2034'
const WORTH_REPEATING = ['40001', '40P01', PRISMA_CONFLICT]

/** Whether the transaction failed only because of others at the same time. */
export const isConflict = (error: unknown): boolean =>
  statesOf(error).some((state) => WORTH_REPEATING.includes(state))

/** Whether a statement before it failed. */
export const isAborted = (error: unknown): boolean => statesOf(error).includes('25P02')

/** Whether a repeat has waited for the first for long enough. */
export const isLockTimeout = (error: unknown): boolean =>
  statesOf(error).some((state) => state === '55P03' || state === PRISMA_EXPIRED)

/** SQLSTATEs of an error and its causes: libraries put the error of their driver at different places. */
function statesOf(error: unknown): string[] {
  if (!(error instanceof Object)) return []
  const { code, originalCode, cause, meta, driverAdapterError } = error as Record<string, unknown>
  const own = [code, originalCode].filter((each) => typeof each === 'string')
  return [...own, ...[cause, meta, driverAdapterError].flatMap(statesOf)]
}
