import { type Attack, counted, finding } from '../attack.ts'
import { type Call, describe } from '../client.ts'
import { isOfTenant, nameOf, pathsWith } from '../document.ts'
import type { Field } from '../field.ts'

/** A client that has no key, and shows one in every way that is none. */
export const strangers: Attack = {
  name: 'strangers',
  about: 'every operation without a key, and with one where none is looked for',
  async *run(field) {
    const { victim, operations } = field
    for (const operation of operations.filter(({ isPublic }) => !isPublic)) {
      const [path = ''] = pathsWith(operation, victim.name, [victim.endpoint])
      const answers: string[] = []
      let held = true
      for (const { query = '', ...call } of disguises(field)) {
        const { body, method } = operation
        const answer = await field.send(method, path + query, { body, ...call })
        held &&= answer.status === 401 && !answer.text.includes(victim.endpoint)
        answers.push(describe(answer))
      }
      const tried = `${nameOf(operation)} without a key${isOfTenant(operation) ? ' of the tenant' : ''}`
      yield finding(tried, held, counted(answers))
    }
    yield await shownToStrangers(field)
  },
}

/** Where people have looked for keys, and this service does not. */
function disguises({ attacker: { key } }: Field): (Call & { query?: string })[] {
  const authorization = (value: string) => ({ headers: { authorization: value } })
  return [
    {},
    authorization(''),
    authorization('Bearer'),
    authorization(`Bearer ${key} ${key}`),
    authorization(`Bearer ${'x'.repeat(300)}`),
    authorization(`Basic ${Buffer.from(`${key}:`).toString('base64')}`),
    authorization(key),
    { headers: { 'x-api-key': key } },
    { headers: { 'x-original-url': '/live', 'x-rewrite-url': '/live' } },
    { headers: { 'x-forwarded-for': '127.0.0.1', 'x-forwarded-user': 'admin' } },
    { cookie: `key=${key}; postrider_console=${key}` },
    { query: `?key=${key}` },
    { query: `?access_token=${key}` },
  ]
}

/** What needs no key tells nothing of anybody. */
async function shownToStrangers({ send, victim, attacker, operations }: Field) {
  const open = operations.filter(({ isPublic, method }) => isPublic && method === 'GET')
  const paths = [...open.map(({ path }) => path), '/openapi.json', '/docs', '/', '/console/sign-in']
  const shown: string[] = []
  for (const path of paths) {
    const { text } = await send('GET', path)
    const all = [victim, attacker].flatMap(({ name, ids, secrets }) => [name, ...ids, ...secrets])
    if (all.some((one) => text.includes(one))) shown.push(path)
  }
  const answer = shown.length === 0 ? 'nothing of a tenant' : shown.join(', ')
  return finding(`what ${paths.length} pages show without a key`, shown.length === 0, answer)
}
