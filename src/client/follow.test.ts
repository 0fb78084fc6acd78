import { once } from 'node:events'
import { createServer, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import t, { type Test } from 'tap'
import { createWork } from '../testing/data/work.ts'
import { ADMIN_KEY, createTestApi } from '../testing/wiring/api.ts'
import { createTestDatabase } from '../testing/wiring/database.ts'
import { type FollowOptions, Postrider, type PostriderError } from './client.ts'

const { pool } = await createTestDatabase(t)

/** A server that answers each connection with the next step, and the last one again and again. */
async function script(
  t: Test,
  steps: ((response: ServerResponse) => void)[],
  options: Partial<FollowOptions> = {},
) {
  const cursors: (string | undefined)[] = []
  const server = createServer((request, response) => {
    cursors.push(request.headers['last-event-id'] as string | undefined)
    steps[Math.min(cursors.length, steps.length) - 1]?.(response)
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const leaving = new AbortController()
  t.teardown(() => {
    leaving.abort()
    server.closeAllConnections()
    server.close()
  })
  const { port } = server.address() as AddressInfo
  const postrider = new Postrider({ url: `http://127.0.0.1:${port}`, apiKey: 'a' })
  const attempts = postrider.follow({ tenant: 'a', signal: leaving.signal, ...options })
  const next = async () => (await attempts.next()).value?.attempt.id
  return { next, cursors, leave: () => leaving.abort() }
}

const told = (id: string, cursor: string) =>
  `event: attempt\ndata: {"attempt":{"id":"${id}"}}\nid: ${cursor}\n\n`
const stream =
  (text: string, isEnd = true) =>
  (response: ServerResponse) => {
    response.writeHead(200, { 'content-type': 'text/event-stream' })
    isEnd ? response.end(text) : response.write(text)
  }
const refused = (status: number, code: string) => (response: ServerResponse) =>
  response.writeHead(status).end(JSON.stringify({ code, detail: 'no', errors: [] }))

t.test('goes on after a loss from where it was, and tells nothing twice', async (t) => {
  const lost: string[] = []
  const { next, cursors } = await script(
    t,
    [
      stream(told('1', 'c1') + told('2', 'c2')),
      refused(503, 'database_unavailable'),
      stream(`: here\nid: c3\n\n`),
      stream(told('2', 'c2') + told('3', 'c4'), false),
    ],
    { onLost: ({ code }) => lost.push(code) },
  )
  t.strictSame([await next(), await next(), await next()], ['1', '2', '3'])
  t.strictSame(cursors, [undefined, 'c2', 'c2', 'c3'])
  t.strictSame(lost, ['unreachable', 'database_unavailable', 'unreachable'])
})

t.test('says when it is open, and that there is a gap', async (t) => {
  const said: string[] = []
  const { next, cursors } = await script(
    t,
    [stream(`event: gap\ndata: {}\n\n${told('1', 'c1')}`, false)],
    { after: 'c0', onOpen: () => said.push('open'), onGap: () => said.push('gap') },
  )
  await next()
  t.strictSame(said, ['open', 'gap'])
  t.strictSame(cursors, ['c0'])
})

t.test('a refusal ends it, at first and later', async (t) => {
  const early = await script(t, [refused(404, 'tenant_not_found')])
  await t.rejects(early.next(), { code: 'tenant_not_found', status: 404 } as PostriderError)
  const late = await script(t, [stream(told('1', 'c1')), refused(401, 'unauthenticated')])
  await late.next()
  await t.rejects(late.next(), { code: 'unauthenticated' })
})

t.test('what cannot be reached at first is an error', async (t) => {
  const postrider = new Postrider({ url: 'http://127.0.0.1:1', apiKey: 'a' })
  await t.rejects(postrider.follow({ tenant: 'a' }).next(), { code: 'unreachable', status: null })
})

t.test('ends with the signal, without an error', async (t) => {
  const { next, leave } = await script(t, [stream(told('1', 'c1'), false)])
  await next()
  const end = next()
  leave()
  t.equal(await end, undefined)
})

t.test('follows the real API, with the types of the document', async (t) => {
  const { app } = createTestApi(pool)
  const work = await createWork(pool)
  const fetch = async (url: string, init: RequestInit) => app.request(url, init)
  const postrider = new Postrider({ url: 'http://api.test', apiKey: ADMIN_KEY, fetch })
  const leaving = new AbortController()
  const open = Promise.withResolvers<void>()
  const attempts = postrider.follow({
    tenant: work.tenant.key,
    outcome: 'delivered',
    include: 'request',
    signal: leaving.signal,
    onOpen: open.resolve,
  })
  const first = attempts.next()
  await open.promise
  await work.finish(await work.claim(await work.publish()), 200)
  const { value } = await first
  t.equal(value?.event?.type, 'invoice.paid')
  t.match(value?.request?.body, /^\{"type":"invoice.paid"/)
  leaving.abort()
  await attempts.return()
})
