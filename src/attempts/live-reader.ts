import type { EndpointId } from '../ids.ts'
import type { OutcomeColumn, ReasonColumn } from '../postgres/schema.ts'
import { isListed, type ListedTenants } from '../tenants/listed-tenants.ts'
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
const WAITING_BYTES_MAX = 8_388_608
const OVERHEAD_BYTES = 2_000

/** The messages for one reader, in a queue with bounds: anyone who reads too slowly is cut off. */
export class Queue {
  readonly #onEnd: () => void
  readonly #ended = Promise.withResolvers<LiveEnd>()
  #waiting: LiveMessage[] = []
  #bytes = 0
  #isOver = false
  #more = Promise.withResolvers<void>()

  /** @param onEnd called at once, before anyone who waits for the end hears of it */
  constructor(onEnd: () => void) {
    this.#onEnd = onEnd
  }

  get ended(): Promise<LiveEnd> {
    return this.#ended.promise
  }

  isEmpty(): boolean {
    return this.#waiting.length === 0
  }

  isOver(): boolean {
    return this.#isOver
  }

  push(message: LiveMessage): void {
    if (this.#isOver) return
    this.#waiting.push(message)
    this.#bytes += bytesOf(message)
    if (this.#waiting.length > WAITING_MAX || this.#bytes > WAITING_BYTES_MAX) this.end('too_slow')
    this.#more.resolve()
  }

  /** Nothing more is given out from now on. */
  end(reason: LiveEnd): void {
    this.#isOver = true
    this.#onEnd()
    this.#waiting = []
    this.#ended.resolve(reason)
    this.#more.resolve()
  }

  async *messages(): AsyncGenerator<LiveMessage, void, undefined> {
    while (!this.#isOver) {
      const message = this.#waiting.shift()
      if (message) {
        this.#bytes -= bytesOf(message)
        yield message
      } else {
        await this.#more.promise
        this.#more = Promise.withResolvers()
      }
    }
  }
}

const bytesOf = ({ attempt, body }: LiveMessage): number =>
  OVERHEAD_BYTES + (attempt.response_body?.length ?? 0) + (body?.length ?? 0)

/** As far as the attempt itself tells. */
export function mayWant(
  filter: LiveFilter,
  tenants: ListedTenants,
  summary: AttemptSummary,
): boolean {
  const { endpointId, outcome, reason, statusClass } = filter
  return (
    isListed(tenants, summary.tenantId) &&
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
