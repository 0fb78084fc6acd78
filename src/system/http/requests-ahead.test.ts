/**
 * Requests that are sent ahead, before earlier ones of their connection were answered. 65 KB of them from anybody made
 * two thousand answers at once, 600 MB of a page that needs no key, and nobody else was answered for half a minute.
 */
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { Hono } from 'hono'
import t, { type Test } from 'tap'
import { startHttp } from '../../http/start-http.ts'
import { createMetrics } from '../../metrics.ts'
import { startProbes } from '../../runner/probes.ts'

/** One is being answered, and so many wait. */
const TAKEN_MAX = 33
const REQUEST = 'GET / HTTP/1.1\r\nhost: a\r\n\r\n'

/** A server whose answers are held until `release`. */
async function bundle(t: Test) {
  const seen = { asked: 0, atOnce: 0, atOnceMost: 0 }
  const held = Promise.withResolvers<void>()
  const begun = Promise.withResolvers<void>()
  const app = new Hono().get('/', async (c) => {
    seen.asked += 1
    seen.atOnce += 1
    seen.atOnceMost = Math.max(seen.atOnceMost, seen.atOnce)
    begun.resolve()
    await held.promise
    seen.atOnce -= 1
    return c.text(`answer ${seen.asked}`)
  })
  const http = await startHttp({ app, host: '127.0.0.1', port: 0, stopMsMax: 1 })
  t.teardown(() => http.stop())
  return { seen, http, release: held.resolve, begun: begun.promise }
}

async function dial(t: Test, port: number): Promise<Socket> {
  const socket = connect(port, '127.0.0.1')
  socket.on('error', () => undefined)
  t.teardown(() => socket.destroy())
  await once(socket, 'connect')
  return socket
}

/** The answers, once there are so many or the connection is over. */
async function answersOf(socket: Socket, count: number): Promise<string[]> {
  let text = ''
  for await (const chunk of socket) {
    text += chunk
    if ((text.match(/answer \d+/g) ?? []).length >= count) break
  }
  return text.match(/answer \d+/g) ?? []
}

t.test('as many as may wait are answered in order, one at a time', async (t) => {
  const { seen, http, release, begun } = await bundle(t)
  const socket = await dial(t, http.port)
  socket.write(REQUEST.repeat(TAKEN_MAX))
  await begun
  release()
  const answers = await answersOf(socket, TAKEN_MAX)
  t.strictSame(
    answers,
    Array.from({ length: TAKEN_MAX }, (_, n) => `answer ${n + 1}`),
  )
  t.equal(seen.atOnceMost, 1)
})

t.test('one more and the connection is cut, and what waited is not looked at', async (t) => {
  const { seen, http, release } = await bundle(t)
  const socket = await dial(t, http.port)
  socket.write(REQUEST.repeat(TAKEN_MAX + 1))
  await once(socket.resume(), 'close')
  release()
  const other = await dial(t, http.port)
  other.write(REQUEST)
  await answersOf(other, 1)
  t.equal(seen.asked, 2, 'the first of the one, and the one of the other')
})

t.test('connections do not wait for one another', async (t) => {
  const { seen, http, release } = await bundle(t)
  const sockets = await Promise.all([dial(t, http.port), dial(t, http.port)])
  const answers = sockets.map((socket) => answersOf(socket, 2))
  for (const socket of sockets) socket.write(REQUEST.repeat(2))
  while (seen.atOnce < 2) await new Promise(setImmediate)
  release()
  t.strictSame(
    (await Promise.all(answers)).map(({ length }) => length),
    [2, 2],
  )
  t.equal(seen.asked, 4)
})

t.test('a request after an answer is taken, however many there were', async (t) => {
  const { seen, http, release } = await bundle(t)
  release()
  const socket = await dial(t, http.port)
  for (let n = 1; n <= 2 * TAKEN_MAX; n += 1) {
    socket.write(REQUEST)
    await once(socket, 'data')
  }
  t.equal(seen.asked, 2 * TAKEN_MAX)
})

t.test('the probes of a runner are held to the same', async (t) => {
  let asked = 0
  const held = Promise.withResolvers<{ ready: true; checks: object }>()
  const probes = await startProbes({
    host: '127.0.0.1',
    port: 0,
    ready: async () => {
      asked += 1
      await held.promise
      return { ready: true, checks: {} }
    },
    metrics: createMetrics({ version: '0.0.0' }),
  })
  t.teardown(() => probes.stop())
  const socket = await dial(t, Number(new URL(probes.url).port))
  socket.write('GET /ready HTTP/1.1\r\nhost: a\r\n\r\n'.repeat(TAKEN_MAX + 1))
  await once(socket.resume(), 'close')
  t.equal(asked, 1)
})
