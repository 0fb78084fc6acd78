import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { text } from 'node:stream/consumers'
import type { HttpBindings } from '@hono/node-server'
import { Hono } from 'hono'
import t from 'tap'
import { readJsonBody } from '../../http/request-body.ts'
import { type ClientBounds, startHttp } from '../../http/start-http.ts'

// Clients that take their time, on real sockets. Each test ends when the server has had enough; where it had
// not, the test would end by tap's limit.

const BODY_BYTES_MAX = 1_000
/** Far more than the buffers of both ends of a socket. */
const LARGE_ANSWER = 'x'.repeat(64 * 1_048_576)

async function bundle(
  t: { teardown(fn: () => unknown): void },
  clientBounds: Partial<ClientBounds> = {},
) {
  const over = Promise.withResolvers<void>()
  const app = new Hono<{ Bindings: HttpBindings }>()
    .get('/', (c) => c.text('hello'))
    .get('/large', (c) => {
      c.env.outgoing.once('close', () => over.resolve())
      return c.text(LARGE_ANSWER)
    })
    .post('/', async (c) => {
      await readJsonBody(c, BODY_BYTES_MAX)
      return c.text('read')
    })
    .onError((error, c) => c.text('refused', (error as { status?: 413 }).status ?? 413))
  const bounds = { checkMs: 20, ...clientBounds }
  const http = await startHttp({
    app,
    host: '127.0.0.1',
    port: 0,
    stopMsMax: 1,
    clientBounds: bounds,
  })
  t.teardown(() => http.stop())
  const dial = async (): Promise<Socket> => {
    const socket = connect(http.port, '127.0.0.1')
    socket.on('error', () => undefined)
    t.teardown(() => socket.destroy())
    await once(socket, 'connect')
    return socket
  }
  return { dial, largeAnswerIsOver: over.promise }
}

/**
 * Writes a byte now and then until the connection ends. Each after what has come by then was read: the first byte
 * behind an answer that ends the connection would make Node throw the answer away unread.
 */
function trickle(socket: Socket): void {
  const write = () => void (socket.writable && socket.write('a'))
  const timer = setInterval(() => setImmediate(write), 10)
  socket.once('close', () => clearInterval(timer))
}

t.test('a head that trickles is answered 408 and cut', async (t) => {
  const { dial } = await bundle(t, { headersMsMax: 100 })
  const socket = await dial()
  socket.write('GET / HTTP/1.1\r\nhost: a\r\nx-slow: ')
  trickle(socket)
  t.match(await text(socket), /^HTTP\/1\.1 408 /)
})

t.test('a body that trickles is answered 408 and cut', async (t) => {
  const { dial } = await bundle(t, { headersMsMax: 100, requestMsMax: 200 })
  const socket = await dial()
  socket.write(
    'POST / HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\ncontent-length: 900\r\n\r\n',
  )
  trickle(socket)
  t.match(await text(socket), /^HTTP\/1\.1 408 /)
})

t.test('a head that is too large is answered 431 and cut', async (t) => {
  const { dial } = await bundle(t)
  const socket = await dial()
  socket.write(`GET / HTTP/1.1\r\nhost: a\r\nx-large: ${'a'.repeat(20_000)}\r\n\r\n`)
  t.match(await text(socket), /^HTTP\/1\.1 431 /)
})

for (const [how, head] of [
  ['with its length', 'content-length: 100000000'],
  ['in chunks', 'transfer-encoding: chunked'],
] as const) {
  t.test(`an upload that is refused is not read to its end (${how})`, async (t) => {
    const { dial } = await bundle(t)
    const socket = await dial()
    socket.write(`POST / HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\n${head}\r\n\r\n`)
    const chunk = 'a'.repeat(1_024)
    const timer = setInterval(
      () => socket.write(how === 'in chunks' ? `400\r\n${chunk}\r\n` : chunk),
      5,
    )
    socket.once('close', () => clearInterval(timer))
    t.match((await once(socket, 'data')).toString(), /^HTTP\/1\.1 413 /)
    await once(socket, 'close')
    t.ok(socket.bytesWritten < 50_000_000)
  })
}

t.test('who does not read the answer is cut after a while', async (t) => {
  const { dial, largeAnswerIsOver } = await bundle(t, { silenceMsMax: 200 })
  const socket = await dial()
  socket.pause()
  socket.write('GET /large HTTP/1.1\r\nhost: a\r\n\r\n')
  await largeAnswerIsOver
  const closed = once(socket, 'close')
  socket.resume() // what is left in the buffers, and the end
  await closed
  t.ok(socket.bytesRead < LARGE_ANSWER.length)
})

t.test('who reads slowly but steadily gets the whole answer', async (t) => {
  const { dial } = await bundle(t, { silenceMsMax: 500 })
  const socket = await dial()
  socket.write('GET /large HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n')
  let bytes = 0
  for await (const chunk of socket) bytes += chunk.length
  t.ok(bytes > LARGE_ANSWER.length)
})

t.test('one connection too many is closed, and the others are served', async (t) => {
  const { dial } = await bundle(t, { connectionsMax: 2 })
  const [first, second] = [await dial(), await dial()]
  const third = await dial()
  await once(third, 'close')
  for (const socket of [first, second]) {
    socket.write('GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n')
    t.match(await text(socket), /hello$/)
  }
  const next = await dial()
  next.write('GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n')
  t.match(await text(next), /hello$/)
})
