/** Publishes from a producer's own transaction: the event exists if and only if the producer's change does. */
import { queryIn, type Transaction } from '../sql-in-transaction.ts'

export type {
  DrizzleTransaction,
  KyselyTransaction,
  PgTransaction,
  PrismaTransaction,
  Transaction,
} from '../sql-in-transaction.ts'

/** What `postrider.publish` takes. */
export interface OutboxEvent {
  /** Key of the tenant. */
  tenant: string
  /** A dotted name, such as `invoice.paid`. */
  type: string
  /** Anything that `JSON.stringify` makes JSON of, except null. */
  data: unknown
  /** Repeats with the same key, for seven days, are the same event. */
  idempotencyKey?: string | undefined
  /** Not before then, up to 30 days ahead. */
  deliverAt?: Date | string | undefined
  /** When it happened; now unless given. */
  occurredAt?: Date | string | undefined
  /**
   * What it is about, for endpoints that want events in order. Other transactions that publish with the key wait until
   * this one ends; publish several keys in the order of their names, or two transactions may deadlock.
   */
  orderingKey?: string | undefined
  /** Up to 5. Endpoints with channels get it if they have one of these; without any, only endpoints without do. */
  channels?: readonly string[] | undefined
}

const TEXT =
  'select postrider.publish($1::text, $2::text, $3::text::json, $4::text, $5::text::timestamptz, $6::text::timestamptz, $7::text, $8::text::text[])::text as id'

/**
 * Stores an event, its deliveries and their jobs in the transaction, and returns the id of the event.
 *
 * Rejects with the error of the database when the event is refused (SQLSTATE 22023, with the argument in
 * `column`); the transaction is then to be rolled back, as after any error.
 *
 * @example
 * await db.transaction().execute(async (tx) => {
 *   await tx.updateTable('invoice').set({ paid: true }).where('id', '=', 1).execute()
 *   await publish(tx, { tenant: 'acme', type: 'invoice.paid', data: { id: 1 } })
 * })
 */
export async function publish(tx: Transaction, event: OutboxEvent): Promise<string> {
  const [row] = await queryIn(tx, TEXT, valuesOf(event))
  return (row as { id: string }).id
}

function valuesOf(event: OutboxEvent): (string | null)[] {
  const data: string | undefined = JSON.stringify(event.data)
  if (data === undefined) throw new TypeError('the data of the event is nothing that JSON can hold')
  const { tenant, type, idempotencyKey = null, deliverAt, occurredAt } = event
  const { orderingKey = null, channels } = event
  const times = [timeOf(deliverAt), timeOf(occurredAt)]
  return [
    tenant,
    type,
    data,
    idempotencyKey,
    ...times,
    orderingKey,
    channels ? arrayOf(channels) : null,
  ]
}

/** As Postgres writes an array: not every client that a transaction may be of can bind one. */
const arrayOf = (texts: readonly string[]): string =>
  `{${texts.map((text) => JSON.stringify(text)).join(',')}}`

function timeOf(time: Date | string | undefined): string | null {
  return time instanceof Date ? time.toISOString() : (time ?? null)
}
