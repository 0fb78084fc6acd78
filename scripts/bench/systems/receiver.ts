/**
 * A receiver in its own process: counts which events arrived, when, and how often, and does
 * nothing else. Each event carries `"n":<integer>` in its data; a batch has several.
 *
 *     node scripts/bench/systems/receiver.ts --port 9900 --delay 2000 --fail-every 10
 *
 * Other programs start it with `startReceiver` and ask it over IPC; by hand, SIGUSR2 prints counts.
 */
import { createServer, type Socket } from 'node:net'
import { monotonicMs } from '../measure/clock.ts'
import { type Message, readMessages } from '../measure/messages.ts'
import { readOptions } from '../options.ts'
import type { Arrivals, ReceiverQuestion } from './start-receiver.ts'

/** Numbers from 0 up to this are counted; 18 MB of memory. */
const NUMBERS_MAX = 2_000_000
/** What Node's own server sends as well, so that an audit log has the usual to store. */
const COMMON_HEADERS =
  'Content-Type: text/plain\r\nConnection: keep-alive\r\nKeep-Alive: timeout=60\r\nContent-Length: 2\r\n'

const options = readOptions({
  port: { default: 0, help: 'port on 127.0.0.1; 0 takes a free one' },
  delay: { default: 0, help: 'milliseconds until each answer' },
  'at-once': { default: 0, help: 'requests that are handled at a time, with --delay; 0 = all' },
  'fail-every': { default: 0, help: 'answers every so manieth request with 503; 0 = none' },
})

const firstAt = new Float64Array(NUMBERS_MAX).fill(-1)
const times = new Uint16Array(NUMBERS_MAX)
let counts = noCounts()

const server = createServer({ noDelay: true }, serve)
server.listen({ port: options.port, host: '127.0.0.1', backlog: 1024 }, () => {
  const address = server.address()
  const port = typeof address === 'object' ? (address?.port ?? 0) : 0
  if (process.send) process.send({ port })
  else console.error(`receiving on http://127.0.0.1:${port}`)
})
process.on('message', (question: ReceiverQuestion) => process.send?.(answerTo(question)))
process.on('disconnect', () => process.exit(0)) // anyone who started it is gone
process.on('SIGUSR2', () => console.error(JSON.stringify(counts)))

function noCounts() {
  return { received: 0, distinct: 0, lastAt: 0, inFlight: 0, inFlightMax: 0 }
}

function serve(socket: Socket): void {
  socket.on('error', () => undefined)
  readMessages(socket, (message) => {
    const isFailure = take(message)
    if (options.delay > 0) handle(() => reply(socket, isFailure))
    else reply(socket, isFailure)
  })
}

const queue: (() => void)[] = []
let handled = 0

/** As a server with so many workers does: what comes while all are busy waits for one. */
function handle(done: () => void): void {
  if (options['at-once'] > 0 && handled >= options['at-once']) return void queue.push(done)
  handled += 1
  setTimeout(() => {
    done()
    handled -= 1
    const next = queue.shift()
    if (next) handle(next)
  }, options.delay)
}

/** Counts a request; returns whether it is one that fails. A failed one has not arrived. */
function take({ body }: Message): boolean {
  counts.received += 1
  counts.inFlight += 1
  if (counts.inFlight > counts.inFlightMax) counts.inFlightMax = counts.inFlight
  if (options['fail-every'] > 0 && counts.received % options['fail-every'] === 0) return true
  for (let at = body.indexOf('"n":'); at !== -1; at = body.indexOf('"n":', at + 4)) {
    const n = Number.parseInt(body.slice(at + 4, at + 14), 10)
    if (n >= 0 && n < NUMBERS_MAX) note(n)
  }
  return false
}

function note(n: number): void {
  counts.lastAt = monotonicMs()
  times[n] = (times[n] ?? 0) + 1
  if (times[n] > 1) return
  counts.distinct += 1
  firstAt[n] = counts.lastAt
}

function reply(socket: Socket, isFailure: boolean): void {
  counts.inFlight -= 1
  const status = isFailure ? '503 Service Unavailable' : '200 OK'
  socket.write(`HTTP/1.1 ${status}\r\nDate: ${date()}\r\n${COMMON_HEADERS}\r\nok`)
}

let dateText = ''
let dateUntil = 0

/** Made once a second, as by Node. */
function date(): string {
  const now = Date.now()
  if (now >= dateUntil) {
    dateText = new Date(now).toUTCString()
    dateUntil = now - (now % 1000) + 1000
  }
  return dateText
}

function answerTo(question: ReceiverQuestion): object {
  switch (question.ask) {
    case 'counts':
      return { ...counts }
    case 'arrivals':
      return { firstAt: firstAt.slice(0, question.numbers) } satisfies Arrivals
    case 'reset': {
      const { inFlight } = counts
      counts = { ...noCounts(), inFlight, inFlightMax: inFlight }
      firstAt.fill(-1)
      times.fill(0)
      return {}
    }
    default:
      return question satisfies never
  }
}
