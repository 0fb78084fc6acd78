import { setTimeout as delay } from 'node:timers/promises'
import type { Kysely } from 'kysely'
import type { Database } from '../postgres/schema.ts'
import { oneOf } from '../tenants/listed-tenants.ts'
import { formatCursor } from './live-cursor.ts'
import { readDetails } from './live-details.ts'
import { type Ended, type Feed, openFeed } from './live-feed.ts'
import { type Missed, type ReadOptions, readMissed } from './live-missed.ts'
import { isOfType, type LiveEnd, type LiveMessage, mayWant, Queue } from './live-reader.ts'
import type { AttemptSummary } from './live-summaries.ts'

/** Both reads of a poll take a few ms; an attempt is shown well within a second of its end. */
const POLL_MS = 200
/** While the database is away. */
const PAUSE_MS = 1_000
/** Each holds 8 MiB at most while it is slow, and a socket. */
const READERS_MAX = 200
/** So that one customer cannot take all of them. */
const READERS_OF_TENANT_MAX = 20
/** One tenant has as many readers here as it may have. */
export class TooManyReaders extends Error {
  override readonly name = 'TooManyReaders'
  readonly code = 'too_many_streams'
  constructor() {
    super(`at most ${READERS_OF_TENANT_MAX} streams of one tenant per process`)
  }
}

/** This process has as many readers as it may have, or stops. */
export class NoReaderFree extends Error {
  override readonly name = 'NoReaderFree'
  readonly code = 'no_stream_free'
  constructor() {
    super('this process serves no more streams at the moment')
  }
}

export interface LiveReader {
  /** One at a time, until the reader is closed, is too slow, or the process stops. */
  messages(): AsyncGenerator<LiveMessage, void, undefined>
  /** Whether more was missed than is told: 15 minutes, 1,000 attempts. */
  hasGap: boolean
  /** To read after from here on, if nothing waits for this reader; otherwise null. */
  cursor(): string | null
  /** Settles once there is nothing more to come. */
  ended: Promise<LiveEnd>
  /** The first reason counts. */
  close(reason?: LiveEnd): void
}

interface Subscription {
  options: ReadOptions
  queue: Queue
}

/**
 * Attempts as they end, for any number of readers of this process: one loop reads them for all, every 200 ms and
 * only while there are readers. It costs two statements over primary keys, whatever number of readers; runners
 * and producers do nothing for it.
 */
export class LiveAttempts {
  readonly #database: Kysely<Database>
  readonly #onError: (error: unknown) => void
  readonly #subscriptions = new Set<Subscription>()
  #feed: Promise<Feed> | undefined
  #toldUntilMs = 0
  #isStopped = false

  /**
   * @param options.database sees every tenant
   * @param options.onError the database could not be read; it is tried again
   */
  constructor(options: { database: Kysely<Database>; onError: (error: unknown) => void }) {
    this.#database = options.database
    this.#onError = options.onError
  }

  /** How many readers there are. */
  get readers(): number {
    return this.#subscriptions.size
  }

  /** @throws TooManyReaders, NoReaderFree */
  async open(options: ReadOptions): Promise<LiveReader> {
    refuseTooMany(this.#subscriptions, options, this.#isStopped)
    const queue = new Queue(() => this.#subscriptions.delete(subscription))
    const subscription: Subscription = { options, queue }
    this.#subscriptions.add(subscription)
    try {
      this.#feed ??= this.#start()
      await this.#feed
      const missed = await readMissed(this.#database, options, Date.now())
      return asReader(queue, missed, () => this.#toldUntilMs)
    } catch (error) {
      queue.end('closed')
      throw error
    }
  }

  /** Ends every reader, and lets no more in. */
  stop(): void {
    this.#isStopped = true
    for (const { queue } of this.#subscriptions) queue.end('stopped')
  }

  #start(): Promise<Feed> {
    const opening = openFeed(this.#database)
    opening.then(
      (feed) => this.#follow(feed),
      () => {
        this.#feed = undefined
      },
    )
    return opening
  }

  /** Until nobody reads any more. What was found and could not be told is told after the pause. */
  async #follow(feed: Feed): Promise<void> {
    this.#toldUntilMs = feed.settledMs()
    for (let ended: Ended | undefined; this.#subscriptions.size > 0; ) {
      try {
        ended ??= await feed.next()
        await this.#tell(ended)
        ended = undefined
        this.#toldUntilMs = feed.settledMs()
        await delay(POLL_MS)
      } catch (error) {
        if (!this.#isStopped) this.#onError(error)
        await delay(PAUSE_MS)
      }
    }
    this.#feed = undefined
  }

  async #tell({ summaries, settledMs, isComplete }: Ended): Promise<void> {
    const wanted = new Map(summaries.map((summary) => [summary.id, summary]))
    for (const [id, summary] of wanted) if (this.#readersOf(summary).length === 0) wanted.delete(id)
    const details = readDetails(this.#database, [...wanted.values()], this.#whatReadersSee())
    for await (const found of details) {
      const message = { ...found, cursor: formatCursor(settledMs, found.attempt) }
      const summary = wanted.get(found.attempt.id)
      for (const { options, queue } of summary ? this.#readersOf(summary) : []) {
        if (isOfType(options, found)) queue.push(message)
      }
    }
    if (!isComplete) for (const { queue } of this.#subscriptions) queue.end('too_slow')
  }

  #readersOf(summary: AttemptSummary): Subscription[] {
    return [...this.#subscriptions].filter(({ options }) =>
      mayWant(options, options.tenants, summary),
    )
  }

  #whatReadersSee() {
    const readers = [...this.#subscriptions].map(({ options }) => options)
    return {
      withBody: readers.some((options) => options.withBody),
      withAnswers: readers.some((options) => options.withAnswers !== false),
    }
  }
}

function refuseTooMany(
  subscriptions: ReadonlySet<Subscription>,
  { tenants }: ReadOptions,
  isStopped: boolean,
): void {
  if (isStopped || subscriptions.size >= READERS_MAX) throw new NoReaderFree()
  const ofTenant = [...subscriptions].filter(({ options }) => options.tenants === tenants)
  if (oneOf(tenants) !== null && ofTenant.length >= READERS_OF_TENANT_MAX)
    throw new TooManyReaders()
}

function asReader(queue: Queue, missed: Missed, toldUntilMs: () => number): LiveReader {
  let isCatchingUp = missed.isAny
  return {
    hasGap: missed.hasGap,
    ended: queue.ended,
    async *messages() {
      // What ended meanwhile may have been read, and wait in the queue as well.
      const told = new Set<string>()
      for await (const message of missed.messages) {
        if (queue.isOver()) return
        told.add(message.attempt.id)
        yield message
      }
      isCatchingUp = false
      for await (const message of queue.messages()) {
        if (!told.delete(message.attempt.id)) yield message
      }
    },
    cursor: () => (isCatchingUp || !queue.isEmpty() ? null : formatCursor(toldUntilMs())),
    close: (reason = 'closed') => queue.end(reason),
  }
}
