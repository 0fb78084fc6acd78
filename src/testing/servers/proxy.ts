import type { LookupAddress } from 'node:dns'
import { once } from 'node:events'
import { STATUS_CODES } from 'node:http'
import net, { type AddressInfo } from 'node:net'
import { Server } from 'proxy-chain'

/**
 * proxy-chain writes its names into Node's table for the whole process, where other test files count on the table
 * as Node has it: a receiver that answers 599 would say `599 Upstream Error`.
 */
for (let status = 590; status <= 599; status++) delete STATUS_CODES[status]

export interface TestProxy extends AsyncDisposable {
  /** With the credentials that it wants, if any. */
  url: string
  port: number
  /** What it was asked to connect to, `host:port`, in order. */
  asked: string[]
}

interface ProxyOptions {
  credentials?: { username: string; password: string }
}

/** Where these proxies find every name, as the receivers of tests are there. */
const LOOPBACK: LookupAddress = { address: '127.0.0.1', family: 4 }

/**
 * A real HTTP proxy (CONNECT).
 *
 * @param tls PEM; makes it speak https
 */
export async function startHttpProxy({
  credentials,
  tls,
}: ProxyOptions & { tls?: { key: string; cert: string } } = {}): Promise<TestProxy> {
  const asked: string[] = []
  const server = new Server({
    ...(tls ? { serverType: 'https', httpsOptions: tls } : { serverType: 'http' }),
    host: '127.0.0.1',
    port: 0,
    prepareRequestFunction({ hostname, port, username, password }) {
      const isKnown =
        !credentials || (username === credentials.username && password === credentials.password)
      if (isKnown) asked.push(`${hostname}:${port}`)
      return {
        requestAuthentication: !isKnown,
        dnsLookup: ((_name: string, options: { all?: boolean }, done: Answer) =>
          options.all ? done(null, [LOOPBACK]) : done(null, LOOPBACK.address, 4)) as never,
      }
    },
  })
  await server.listen()
  return {
    url: urlOf(tls ? 'https' : 'http', server.port, credentials),
    port: server.port,
    asked,
    [Symbol.asyncDispose]: () => server.close(true),
  }
}

type Answer = (error: null, addresses: LookupAddress[] | string, family?: number) => void

const NO_AUTH = 0
const PASSWORD = 2
const REFUSED = 0xff
/** Kinds of addresses of RFC 1928, 5. */
const IPV4 = 1
const NAME = 3
const IPV6 = 4

/**
 * A real SOCKS5 proxy (RFC 1928, 1929).
 *
 * @param reply what it answers instead of connecting, such as 2 for "not allowed"
 */
export async function startSocksProxy({
  credentials,
  reply,
}: ProxyOptions & { reply?: number } = {}): Promise<TestProxy> {
  const asked: string[] = []
  const sockets = new Set<net.Socket>()
  const serve = async (socket: net.Socket) => {
    const read = reader(socket)
    const [, methodCount = 0] = await read(2)
    const methods = await read(methodCount)
    const method = credentials ? PASSWORD : NO_AUTH
    socket.write(Buffer.from([5, methods.includes(method) ? method : REFUSED]))
    if (credentials) {
      await read(1)
      const username = String(await read((await read(1))[0] ?? 0))
      const password = String(await read((await read(1))[0] ?? 0))
      const isKnown = username === credentials.username && password === credentials.password
      socket.write(Buffer.from([1, isKnown ? 0 : 1]))
      if (!isKnown) return void socket.end()
    }
    const [, , , kind = 0] = await read(4)
    const host = await readHost(kind, read)
    const port = (await read(2)).readUInt16BE()
    asked.push(`${host}:${port}`)
    if (reply !== undefined)
      return void socket.end(Buffer.from([5, reply, 0, IPV4, 0, 0, 0, 0, 0, 0]))

    const upstream = net.connect({ host: kind === NAME ? LOOPBACK.address : host, port })
    sockets.add(upstream)
    upstream.on('error', () => socket.destroy())
    await once(upstream, 'connect')
    socket.write(Buffer.from([5, 0, 0, IPV4, 127, 0, 0, 1, 0, 0]))
    socket.pipe(upstream).pipe(socket)
  }
  const server = net.createServer((socket) => {
    sockets.add(socket)
    socket.on('error', () => {})
    serve(socket).catch(() => socket.destroy())
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  return {
    url: urlOf('socks5', port, credentials),
    port,
    asked,
    async [Symbol.asyncDispose]() {
      server.close()
      for (const socket of sockets) socket.destroy()
      await once(server, 'close')
    },
  }
}

async function readHost(kind: number, read: (bytes: number) => Promise<Buffer>): Promise<string> {
  if (kind === IPV4) return (await read(4)).join('.')
  if (kind === NAME) return String(await read((await read(1))[0] ?? 0))
  if (kind !== IPV6) throw new Error(`no kind of address: ${kind}`)
  return (await read(16)).toString('hex').replace(/.{4}(?!$)/g, '$&:')
}

/** Reads exactly so many bytes; rejects when the other side is gone before. */
function reader(socket: net.Socket) {
  return async (bytes: number): Promise<Buffer> => {
    for (;;) {
      if (bytes === 0) return Buffer.alloc(0)
      const chunk: Buffer | null = socket.read(bytes)
      if (chunk) return chunk
      await once(socket, 'readable', { signal: AbortSignal.timeout(10_000) })
    }
  }
}

function urlOf(protocol: string, port: number, credentials: ProxyOptions['credentials']): string {
  const { username = '', password = '' } = credentials ?? {}
  const login = credentials
    ? `${encodeURIComponent(username)}:${encodeURIComponent(password)}@`
    : ''
  return `${protocol}://${login}127.0.0.1:${port}`
}
