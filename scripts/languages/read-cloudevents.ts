import { execFileSync } from 'node:child_process'
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { isDeepStrictEqual } from 'node:util'
import type { Surroundings } from './try-recipe.ts'
import { pipInstall } from './ways.ts'

const PACKAGE = 'cloudevents==2.2.0'
const BUILD_MS_MAX = 600_000
const DATA = { amount: 1.5, text: 'é' }
const PROGRAM = `import base64, json, sys
from cloudevents.core.bindings.http import HTTPMessage, from_http_event
headers, body = json.load(sys.stdin)
event = from_http_event(HTTPMessage(headers, base64.b64decode(body)))
data = event.get_data()
if isinstance(data, bytes):
    data = json.loads(data)
print(json.dumps([event.get_specversion(), event.get_id(), event.get_type(), data]))
`

/** Has Python's package of CloudEvents read requests in both shapes. Returns what is wrong. */
export async function readCloudEvents(surroundings: Surroundings): Promise<string[]> {
  const cwd = install(surroundings.folder)
  const wrong: string[] = []
  for (const shape of ['cloudevents', 'cloudevents-binary']) {
    const { id, headers, body } = await sentIn(surroundings, shape)
    const input = JSON.stringify([headers, Buffer.from(body).toString('base64')])
    const read = execFileSync('python3', ['-c', PROGRAM], {
      ...{ cwd, input, encoding: 'utf8' },
      env: { ...process.env, PYTHONPATH: 'libraries' },
    })
    const isRight = isDeepStrictEqual(JSON.parse(read), ['1.0', id, 'invoice.paid', DATA])
    if (!isRight) wrong.push(`${shape}: read as ${read.trim()}`)
  }
  return wrong
}

/** @returns the folder that has the package */
function install(base: string): string {
  const folder = join(base, 'cloudevents')
  mkdirSync(folder, { recursive: true })
  const [program = '', ...args] = pipInstall([PACKAGE])
  execFileSync(program, args, { cwd: folder, timeout: BUILD_MS_MAX, stdio: 'pipe' })
  return folder
}

/** The request of an event. The endpoint has its usual shape again afterwards. */
async function sentIn({ pool, receiver }: Surroundings, shape: string) {
  const setShape = (name: string) => pool.query('update postrider.endpoint set shape = $1', [name])
  const seen = receiver.requests.length
  await setShape(shape)
  const { rows } = await pool.query<{ id: string }>('select postrider.publish($1, $2, $3) as id', [
    ...['acme', 'invoice.paid', JSON.stringify(DATA)],
  ])
  const request = (await receiver.received(seen + 1)).at(-1)
  await setShape('standard')
  return { id: rows[0]?.id, headers: request?.headers, body: request?.body ?? '' }
}
