import type { Context } from 'hono'
import { type SSEStreamingApi, streamSSE } from 'hono/streaming'
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

export interface StreamTimes {
  heartbeatMs?: number | undefined
  keyCheckMs?: number | undefined
}

export interface Serving extends StreamTimes {
  /** Whether each cursor is a message, `cursor`, as scripts of pages need: they see the ids of messages only. */
  tellsCursor?: boolean | undefined
  /** Text of the message. */
  present: (message: LiveMessage) => string | Promise<string>
  /** Whether whoever reads may go on; asked every few seconds. */
  isAllowed: () => Promise<boolean>
  onError: (error: unknown) => void
}

/**
 * Answers with the messages of a reader as server-sent events, until one side goes: `attempt`, a `gap` first
 * where more was missed than is told, and `end` with the reason. The reader is closed in any case.
 */
export function serveLive(c: Context, reader: LiveReader, serving: Serving): Response {
  c.header('x-accel-buffering', 'no') // nginx would keep messages until a page of them is full
  hangUp(c, reader)
  return streamSSE(c, async (stream) => {
    stream.onAbort(reader.close)
    const watch = watchOver(stream, reader, serving)
    try {
      await write(stream, reader, serving)
      const end = watch.isLockedOut() ? 'key_over' : await reader.ended
      await stream.writeSSE({ event: 'end', data: JSON.stringify({ reason: end }) })
    } catch (error) {
      // Never to the client, which connects again and misses nothing.
      serving.onError(error)
    } finally {
      watch.stop()
      reader.close()
    }
  })
}

async function write(stream: SSEStreamingApi, reader: LiveReader, serving: Serving) {
  const { present } = serving
  // Who is cut off before the first message can go on from here.
  await stream.write(`retry: ${RECONNECT_MS}\n${cursorLines(reader.cursor(), serving)}\n`)
  if (reader.hasGap) await stream.writeSSE({ event: 'gap', data: '{}' })
  for await (const message of reader.messages()) {
    const data = await present(message)
    await stream.writeSSE({ id: message.cursor, event: 'attempt', data })
  }
}

function cursorLines(cursor: string | null, { tellsCursor = false }: Serving): string {
  if (cursor === null) return ''
  return `id: ${cursor}\n${tellsCursor ? 'event: cursor\ndata: {}\n' : ''}`
}

/** Heartbeats, and an end for who is no longer allowed to read. */
function watchOver(stream: SSEStreamingApi, reader: LiveReader, serving: Serving) {
  const { isAllowed, heartbeatMs = HEARTBEAT_MS, keyCheckMs = ACCESS_CHECK_MS } = serving
  let isLockedOut = false
  let isBeating = false
  const beat = async () => {
    // A client that does not read would make them pile up.
    const cursor = reader.cursor()
    if (cursor === null || isBeating) return
    isBeating = true
    await stream.write(`: still here\n${cursorLines(cursor, serving)}\n`)
    isBeating = false
  }
  const check = async () => {
    // While the database cannot be asked, it has nothing to show either.
    if (await isAllowed().catch(() => true)) return
    isLockedOut = true
    reader.close()
  }
  const timers = [
    setInterval(() => void beat(), heartbeatMs),
    setInterval(() => void check(), keyCheckMs),
  ]
  return { isLockedOut: () => isLockedOut, stop: () => timers.forEach(clearInterval) }
}

/** Cuts a connection whose client does not read, once there is nothing more for it. */
function hangUp(c: Context, reader: LiveReader): void {
  const { outgoing } = (c.env ?? {}) as {
    outgoing?: { destroy(): void; writableFinished: boolean }
  }
  if (!outgoing) return
  void reader.ended.then(() => {
    const timer = setTimeout(
      () => void (outgoing.writableFinished || outgoing.destroy()),
      FAREWELL_MS_MAX,
    )
    timer.unref()
  })
}
