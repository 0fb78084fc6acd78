/** Where the driver publishes; also what the `adapter.mjs` of a peer exports. */
export interface Target {
  /** Of the system, for people. */
  name: string
  url: string
  headers: Record<string, string>
  /** The request body that publishes event `n` with this payload. */
  body(n: number, payload: Payload): string
  /** Called once before the load. */
  before?(): Promise<void> | void
}

/** Reaches the receiver, which looks for `"n":<integer>`. */
export interface Payload {
  n: number
  note: string
}

/** What surrounds the note in a payload. */
const PAYLOAD_FRAME_BYTES = 24

/** Makes payloads of about this many bytes. */
export function payloadsOf(bytes: number): (n: number) => Payload {
  const note = 'x'.repeat(Math.max(0, bytes - PAYLOAD_FRAME_BYTES))
  return (n) => ({ n, note })
}
