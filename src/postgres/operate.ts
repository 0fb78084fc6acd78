import type { Kysely, Transaction } from 'kysely'
import { retryConflicts } from './outage.ts'
import type { Database } from './schema.ts'

const OBJECT_IN_USE = '55006'
const OBJECT_NOT_IN_PREREQUISITE_STATE = '55000'

/** A function for operators refused, because of the state that something is in. */
export class OperationRefused extends Error {
  override readonly name = 'OperationRefused'
  readonly code: 'in_flight' | 'state_conflict'
  constructor(code: OperationRefused['code'], message: string, options: ErrorOptions) {
    super(message, options)
    this.code = code
  }
}

/**
 * Calls a function for operators (`operate_*.sql` and `operators/` in sql/functions).
 *
 * @throws OperationRefused with the words of the function; its hint is for people at psql
 */
export async function operate<T>(call: () => Promise<T>): Promise<T> {
  try {
    return await call()
  } catch (error) {
    throw refusalOf(error) ?? error
  }
}

/** A transaction, made again as a whole where it lost against another. So `change` may be called several times. */
export function transact<T>(
  database: Kysely<Database>,
  change: (transaction: Transaction<Database>) => Promise<T>,
): Promise<T> {
  return retryConflicts(() => database.transaction().execute(change))
}

/** Only what our functions raise: Postgres itself uses these codes too, and its words are not for clients. */
function refusalOf(error: unknown): OperationRefused | null {
  const { code, routine, message } = error as Record<string, unknown>
  if (routine !== 'exec_stmt_raise') return null
  if (code === OBJECT_IN_USE) {
    return new OperationRefused('in_flight', String(message), { cause: error })
  }
  if (code === OBJECT_NOT_IN_PREREQUISITE_STATE) {
    return new OperationRefused('state_conflict', String(message), { cause: error })
  }
  return null
}
