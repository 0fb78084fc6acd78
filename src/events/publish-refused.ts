/** Why an event was not stored; the codes are those of `postrider.publish_problem`. */
export class PublishRefused extends Error {
  override readonly name = 'PublishRefused'
  readonly code: string
  /** The member of the event that has to change. */
  readonly field: string
  constructor({ code, field, message }: { code: string; field: string; message: string }) {
    super(message)
    this.code = code
    this.field = field
  }
}

/**
 * Nothing is known to be stored, and the same request will succeed later.
 *
 * When the connection broke while the answer was awaited the events may be stored all the same;
 * that is what an idempotency key is for.
 */
export class DatabaseUnavailable extends Error {
  override readonly name = 'DatabaseUnavailable'
  readonly code = 'database_unavailable'
}
