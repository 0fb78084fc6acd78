import { once } from 'node:events'
import net from 'node:net'
import { Worker } from 'node:worker_threads'

export interface SlowAddress extends AsyncDisposable {
  host: string
  port: number
  /** Takes connections from now on. Who knocked before gets in with the next packet, about a second later. */
  open(): void
}

/** Connections that Linux takes on behalf of a server that is busy. */
const BACKLOG = 1

/**
 * A receiver whose machine drops every packet of a new connection, as a host behind a firewall does: its backlog
 * is full, and it takes nobody until it is opened. It answers 200 then.
 *
 * @param host an address of 127.0.0.0/8
 */
export async function startSlowAddress(host: string, port = 0): Promise<SlowAddress> {
  const gate = new Int32Array(new SharedArrayBuffer(4))
  const worker = new Worker(
    `const { parentPort, workerData } = require('node:worker_threads')
     const server = require('node:http').createServer((request, response) => response.end('ok'))
     server.listen({ ...workerData.listen }, () => {
       parentPort.postMessage(server.address().port)
       Atomics.wait(workerData.gate, 0, 0)
     })`,
    { eval: true, workerData: { gate, listen: { host, port, backlog: BACKLOG } } },
  )
  const open = () => {
    Atomics.store(gate, 0, 1)
    Atomics.notify(gate, 0)
  }
  const [found] = await once(worker, 'message')
  const crowd = await Promise.all(
    Array.from({ length: BACKLOG + 1 }, async () => {
      const socket = net.connect(found, host)
      await once(socket, 'connect')
      return socket
    }),
  )
  return {
    host,
    port: found,
    open,
    async [Symbol.asyncDispose]() {
      for (const socket of crowd) socket.destroy()
      open()
      await worker.terminate()
    },
  }
}
