import type { Refusal } from '../problem.ts'

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

  /** An event is refused for its content, so it is 422 even where a path would say 404. */
  get refusal(): Refusal {
    const { code, field, message } = this
    const named = field === 'idempotencyKey' ? 'Idempotency-Key' : field
    return { ...kindOf(this), code, detail: message, errors: [{ field: named, message }] }
  }
}

/** Somebody who publishes with the key at this moment is likely to have ended soon. */
const kindOf = (error: Error): Pick<Refusal, 'of' | 'isBusy'> =>
  isKeyBusy(error) ? { of: busyCodeOf(error), isBusy: true } : { of: 'publish_refused' }

const KEY_BUSY = 'idempotency_key_busy'
const ORDERING_KEY_BUSY = 'ordering_key_busy'
const BUSY: readonly string[] = [KEY_BUSY, ORDERING_KEY_BUSY]

/** The code of a batch is that of its first refused event. */
function busyCodeOf(error: Error): typeof KEY_BUSY | typeof ORDERING_KEY_BUSY {
  const first = error instanceof BatchRefused ? error.refusals[0]?.refusal : error
  return first instanceof PublishRefused && first.code === ORDERING_KEY_BUSY
    ? ORDERING_KEY_BUSY
    : KEY_BUSY
}

/** Somebody is publishing with the key at this moment, and it is not known how that will end. */
export function keyBusy(field = 'idempotencyKey'): PublishRefused {
  return new PublishRefused({
    code: field === 'orderingKey' ? ORDERING_KEY_BUSY : KEY_BUSY,
    field,
    message: 'somebody is publishing with this key at this moment. Try again when that has ended.',
  })
}

export function isKeyBusy(error: unknown): boolean {
  if (error instanceof BatchRefused) return error.refusals.some(({ refusal }) => isKeyBusy(refusal))
  return error instanceof PublishRefused && BUSY.includes(error.code)
}

/** Nothing of the batch was stored, because of these items. */
export class BatchRefused extends Error {
  override readonly name = 'BatchRefused'
  readonly code = 'batch_refused'
  readonly refusals: readonly { index: number; refusal: PublishRefused }[]
  constructor(refusals: readonly { index: number; refusal: PublishRefused }[]) {
    super(`events of the batch that were refused: ${refusals.length}`)
    this.refusals = refusals
  }

  /** The code is that of the first refused event; each is named as `events[3].type`. */
  get refusal(): Refusal {
    const errors = this.refusals.map(({ index, refusal }) => {
      const member = refusal.field === 'event' ? '' : `.${refusal.field}`
      return { field: `events[${index}]${member}`, message: refusal.message }
    })
    const code = this.refusals[0]?.refusal.code ?? 'publish_refused'
    return { ...kindOf(this), code, detail: 'Nothing of the batch was stored.', errors }
  }
}

/**
 * Nothing is known to be stored, and the same request will succeed later.
 *
 * When the connection broke while the answer was awaited the events may be stored anyway;
 * that is what an idempotency key is for.
 */
export class DatabaseUnavailable extends Error {
  override readonly name = 'DatabaseUnavailable'
  readonly code = 'database_unavailable'
}
