import { isConflict } from './outage.ts'

/** A conflict with a runner that is just taking the job is short; three in a row are not one. */
const TRIES_MAX = 3
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
 * Calls a function for operators (sql/functions/1*), again where it lost against another transaction.
 *
 * @throws OperationRefused with the words of the function; its hint is for people at psql
 */
export async function operate<T>(call: () => Promise<T>): Promise<T> {
  for (let tried = 1; ; tried++) {
    try {
      return await call()
    } catch (error) {
      if (!isConflict(error) || tried === TRIES_MAX) throw refusalOf(error) ?? error
    }
  }
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
