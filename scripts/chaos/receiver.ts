/**
 * A receiver in its own process that misbehaves at random, and writes down every event of every request. Batches that it
 * has taken it knows by their `webhook-id`, and answers as the first time.
 *
 * It keeps the same keep-alive timeout as Node by default, so connections that it closes under a runner
 * happen by themselves. Started by `startReceiver`.
 */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { setTimeout as delay } from 'node:timers/promises'
import { readOptions } from '../bench/options.ts'
import {
  HAS_THE_EVENT,
  openLedger,
  type ReceivedLine,
  type ReceiverAnswer,
  receivedFile,
} from './ledger.ts'
import { createRandom } from './random.ts'
import { FRAGILE_PATH } from './receiver-paths.ts'

/** Together 15 %: twenty in a row, which would open a circuit, do not happen by chance. */
const UNAVAILABLE_SHARE = 0.08
const DESTROYED_SHARE = 0.04
const SLOW_SHARE = 0.03
/** Of the batches that it would take: in some an event fails, and some are too large for it. */
const ITEM_FAILED_SHARE = 0.2
const TOO_LARGE_SHARE = 0.05
/** Slow enough that its runner is often killed meanwhile, well below the timeout of a delivery. */
const SLOW_MS = [500, 3_000] as const
const USUAL_MS = [1, 60] as const
/** A receiver under load asks for air. */
const RETRY_AFTER_SHARE = 0.2

const DOWN_EVERY_MS = 120_000
const DOWN_AFTER_MS = 3_000

const options = readOptions({
  folder: { default: '', help: 'where received.jsonl is written' },
  seed: { default: 1, help: 'of the random choices' },
  down: { default: 20, help: 'seconds that the fragile endpoint is down in every two minutes' },
})
const random = createRandom(options.seed)
const ledger = openLedger<ReceivedLine>(receivedFile(options.folder))
/** What it did with the events of each batch that it has taken, by its `webhook-id`. */
const taken = new Map<string, Answers>()
let firstAt: number | undefined
let isCalm = false

const server = createServer((request, response) => {
  // A runner that is killed cuts its requests off; what was complete is in the ledger by then.
  serve(request, response).catch(() => undefined)
})
server.listen(0, '127.0.0.1', () => {
  const address = server.address()
  process.send?.({ port: typeof address === 'object' ? address?.port : 0 })
})
process.on('message', async (message) => {
  if (message === 'calm') isCalm = true
  if (message === 'close') {
    server.close()
    await ledger.close()
  }
  process.send?.({ done: message })
})
process.on('disconnect', () => process.exit(0)) // anyone who started it is gone

interface Incoming {
  endpoint: string
  /** `webhook-id` of a batch; null = one event alone. */
  batch: string | null
  events: { id: string; data: { n: number } }[]
}

async function serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const incoming = await read(request)
  const { endpoint, batch, events } = incoming
  const answer = choose(incoming)
  const answers = answersTo(incoming, answer)
  const at = Date.now()
  for (const { id, data } of events)
    ledger.write({ id, batch, endpoint, n: data.n, at, answer: answers.get(id) ?? 'ignored' })
  if (answer === 'destroyed') return void request.socket.destroy()

  const [low, high] = answer === 'slow' ? SLOW_MS : USUAL_MS
  await delay(random.between(low, high))
  reply(response, answer, answers)
}

async function read(request: IncomingMessage): Promise<Incoming> {
  const id = String(request.headers['webhook-id'])
  const endpoint = request.url ?? ''
  const { events, data } = JSON.parse(await textOf(request))
  return events
    ? { endpoint, batch: id, events }
    : { endpoint, batch: null, events: [{ id, data }] }
}

type Answers = ReadonlyMap<string, ReceiverAnswer>

/** What it does with each of the events, by their ids: with those of a batch that it has taken, what it did then. */
function answersTo({ batch, events }: Incoming, answer: ReceiverAnswer): Answers {
  const isTaken = batch !== null && HAS_THE_EVENT.has(answer)
  const before = isTaken && taken.get(batch)
  if (before) return before
  const fails = isTaken && !isCalm && random.next() < ITEM_FAILED_SHARE
  const failed = fails ? random.pick(events).id : null
  const answers = new Map(
    events.map(({ id }): [string, ReceiverAnswer] => [id, id === failed ? 'item_failed' : answer]),
  )
  if (isTaken) taken.set(batch, answers)
  return answers
}

function reply(response: ServerResponse, answer: ReceiverAnswer, answers: Answers): void {
  if (HAS_THE_EVENT.has(answer)) {
    const failed = [...answers].filter(([, ofEvent]) => ofEvent === 'item_failed')
    response.writeHead(200).end(JSON.stringify({ failed: failed.map(([id]) => id) }))
  } else if (answer === 'too_large') {
    response.writeHead(413).end('too large')
  } else {
    const asksForAir = random.next() < RETRY_AFTER_SHARE
    response.writeHead(503, asksForAir ? { 'retry-after': '1' } : {}).end('later')
  }
}

async function textOf(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = []
  for await (const chunk of request) chunks.push(chunk as Buffer)
  return Buffer.concat(chunks).toString()
}

function choose({ endpoint, batch, events }: Incoming): ReceiverAnswer {
  const isKnown = batch !== null && taken.has(batch)
  if (isCalm || isKnown) return 'ok'
  if (endpoint === FRAGILE_PATH) return isDown() ? 'down' : 'ok'
  if (events.length > 1 && random.next() < TOO_LARGE_SHARE) return 'too_large'
  const chance = random.next()
  if (chance < UNAVAILABLE_SHARE) return 'unavailable'
  if (chance < UNAVAILABLE_SHARE + DESTROYED_SHARE) return 'destroyed'
  return chance < UNAVAILABLE_SHARE + DESTROYED_SHARE + SLOW_SHARE ? 'slow' : 'ok'
}

/** Counted from the first request, so that it falls into the time under load. */
function isDown(): boolean {
  firstAt ??= Date.now()
  const at = (Date.now() - firstAt) % DOWN_EVERY_MS
  return at >= DOWN_AFTER_MS && at < DOWN_AFTER_MS + options.down * 1000
}
