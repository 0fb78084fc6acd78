import { type Attack, counted, type Finding, finding } from '../attack.ts'
import { createClient, describe } from '../client.ts'
import { hasId, isOfTenant, nameOf, type Operation, pathsWith } from '../document.ts'
import type { Field } from '../field.ts'

const AT_ONCE = 150
/** It takes some milliseconds; on a busy machine more, and never as long as those who wait. */
const NEIGHBOUR_MS_MAX = 5_000

/** One key that asks for a lot at once, while another asks for a little. */
export const heavyReads: Attack = {
  name: 'heavy reads',
  about: 'lists and searches by the hundred, while another tenant looks at one thing',
  async *run(field) {
    for (const list of field.operations.filter(isHeavy)) yield await tryList(field, list)
  },
}

/** Lists, and what counts or matches and is sent as a body. */
const isHeavy = (one: Operation): boolean => {
  if (!isOfTenant(one) || hasId(one) || one.streams) return false
  return one.method === 'GET' || bodyOf(one) !== undefined
}

/** Of what only asks; previews of all that there is. */
function bodyOf({ method, path, body }: Operation): object | undefined {
  if (method !== 'POST' || typeof body !== 'object' || !body) return undefined
  if (path.endsWith('/match')) return body
  if (!('preview' in body)) return undefined
  const all = Object.entries(body).filter(([name]) => ['action', 'since'].includes(name))
  return { ...Object.fromEntries(all), preview: true }
}

async function tryList(field: Field, list: Operation): Promise<Finding> {
  const { attacker, victim, target, signal } = field
  // On its own connection: what waits for those of the attacker waits in here, not in the service.
  const { send } = createClient(target, signal)
  const [path = ''] = pathsWith(list, attacker.name, [])
  const query = list.queryNames.includes('search') ? '?search=%25_nowhere' : ''
  const storm = Promise.all(
    Array.from({ length: AT_ONCE }, () =>
      attacker.send(list.method, path + query, { body: bodyOf(list) }),
    ),
  )
  const startedAt = performance.now()
  const small = victim.path(`/endpoints/${victim.endpoint}`)
  const little = send('GET', small, { key: victim.key }).then((answer) => ({
    answer,
    ms: Math.round(performance.now() - startedAt),
  }))
  const [answers, { answer: neighbour, ms }] = await Promise.all([storm, little])
  const fine = answers.every(
    ({ status, headers }) => status < 429 || (status === 429 && headers['retry-after']),
  )
  const held = fine && neighbour.status === 200 && ms <= NEIGHBOUR_MS_MAX
  const answer = `${counted(answers.map(describe))}; the neighbour ${describe(neighbour)} in ${ms} ms`
  return finding(`${AT_ONCE} times ${nameOf(list)} at once`, held, answer)
}
