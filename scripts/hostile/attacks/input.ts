import { type Attack, counted, type Finding, finding } from '../attack.ts'
import { type Call, describe } from '../client.ts'
import { isOfTenant, nameOf, type Operation, pathsWith } from '../document.ts'
import type { Field } from '../field.ts'

/** Bodies that break programs, whatever was asked for. */
const BODIES = [
  'null', 'true', '0', '""', '[]', '{}', '{', '{"a":', '\0', '\ufeff{}', '{"a":1}{"a":1}', '{"__proto__":{"a":1}}',
  '{"constructor":{"prototype":{"a":1}}}', '{"a":"\\ud800"}', '{"a":"\\u0000"}', '{"a":1e400}', '[1e131073]',
  `${'['.repeat(50_000)}${']'.repeat(50_000)}`, `{"a":${'{"a":'.repeat(2_000)}1${'}'.repeat(2_001)}`,
  `{${'"a":1,'.repeat(5_000)}"a":1}`, JSON.stringify('x'.repeat(100_000)),
] // biome-ignore format: a list of values

/** In place of each member of the body that is documented. */
const MEMBERS = [
  null, true, 0, -1, 0.5, 1e308, '', '\0', '\ud800', ' ', 'x'.repeat(70_000), [], [[]], {}, { __proto__: null },
  '٣', "'; --", '-infinity', '2026-02-30T00:00:00Z', '9999999-01-01T00:00:00Z',
] // biome-ignore format: a list of values

const IN_PATH = [
  '%00', '%', '%ED%A0%80', '%2F', '%2E%2E', '..', '%0A', '%0d%0ax:y', '-1', 'null', '%D9%A3', 'x'.repeat(5_000), "'--",
  '%27%3B--', '00000000-0000-0000-0000-000000000000', 'ffffffff-ffff-ffff-ffff-ffffffffffff', '*', '{id}', ':id', '$1',
  '__proto__', 'constructor', 'toString',
] // biome-ignore format: a list of values

const TYPES = [
  'text/plain', 'application/json; charset=utf-16', 'multipart/form-data', 'multipart/form-data; boundary=a', ',', '*/*',
  'application/x-www-form-urlencoded', 'application/xml',
] // biome-ignore format: a list of values

/** What is sent to programs to see whether they fall over: a refusal is fine, a fault is not. */
export const input: Attack = {
  name: 'input',
  about: 'bodies, members, parameters and paths that break programs, at every operation',
  async *run(field) {
    for (const operation of field.operations.filter(({ streams }) => !streams)) {
      yield await tryOperation(field, operation)
    }
  },
}

async function tryOperation(field: Field, operation: Operation): Promise<Finding> {
  const requests = [...bodiesFor(field, operation), ...placesFor(field, operation)]
  const answers: string[] = []
  let broken = 0
  for (const { path, ...call } of requests) {
    const answer = await field.attacker.send(operation.method, path, call)
    const held = answer.status > 0 && answer.status < 500
    if (!held) broken += 1
    answers.push(held ? String(answer.status) : `${describe(answer)} to ${shown(path, call)}`)
  }
  return finding(`${nameOf(operation)} with odd input`, broken === 0, counted(answers))
}

const shown = (path: string, { body }: Call): string =>
  `${path.slice(0, 100)} ${JSON.stringify(body ?? '').slice(0, 100)}`

function bodiesFor(field: Field, operation: Operation): (Call & { path: string })[] {
  const path = ownPath(field, operation)
  if (operation.body === undefined) return [{ path }]
  const names = Object.keys(operation.body ?? {})
  const members = names.flatMap((name) =>
    MEMBERS.map((value) => ({ ...(operation.body as object), [name]: value })),
  )
  const types = TYPES.map((type) => ({ 'content-type': type }))
  return [
    ...[...BODIES, ...members].map((body) => ({ path, body })),
    ...types.map((headers) => ({ path, body: operation.body, headers })),
    { path, body: operation.body, headers: { 'content-encoding': 'gzip' } },
    { path, headers: { 'content-type': 'application/json' } },
  ]
}

function placesFor(field: Field, operation: Operation): (Call & { path: string })[] {
  const path = ownPath(field, operation)
  const { body, queryNames } = operation
  const ids = pathsWith(operation, field.attacker.name, IN_PATH)
  const inPath = /\{(?!tenant)/.test(operation.path) ? ids : []
  const tenants = isOfTenant(operation)
    ? IN_PATH.map((odd) => pathsWith(operation, odd, ['x'])[0] ?? path)
    : []
  const queries = queryNames.flatMap((name) =>
    IN_PATH.flatMap((odd) => [`${path}?${name}=${odd}`, `${path}?${name}=1&${name}=${odd}`]),
  )
  return [...inPath, ...tenants, ...queries].map((one) => ({ path: one, body }))
}

/** What takes something away is sent to a tenant that is not there. */
function ownPath({ attacker }: Field, operation: Operation): string {
  const ends = /^DELETE |suspend$/.test(nameOf(operation))
  const tenant = ends ? `${attacker.name}-nobody` : attacker.name
  return pathsWith(operation, tenant, [attacker.endpoint])[0] ?? operation.path
}
