import { once } from 'node:events'
import { createServer, type Server } from 'node:net'

/**
 * Below those that Linux gives to outgoing connections (net.ipv4.ip_local_port_range, by default from 32768 on) and to
 * servers that ask for any: a server that is stopped and started again finds its port as it left it.
 */
const PORTS = { from: 15_000, to: 32_767 }
/** Of ports that others listen on there are few. */
const TRIES_MAX = 100

/** A port of 127.0.0.1 that nobody listens on at the moment. */
export async function freePort(): Promise<number> {
  const [port = 0] = await freePorts(1)
  return port
}

/** Several, all held at once, so that they differ. */
export async function freePorts(count: number): Promise<number[]> {
  const held: { port: number; server: Server }[] = []
  while (held.length < count) held.push(await holdPort())
  await Promise.all(held.map(({ server }) => new Promise((resolve) => server.close(resolve))))
  return held.map(({ port }) => port)
}

async function holdPort() {
  for (let attempt = 1; attempt <= TRIES_MAX; attempt++) {
    const port = PORTS.from + Math.floor(Math.random() * (PORTS.to - PORTS.from + 1))
    const server = createServer().listen(port, '127.0.0.1')
    const isHeld = await once(server, 'listening').then(
      () => true,
      () => false,
    )
    if (isHeld) return { port, server }
  }
  throw new Error(`no free port from ${PORTS.from} to ${PORTS.to}`)
}
