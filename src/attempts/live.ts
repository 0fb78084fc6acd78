import { setTimeout as delay } from 'node:timers/promises'
import type { Kysely } from 'kysely'
import type { Database } from '../postgres/schema.ts'
import { formatCursor } from './live-cursor.ts'
import { readDetails } from './live-details.ts'
import { type Ended, type Feed, openFeed } from './live-feed.ts'
import type { Head } from './live-heads.ts'
import { type Missed, type ReadOptions, readMissed } from './live-missed.ts'
import {
  createQueue,
  isOfType,
  type LiveEnd,
  type LiveMessage,
  mayWant,
  type Queue,
} from './live-reader.ts'

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

export interface LiveAttempts {
  /** @throws TooManyReaders, NoReaderFree */
  open(options: ReadOptions): Promise<LiveReader>
  /** How many are open. */
  readonly readers: number
  /** Ends every reader, and lets no more in. */
  stop(): void
}

interface Subscription {
  options: ReadOptions
  queue: Queue
}

/**
 * Attempts as they end, for any number of readers of this process: one loop reads them for all, every 200 ms and
 * only while there are readers. It costs two statements over primary keys, whatever number of readers; runners
 * and producers do nothing for it.
 *
 * @param database sees every tenant
 */
export function createLiveAttempts({
  database,
  onError,
}: {
  database: Kysely<Database>
  /** The database could not be read; it is tried again. */
  onError: (error: unknown) => void
}): LiveAttempts {
  const subscriptions = new Set<Subscription>()
  let feed: Promise<Feed> | undefined
  let toldUntilMs = 0
  let isStopped = false

  const tell = async ({ heads, settledMs, isComplete }: Ended) => {
    const readersOf = (head: Head) =>
      [...subscriptions].filter(({ options }) => mayWant(options, options.tenantId, head))
    const wanted = new Map(heads.map((head) => [head.id, head]))
    for (const head of heads) if (readersOf(head).length === 0) wanted.delete(head.id)
    const readers = [...subscriptions].map(({ options }) => options)
    const withBody = readers.some((options) => options.withBody)
    const withAnswers = readers.some((options) => options.withAnswers !== false)
    const details = { withBody, withAnswers }
    for await (const found of readDetails(database, [...wanted.values()], details)) {
      const message = { ...found, cursor: formatCursor(settledMs, found.attempt) }
      const head = wanted.get(found.attempt.id)
      for (const { options, queue } of head ? readersOf(head) : []) {
        if (isOfType(options, found)) queue.push(message)
      }
    }
    if (!isComplete) for (const { queue } of subscriptions) queue.end('too_slow')
  }
  /** Until nobody reads any more. What was found and could not be told is told after the pause. */
  const follow = async (opened: Feed) => {
    toldUntilMs = opened.settledMs()
    for (let ended: Ended | undefined; subscriptions.size > 0; ) {
      try {
        ended ??= await opened.next()
        await tell(ended)
        ended = undefined
        toldUntilMs = opened.settledMs()
        await delay(POLL_MS)
      } catch (error) {
        if (!isStopped) onError(error)
        await delay(PAUSE_MS)
      }
    }
    feed = undefined
  }
  const start = () => {
    const opening = openFeed(database)
    opening.then(follow, () => {
      feed = undefined
    })
    return opening
  }

  return {
    get readers() {
      return subscriptions.size
    },
    async open(options) {
      refuseTooMany(subscriptions, options, isStopped)
      const queue = createQueue(() => subscriptions.delete(subscription))
      const subscription: Subscription = { options, queue }
      subscriptions.add(subscription)
      try {
        feed ??= start()
        await feed
        return asReader(queue, await readMissed(database, options, Date.now()), () => toldUntilMs)
      } catch (error) {
        queue.end('closed')
        throw error
      }
    },
    stop() {
      isStopped = true
      for (const { queue } of subscriptions) queue.end('stopped')
    },
  }
}

function refuseTooMany(
  subscriptions: ReadonlySet<Subscription>,
  { tenantId }: ReadOptions,
  isStopped: boolean,
): void {
  if (isStopped || subscriptions.size >= READERS_MAX) throw new NoReaderFree()
  const ofTenant = [...subscriptions].filter(({ options }) => options.tenantId === tenantId)
  if (tenantId !== null && ofTenant.length >= READERS_OF_TENANT_MAX) throw new TooManyReaders()
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
