import { createWriteStream } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'

/**
 * What a producer knows about an event in the end.
 *
 * - `accepted`    it was acknowledged: a 202, or the answer to COMMIT. From here on it may not be lost.
 * - `unknown`     the answer was lost: it was stored as a whole or not at all.
 * - `not_stored`  it was rolled back, or its transaction failed before COMMIT was sent: nothing may be there.
 */
export type PublishOutcome = 'accepted' | 'unknown' | 'not_stored'

/** A line of published.jsonl. */
export interface PublishedLine {
  /** In the event's data; never the same twice. */
  n: number
  via: 'http' | 'sql'
  outcome: PublishOutcome
  /** Which of the APIs has acknowledged it, from 0. */
  api: number | null
  /** Key of the tenant. */
  tenant: string
  /** Of the event; null when no answer told. */
  id: string | null
  /** Milliseconds since 1970, before which it may not be sent; null = at once. */
  deliverAt: number | null
  /** Requests or transactions that it took. */
  tries: number
  /** Milliseconds since 1970, of the last answer. */
  at: number
}

/** A line of erased.jsonl: one event whose data was to be erased. */
export interface ErasedLine {
  id: string
  n: number
  /** `unknown`: the answer was lost, so it may have been erased by then or not at all. */
  outcome: 'accepted' | 'unknown'
  /** Milliseconds since 1970, of the answer or of its loss. */
  at: number
}

/**
 * What the receiver did with an event. `ok` and `slow` are a 200: it has the event from then on. So are `item_failed`, where it
 * names the event as failed, and `ignored`: it had taken a batch with that `webhook-id` before, without this event. `too_large`
 * is a 413.
 */
export type ReceiverAnswer =
  | 'ok'
  | 'slow'
  | 'item_failed'
  | 'ignored'
  | 'too_large'
  | 'unavailable'
  | 'destroyed'
  | 'down'

export const HAS_THE_EVENT: ReadonlySet<ReceiverAnswer> = new Set(['ok', 'slow'])

/** A line of received.jsonl: an event of a request. */
export interface ReceivedLine {
  /** Of the event. */
  id: string
  /** `webhook-id` of the batch that it came in; null = it came alone, to an endpoint without batches. */
  batch: string | null
  /** Path of the endpoint. */
  endpoint: string
  n: number
  /** Milliseconds since 1970, when the request was complete. */
  at: number
  answer: ReceiverAnswer
}

export const publishedFile = (folder: string) => join(folder, 'published.jsonl')
export const erasedFile = (folder: string) => join(folder, 'erased.jsonl')
export const receivedFile = (folder: string) => join(folder, 'received.jsonl')

export interface Ledger<Line> {
  write(line: Line): void
  /** Resolves once everything is in the file. */
  close(): Promise<void>
}

export function openLedger<Line>(file: string): Ledger<Line> {
  const stream = createWriteStream(file, { flags: 'wx' })
  return {
    write: (line) => void stream.write(`${JSON.stringify(line)}\n`),
    close: () => new Promise((resolve) => stream.end(resolve)),
  }
}

export async function readLedger<Line>(file: string): Promise<Line[]> {
  const lines = (await readFile(file, 'utf8')).split('\n').filter((line) => line !== '')
  return lines.map((line) => JSON.parse(line))
}
