import type { ClientRequest, IncomingHttpHeaders, IncomingMessage } from 'node:http'
import type { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import type { Dialing } from './dial.ts'
import {
  CLOSED_UNDER_US,
  describeFailure,
  errorCode,
  type Failure,
  INTERRUPTED,
  isClosed,
  MORE_THAN_ANSWER,
  timedOut,
} from './failure.ts'
import { RawBytes } from './raw-answer.ts'
import { isTimeout } from './reason.ts'
import { type KeptBody, keepBody } from './response-body.ts'

const REQUEST_TIMEOUT = 408

/** The head of an answer; once it is complete, the receiver has decided. */
export interface AnswerHead {
  statusCode: number
  headers: IncomingHttpHeaders
}

/** One request on one connection and what came of it. */
export interface Exchange {
  /** `null` when there was no status to be read; `failure` says why. */
  answer: AnswerHead | null
  /** With an answer: what is wrong with that. */
  failure: Failure | null
  body: KeptBody
  dialing: Dialing
  /** From the end of our request to the head of the answer. */
  firstByteMs: number | null
}

/** What ends an exchange from our side. */
export interface Deadline {
  /** `performance.now()` at which the whole request, its answer included, has to be over. */
  endsAt: number
  /** For the message. */
  timeoutMs: number
  signals: readonly AbortSignal[]
  /** Hears that the connection has taken the request. */
  onSent?: (() => void) | undefined
  /** So much of the answer is kept; left out: what the audit log holds. */
  answerBytesMax?: number | undefined
}

/**
 * Follows a request that was just made, before its body is written, until it has ended, failed, run out of time, been aborted
 * or sent more body than is kept. Never rejects.
 *
 * The status line decides the attempt: a receiver that says 200 and then stalls, sends for ever, or sends what
 * node:http does not read, has taken the event, and a repeat would only burden it. A connection on which anything
 * was wrong is closed, as nobody knows where the next answer would begin. The body is read as far as it is kept
 * because a connection whose answer was read to its end can be used again.
 */
export function followExchange(
  request: ClientRequest,
  dialing: Dialing,
  deadline: Deadline,
): Promise<Exchange> {
  return new Follower(request, dialing, deadline).exchange
}

class Follower {
  readonly exchange: Promise<Exchange>
  readonly #request: ClientRequest
  readonly #deadline: Deadline
  readonly #connection: WatchedConnection
  readonly #body: KeptBody
  readonly #resolve: (exchange: Exchange) => void
  readonly #timer: NodeJS.Timeout
  #hasBody = false
  #isSettled = false

  constructor(request: ClientRequest, dialing: Dialing, deadline: Deadline) {
    const { promise, resolve } = Promise.withResolvers<Exchange>()
    this.exchange = promise
    this.#resolve = resolve
    this.#request = request
    this.#deadline = deadline
    this.#body = keepBody(deadline.answerBytesMax)
    this.#connection = new WatchedConnection(request, dialing, deadline.onSent)
    this.#timer = setTimeout(this.#expire, deadline.endsAt - performance.now())
    for (const signal of deadline.signals) signal.addEventListener('abort', this.#abort)
    request.once('response', this.#read)
    request.once('upgrade', this.#refuseUpgrade)
    // Stays on after settling: destroying a request makes it emit an error that says nothing new.
    request.on('error', this.#failRequest)
    request.once('close', this.#close)
    if (deadline.signals.some((signal) => signal.aborted)) this.#abort()
  }

  readonly #abort = () => this.#stop(INTERRUPTED)

  // After what has arrived is read: when we were held up, timers come first, and an answer would be missed.
  readonly #expire = () => {
    setImmediate(() => this.#stop(timedOut(this.#deadline.timeoutMs, this.#connection.dialing)))
  }

  readonly #read = (response: IncomingMessage) => {
    this.#connection.noteResponse(response)
    response.on('data', this.#keep)
    response.once('end', this.#end)
    response.on('error', (error) => this.#failResponse(error, response))
  }

  readonly #keep = (chunk: Buffer) => {
    if (this.#isSettled) return
    this.#hasBody = true
    if (this.#body.add(chunk)) this.#stop(null)
  }

  readonly #end = () => {
    this.#settle(this.#connection.hasMore ? MORE_THAN_ANSWER : null)
    // An answer may come before the receiver has taken the body. Nobody waits for the rest.
    if (!this.#connection.isUploaded()) this.#request.destroy()
  }

  readonly #refuseUpgrade = (response: IncomingMessage, upgraded: Duplex) => {
    this.#connection.head = headOf(response)
    upgraded.destroy()
    this.#stop(null)
  }

  /**
   * A receiver that answers before it has read the event, and closes, fails our writing to it: what comes of the answer
   * decides. It may be about to come, as both are read at once.
   */
  readonly #failRequest = (error: unknown) => {
    if (!isClosed(error)) return this.#fail(error)
    queueMicrotask(() => {
      if (!this.#connection.hasResponse) this.#fail(error)
    })
  }

  readonly #failResponse = (error: unknown, response: IncomingMessage) => {
    // An answer without a length ends with its connection, however that is closed.
    const isWhole = response.complete && response.headers['content-length'] === undefined
    if (isWhole && isClosed(error)) this.#end()
    else this.#fail(error)
  }

  /** Whoever closed it said nothing else. */
  readonly #close = () => {
    if (!this.#connection.hasResponse) this.#fail(CLOSED)
  }

  readonly #fail = (error: unknown) => {
    const { raw, head } = this.#connection
    if (this.#connection.isReused() && raw.isEmpty() && isClosed(error))
      return this.#settle(CLOSED_UNDER_US)
    if (head && errorCode(error) === 'HPE_INVALID_CONSTANT') return this.#settle(MORE_THAN_ANSWER)
    this.#settle(describeFailure(error, this.#connection.dialing.phase))
  }

  /** Ends our side. Harmless when the connection went back to its pool already. */
  #stop(failure: Failure | null): void {
    this.#settle(failure)
    this.#request.destroy()
  }

  #settle(failure: Failure | null): void {
    if (this.#isSettled) return
    this.#isSettled = true
    clearTimeout(this.#timer)
    for (const signal of this.#deadline.signals) signal.removeEventListener('abort', this.#abort)
    this.#connection.dialing.end()
    this.#resolve(this.#outcome(failure))
  }

  #outcome(failure: Failure | null): Exchange {
    const { dialing, head, raw } = this.#connection
    const firstByteMs = this.#connection.firstByteMs()
    const read = failure && !(head && this.#hasBody) ? raw.read() : null
    if (read && !this.#hasBody) this.#body.add(read.body)
    const answer = head ?? read
    if (answer && this.#connection.isNoAnswer(answer)) {
      return { ...unanswered(CLOSED_UNDER_US), dialing, firstByteMs }
    }
    return {
      answer,
      failure: answer ? mistakeOf(failure, head !== null) : whyNone(failure, raw),
      body: this.#body,
      dialing,
      firstByteMs,
    }
  }
}

const unanswered = (failure: Failure) => ({ answer: null, failure, body: keepBody() })

/** What is wrong with an answer; that its body takes long, or that we had to go, is no mistake of it. */
function mistakeOf(failure: Failure | null, hasHead: boolean): Failure | null {
  const isOurs = failure === INTERRUPTED || (hasHead && isTimeout(failure?.reason ?? null))
  return isOurs ? null : failure
}

function whyNone(failure: Failure | null, raw: RawBytes): Failure {
  if (failure && failure.reason !== 'bad_answer') return failure
  return { outcome: 'unreachable', reason: 'bad_answer', error: raw.describe() }
}

const CLOSED = Object.assign(new Error('the connection was closed'), { code: 'ECONNRESET' })

/** Knows about the connection what node:http does not tell. */
class WatchedConnection {
  readonly raw = new RawBytes()
  readonly dialing: Dialing
  head: AnswerHead | null = null
  /** Something came behind an answer that was read whole. */
  hasMore = false
  hasResponse = false
  readonly #request: ClientRequest
  /** `Date.now()` when the connection had taken the request. */
  #sentAt: number | null = null

  constructor(request: ClientRequest, dialing: Dialing, onSent?: () => void) {
    this.#request = request
    this.dialing = dialing
    request.once('socket', this.#watch)
    request.once('finish', () => {
      this.#sentAt = Date.now()
      onSent?.()
    })
  }

  /**
   * 408 is also what a receiver says before it closes a connection that was idle for too long. It may have said so
   * before our request was there (RFC 9110, 15.5.9); browsers repeat such requests too.
   */
  isNoAnswer({ statusCode }: { statusCode?: number | undefined }): boolean {
    return statusCode === REQUEST_TIMEOUT && this.isReused()
  }

  isReused(): boolean {
    return this.#request.reusedSocket
  }

  isUploaded(): boolean {
    return this.#request.writableFinished
  }

  firstByteMs(): number | null {
    const { firstAt } = this.raw
    return this.#sentAt === null || firstAt === null ? null : Math.max(0, firstAt - this.#sentAt)
  }

  noteResponse(response: IncomingMessage): void {
    const { socket, statusCode = 0 } = response
    this.hasResponse = true
    // node:http reads numbers that are no status, 000 to 099.
    if (statusCode >= 100) this.head = headOf(response)
    if (this.isNoAnswer(response)) this.#request.shouldKeepAlive = false
    response.once('end', () => {
      if (!this.#request.shouldKeepAlive || this.raw.endsWith(response)) return
      // Whatever follows 101 is another protocol, and as much as that likes.
      this.hasMore = statusCode !== 101
      socket.destroy()
    })
  }

  readonly #watch = (socket: Socket) => {
    if (this.isReused()) this.dialing.phase = 'answer'
    const { add } = this.raw
    socket.prependListener('data', add)
    this.#request.once('close', () => socket.removeListener('data', add))
  }
}

function headOf({ statusCode = 0, headers, rawHeaders }: IncomingMessage): AnswerHead {
  const lost = valuesOf(rawHeaders, LOST_NAME)
  if (lost.length === 0) return { statusCode, headers }
  return { statusCode, headers: { ...headers, [LOST_NAME]: lost.join(', ') } }
}

/** Node takes this header for the prototype of the object that it collects headers in. */
const LOST_NAME = '__proto__'

/** @param rawHeaders names and values in turn */
const valuesOf = (rawHeaders: readonly string[], name: string): string[] =>
  rawHeaders.filter((_, at) => at % 2 === 1 && rawHeaders[at - 1]?.toLowerCase() === name)
