import type { ServerResponse } from 'node:http'
import type { Context } from 'hono'
import { type SSEStreamingApi, streamSSE } from 'hono/streaming'
import { TookTooLong, within } from '../redis/within.ts'
import type { LiveReader } from './live.ts'
import type { LiveMessage } from './live-reader.ts'

/** Shorter than the minute after which common balancers cut what is silent. */
const HEARTBEAT_MS = 15_000
/** With the time that a query takes, who was locked out reads no longer than five seconds. */
const ACCESS_CHECK_MS = 4_000
/** What browsers wait before they connect again. */
const RECONNECT_MS = 1_000
/** For the last words to get through; a client that does not read would keep its socket for ever. */
const FAREWELL_MS_MAX = 1_000
/** What a client takes nothing of for so long, it does not read, or is not there any more. */
const TAKEN_MS_MAX = 30_000
/**
 * Then the client connects again and misses nothing. So a reader whose client has vanished without a word, and
 * whose heartbeats somebody in between goes on taking, has ended by then as well.
 */
const AGE_MS_MAX = 3_600_000

export interface StreamTimes {
  heartbeatMs?: number | undefined
  keyCheckMs?: number | undefined
  takenMsMax?: number | undefined
  ageMsMax?: number | undefined
}

export interface Serving extends StreamTimes {
  /** Whether each cursor is a message, `cursor`, as scripts of pages need: they see the ids of messages only. */
  tellsCursor?: boolean | undefined
  /** Text of the message. */
  present: (message: LiveMessage) => string | Promise<string>
  /** Whether anyone who reads may go on; asked every few seconds. */
  isAllowed: () => Promise<boolean>
  onError: (error: unknown) => void
}

/**
 * Answers with the messages of a reader as server-sent events, until one side goes: `attempt`, a `gap` first
 * where more was missed than is told, and `end` with the reason. The reader is closed in any case.
 *
 * @param open the reader; not called for a HEAD, which asks for no messages
 * @throws what `open` throws
 */
export async function serveLive(
  c: Context,
  open: () => Promise<LiveReader>,
  serving: Serving,
): Promise<Response> {
  if (c.req.method === 'HEAD') return c.body(null, 200, { 'content-type': 'text/event-stream' })
  const reader = await open()
  c.header('x-accel-buffering', 'no') // nginx would keep messages until a page of them is full
  closeWithAnswer(c, reader)
  return streamSSE(c, async (stream) => {
    stream.onAbort(() => reader.close())
    const stopWatching = watchOver(stream, reader, serving)
    try {
      await write(stream, reader, serving)
      const data = JSON.stringify({ reason: await reader.ended })
      await within(FAREWELL_MS_MAX, stream.writeSSE({ event: 'end', data }))
    } catch (error) {
      // Never to the client, which connects again and misses nothing.
      if (!(error instanceof TookTooLong)) serving.onError(error)
    } finally {
      stopWatching()
      reader.close('too_slow')
    }
  })
}

/** @throws TookTooLong when the client does not take what is written */
async function write(stream: SSEStreamingApi, reader: LiveReader, serving: Serving) {
  const { present, takenMsMax = TAKEN_MS_MAX } = serving
  const taken = (writing: Promise<unknown>) => within(takenMsMax, writing)
  // Who is cut off before the first message can go on from here.
  await taken(stream.write(`retry: ${RECONNECT_MS}\n${cursorLines(reader.cursor(), serving)}\n`))
  if (reader.hasGap) await taken(stream.writeSSE({ event: 'gap', data: '{}' }))
  for await (const message of reader.messages()) {
    const data = await present(message)
    await taken(stream.writeSSE({ id: message.cursor, event: 'attempt', data }))
  }
}

function cursorLines(cursor: string | null, { tellsCursor = false }: Serving): string {
  if (cursor === null) return ''
  return `id: ${cursor}\n${tellsCursor ? 'event: cursor\ndata: {}\n' : ''}`
}

/**
 * Heartbeats, and an end for who is no longer allowed to read, does not take them, or has read for long.
 *
 * @returns stops them
 */
function watchOver(stream: SSEStreamingApi, reader: LiveReader, serving: Serving): () => void {
  const { isAllowed, heartbeatMs = HEARTBEAT_MS, keyCheckMs = ACCESS_CHECK_MS } = serving
  const { takenMsMax = TAKEN_MS_MAX, ageMsMax = AGE_MS_MAX } = serving
  let isBeating = false
  const beat = async () => {
    // A client that does not read would make them pile up.
    const cursor = reader.cursor()
    if (cursor === null || isBeating) return
    isBeating = true
    const beating = stream.write(`: still here\n${cursorLines(cursor, serving)}\n`)
    await within(takenMsMax, beating).catch(() => reader.close('too_slow'))
    isBeating = false
  }
  const check = async () => {
    // While the database cannot be asked, it has nothing to show either.
    if (!(await isAllowed().catch(() => true))) reader.close('key_over')
  }
  const timers = [
    setInterval(() => void beat(), heartbeatMs),
    setInterval(() => void check(), keyCheckMs),
    setTimeout(() => reader.close('max_age'), ageMsMax),
  ]
  return () => timers.forEach(clearTimeout)
}

/**
 * However the answer ends, the reader is closed; and the connection of a client that does not read is cut, once
 * there is nothing more for it.
 */
function closeWithAnswer(c: Context, reader: LiveReader): void {
  const { outgoing } = (c.env ?? {}) as { outgoing?: ServerResponse }
  if (!outgoing) return
  if (outgoing.destroyed) reader.close()
  outgoing.once('close', () => reader.close())
  void reader.ended.then(() => {
    const timer = setTimeout(
      () => void (outgoing.writableFinished || outgoing.destroy()),
      FAREWELL_MS_MAX,
    )
    timer.unref()
  })
}
