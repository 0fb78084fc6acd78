import diagnostics from 'node:diagnostics_channel'
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { text } from 'node:stream/consumers'
import { Hono } from 'hono'
import t, { type Test } from 'tap'
import { startHttp } from './start-http.ts'

const BYTES_MAX = 1_000
/** Node takes so much from a socket at once, and the head of a request goes along. */
const READ_AT_ONCE = 65_536 + 1_000
const FLOOD_BYTES = 32 * 1_048_576

/**
 * A server with a route that reads nothing, one that reads all that comes, and one that reads until it is told.
 * `read` are the bytes that it has taken from its sockets.
 */
async function bundle(t: Test) {
  const sockets: Socket[] = []
  const note = (message: unknown) => void sockets.push((message as { socket: Socket }).socket)
  diagnostics.subscribe('net.server.socket', note)
  t.teardown(() => diagnostics.unsubscribe('net.server.socket', note))
  const asked: string[] = []
  const app = new Hono().all('*', async (c) => {
    asked.push(`${c.req.method} ${c.req.path}`)
    if (c.req.path === '/reads') return c.text(`read ${(await c.req.arrayBuffer()).byteLength}`)
    return c.text('answered', 401)
  })
  const bodyBytesMax = ({ path }: { path: string }) => (path === '/large' ? FLOOD_BYTES : BYTES_MAX)
  const http = await startHttp({ app, host: '127.0.0.1', port: 0, stopMsMax: 1, bodyBytesMax })
  t.teardown(http.stop)
  const dial = async () => {
    const socket = connect(http.port, '127.0.0.1')
    socket.on('error', () => undefined)
    t.teardown(() => socket.destroy())
    await once(socket, 'connect')
    return socket
  }
  /** @returns the answers, once the connection is over */
  const send = async (head: string, body = '') => {
    const socket = await dial()
    socket.write(`${head.replaceAll('\n', '\r\n')}\r\nhost: a\r\n\r\n${body}`)
    return await text(socket).catch(() => '')
  }
  return { http, dial, send, asked, read: () => sockets.map(({ bytesRead }) => bytesRead) }
}

const chunked = (body: string) => `${body.length.toString(16)}\r\n${body}\r\n0\r\n\r\n`
const CLOSE = '\nconnection: close'

t.test('a body is bounded to the byte, by its length and as it comes', async (t) => {
  const { send } = await bundle(t)
  for (const path of ['/reads', '/']) {
    const answered = path === '/reads' ? /^HTTP\/1\.1 200 .*read 1000$/s : /^HTTP\/1\.1 401 /
    for (const method of ['POST', 'PUT', 'PATCH', 'DELETE', 'QUERY']) {
      const head = `${method} ${path} HTTP/1.1${CLOSE}`
      const body = 'a'.repeat(BYTES_MAX)
      t.match(await send(`${head}\ncontent-length: ${BYTES_MAX}`, body), answered, head)
      t.match(await send(`${head}\ntransfer-encoding: chunked`, chunked(body)), answered, head)
      const refused = await send(`${head}\ncontent-length: ${BYTES_MAX + 1}`, `${body}a`)
      t.match(refused, /^HTTP\/1\.1 413 .*"code":"body_too_large"/s, head)
    }
  }
})

t.test('nobody is asked about a body that is announced as too large', async (t) => {
  const { send, asked } = await bundle(t)
  for (const method of ['GET', 'HEAD', 'POST', 'DELETE', 'OPTIONS', 'PROPFIND']) {
    const answer = await send(`${method} /reads HTTP/1.1\ncontent-length: 200000000`)
    t.match(answer, /^HTTP\/1\.1 413 .*connection: close/is, method)
  }
  t.strictSame(asked, [])
})

/** Sends without an end, as fast as it is taken, until the connection is over. */
async function flood(socket: Socket, head: string, chunk: string): Promise<string> {
  let answer = ''
  socket.on('data', (bytes) => {
    answer += bytes
  })
  // Not by `once` of Node, which rejects when the connection is reset.
  const closed = new Promise((resolve) => socket.once('close', resolve))
  socket.write(head)
  for (let sent = 0; sent < FLOOD_BYTES && !socket.destroyed; sent += chunk.length) {
    if (socket.write(chunk)) continue
    await Promise.race([new Promise((resolve) => socket.once('drain', resolve)), closed])
  }
  await closed
  return answer
}

const PIECE = 'a'.repeat(16_384)
for (const [how, header, piece] of [
  ['with its length', 'content-length: 200000000', PIECE],
  ['in chunks', 'transfer-encoding: chunked', `4000\r\n${PIECE}\r\n`],
] as const) {
  t.test(`no more than the bound is read of a body ${how}`, async (t) => {
    const { dial, read } = await bundle(t)
    const floods = ['GET', 'HEAD', 'POST', 'DELETE', 'OPTIONS'].flatMap((method) =>
      ['/reads', '/', 'http://a/reads'].map(async (path) => {
        const head = `${method} ${path} HTTP/1.1\r\nhost: a\r\n${header}\r\n\r\n`
        const answer = await flood(await dial(), head, piece)
        if (how === 'with its length') t.match(answer, /^HTTP\/1\.1 413 /, `${method} ${path}`)
      }),
    )
    await Promise.all(floods)
    t.equal(read().length, floods.length)
    for (const bytes of read()) t.ok(bytes <= BYTES_MAX + 2 * READ_AT_ONCE, `${bytes} bytes`)
  })
}

t.test('who asks before sending is told not to, or to go on', async (t) => {
  const { send, dial, asked } = await bundle(t)
  const head = 'POST /reads HTTP/1.1\nexpect: 100-continue\nconnection: close'
  t.match(await send(`${head}\ncontent-length: 1001`), /^HTTP\/1\.1 413 /)
  t.strictSame(asked, [])
  for (const [framing, body] of [
    ['content-length: 3', 'abc'],
    ['transfer-encoding: chunked', chunked('abc')],
  ] as const) {
    const socket = await dial()
    socket.write(`${head}\n${framing}\nhost: a\n\n`.replaceAll('\n', '\r\n'))
    t.match(String((await once(socket, 'data'))[0]), /^HTTP\/1\.1 100 /)
    socket.write(body)
    t.match(await text(socket), /read 3$/)
  }
  const odd = 'POST /reads HTTP/1.1\nexpect: wonders\ncontent-length: 9'
  t.match(await send(odd), /^HTTP\/1\.1 417 /, 'and what else is expected is not met')
})

t.test('a length that is not true harms only the connection that it came on', async (t) => {
  const { send, dial } = await bundle(t)
  const both = 'POST /reads HTTP/1.1\ncontent-length: 3\ntransfer-encoding: chunked'
  t.match(await send(both, chunked('abc')), /^HTTP\/1\.1 400 /, 'two framings')
  for (const length of ['-1', '1e9', '0x10', '3, 4', '99999999999999999999999']) {
    const answer = await send(`POST /reads HTTP/1.1\ncontent-length: ${length}`, 'abc')
    t.match(answer, /^HTTP\/1\.1 4(00|13) /, length)
  }
  const more = await send('POST /reads HTTP/1.1\ncontent-length: 3', 'abcdef')
  t.match(more, /HTTP\/1\.1 400 /, 'what is more is no request')
  const less = await dial()
  less.end('POST /reads HTTP/1.1\r\nhost: a\r\ncontent-length: 900\r\n\r\nabc')
  await once(less.resume(), 'close')
})

t.test('a connection goes on after a small body that nobody has read', async (t) => {
  const { dial } = await bundle(t)
  const socket = await dial()
  for (const method of ['GET', 'POST', 'DELETE']) {
    for (const [framing, body] of [
      ['content-length: 3', 'abc'],
      ['transfer-encoding: chunked', chunked('abc')],
    ] as const) {
      socket.write(`${method} / HTTP/1.1\r\nhost: a\r\n${framing}\r\n\r\n${body}`)
      t.match(String((await once(socket, 'data'))[0]), /^HTTP\/1\.1 401 /, `${method} ${framing}`)
    }
  }
})

t.test('a client that announces an upgrade is held to the same', async (t) => {
  const { send } = await bundle(t)
  const head = 'POST /reads HTTP/1.1\nconnection: upgrade\nupgrade: websocket'
  t.match(await send(`${head}\ncontent-length: 1001`), /^HTTP\/1\.1 413 /)
})

t.test('a request says once, and with one voice, which host it is for', async (t) => {
  const { dial, asked } = await bundle(t)
  const send = async (target: string, hosts: string[]) => {
    const socket = await dial()
    const head = [`POST ${target} HTTP/1.1`, ...hosts, 'content-length: 0', 'connection: close']
    socket.write(`${head.join('\r\n')}\r\n\r\n`)
    return await text(socket)
  }
  for (const [target, hosts] of [
    ['/reads', ['host: a', 'host: evil.test']],
    ['/reads', ['host: a', 'Host: a']],
    ['/reads', []],
    ['http://evil.test/reads', ['host: a']],
    ['http://a:8080/reads', ['host: a']],
    ['/reads', ['host: a/evil.test']],
    ['/reads', ['host: a?b']],
    ['/reads', ['host: user@evil.test']],
    ['/reads', ['host: a#b']],
    ['/reads', ['host: a\\b']],
    ['/reads', ['host: a:99999']],
    ['//evil.test\\@a/reads', ['host: a']],
  ] as const) {
    t.match(await send(target, [...hosts]), /^HTTP\/1\.1 400 /, `${target} ${hosts}`)
  }
  t.strictSame(asked, [])
  for (const [target, host] of [
    ['/reads', 'a'],
    ['http://a/reads', 'A'],
    ['http://a:80/reads', 'a'],
    ['http://a:8080/reads', 'a:8080'],
  ] as const) {
    t.match(await send(target, [`host: ${host}`]), /read 0$/, `${target} ${host}`)
  }
})
