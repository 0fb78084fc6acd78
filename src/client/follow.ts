import type { Operations, StreamedAttempt } from './api.ts'
import { PostriderError } from './error.ts'
import { pauseMs } from './retry.ts'
import { readServerSentEvents } from './server-sent-events.ts'
import { type Transport, wait } from './transport.ts'

const PATH = '/api/tenants/{tenant}/stream'
/** Three heartbeats. */
const SILENCE_MS_MAX = 45_000
/** More than the server tells again after a connection was lost. */
const KNOWN_MAX = 2_000

/** With the place to go on from, which `after` takes. */
export type FollowedAttempt = StreamedAttempt & { cursor: string }

export type FollowOptions = NonNullable<Operations['GET /api/tenants/{tenant}/stream']['query']> & {
  tenant: string
  /** Cursor of the last attempt that was seen. */
  after?: string | undefined
  /** Ends it. */
  signal?: AbortSignal | undefined
  /** It is connected: at first, and after each loss. */
  onOpen?: (() => void) | undefined
  /** The connection was lost, and is made again. */
  onLost?: ((error: PostriderError) => void) | undefined
  /** More was missed than is told: longer than 15 minutes, or more than 1,000 attempts. */
  onGap?: (() => void) | undefined
}

export async function* followAttempts(
  transport: Transport,
  options: FollowOptions,
): AsyncGenerator<FollowedAttempt, void, undefined> {
  const { tenant, after, signal, onOpen, onLost, onGap, ...query } = options
  const known = new Set<string>()
  let cursor = after
  let tried = 0
  let wasOpen = false
  const noteOpen = () => {
    tried = 0
    wasOpen = true
    onOpen?.()
  }
  while (!signal?.aborted) {
    const headers = { 'last-event-id': cursor }
    const init = { path: { tenant }, query, headers, signal, timeoutMs: SILENCE_MS_MAX }
    try {
      const bytes = transport.read(PATH, init)
      for await (const message of readServerSentEvents(opened(bytes, noteOpen))) {
        cursor = message.id || cursor
        if (message.event === 'gap') onGap?.()
        if (message.event !== 'attempt') continue
        const attempt: StreamedAttempt = JSON.parse(message.data)
        if (isNew(known, attempt.attempt.id)) yield { ...attempt, cursor: message.id }
      }
      throw new PostriderError('the stream has ended', { code: 'unreachable' })
    } catch (error) {
      if (signal?.aborted) return
      tried += 1
      const pause = wasOpen ? pauseAfter(error, tried) : null
      if (pause === null) throw error
      onLost?.(error as PostriderError)
      await wait(pause, signal).catch(() => undefined)
    }
  }
}

/** Tells when the first bytes have come. */
async function* opened(bytes: AsyncIterable<Uint8Array>, onOpen: () => void) {
  let isOpen = false
  for await (const chunk of bytes) {
    if (!isOpen) onOpen()
    isOpen = true
    yield chunk
  }
}

/** Null for what will not be better next time. */
function pauseAfter(error: unknown, tried: number): number | null {
  if (!(error instanceof PostriderError)) return null
  return pauseMs({ error }, { tried, isRepeatable: true, random: Math.random() })
}

/** Remembers the last 2,000. */
function isNew(known: Set<string>, id: string): boolean {
  if (known.has(id)) return false
  known.add(id)
  const [oldest] = known
  if (known.size > KNOWN_MAX && oldest !== undefined) known.delete(oldest)
  return true
}
