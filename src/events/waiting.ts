import { DatabaseUnavailable } from './publish-refused.ts'

/** Most clients have given up by then; a batch takes milliseconds, so this is reached by a database that hangs. */
export const WAIT_MS_MAX = 5_000
/** Of the bodies that wait: some seconds of the fastest load, or sixty of the largest events. */
const WAITING_SIZE_MAX = 64 * 1_048_576
/** What a request costs besides its body: sockets, headers, promises. */
const REQUEST_SIZE = 8_192

/** What a request holds of memory while it waits. */
export function sizeOf(items: readonly { body: string }[]): number {
  return items.reduce((size, { body }) => size + body.length, REQUEST_SIZE)
}

/** How much may wait for its turn, and for how long. */
export const WAITING = {
  waitMsMax: WAIT_MS_MAX,
  sizeMax: WAITING_SIZE_MAX,
  refusal: () => new DatabaseUnavailable('the database is away or overloaded'),
}
