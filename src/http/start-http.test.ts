import { once } from 'node:events'
import { connect } from 'node:net'
import { text } from 'node:stream/consumers'
import { Hono } from 'hono'
import t from 'tap'
import { startHttp } from './start-http.ts'

/** A server with a route that answers when the test says so. */
async function bundle(times: { stopMsMax?: number; idleMs?: number } = {}) {
  const entered = Promise.withResolvers<void>()
  const answer = Promise.withResolvers<void>()
  const app = new Hono()
    .get('/', (c) => c.text('hello'))
    .get('/slow', async (c) => {
      entered.resolve()
      await answer.promise
      return c.text('late')
    })
  const http = await startHttp({ app, host: '127.0.0.1', port: 0, ...times })
  return { http, entered: entered.promise, answer: answer.resolve }
}

t.test('listens on a free port and says which', async (t) => {
  const { http } = await bundle()
  t.equal(http.url, `http://127.0.0.1:${http.port}`)
  t.equal(await (await fetch(http.url)).text(), 'hello')
  await http.stop()
  await t.rejects(fetch(http.url))
})

t.test('rejects when the port is taken', async (t) => {
  const { http } = await bundle()
  const second = startHttp({ app: new Hono(), host: '127.0.0.1', port: http.port })
  await t.rejects(second, { code: 'EADDRINUSE' })
  await http.stop()
})

t.test('a stop lets a request in flight finish and takes no new one', async (t) => {
  const { http, entered, answer } = await bundle()
  const slow = fetch(`${http.url}/slow`)
  await entered
  const stopping = http.stop()
  t.equal(http.stop(), stopping, 'safe to call twice')
  await t.rejects(fetch(http.url))
  answer()
  t.equal(await (await slow).text(), 'late')
  await stopping
})

/** Far longer than the test: it would end by tap's limit if anything waited for it. */
const NEVER_MS = 600_000

/** A connection that stays open between requests. */
async function keepAlive(port: number) {
  const socket = connect(port, '127.0.0.1').setEncoding('utf8')
  await once(socket, 'connect')
  const send = (path: string) => void socket.write(`GET ${path} HTTP/1.1\r\nhost: a\r\n\r\n`)
  return {
    closed: once(socket, 'close'),
    send,
    async get(path: string): Promise<string> {
      send(path)
      return (await once(socket, 'data'))[0]
    },
    /** Everything that comes until the connection ends. */
    rest: () => text(socket),
  }
}

t.test(
  'a request on a kept-alive connection is answered after a stop, and told to close',
  async (t) => {
    const { http } = await bundle({ idleMs: NEVER_MS, stopMsMax: NEVER_MS })
    const clients = await Promise.all(Array.from({ length: 5 }, () => keepAlive(http.port)))
    for (const { get } of clients) t.notMatch(await get('/'), /connection: close/i)
    const stopping = http.stop()
    // One after the other: the end of one connection leaves the others alone.
    for (const { send, rest, closed } of clients) {
      send('/')
      const answer = await rest()
      t.match(answer, /^HTTP\/1\.1 200 /)
      t.match(answer, /connection: close/i)
      t.match(answer, /hello$/)
      await closed
    }
    await stopping // when nobody is left, not when the time is up
  },
)

t.test('a request in flight at the stop is told to close too', async (t) => {
  const { http, entered, answer } = await bundle({ idleMs: NEVER_MS, stopMsMax: NEVER_MS })
  const { send, rest } = await keepAlive(http.port)
  send('/slow')
  await entered
  const stopping = http.stop()
  answer()
  t.match(await rest(), /connection: close/i)
  await stopping
})

t.test('a stop closes connections that stay idle, after a while', async () => {
  const { http } = await bundle({ idleMs: 1, stopMsMax: NEVER_MS })
  const { get, closed } = await keepAlive(http.port)
  await get('/')
  await http.stop()
  await closed
})

t.test('a stop ends a request that hangs', async (t) => {
  const { http, entered } = await bundle({ stopMsMax: 1 })
  const slow = fetch(`${http.url}/slow`)
  await entered
  await http.stop()
  await t.rejects(slow)
})
