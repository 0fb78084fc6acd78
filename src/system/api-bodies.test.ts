/**
 * Bodies that are too large, sent to every route there is: what takes requests is put together as `postrider dev`
 * does, and asked for its table of routes, so that a route that is added is tried as well.
 */
import diagnostics from 'node:diagnostics_channel'
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import t, { type Test } from 'tap'
import { createMetrics } from '../metrics.ts'
import { startProbes } from '../runner/probes.ts'
import { createBodyBounds } from '../service/body-bounds.ts'
import { createStartingApp, listen } from '../service/listen.ts'
import { isLong } from '../testing/long.ts'
import { createTestDatabase } from '../testing/wiring/database.ts'
import { startEverything, type Target, targetsOf } from '../testing/wiring/everything.ts'

/** Node takes so much from a socket at once, and the head of a request goes along. */
const READ_AT_ONCE = 65_536 + 2_000
const FLOOD_BYTES = 200_000_000
const PIECE = 'a'.repeat(65_536)

/** In a short run these are flooded, in a long one all. */
const OF_EACH_KIND = ['/api/events', '/console/sign-in', '/portal/sign-out', '/sandbox/in/x']

const { url: databaseUrl } = await createTestDatabase(t)

/** The sockets of servers in this process, in the order in which they were accepted. */
function watchSockets(t: Test) {
  const accepted = new Map<number, Socket>()
  const note = (message: unknown) => {
    const { socket } = message as { socket: Socket }
    if (socket.remotePort !== undefined) accepted.set(socket.remotePort, socket)
  }
  diagnostics.subscribe('net.server.socket', note)
  t.teardown(() => diagnostics.unsubscribe('net.server.socket', note))
  return { of: (client: number) => accepted.get(client)?.bytesRead ?? Number.NaN }
}

/** Sends a body without an end, as fast as it is taken, until the connection is over. */
async function flood(port: number, { method, path }: Target, headers: string[], piece: string) {
  const socket = connect(port, '127.0.0.1')
  await once(socket, 'connect')
  const client = socket.localPort ?? 0
  let answer = ''
  socket.on('error', () => undefined)
  socket.on('data', (bytes) => {
    answer += bytes
  })
  const closed = new Promise((resolve) => socket.once('close', resolve))
  socket.write(`${[`${method} ${path} HTTP/1.1`, 'host: a', ...headers].join('\r\n')}\r\n\r\n`)
  for (let sent = 0; sent < FLOOD_BYTES && !socket.destroyed; sent += piece.length) {
    if (socket.write(piece)) continue
    await Promise.race([new Promise((resolve) => socket.once('drain', resolve)), closed])
  }
  await closed
  return { client, status: Number(/^HTTP\/1\.1 (\d{3}) /.exec(answer)?.[1] ?? 0) }
}

const FRAMINGS = [
  ['with its length', `content-length: ${FLOOD_BYTES}`, PIECE],
  ['in chunks', 'transfer-encoding: chunked', `10000\r\n${PIECE}\r\n`],
] as const

async function inGroups<T>(all: readonly T[], run: (one: T) => Promise<void>): Promise<void> {
  for (let from = 0; from < all.length; from += 50) {
    await Promise.all(all.slice(from, from + 50).map(run))
  }
}

t.test('of no body more is read than its route may take', async (t) => {
  const service = await startEverything(t, databaseUrl, { EVENT_CATALOG: 'true' })
  const { app, port, url, adminKey, config } = service
  const all = targetsOf(app)
  t.ok(all.length > 150, `${all.length} routes`)
  for (const path of OF_EACH_KIND) {
    t.ok(
      all.some((target) => target.method === 'POST' && target.path === path),
      path,
    )
  }
  const targets = isLong ? all : all.filter(({ path }) => OF_EACH_KIND.includes(path))
  const cookie = await service.signIn()
  const callers = [
    ['a stranger', []],
    ['the admin', [`authorization: Bearer ${adminKey}`, `cookie: ${cookie}`, `origin: ${url}`]],
  ] as const
  const bytesMaxOf = createBodyBounds(config)
  for (const [how, framing, piece] of FRAMINGS) {
    for (const [who, credentials] of callers) {
      const read = watchSockets(t)
      await inGroups(targets, async (target) => {
        const name = `${target.method} ${target.path} ${how} from ${who}`
        const type = target.path.startsWith('/api')
          ? 'application/json'
          : 'application/x-www-form-urlencoded'
        const headers = [framing, `content-type: ${type}`, ...credentials]
        const { client, status } = await flood(port, target, headers, piece)
        if (how === 'with its length') t.equal(status, 413, name)
        const bytes = read.of(client)
        const most = bytesMaxOf(target) * 1.001 + 2 * READ_AT_ONCE
        if (!(bytes <= most)) t.fail(`${name}: ${bytes} bytes`)
      })
    }
  }
  t.equal((await fetch(`${url}/live`)).status, 200)
})

t.test('nor while a service is starting, nor by the probes of a runner', async (t) => {
  const eventBytesMax = 262_144
  const starting = await listen({ host: '127.0.0.1', port: 0, eventBytesMax }, createStartingApp())
  t.teardown(() => starting.stop())
  const probes = await startProbes({
    host: '127.0.0.1',
    port: 0,
    ready: async () => ({ ready: true, checks: {} }),
    metrics: createMetrics({ version: '0.0.0' }),
  })
  t.teardown(() => probes.stop())
  const read = watchSockets(t)
  const cases = [starting.port, Number(new URL(probes.url).port)].flatMap((port) =>
    FRAMINGS.flatMap((framing) =>
      ['GET', 'HEAD', 'POST', 'DELETE'].flatMap((method) =>
        ['/live', '/ready', '/metrics', '/console/sign-in', '/nowhere'].map((path) => {
          return { port, framing, target: { method, path } }
        }),
      ),
    ),
  )
  await inGroups(cases, async ({ port, framing: [how, header, piece], target }) => {
    const { client, status } = await flood(port, target, [header], piece)
    const name = `${target.method} ${target.path} ${how}`
    if (how === 'with its length') t.equal(status, 413, name)
    t.ok(read.of(client) <= 131_072 * 1.001 + 2 * READ_AT_ONCE, name)
  })
})

t.test('what a route may take is bounded, by what is sent to it', async (t) => {
  const bytesMaxOf = createBodyBounds({ eventBytesMax: 1_000_000 })
  for (const [method, path, bytesMax] of [
    ['POST', '/api/events', 1_004_096],
    ['POST', '/api/events/batch', 8_388_608],
    ['POST', '/api/v1/app/a/msg', 1_016_384],
    ['POST', '/api/v1/app/a/msg/', 1_016_384],
    ['POST', '/api/v1/app/a/msg/b/endpoint/c/resend', 131_072],
    ['POST', '/api/tenants/a/endpoints/match', 1_131_072],
    ['POST', '/api/tenants/a/endpoints/b/match', 1_131_072],
    ['POST', '/api/tenants/a/endpoints', 131_072],
    ['PUT', '/api/event-types/a', 131_072],
    ['GET', '/api/events', 131_072],
    ['DELETE', '/api/events', 131_072],
    ['POST', '/console/sign-in', 16_384],
    ['POST', '/console/event-types', 524_288],
    ['POST', '/portal/endpoints/new', 524_288],
    ['GET', '/console/sign-in', 131_072],
    ['POST', '/sandbox/in/a', 1_004_096],
    ['POST', '/sandbox', 131_072],
    ['GET', '/live', 131_072],
    ['POST', '/nowhere', 131_072],
  ] as const) {
    t.equal(bytesMaxOf({ method, path }), bytesMax, `${method} ${path}`)
  }
})
