/** Streams of every kind: a reader that goes, in any way, is gone. */
import { once } from 'node:events'
import { connect } from 'node:net'
import t, { type Test } from 'tap'
import { readServerSentEvents } from '../client/server-sent-events.ts'
import { createWork } from '../testing/data/work.ts'
import { untilAnswer } from '../testing/until.ts'
import { createTestDatabase } from '../testing/wiring/database.ts'
import { startEverything, targetsOf } from '../testing/wiring/everything.ts'

const { pool, url: databaseUrl } = await createTestDatabase(t)
/** As many as one tenant may have, and some. */
const MANY = 25

async function bundle(t: Test) {
  const service = await startEverything(t, databaseUrl)
  const { api, url, port, adminKey } = service
  const work = await createWork(pool)
  const { key } = work.tenant
  const streams = [
    [`/api/tenants/${key}/stream`, `authorization: Bearer ${adminKey}`],
    [`/console/live/stream?tenant=${key}`, `cookie: ${await service.signIn()}`],
    ['/portal/live/stream', `cookie: ${await service.enter(key)}`],
  ] as const
  const dial = async () => {
    const socket = connect(port, '127.0.0.1')
    socket.on('error', () => undefined)
    t.teardown(() => socket.destroy())
    await once(socket, 'connect')
    return socket
  }
  const nobodyReads = () =>
    untilAnswer(
      async () => api.services.liveAttempts.readers,
      (readers) => readers === 0,
    )
  /** That a new reader gets the next attempt. */
  const isServed = async (path: string, credential: string) => {
    const [name = '', value = ''] = credential.split(': ')
    const response = await fetch(url + path, { headers: { [name]: value } })
    if (!response.body) throw new Error(`no stream: ${response.status}`)
    const claimed = await work.claim(await work.publish())
    await work.finish(claimed, 200)
    for await (const { event, data } of readServerSentEvents(response.body)) {
      if (event === 'attempt') return data.includes(claimed?.deliveryId ?? 'no delivery')
    }
    return false
  }
  return { ...service, streams, dial, nobodyReads, isServed, work }
}

t.test('a HEAD is answered, and opens nothing', async (t) => {
  const { url, streams, api, isServed } = await bundle(t)
  for (const [path, credential] of streams) {
    const [name = '', value = ''] = credential.split(': ')
    for (let n = 1; n <= MANY; n++) {
      const { status, headers } = await fetch(url + path, {
        method: 'HEAD',
        headers: { [name]: value },
      })
      t.equal(status, 200, `${path} ${n}`)
      t.match(headers.get('content-type'), /^text\/event-stream/)
    }
    t.equal(api.services.liveAttempts.readers, 0, path)
    t.ok(await isServed(path, credential), path)
  }
  const [path] = streams[0]
  t.equal((await fetch(url + path, { method: 'HEAD' })).status, 401, 'a key is asked for')
  t.equal((await fetch(`${url}/portal/live/stream`, { method: 'HEAD' })).status, 401)
})

t.test('no HEAD of any route leaves a reader behind', async (t) => {
  const { app, url, api, adminKey, signIn, work } = await bundle(t)
  const headers = { authorization: `Bearer ${adminKey}`, cookie: await signIn() }
  for (const { method, path } of targetsOf(app)) {
    if (method !== 'HEAD') continue
    const own = path.replace('/tenants/x', `/tenants/${work.tenant.key}`)
    await fetch(url + own, { method, headers, redirect: 'manual' })
  }
  t.equal(api.services.liveAttempts.readers, 0)
})

t.test('readers that were abandoned are over', async (t) => {
  const { streams, dial, nobodyReads, isServed, api, url } = await bundle(t)
  for (const [path, credential] of streams) {
    const request = `GET ${path} HTTP/1.1\r\nhost: a\r\n${credential}\r\n\r\n`
    const asked = await Promise.all(
      Array.from({ length: MANY }, async () => {
        const socket = await dial()
        socket.write(request)
        return socket
      }),
    )
    await Promise.all(asked.slice(0, 10).map((socket) => once(socket, 'readable')))
    t.ok(api.services.liveAttempts.readers >= 10)
    const metrics = await (await fetch(`${url}/metrics`)).text()
    t.match(metrics, /^postrider_streams [1-9]\d?$/m)
    for (const [n, socket] of asked.entries()) {
      // Politely, in the middle of a message, or before it was answered.
      if (n % 2 === 0) socket.end()
      else socket.resetAndDestroy()
    }
    await nobodyReads()
    t.ok(await isServed(path, credential), path)
    await nobodyReads()
  }
  t.match(await (await fetch(`${url}/metrics`)).text(), /^postrider_streams 0$/m)
})
