import { once } from 'node:events'
import { connect } from 'node:net'
import { Hono } from 'hono'
import t from 'tap'
import { startHttp } from './start-http.ts'

/** A server with a route that answers when the test says so. */
async function bundle(stopMsMax?: number) {
  const entered = Promise.withResolvers<void>()
  const answer = Promise.withResolvers<void>()
  const app = new Hono()
    .get('/', (c) => c.text('hello'))
    .get('/slow', async (c) => {
      entered.resolve()
      await answer.promise
      return c.text('late')
    })
  const http = await startHttp({
    app,
    host: '127.0.0.1',
    port: 0,
    ...(stopMsMax !== undefined && { stopMsMax }),
  })
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

t.test('a stop closes idle connections at once', async () => {
  const { http } = await bundle()
  const socket = connect(http.port, '127.0.0.1')
  await once(socket, 'connect')
  socket.write('GET / HTTP/1.1\r\nhost: a\r\n\r\n')
  await once(socket, 'data')
  const closed = once(socket, 'close')
  await http.stop()
  await closed
})

t.test('a stop ends a request that hangs', async (t) => {
  const { http, entered } = await bundle(1)
  const slow = fetch(`${http.url}/slow`)
  await entered
  await http.stop()
  await t.rejects(slow)
})
