import { sql } from 'kysely'

/** Why deliveries are held; the words are those of postrider.held_reason(). */
export const HELD_REASONS = {
  disabled: 'The endpoint is disabled.',
  paused: 'The endpoint is paused, or all deliveries are.',
  suspended: 'The tenant is suspended.',
  secret: 'No key of the service opens the secret or the client key of the endpoint.',
  circuit: 'The endpoint fails: now and then one delivery is sent to it as a probe.',
} as const

export type HeldReason = keyof typeof HELD_REASONS

/**
 * Column `held_reason` of a delivery. Null while it is not held, and when nothing holds it any more.
 *
 * @param table name or alias of `delivery` in the statement
 */
export const heldReasonOf = (table: string) =>
  sql<HeldReason | null>`
    case when ${sql.ref(`${table}.state`)} = 'held'
      then postrider.held_reason(${sql.ref(`${table}.endpoint_id`)}) end`.as('held_reason')
