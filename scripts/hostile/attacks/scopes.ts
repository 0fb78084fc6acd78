import { type Attack, finding } from '../attack.ts'
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
  },
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
  if (path.includes('/deliveries/')) return attacker.delivery
  return path.includes('/events/') ? attacker.event : attacker.endpoint
}
