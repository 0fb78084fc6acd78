import type { EndpointId, TenantId } from '../ids.ts'
import type { OutcomeColumn, ReasonColumn } from '../postgres/schema.ts'
import type { LiveAttempt } from './live-details.ts'
import type { AttemptSummary } from './live-summaries.ts'

/** Which attempts a reader wants; what is left out does not restrict. */
export interface LiveFilter {
  endpointId?: EndpointId | undefined
  /** Type of the event: a name, a pattern such as `order.*`, or `*`. */
  type?: string | undefined
  outcome?: OutcomeColumn | undefined
  reason?: ReasonColumn | undefined
  /** 4 for those that were answered 4xx. */
  statusClass?: number | undefined
}

export interface LiveMessage extends LiveAttempt {
  /** Reading after it misses nothing, and may repeat a few. */
  cursor: string
}

/**
 * Why a reader got no more: it reads too slowly, it went away, the process stops, it may read no longer, or it has
 * read for so long that it is to connect again.
 */
export type LiveEnd = 'too_slow' | 'closed' | 'stopped' | 'key_over' | 'max_age'

/** Attempts that wait for their reader, at most; about ten seconds of a busy tenant. */
export const WAITING_MAX = 500
/** Bodies and answers of those; readers of the same attempt share them. */
export const WAITING_BYTES_MAX = 8_388_608
const OVERHEAD_BYTES = 2_000

/** The messages for one reader, in a queue with bounds: anyone who reads too slowly is cut off. */
export interface Queue {
  push(message: LiveMessage): void
  /** Nothing more is given out from now on. */
  end(reason: LiveEnd): void
  isEmpty(): boolean
  isOver(): boolean
  ended: Promise<LiveEnd>
  messages(): AsyncGenerator<LiveMessage, void, undefined>
}

/** @param onEnd called at once, before anyone who waits for the end hears of it */
export function createQueue(onEnd: () => void): Queue {
  const ended = Promise.withResolvers<LiveEnd>()
  let waiting: LiveMessage[] = []
  let bytes = 0
  let isOver = false
  let more = Promise.withResolvers<void>()
  const end = (reason: LiveEnd) => {
    isOver = true
    onEnd()
    waiting = []
    ended.resolve(reason)
    more.resolve()
  }
  return {
    push(message) {
      if (isOver) return
      waiting.push(message)
      bytes += bytesOf(message)
      if (waiting.length > WAITING_MAX || bytes > WAITING_BYTES_MAX) end('too_slow')
      more.resolve()
    },
    end,
    isEmpty: () => waiting.length === 0,
    isOver: () => isOver,
    ended: ended.promise,
    async *messages() {
      while (!isOver) {
        const message = waiting.shift()
        if (message) {
          bytes -= bytesOf(message)
          yield message
        } else {
          await more.promise
          more = Promise.withResolvers()
        }
      }
    },
  }
}

const bytesOf = ({ attempt, body }: LiveMessage): number =>
  OVERHEAD_BYTES + (attempt.response_body?.length ?? 0) + (body?.length ?? 0)

/** As far as the attempt itself tells. */
export function mayWant(
  filter: LiveFilter,
  tenantId: TenantId | null,
  summary: AttemptSummary,
): boolean {
  const { endpointId, outcome, reason, statusClass } = filter
  return (
    (tenantId === null || summary.tenantId === tenantId) &&
    (endpointId === undefined || summary.endpointId === endpointId) &&
    (outcome === undefined || summary.outcome === outcome) &&
    (reason === undefined || summary.reason === reason) &&
    (statusClass === undefined || Math.floor((summary.statusCode ?? 0) / 100) === statusClass)
  )
}

export function isOfType({ type }: LiveFilter, { event }: LiveAttempt): boolean {
  if (type === undefined || type === '*') return true
  const name = event?.type ?? ''
  return type.endsWith('.*') ? name.startsWith(type.slice(0, -1)) : name === type
}
