import { once } from 'node:events'
import net from 'node:net'
import t from 'tap'
import { startRawReceiver, startReceiver } from './receiver.ts'

const post = (url: string, body: string) => fetch(`${url}/hook`, { method: 'POST', body })

t.test('keeps what arrived, in order, and answers 200 by default', async (t) => {
  await using receiver = await startReceiver()
  const response = await post(receiver.url, 'one')
  await post(receiver.url, 'two')
  t.equal(response.status, 200)
  t.equal(await response.text(), 'ok')
  t.match(await receiver.received(2), [
    { method: 'POST', path: '/hook', body: 'one', headers: { 'content-length': '3' } },
    { method: 'POST', path: '/hook', body: 'two' },
  ])
})

t.test('answers as told, and differently from then on', async (t) => {
  await using receiver = await startReceiver({ answer: (_request, n) => (n === 1 ? 503 : 204) })
  t.equal((await post(receiver.url, '')).status, 503)
  t.equal((await post(receiver.url, '')).status, 204)
  receiver.answerWith(async ({ body }) => ({
    status: 422,
    headers: { 'x-a': 'b' },
    body: body.toUpperCase(),
  }))
  const response = await post(receiver.url, 'why')
  t.equal(response.status, 422)
  t.equal(response.headers.get('x-a'), 'b')
  t.equal(await response.text(), 'WHY')
})

t.test('received resolves when the last one arrives, and at once when all are there', async (t) => {
  await using receiver = await startReceiver()
  const waiting = receiver.received(2)
  await post(receiver.url, '1')
  await post(receiver.url, '2')
  t.equal((await waiting).length, 2)
  t.equal((await receiver.received(1)).length, 2)
})

t.test('received rejects at its bound and tells what came instead', async (t) => {
  await using receiver = await startReceiver()
  await t.rejects(receiver.received(1, 1), { message: /waited 1 ms for 1 requests, got none/ })
  await post(receiver.url, 'only')
  await t.rejects(receiver.received(2, 1), { message: /got 1:\n {2}POST \/hook only/ })
})

t.test('a sender that goes away in the middle is no request', async (t) => {
  await using receiver = await startReceiver()
  const socket = net.connect(receiver.port, '127.0.0.1')
  socket.write('POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 9\r\n\r\nhalf')
  socket.end()
  socket.resume()
  await once(socket, 'close')
  await post(receiver.url, 'whole')
  t.match(await receiver.received(1), [{ body: 'whole' }])
})

t.test('close cuts connections and may be called twice', async (t) => {
  const receiver = await startReceiver()
  await post(receiver.url, '')
  await receiver.close()
  await receiver.close()
  await t.rejects(post(receiver.url, ''))
})

t.test('a raw receiver hands over each connection', async (t) => {
  await using receiver = await startRawReceiver((socket) => socket.end('hello'))
  const socket = net.connect(receiver.port, '127.0.0.1')
  t.equal((await socket.toArray()).join(''), 'hello')
  t.equal(receiver.connections(), 1)
})
