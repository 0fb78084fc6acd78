import { once } from 'node:events'
import { connect } from 'node:net'
import { Hono } from 'hono'
import t from 'tap'
import { answerError } from '../problem.ts'
import { readJsonBody } from './request-body.ts'
import { startHttp } from './start-http.ts'

/** A real server that answers with the body it has read; `failed` is what went wrong for good. */
async function bundle(t: { teardown(done: () => Promise<void>): void }) {
  const failed: Error[] = []
  const ended = Promise.withResolvers<void>()
  const app = new Hono().post('/', async (c) =>
    c.json((await readJsonBody(c, 100)).value as object),
  )
  app.onError((error, c) => {
    const { response, isOurFault } = answerError(c, error)
    if (isOurFault) failed.push(error)
    ended.resolve()
    return response
  })
  const http = await startHttp({ app, host: '127.0.0.1', port: 0 })
  t.teardown(() => http.stop())
  const post = (body: string | ReadableStream) =>
    fetch(http.url, {
      method: 'POST',
      body,
      duplex: 'half',
      headers: { 'content-type': 'application/json' },
    } as RequestInit)
  return { http, post, failed, ended: ended.promise }
}

const chunked = (...chunks: string[]) =>
  ReadableStream.from(chunks.map((text) => Buffer.from(text)))

t.test('reads a body of known length, and one that comes in chunks', async (t) => {
  const { post } = await bundle(t)
  t.strictSame(await (await post('{"a":"ä"}')).json(), { a: 'ä' })
  const cutInACharacter = Buffer.from('{"a":"ä"}')
  const stream = ReadableStream.from([cutInACharacter.subarray(0, 7), cutInACharacter.subarray(7)])
  t.strictSame(await (await post(stream)).json(), { a: 'ä' })
})

t.test('bounds both, to the byte', async (t) => {
  const { post } = await bundle(t)
  const text = (bytes: number) => JSON.stringify('x'.repeat(bytes - 2))
  for (const [bytes, status] of [
    [100, 200],
    [101, 413],
  ] as const) {
    t.equal((await post(text(bytes))).status, status, `${bytes} announced`)
    const half = text(bytes).length / 2
    const halves = chunked(text(bytes).slice(0, half), text(bytes).slice(half))
    t.equal((await post(halves)).status, status, `${bytes} in chunks`)
  }
})

t.test('a client that goes away in the middle is no fault of ours', async (t) => {
  for (const framing of ['content-length: 50', 'transfer-encoding: chunked']) {
    const { http, failed, ended } = await bundle(t)
    const socket = connect(http.port, '127.0.0.1')
    await once(socket, 'connect')
    socket.write(
      `POST / HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\n${framing}\r\n\r\n5\r\n`,
    )
    socket.end()
    await ended
    t.strictSame(failed, [], framing)
  }
})
