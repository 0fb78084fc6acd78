import { type Attack, type Finding, finding, notTried } from '../attack.ts'
import { describe } from '../client.ts'
import { nameOf, type Operation, pathsWith } from '../document.ts'
import type { Field } from '../field.ts'
import { makeKey } from '../party.ts'

/** Keys that may do one thing, and are used for the others. */
export const scopes: Attack = {
  name: 'scopes',
  about: 'a key that only reads acts, and a key that only publishes reads and acts',
  async *run(field) {
    const { attacker: own } = field
    const keyWith = (scope: string) =>
      makeKey(field, { name: `only ${scope}`, scopes: [scope], tenant: own.name })
    const reader = await keyWith('read')
    const publisher = await keyWith('publish')
    for (const operation of field.operations.filter(({ isPublic }) => !isPublic)) {
      const isPublishing = /^POST \/api\/events/.test(nameOf(operation))
      if (operation.method !== 'GET') yield await tryWith(field, operation, 'reads', reader.key)
      if (!isPublishing) yield await tryWith(field, operation, 'publishes', publisher.key)
    }
    yield* ofOperators(field)
  },
}

/** What operators say of an incident, and the verdict: not for its own tenant, with all scopes. */
async function* ofOperators({ attacker: own }: Field): AsyncGenerator<Finding> {
  if (own.incident === null) return yield notTried('incidents', 'no runner has made one in time')
  const before = await own.snapshot()
  const one = own.path(`/incidents/${own.incident}`)
  const body = { note: 'mine', message: 'mine' }
  for (const [method, path, member] of [
    ...[
      ['POST', `${one}/acknowledge`],
      ['POST', `${one}/note`, 'note'],
      ['POST', `${one}/notify`, 'message'],
    ],
    ['GET', `${own.path('/incidents')}?verdict=theirs`],
  ] as [string, string, keyof typeof body | undefined][]) {
    const answer = await own.send(method, path, member && { body: { [member]: body[member] } })
    yield finding(`${method} ${path} by its tenant`, answer.status === 403, describe(answer))
  }
  const { text } = await own.send('GET', one)
  const isShown = own.secrets.some((secret) => text.includes(secret))
  const held = !isShown && (await own.snapshot()) === before
  yield finding('the incident as its tenant sees it', held, isShown ? 'with the note' : 'as before')
}

/** Operations that change nothing, though they are sent as if they did: a body is the question. */
const READING = /\/match$/

async function tryWith(field: Field, operation: Operation, what: string, key: string) {
  const { attacker: own } = field
  const [path = ''] = pathsWith(operation, own.name, [idFor(operation, field)])
  const before = await own.snapshot()
  const { body, method } = operation
  const answer = await field.send(method, path, { key, body })
  const isRefused = answer.status >= 400 && answer.status < 500
  const isReading = what === 'reads' && READING.test(operation.path) && answer.status < 300
  const held = isRefused || (isReading && (await own.snapshot()) === before)
  const tried = `${nameOf(operation)} with a key that only ${what}`
  return finding(tried, held, describe(answer))
}

/** One that is there, so that it is the scope that is missing. */
function idFor({ path }: Operation, { attacker }: Field): string {
  if (path.includes('/incidents/')) return attacker.incident ?? attacker.endpoint
  if (path.includes('/deliveries/')) return attacker.delivery
  return path.includes('/events/') ? attacker.event : attacker.endpoint
}
