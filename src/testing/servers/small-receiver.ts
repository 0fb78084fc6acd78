import { once } from 'node:events'
import http from 'node:http'
import type { AddressInfo } from 'node:net'
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads'

/** What it says while it waits to be accepted is lost: the kernel of the sender tries again after 1 s, 3 s, 7 s … */
const BACKLOG = 5

/** Shared with its thread. */
const Cell = { takesMs: 0, open: 1, openMax: 2, requests: 3, closes: 4 } as const

export interface SmallReceiver {
  url: string
  /** From now on each request takes so long, and nothing is accepted meanwhile. */
  takes(ms: number): void
  /** The most connections that were open at a time since it was asked last. */
  openMax(): number
  requests(): number
  /** Resolves once there were at least so many requests. */
  received(count: number): Promise<void>
}

/**
 * A receiver as small ones are: one thread that does one thing at a time, with a short queue of connections. A thread of
 * its own, so that being slow is its own affair.
 *
 * @param options.closes a connection after each answer, as servers without keep-alive do
 */
export async function startSmallReceiver(
  t: { teardown(done: () => unknown): void },
  options: { takesMs: number; closes?: boolean },
): Promise<SmallReceiver> {
  const cells = new Int32Array(new SharedArrayBuffer(5 * Int32Array.BYTES_PER_ELEMENT))
  Atomics.store(cells, Cell.takesMs, options.takesMs)
  Atomics.store(cells, Cell.closes, options.closes ? 1 : 0)
  const thread = new Worker(new URL(import.meta.url), { workerData: cells })
  t.teardown(() => thread.terminate())
  const [port] = await once(thread, 'message')
  return {
    url: `http://127.0.0.1:${port}`,
    takes: (ms) => void Atomics.store(cells, Cell.takesMs, ms),
    openMax: () => Atomics.exchange(cells, Cell.openMax, Atomics.load(cells, Cell.open)),
    requests: () => Atomics.load(cells, Cell.requests),
    async received(count) {
      while (Atomics.load(cells, Cell.requests) < count) await once(thread, 'message')
    },
  }
}

async function receive(cells: Int32Array): Promise<void> {
  const server = http.createServer((request, response) => {
    const takesMs = Atomics.load(cells, Cell.takesMs)
    // Holds up the thread: there is no such cell to be woken by.
    if (takesMs > 0) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, takesMs)
    if (Atomics.load(cells, Cell.closes)) response.setHeader('connection', 'close')
    request.resume()
    response.end('ok')
    Atomics.add(cells, Cell.requests, 1)
    parentPort?.postMessage('request')
  })
  server.on('connection', (socket) => {
    const open = Atomics.add(cells, Cell.open, 1) + 1
    Atomics.store(cells, Cell.openMax, Math.max(open, Atomics.load(cells, Cell.openMax)))
    socket.on('close', () => Atomics.sub(cells, Cell.open, 1))
    socket.on('error', () => undefined)
  })
  server.listen({ port: 0, host: '127.0.0.1', backlog: BACKLOG })
  await once(server, 'listening')
  parentPort?.postMessage((server.address() as AddressInfo).port)
}

if (!isMainThread && workerData instanceof Int32Array) await receive(workerData)
