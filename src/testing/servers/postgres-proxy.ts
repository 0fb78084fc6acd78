import { once } from 'node:events'
import net, { type AddressInfo, type Socket } from 'node:net'

export interface PostgresProxy {
  /** Leads to the same database as the one that was given, through the proxy. */
  url: string
  /**
   * The next answer of the statement with this name that changed at least one row never arrives: its
   * connection is cut when the server has committed. Resolves once that has happened.
   */
  loseAnswerTo(statement: string): Promise<void>
  /** Cuts every connection, and from now on refuses new ones at once. */
  cut(): void
  /** From now on nothing goes through in either direction, and nobody is told: a network that is gone. */
  hang(): void
  /** Lets everything through again; what hung goes on where it was. */
  mend(): void
  /** New connections go through; those of before never hear of anything again, as when a host has died. */
  replace(): void
  /** Connections that were opened so far. */
  connections(): number
}

/** `UPDATE 3` or `SELECT 2` as the server says it when a statement is done. */
const DONE = /(?:UPDATE|SELECT|DELETE|INSERT 0) (\d+)\0/

/** A network between a program and Postgres that a test can take away; it ends with the test. */
export async function startPostgresProxy(
  t: { teardown(done: () => unknown): void },
  databaseUrl: string,
): Promise<PostgresProxy> {
  const target = new URL(databaseUrl)
  const links = new Set<Link>()
  let state: 'open' | 'cut' | 'hanging' = 'open'
  let connections = 0
  let loss: { statement: string; happened: PromiseWithResolvers<void> } | undefined

  const server = net.createServer((client) => {
    connections += 1
    client.on('error', () => undefined)
    if (state === 'cut') return void reset(client)
    const upstream = net.connect({ host: target.hostname, port: Number(target.port) })
    const link = connect(client, upstream, {
      isLost: (statement) => loss?.statement === statement,
      watched: () => loss?.statement,
      onLost: () => {
        loss?.happened.resolve()
        loss = undefined
      },
    })
    links.add(link)
    client.once('close', () => links.delete(link))
    if (state === 'hanging') link.pause()
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  t.teardown(() => {
    server.close()
    for (const link of links) link.destroy()
  })
  return {
    url: Object.assign(new URL(databaseUrl), { port: String(port) }).href,
    connections: () => connections,
    loseAnswerTo(statement) {
      loss = { statement, happened: Promise.withResolvers() }
      return loss.happened.promise
    },
    cut() {
      state = 'cut'
      for (const link of links) link.destroy()
    },
    hang() {
      state = 'hanging'
      for (const link of links) link.pause()
    },
    replace() {
      for (const link of links) link.orphan()
      state = 'open'
    },
    mend() {
      state = 'open'
      for (const link of links) link.resume()
    },
  }
}

interface Link {
  pause(): void
  /** The server sees the connection end; the client hears nothing. */
  orphan(): void
  resume(): void
  destroy(): void
}

interface Loss {
  /** Name of the statement whose answer is to be lost, if any. */
  watched(): string | undefined
  isLost(statement: string): boolean
  onLost(): void
}

/**
 * Cuts a connection as a host does that has gone away. One that is ending already only ends: Node (24.21) never
 * closes the handle then, and its process spins for ever where it should exit.
 */
function reset(socket: Socket): void {
  if (socket.writableEnded) socket.destroy()
  else socket.resetAndDestroy()
}

function connect(client: Socket, upstream: Socket, loss: Loss): Link {
  let awaited: string | undefined
  let answer = Buffer.alloc(0)
  const destroy = () => {
    reset(client)
    upstream.destroy()
  }
  client.on('data', (chunk) => {
    const watched = loss.watched()
    if (watched !== undefined && chunk.includes(watched)) awaited = watched
    upstream.write(chunk)
  })
  upstream.on('data', (chunk) => {
    if (awaited === undefined) return void client.write(chunk)
    answer = Buffer.concat([answer, chunk])
    const rows = DONE.exec(answer.toString('latin1'))?.[1]
    if (rows === undefined) return
    if (Number(rows) > 0 && loss.isLost(awaited)) {
      loss.onLost()
      return destroy()
    }
    client.write(answer)
    answer = Buffer.alloc(0)
    awaited = undefined
  })
  for (const [socket, other] of [
    [client, upstream],
    [upstream, client],
  ] as const) {
    socket.on('error', () => undefined)
    socket.once('close', () => other.destroy())
  }
  return {
    pause() {
      client.pause()
      upstream.pause()
    },
    resume() {
      client.resume()
      upstream.resume()
    },
    orphan() {
      client.pause()
      upstream.removeAllListeners('close').destroy()
    },
    destroy,
  }
}
