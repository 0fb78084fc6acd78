import type { Socket } from 'node:net'
import { filesIn } from '../areas.ts'
import { type Attack, type Finding, finding } from '../attack.ts'
import { pathsWith } from '../document.ts'
import type { Field } from '../field.ts'
import { dial, statusesIn } from '../raw.ts'

const FLOOD_BYTES = 1_000_000_000
/** The largest body that is taken (8 MiB, of a batch), and what sockets hold on both sides. */
const TAKEN_BYTES_MAX = 64 * 1_048_576
const PIECE = 'a'.repeat(65_536)
const AT_ONCE = 50

const FRAMINGS = [
  ['with its length', `content-length: ${FLOOD_BYTES}`, PIECE],
  ['in chunks', 'transfer-encoding: chunked', `10000\r\n${PIECE}\r\n`],
] as const

/** Not in the document of the API. */
const OTHERS = ['GET /', 'POST /', 'PUT /nowhere', 'GET /openapi.json', 'GET /docs']
const OF_PAGES = [
  'POST /console/sign-in', 'POST /console/sign-out', 'GET /console', 'POST /portal/sign-out',
  'GET /portal/open', 'GET /portal/endpoints', 'POST /sandbox/in/x', 'DELETE /sandbox',
] // biome-ignore format: a list of routes

/** Bodies without an end at every route, from somebody without a key and from somebody with one. */
export const bodies: Attack = {
  name: 'bodies',
  about: 'bodies of a gigabyte at every route, with a length and in chunks',
  async *run(field) {
    const routes = await routesOf(field)
    const floods = routes.flatMap((route) =>
      FRAMINGS.flatMap((framing) => [
        () => flood(field, route, framing, null),
        () => flood(field, route, framing, field.attacker.key),
      ]),
    )
    for (let from = 0; from < floods.length; from += AT_ONCE) {
      const some = floods.slice(from, from + AT_ONCE)
      yield* await Promise.all(some.map((start) => start()))
    }
    const { status } = await field.send('GET', '/live')
    yield finding('the service afterwards', status === 200, String(status))
  },
}

async function routesOf(field: Field): Promise<string[]> {
  const { attacker, operations } = field
  const documented = operations.map((operation) => {
    const [path] = pathsWith(operation, attacker.name, [attacker.endpoint])
    return `${operation.method} ${path}`
  })
  const areas = await field.areas()
  const forms = areas.flatMap(({ actions }) => actions.map((path) => `POST ${path}`))
  const files = new Set([...areas.flatMap(({ files }) => files), ...(await filesOfDocs(field))])
  const shown = [...files].map((path) => `GET ${path}`)
  return [...new Set([...documented, ...OTHERS, ...OF_PAGES, ...forms, ...shown])]
}

const filesOfDocs = async ({ send }: Field): Promise<string[]> =>
  filesIn((await send('GET', '/docs')).text)

async function flood(
  { target, signal }: Field,
  route: string,
  [how, framing, piece]: (typeof FRAMINGS)[number],
  key: string | null,
): Promise<Finding> {
  const tried = `${route} ${how}, ${key === null ? 'without a key' : 'with a key'}`
  const socket = dial(target, signal)
  let answer = ''
  socket.on('data', (bytes) => {
    answer += bytes.toString('latin1').slice(0, 100)
  })
  const authorization = key === null ? [] : [`authorization: Bearer ${key}`]
  const head = [`${route} HTTP/1.1`, `host: ${target.host}`, framing, ...authorization]
  socket.write(`${head.join('\r\n')}\r\ncontent-type: ${typeFor(route)}\r\n\r\n`)
  const sent = await write(socket, piece)
  const cut = socket.destroyed
  socket.destroy()
  const [status] = statusesIn(answer)
  // Who goes on sending may see the connection cut before the answer.
  const said = how === 'in chunks' ? (status ?? 0) < 500 : status === undefined || status === 413
  const megabytes = (sent / 1_048_576).toFixed(1)
  return finding(tried, cut && said, `${status ?? 'cut off'} after at most ${megabytes} MB`)
}

/** Writes until enough is taken, or nothing more is; resolves with the bytes. */
async function write(socket: Socket, piece: string): Promise<number> {
  let wake: () => void = () => undefined
  const tellOf = () => wake()
  socket.on('drain', tellOf)
  socket.once('close', tellOf)
  let sent = 0
  for (; sent < TAKEN_BYTES_MAX && !socket.destroyed; sent += piece.length) {
    const taken = new Promise<void>((resolve) => {
      wake = resolve
    })
    if (!socket.write(piece)) await taken
  }
  return sent
}

const typeFor = (route: string): string =>
  route.includes(' /api') ? 'application/json' : 'application/x-www-form-urlencoded'
