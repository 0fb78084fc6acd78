import type { ClientRequest, IncomingHttpHeaders, IncomingMessage } from 'node:http'
import type { Duplex } from 'node:stream'
import type { Request as GotRequest, Timings } from 'got'
import type { Dialing } from './dial.ts'
import {
  CLOSED_UNDER_US,
  describeFailure,
  type Failure,
  INTERRUPTED,
  isClosed,
  timedOut,
} from './failure.ts'
import { type KeptBody, keepBody } from './response-body.ts'

/** The head of an answer; once it is complete, the receiver has decided. */
export interface AnswerHead {
  statusCode: number
  headers: IncomingHttpHeaders
}

/** One request on one connection and what came of it. */
export interface Exchange {
  /** `null` when no complete head came; `failure` says why. */
  answer: AnswerHead | null
  failure: Failure | null
  body: KeptBody
  timings: Timings | undefined
  dialing: Dialing
}

/** What ends an exchange from our side. */
export interface Deadline {
  /** `performance.now()` at which the whole request, its answer included, has to be over. */
  endsAt: number
  /** For the message. */
  timeoutMs: number
  signals: readonly AbortSignal[]
}

/**
 * Follows a request that was just made until it has ended, failed, run out of time, been aborted
 * or sent more body than is kept. Never rejects.
 *
 * The head of the answer decides the attempt: a receiver that says 200 and then stalls, or sends
 * for ever, has taken the event, and a repeat would only burden it. The body is read as far as it
 * is kept because a connection whose answer was read to its end can be used again.
 */
export function followExchange(
  request: GotRequest,
  dialing: Dialing,
  deadline: Deadline,
): Promise<Exchange> {
  return new Promise((resolve) => {
    const socket = watchSocket(request, dialing)
    const body = keepBody()
    let answer: AnswerHead | null = null

    const settle = (failure: Failure | null) => {
      clearTimeout(timer)
      for (const signal of deadline.signals) signal.removeEventListener('abort', abort)
      resolve({
        answer,
        failure: answer ? null : failure,
        body,
        timings: request.timings,
        dialing,
      })
      dialing.end()
    }
    /** Ends our side. Harmless when the connection went back to its pool already. */
    const stop = (failure: Failure | null) => {
      settle(failure)
      request.destroy()
    }
    const abort = () => stop(INTERRUPTED)
    // After what has arrived is read: when we were held up, timers come first, and an answer would be missed.
    const expire = () => setImmediate(() => stop(timedOut(deadline.timeoutMs, dialing)))
    const timer = setTimeout(expire, deadline.endsAt - performance.now())
    for (const signal of deadline.signals) signal.addEventListener('abort', abort)
    if (deadline.signals.some((signal) => signal.aborted)) abort()

    request.on('response', (response: IncomingMessage) => {
      answer = headOf(response)
    })
    request.on('data', (chunk: Buffer) => {
      if (body.add(chunk)) stop(null)
    })
    request.on('end', () => {
      settle(null)
      // An answer may come before the receiver has taken the body. Nobody waits for the rest.
      if (!socket.uploaded()) request.destroy()
    })
    request.on('upgrade', (response: IncomingMessage, upgraded: Duplex) => {
      answer = headOf(response)
      upgraded.destroy()
      stop(null)
    })
    // Stays on after settling: destroying a request makes it emit an error that says nothing new.
    request.on('error', (error: unknown) => {
      const wasStale = socket.reused() && socket.silent() && isClosed(error)
      settle(wasStale ? CLOSED_UNDER_US : describeFailure(error, dialing.phase))
    })
  })
}

/** Knows about the connection what got does not tell. */
function watchSocket(request: GotRequest, dialing: Dialing) {
  let native: ClientRequest | undefined
  let bytesReadBefore = 0
  request.once('request', (made: ClientRequest) => {
    native = made
    made.once('socket', (socket) => {
      bytesReadBefore = socket.bytesRead
      if (made.reusedSocket) dialing.phase = 'answer'
    })
  })
  return {
    reused: () => native?.reusedSocket ?? false,
    silent: () => (native?.socket?.bytesRead ?? 0) === bytesReadBefore,
    uploaded: () => native?.writableFinished ?? true,
  }
}

function headOf({ statusCode = 0, headers }: IncomingMessage): AnswerHead {
  return { statusCode, headers }
}
