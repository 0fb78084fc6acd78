import { once } from 'node:events'
import { type AddressInfo, createServer, type Socket } from 'node:net'
import { gzipSync } from 'node:zlib'

const OK = 'HTTP/1.1 200 OK\r\n'
const CANARY = '/where-the-redirect-leads'
const PIECE = Buffer.alloc(65_536, 'a')
const FLOOD_BYTES = 1_000_000_000
const DRIP_MS = 200

/** Writes an answer to a request that has come, on a connection that stays open. */
type Write = (socket: Socket, own: string) => void

const text =
  (answer: string): Write =>
  (socket) =>
    void socket.end(answer, 'latin1')

const redirect =
  (status: number, to: (own: string) => string): Write =>
  (socket, own) =>
    void socket.end(`HTTP/1.1 ${status} x\r\nlocation: ${to(own)}\r\ncontent-length: 0\r\n\r\n`)

const toUs = (own: string): string => own + CANARY

/** As much as is taken, as fast as it is. */
const flood =
  (head: string): Write =>
  (socket) => {
    socket.write(head)
    let sent = 0
    const more = () => {
      while (!socket.destroyed && sent < FLOOD_BYTES) {
        sent += PIECE.length
        if (!socket.write(PIECE)) return
      }
      socket.end()
    }
    socket.on('drain', more)
    more()
  }

const drip =
  (head: string, piece: string): Write =>
  (socket) => {
    socket.write(head)
    const timer = setInterval(() => void socket.write(piece), DRIP_MS)
    socket.once('close', () => clearInterval(timer))
  }

let bombBody: Buffer | undefined
/** Made before anybody waits for it. */
function makeBomb(): Buffer {
  bombBody ??= gzipSync(Buffer.alloc(200_000_000))
  return bombBody
}
const bomb: Write = (socket) => {
  const body = makeBomb()
  const length = `content-length: ${body.length}`
  socket.write(`${OK}content-encoding: gzip\r\n${length}\r\n\r\n`)
  socket.end(body)
}

/** By the last part of the path of an endpoint. */
export const ANSWERS: { name: string; about: string; write: Write }[] = [
  ...[301, 302, 303, 307, 308].map((status) => ({
    name: `redirect-${status}`,
    about: `that redirects with ${status}`,
    write: redirect(status, toUs),
  })),
  { name: 'refresh', about: 'with a header refresh', write: (socket, own) => void socket.end(`${OK}refresh: 0; url=${own}${CANARY}\r\ncontent-length: 0\r\n\r\n`) },
  { name: 'flood', about: 'whose answer has no end', write: flood(`${OK}\r\n`) },
  { name: 'flood-of-head', about: 'whose head has no end', write: flood(`${OK}x: `) },
  { name: 'flood-of-chunk', about: 'with a chunk without an end', write: flood(`${OK}transfer-encoding: chunked\r\n\r\nFFFFFFF\r\n`) },
  { name: 'drip', about: 'whose answer trickles', write: drip(`${OK}\r\n`, 'a') },
  { name: 'drip-of-head', about: 'whose head trickles', write: drip(OK, 'x: y\r\n') },
  { name: 'drip-of-1xx', about: 'that says 102 for ever', write: drip('', 'HTTP/1.1 102 Processing\r\n\r\n') },
  { name: 'silence', about: 'that says nothing', write: () => undefined },
  { name: 'hang-up', about: 'that hangs up', write: (socket) => void socket.destroy() },
  { name: 'reset', about: 'that resets the connection', write: (socket) => void socket.resetAndDestroy() },
  { name: 'bomb', about: 'with 200 MB of nothing, compressed', write: bomb },
  { name: 'many-headers', about: 'with 5,000 headers', write: text(`${OK}${'x: y\r\n'.repeat(5_000)}\r\n`) },
  { name: 'long-header', about: 'with a header of 1 MB', write: text(`${OK}x: ${'y'.repeat(1_000_000)}\r\n\r\n`) },
  { name: 'two-lengths', about: 'with two lengths', write: text(`${OK}content-length: 2\r\ncontent-length: 9\r\n\r\nok`) },
  { name: 'two-answers', about: 'that answers twice', write: text(`HTTP/1.1 500 x\r\ncontent-length: 0\r\n\r\n${OK}content-length: 0\r\n\r\n`) },
  { name: 'not-http', about: 'that speaks something else', write: text('220 mail.example.com ESMTP\r\n') },
  { name: 'status', about: 'with a status that is none', write: text('HTTP/1.1 99999 x\r\n\r\n') },
  { name: 'switch', about: 'that switches protocols', write: text('HTTP/1.1 101 x\r\nupgrade: h2c\r\nconnection: upgrade\r\n\r\n') },
  { name: 'later', about: 'that asks to wait for years', write: text('HTTP/1.1 503 x\r\nretry-after: 999999999999\r\ncontent-length: 0\r\n\r\n') },
  { name: 'bytes', about: 'whose answer is no text', write: text(`${OK}x: \xff\r\n\r\n\0\xff\xfe\x1b[31m`) },
] // biome-ignore format: a table

export interface HostileReceiver extends AsyncDisposable {
  url: string
  /** Requests that came to where redirects lead. */
  reached(): number
  /** Of the answers, the largest number of bytes that somebody took. */
  mostBytes(): number
}

/** Listens on the loopback; which answer a request gets is the last part of its path. */
export async function startHostileReceiver(): Promise<HostileReceiver> {
  makeBomb()
  const sockets = new Set<Socket>()
  let reached = 0
  let most = 0
  let url = ''
  const server = createServer((socket) => {
    sockets.add(socket)
    socket.on('error', () => undefined) // cut by the other side
    socket.once('close', () => {
      sockets.delete(socket)
      most = Math.max(most, socket.bytesWritten)
    })
    socket.once('data', (head) => {
      const path = head.toString('latin1').split(' ', 2)[1] ?? ''
      if (path.startsWith(CANARY)) reached += 1
      ANSWERS.find(({ name }) => path === `/${name}`)?.write(socket, url)
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  return {
    ...{ url, reached: () => reached, mostBytes: () => most },
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy()
      server.close()
      await once(server, 'close')
    },
  }
}
