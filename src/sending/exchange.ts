import type { ClientRequest, IncomingHttpHeaders, IncomingMessage } from 'node:http'
import type { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import type { Request as GotRequest, Timings } from 'got'
import { Dialing } from './dial.ts'
import {
  ANNOUNCED_TOO_MUCH,
  CLOSED_UNDER_US,
  describeFailure,
  errorCode,
  type Failure,
  INTERRUPTED,
  MORE_THAN_ANSWER,
  timedOut,
} from './failure.ts'
import { announcementsIn, RawBytes } from './raw-answer.ts'
import { isTimeout } from './reason.ts'
import { type KeptBody, keepBody } from './response-body.ts'

const REQUEST_TIMEOUT = 408
/**
 * So many answers that only announce one (1xx), and so many bytes, are read before the head of the one that counts: many times what
 * any receiver sends, and the longest head has 16 KiB. Each costs the thread that all requests share, and a receiver that
 * never stops would leave nothing of it.
 */
const ANNOUNCEMENTS_MAX = 256
const ANNOUNCED_BYTES_MAX = 65_536

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
  /** Not all of the body of the answer was read. */
  isCut: boolean
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
 * Follows a request that was just made until it has ended, failed, run out of time, been aborted
 * or sent more body than is kept. Never rejects.
 *
 * The status line decides the attempt: a receiver that says 200 and then stalls, sends for ever, or sends what
 * node:http does not read, has taken the event, and a repeat would only burden it. A connection on which anything
 * was wrong is closed, as nobody knows where the next answer would begin. The body is read as far as it is kept
 * because a connection whose answer was read to its end can be used again.
 */
export function followExchange(
  request: GotRequest,
  dialingOf: DialingOf,
  deadline: Deadline,
): Promise<Exchange> {
  return new Follower(request, dialingOf, deadline).exchange
}

/** What is known about the dialling of a request, once it is made. */
type DialingOf = (made: ClientRequest) => Dialing | undefined

class Follower {
  readonly exchange: Promise<Exchange>
  readonly #request: GotRequest
  readonly #deadline: Deadline
  readonly #connection: WatchedConnection
  readonly #body: KeptBody
  readonly #resolve: (exchange: Exchange) => void
  readonly #timer: NodeJS.Timeout
  #hasBody = false
  #isEnded = false
  #isSettled = false

  constructor(request: GotRequest, dialingOf: DialingOf, deadline: Deadline) {
    const { promise, resolve } = Promise.withResolvers<Exchange>()
    this.exchange = promise
    this.#resolve = resolve
    this.#request = request
    this.#deadline = deadline
    this.#body = keepBody(deadline.answerBytesMax)
    const raw = new RawBytes(deadline.answerBytesMax)
    this.#connection = new WatchedConnection(request, { dialingOf, raw }, deadline.onSent)
    this.#connection.onTooMuch = () => this.#stop(ANNOUNCED_TOO_MUCH)
    this.#timer = setTimeout(this.#expire, deadline.endsAt - performance.now())
    for (const signal of deadline.signals) signal.addEventListener('abort', this.#abort)
    request.on('data', this.#keep)
    request.on('end', this.#end)
    request.on('upgrade', this.#refuseUpgrade)
    // Stays on after settling: destroying a request makes it emit an error that says nothing new.
    request.on('error', this.#fail)
    if (deadline.signals.some((signal) => signal.aborted)) this.#abort()
  }

  readonly #abort = () => this.#stop(INTERRUPTED)

  // After what has arrived is read: when we were held up, timers come first, and an answer would be missed.
  readonly #expire = () => {
    setImmediate(() => this.#stop(timedOut(this.#deadline.timeoutMs, this.#connection.dialing)))
  }

  readonly #keep = (chunk: Buffer) => {
    if (this.#isSettled) return
    this.#hasBody = true
    if (this.#body.add(chunk)) this.#stop(null)
  }

  readonly #end = () => {
    this.#isEnded = true
    this.#settle(this.#connection.hasMore ? MORE_THAN_ANSWER : null)
    // An answer may come before the receiver has taken the body. Nobody waits for the rest.
    if (!this.#connection.isUploaded()) this.#request.destroy()
  }

  readonly #refuseUpgrade = (_response: IncomingMessage, upgraded: Duplex) => {
    upgraded.destroy()
    this.#stop(null)
  }

  readonly #fail = (error: unknown) => {
    if (this.#connection.head && errorCode(error) === 'HPE_INVALID_CONSTANT')
      return this.#settle(MORE_THAN_ANSWER)
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
    const read = failure && !(this.#isEnded && this.#hasBody) ? raw.read() : null
    const isRaw = read !== null && (read.isWhole || !(head && this.#hasBody))
    const answer = head ?? read
    const told = answer ? mistakeOf(failure, head !== null) : whyNone(failure, raw)
    if (this.#connection.isNoAnswer(answer, told)) {
      return { ...unanswered(CLOSED_UNDER_US), dialing, firstByteMs }
    }
    return {
      answer,
      failure: told,
      body: isRaw ? this.#keptOf(read.body) : this.#body,
      isCut: answer !== null && !this.#isEnded && !(isRaw && read.isWhole),
      dialing,
      firstByteMs,
    }
  }

  #keptOf(bytes: Buffer): KeptBody {
    const body = keepBody(this.#deadline.answerBytesMax)
    body.add(bytes)
    return body
  }
}

const isWithoutStatus = (failure: Failure | null | undefined): boolean =>
  failure?.reason === 'bad_answer' || failure?.reason === 'connection_closed'

const unanswered = (failure: Failure) => ({
  answer: null,
  failure,
  body: keepBody(),
  isCut: false,
})

/** What is wrong with an answer; that its body takes long, or that we had to go, is no mistake of it. */
function mistakeOf(failure: Failure | null, hasHead: boolean): Failure | null {
  const isOurs = failure === INTERRUPTED || (hasHead && isTimeout(failure?.reason ?? null))
  return isOurs ? null : failure
}

function whyNone(failure: Failure | null, raw: RawBytes): Failure {
  if (failure === ANNOUNCED_TOO_MUCH || (failure && failure.reason !== 'bad_answer')) return failure
  return { outcome: 'unreachable', reason: 'bad_answer', error: raw.describe() }
}

/** Knows about the connection what got does not tell. */
class WatchedConnection {
  readonly raw: RawBytes
  dialing = new Dialing()
  head: AnswerHead | null = null
  /** Something came behind an answer that was read whole. */
  hasMore = false
  /** Hears that more came than is read before the head of an answer. */
  onTooMuch = () => {}
  #announcements = 0
  readonly #request: GotRequest
  #native: ClientRequest | undefined

  constructor(
    request: GotRequest,
    { dialingOf, raw }: { dialingOf: DialingOf; raw: RawBytes },
    onSent?: () => void,
  ) {
    this.#request = request
    this.raw = raw
    request.once('request', (made: ClientRequest) => {
      this.#native = made
      this.dialing = dialingOf(made) ?? this.dialing
      made.once('socket', this.#watch)
      if (onSent) made.once('finish', onSent)
      made.once('response', this.#read)
      made.prependOnceListener('upgrade', (response: IncomingMessage) => {
        this.head = headOf(response)
      })
    })
  }

  /**
   * Whether what was said on a kept connection is no answer to this request. 408 is also what a receiver says before it closes
   * a connection that was idle for too long. It may have said so before our request was there (RFC 9110, 15.5.9); browsers repeat such
   * requests too. And what is no status may be the rest of the answer before, such as a body behind 204.
   */
  isNoAnswer(
    answer: { statusCode?: number | undefined } | null,
    failure?: Failure | null,
  ): boolean {
    const isNone = answer ? answer.statusCode === REQUEST_TIMEOUT : isWithoutStatus(failure)
    return isNone && this.isReused()
  }

  isReused(): boolean {
    return this.#native?.reusedSocket ?? false
  }

  isUploaded(): boolean {
    return this.#native?.writableFinished ?? true
  }

  firstByteMs(): number | null {
    return firstByteMs(this.#request.timings, this.raw)
  }

  readonly #watch = (socket: Socket) => {
    if (this.isReused()) this.dialing.phase = 'answer'
    const hear = (chunk: Buffer) => {
      if (!this.head && this.#isTooMuch(chunk)) this.#giveUp(chunk)
      else this.raw.add(chunk)
    }
    socket.prependListener('data', hear)
    this.#native?.once('close', () => socket.removeListener('data', hear))
  }

  /** The parser has made no head of what came before this chunk. */
  #isTooMuch(chunk: Buffer): boolean {
    this.#announcements += announcementsIn(chunk)
    return this.raw.length > ANNOUNCED_BYTES_MAX || this.#announcements > ANNOUNCEMENTS_MAX
  }

  /**
   * What has come already would still be parsed, thousands of announcements in one chunk. The parser stops at a byte that
   * is none of HTTP.
   */
  #giveUp(chunk: Buffer): void {
    chunk.fill(0)
    this.onTooMuch()
    this.#native?.socket?.destroy()
  }

  readonly #read = (response: IncomingMessage) => {
    const { socket, statusCode = 0 } = response
    // node:http reads numbers that are no status, 000 to 099.
    if (statusCode >= 100) this.head = headOf(response)
    const isOver = statusCode < 100 || this.isNoAnswer(response)
    if (this.#native && isOver) this.#native.shouldKeepAlive = false
    response.once('end', () => {
      if (!this.#native?.shouldKeepAlive || this.raw.endsWith(response)) return
      // Whatever follows 101 is another protocol, and as much as that likes.
      this.hasMore = statusCode !== 101
      socket.destroy()
    })
  }
}

function firstByteMs(timings: Timings | undefined, { firstAt }: RawBytes): number | null {
  if (timings?.upload === undefined) return null
  // got counts to the end of a head that node:http has read.
  const ms = timings.phases.firstByte ?? (firstAt === null ? null : firstAt - timings.upload)
  return ms === null ? null : Math.max(0, ms)
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
