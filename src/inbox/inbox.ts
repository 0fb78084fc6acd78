/**
 * Applies each event once: a receiver's handler runs in the transaction that inserts the event's id into the inbox
 * of the receiver's own database.
 *
 * `postrider inbox sql` prints the file that installs the inbox there.
 */
import { queryIn, type Transaction } from '../sql-in-transaction.ts'
import {
  type Database,
  DatabaseBusy,
  inTransaction,
  isAborted,
  isConflict,
  isLockTimeout,
  type TransactionOf,
  TransactionRolledBack,
} from './databases.ts'
import { InvalidBody, type ReceivedEvent, readEvents } from './received-events.ts'
import { InvalidSignature, type SignedRequest } from './signed-request.ts'
import { assertTolerance, type Secret, storedForms, verifySigned } from './verify-signed.ts'

export type { SecretEncoding } from '../sending/signing-secret.ts'
export type { Transaction } from '../sql-in-transaction.ts'
export type { Database, TransactionOf } from './databases.ts'
// biome-ignore lint/performance/noBarrelFile: the entry point of the package
export { InvalidBody, type ReceivedEvent } from './received-events.ts'
export { InvalidSignature, type RequestHeaders, type SignedRequest } from './signed-request.ts'
export { type Secret, type VerifiedRequest, verifySigned } from './verify-signed.ts'

export interface InboxOptions<D extends Database> {
  /** Of the receiver: a `Pool` of pg, or the client of Kysely, Drizzle or Prisma. */
  database: D
  /** Every secret that is live: during a rotation the old and the new one. */
  secrets: Secret | readonly Secret[]
  /** A name for this receiver, where several share a database: each applies an event for itself. */
  receiver?: string | undefined
  /** How far a timestamp may be from this machine's clock. Default: 300. */
  toleranceSeconds?: number | undefined
}

/** What to send back. */
export interface Answer {
  status: 200 | 400 | 401 | 503
  body: string
}

/**
 * Applies one event. What it does in the transaction takes effect once. Its other effects do not: it can be called
 * again for the same event, if its transaction was rolled back.
 */
export type Handler<Tx> = (event: ReceivedEvent, tx: Tx) => unknown

export interface Inbox<Tx> {
  /**
   * Rejects with the error of the handler, after a rollback: answer 500, and the sender retries. So it does when the
   * handler caught the error of a statement and did not roll back to a savepoint before it.
   */
  receive(request: SignedRequest, handler: Handler<Tx>): Promise<Answer>
  /** The same for a `Request` of the web, as Hono, Next.js and others have it. */
  respond(request: Request, handler: Handler<Tx>): Promise<Response>
}

/** The first has held its transaction for longer than a repeat waits. */
class StillRunning extends Error {
  override readonly name = 'StillRunning'
}

/** A transaction that meets others again and again is left to the sender's next attempt. */
const TRIES = 3
/** Of a receiver. */
const NAME_MAX = 255
/** The most that a request of Postrider has, a batch of events, and more than other senders' have. */
const BODY_BYTES_MAX = 16 * 1_024 * 1_024

/**
 * @throws InvalidSecret, RangeError
 *
 * @example
 * const inbox = createInbox({ database: pool, secrets: [secret] })
 * app.post('/webhooks', (c) =>
 *   inbox.respond(c.req.raw, async ({ data }, tx) => {
 *     await tx.query('update invoice set paid = true where id = $1', [data.id])
 *   }),
 * )
 */
export function createInbox<D extends Database>(options: InboxOptions<D>): Inbox<TransactionOf<D>> {
  assertUsable(options)
  type Tx = TransactionOf<D>
  const receive = (request: SignedRequest, handler: Handler<Tx>) =>
    answer(options, request, handler as Handler<Transaction>)
  return {
    receive,
    async respond(request, handler) {
      const body = await readBody(request)
      if (body === null) return new Response('the body is too large', { status: 413 })
      const { status, body: text } = await receive({ headers: request.headers, body }, handler)
      return new Response(text, { status })
    },
  }
}

/** What is wrong is found at the start, not with the first request. */
function assertUsable({ secrets, toleranceSeconds, receiver = '' }: InboxOptions<Database>): void {
  storedForms(secrets)
  assertTolerance(toleranceSeconds)
  if (typeof receiver === 'string' && receiver.length <= NAME_MAX && !receiver.includes('\0'))
    return
  throw new RangeError(
    `receiver is ${JSON.stringify(receiver)}: give a name of at most ${NAME_MAX} characters, without U+0000`,
  )
}

/**
 * Inserts the id of an event into the inbox, in the caller's transaction: `true` if it is to be applied there, `false`
 * if a transaction that committed has applied it. Waits for one that is doing so.
 *
 * For requests that were verified in another way; `createInbox` does all of it.
 *
 * @param receiver a name, where several share a database
 */
export async function receive(tx: Transaction, id: string, receiver = ''): Promise<boolean> {
  return (await firstOf(tx, [id], receiver)).length === 1
}

interface First {
  id: string
  /** Of the transaction that applies it. */
  transaction: string
}

async function firstOf(tx: Transaction, ids: string[], receiver: string): Promise<First[]> {
  const rows = await queryIn(
    tx,
    `select id, pg_current_xact_id()::text as transaction from unnest(postrider_inbox.receive_many(
       array(select json_array_elements_text($1::text::json)), $2::text)) as id`,
    [JSON.stringify(ids), receiver],
  )
  return rows as First[]
}

/** Libraries commit an aborted transaction without an error: it is rolled back. @throws TransactionRolledBack */
async function assertStillIn(tx: Transaction, transaction: string): Promise<void> {
  const asked = queryIn(tx, 'select pg_current_xact_id_if_assigned()::text as transaction', [])
  const rows = await asked.catch((cause) => {
    throw isAborted(cause) ? new TransactionRolledBack({ cause }) : cause
  })
  if ((rows as Partial<First>[])[0]?.transaction !== transaction) throw new TransactionRolledBack()
}

async function answer(
  options: InboxOptions<Database>,
  request: SignedRequest,
  handler: Handler<Transaction>,
): Promise<Answer> {
  try {
    const { id, body } = verifySigned(request, options.secrets, options.toleranceSeconds)
    const events = readEvents(id, body)
    const applied = await repeating(() => applyNew(options, events, handler))
    return { status: 200, body: JSON.stringify({ applied, repeats: events.length - applied }) }
  } catch (error) {
    if (error instanceof InvalidSignature) return { status: 401, body: error.message }
    if (error instanceof InvalidBody) return { status: 400, body: error.message }
    if (error instanceof StillRunning) return { status: 503, body: 'it is being applied' }
    if (error instanceof DatabaseBusy) return { status: 503, body: error.message }
    throw error
  }
}

/** @returns how many of the events had not been applied before */
async function applyNew(
  { database, receiver = '' }: InboxOptions<Database>,
  events: ReceivedEvent[],
  handler: Handler<Transaction>,
): Promise<number> {
  let applied = 0
  await inTransaction(database, async (tx) => {
    const ids = events.map(({ id }) => id)
    const first = await firstOf(tx, ids, receiver).catch(refuseToWait)
    // A batch that names an event twice has it twice; it is applied once.
    for (const { id } of first) await handler(events[ids.indexOf(id)] as ReceivedEvent, tx)
    if (first[0]) await assertStillIn(tx, first[0].transaction)
    applied = first.length
  })
  return applied
}

function refuseToWait(error: unknown): never {
  if (isLockTimeout(error)) throw new StillRunning('waited for the first', { cause: error })
  throw error
}

async function repeating<T>(work: () => Promise<T>): Promise<T> {
  for (let tried = 1; ; tried += 1) {
    try {
      return await work()
    } catch (error) {
      if (tried === TRIES || !isConflict(error)) throw error
    }
  }
}

/** Null if it is larger than a request of Postrider can be: until it is read, anybody may have sent it. */
async function readBody(request: Request): Promise<Buffer | null> {
  const chunks: Uint8Array[] = []
  let bytes = 0
  for await (const chunk of request.body ?? []) {
    bytes += chunk.byteLength
    if (bytes > BODY_BYTES_MAX) return null
    chunks.push(chunk)
  }
  return Buffer.concat(chunks)
}
