import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { Postrider } from '../client/client.ts'
import type { Connection } from './connection.ts'
import type { CommandContext } from './context.ts'

/** A service that delivers nothing for so long delivers nothing. */
const SILENCE_MS_MAX = 30_000

export interface Load {
  events: number
  concurrency: number
  bytes: number
  /** Address of this machine that runners reach. */
  receiver: string
}

interface Figures {
  count: number
  perSecond: number
  p50Ms: number
  p99Ms: number
}

export interface BenchResult {
  events: number
  concurrency: number
  bytes: number
  /** From a request to its answer. */
  accepted: Figures
  /** From a request to the arrival at the receiver. */
  delivered: Figures
  /** Requests that came again; at least once is what is promised. */
  repeated: number
}

/** A receiver in this process, a tenant with one endpoint, and events until all have come or nothing more does. */
export async function runBench(
  { url, key }: Connection,
  load: Load,
  { stopSignal, note }: Pick<CommandContext, 'stopSignal' | 'note'>,
): Promise<BenchResult> {
  const postrider = new Postrider({ url, apiKey: key })
  const tenant = `bench-${randomBytes(6).toString('hex')}`
  await using receiver = await startReceiver(load.receiver)
  await postrider.request('PUT /api/tenants/{tenant}', { path: { tenant }, body: {} })
  try {
    await postrider.request('POST /api/tenants/{tenant}/endpoints', {
      path: { tenant },
      body: { url: receiver.url },
    })
    const sentAt = new Map<string, number>()
    const accepted = await publishAll(postrider, tenant, load, { sentAt, stopSignal })
    const isComplete = await receiver.received(sentAt.size, stopSignal)
    if (!isComplete) note(`only ${receiver.arrivals.size} of ${sentAt.size} have come\n`)
    return resultOf(load, accepted, receiver, sentAt)
  } finally {
    await postrider.request('DELETE /api/tenants/{tenant}', { path: { tenant } })
  }
}

async function publishAll(
  postrider: Postrider,
  tenant: string,
  { events, concurrency, bytes }: Load,
  { sentAt, stopSignal }: { sentAt: Map<string, number>; stopSignal: AbortSignal },
): Promise<{ durations: number[]; tookMs: number }> {
  const event = { tenant, type: 'bench.measured', data: { text: 'x'.repeat(bytes) } }
  const durations: number[] = []
  const begin = performance.now()
  let left = events
  const work = async () => {
    while (left > 0 && !stopSignal.aborted) {
      left -= 1
      const at = performance.now()
      const { id } = await postrider.publish(event)
      sentAt.set(id, at)
      durations.push(performance.now() - at)
    }
  }
  await Promise.all(Array.from({ length: Math.min(concurrency, events) }, work))
  return { durations, tookMs: performance.now() - begin }
}

type BenchReceiver = Awaited<ReturnType<typeof startReceiver>>

async function startReceiver(host: string) {
  const arrivals = new Map<string, number>()
  let repeated = 0
  let more = Promise.withResolvers<void>()
  const server = createServer((request, response) => {
    request.resume().once('end', () => response.end())
    const id = String(request.headers['webhook-id'])
    if (arrivals.has(id)) repeated += 1
    else arrivals.set(id, performance.now())
    more.resolve()
  }).listen(0, host)
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  return {
    url: `http://${host.includes(':') ? `[${host}]` : host}:${port}/`,
    arrivals,
    repeated: () => repeated,
    /** Whether so many have come, before nothing came for half a minute or the process was asked to stop. */
    async received(count: number, stopSignal: AbortSignal): Promise<boolean> {
      while (arrivals.size < count) {
        more = Promise.withResolvers()
        const signal = AbortSignal.any([stopSignal, AbortSignal.timeout(SILENCE_MS_MAX)])
        const silence = once(signal, 'abort').then(() => true)
        if (await Promise.race([more.promise, silence])) return false
      }
      return true
    },
    async [Symbol.asyncDispose]() {
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
    },
  }
}

function resultOf(
  { events, concurrency, bytes }: Load,
  accepted: { durations: number[]; tookMs: number },
  { arrivals, repeated }: BenchReceiver,
  sentAt: ReadonlyMap<string, number>,
): BenchResult {
  const ways = [...sentAt].flatMap(([id, at]) => {
    const arrived = arrivals.get(id)
    return arrived === undefined ? [] : [arrived - at]
  })
  const tookMs = Math.max(...arrivals.values()) - Math.min(...sentAt.values())
  return {
    events,
    concurrency,
    bytes,
    accepted: figuresOf(accepted.durations, accepted.tookMs),
    delivered: figuresOf(ways, tookMs),
    repeated: repeated(),
  }
}

function figuresOf(durations: number[], tookMs: number): Figures {
  const sorted = durations.toSorted((a, b) => a - b)
  const at = (share: number) => rounded(sorted[Math.ceil(share * sorted.length) - 1] ?? 0)
  const perSecond = sorted.length === 0 ? 0 : rounded((sorted.length * 1000) / tookMs)
  return { count: sorted.length, perSecond, p50Ms: at(0.5), p99Ms: at(0.99) }
}

const rounded = (value: number): number => Math.round(value * 10) / 10
