/** An event as Standard Webhooks send it. */
export interface ReceivedEvent {
  /** The same in every repeat. */
  id: string
  /** A dotted name, such as `invoice.paid`. */
  type: string
  /** When it happened, in ISO 8601. */
  timestamp: string
  // biome-ignore lint/suspicious/noExplicitAny: the receiver knows what its sender promised
  data: any
}

/** The body was signed by the sender, and is no event. */
export class InvalidBody extends Error {
  override readonly name = 'InvalidBody'
  readonly code = 'body_invalid'
}

const ID_LENGTH_MAX = 255

/**
 * The event of a body, or the events of a batch, which have their own ids: an event that comes in one batch, in
 * another one and alone is one event.
 *
 * @param id the header `webhook-id`
 * @throws InvalidBody
 */
export function readEvents(id: string, body: string): ReceivedEvent[] {
  const json = parse(body)
  if (isObject(json) && Array.isArray(json['events']) && json['type'] === undefined) {
    return json['events'].map((each) => readEvent(isObject(each) ? each['id'] : null, each))
  }
  return [readEvent(id, json)]
}

function readEvent(id: unknown, json: unknown): ReceivedEvent {
  if (!isId(id) || !isObject(json) || typeof json['type'] !== 'string') {
    throw new InvalidBody('the body is not an event of Standard Webhooks, nor a batch of them')
  }
  const { type, timestamp, data } = json
  return { id, type, timestamp: String(timestamp), data }
}

/** Postgres has no text with U+0000, nor with half a character. */
const isId = (id: unknown): id is string =>
  typeof id === 'string' &&
  id !== '' &&
  id.length <= ID_LENGTH_MAX &&
  !id.includes('\0') &&
  id.isWellFormed()

function parse(body: string): unknown {
  try {
    return JSON.parse(body)
  } catch (error) {
    throw new InvalidBody('the body is not JSON', { cause: error })
  }
}

const isObject = (json: unknown): json is Record<string, unknown> =>
  typeof json === 'object' && json !== null && !Array.isArray(json)
