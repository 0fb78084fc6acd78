/**
 * A receiver in its own process that misbehaves at random, and writes down every request.
 *
 * It keeps the same keep-alive timeout as Node by default, so connections that it closes under a runner
 * happen by themselves. Started by `startReceiver`.
 */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { setTimeout as delay } from 'node:timers/promises'
import { readOptions } from '../bench/options.ts'
import { openLedger, type ReceivedLine, type ReceiverAnswer, receivedFile } from './ledger.ts'
import { createRandom } from './random.ts'
import { FRAGILE_PATH } from './receiver-paths.ts'

/** Together 15 %: twenty in a row, which would open a circuit, do not happen by chance. */
const UNAVAILABLE_SHARE = 0.08
const DESTROYED_SHARE = 0.04
const SLOW_SHARE = 0.03
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

async function serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const body = JSON.parse(await textOf(request))
  const endpoint = request.url ?? ''
  const answer = choose(endpoint)
  const id = String(request.headers['webhook-id'])
  ledger.write({ id, endpoint, n: body.data.n, at: Date.now(), answer })
  if (answer === 'destroyed') return void request.socket.destroy()

  const [low, high] = answer === 'slow' ? SLOW_MS : USUAL_MS
  await delay(random.between(low, high))
  if (answer === 'ok' || answer === 'slow') return void response.writeHead(200).end('ok')
  const asksForAir = random.next() < RETRY_AFTER_SHARE
  response.writeHead(503, asksForAir ? { 'retry-after': '1' } : {}).end('later')
}

async function textOf(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = []
  for await (const chunk of request) chunks.push(chunk as Buffer)
  return Buffer.concat(chunks).toString()
}

function choose(endpoint: string): ReceiverAnswer {
  if (isCalm) return 'ok'
  if (endpoint === FRAGILE_PATH) return isDown() ? 'down' : 'ok'
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
