import { type Attack, counted, type Finding, finding } from '../attack.ts'
import { type Answer, type Call, describe } from '../client.ts'
import { hasId, isOfTenant, nameOf, type Operation, pathsWith } from '../document.ts'
import type { Field } from '../field.ts'

/** A tenant with every scope for itself, who knows every id of another one. */
export const foreignIds: Attack = {
  name: 'foreign ids',
  about: 'every operation by a tenant who knows the ids of another: in paths, bodies, parameters',
  async *run(field) {
    const before = await field.victim.snapshot()
    for (const way of [byPath, byIdsBelowOwnPath, byIdsInBodies, byParameters, byWhatIsNoTenants]) {
      yield* way(field)
    }
    const same = (await field.victim.snapshot()) === before
    yield finding('what the other tenant has is as before', same, same ? 'it is' : 'it has changed')
  },
}

async function* byPath(field: Field): AsyncGenerator<Finding> {
  const { victim } = field
  for (const operation of field.operations.filter(isOfTenant)) {
    const paths = pathsWith(operation, victim.name, victim.ids)
    const isRefused = ({ status }: Answer) => [401, 403, 404].includes(status)
    yield await tryAll(field, operation, 'of the other tenant', paths, isRefused)
  }
}

async function* byIdsBelowOwnPath(field: Field): AsyncGenerator<Finding> {
  const { attacker, victim } = field
  for (const operation of field.operations.filter((one) => isOfTenant(one) && hasId(one))) {
    const paths = pathsWith(operation, attacker.name, victim.ids)
    yield await tryAll(field, operation, 'with its ids below the own path', paths, isClientError)
  }
}

async function* byIdsInBodies(field: Field): AsyncGenerator<Finding> {
  const { attacker, victim } = field
  for (const operation of field.operations.filter(isOfTenant)) {
    const [path = ''] = pathsWith(operation, attacker.name, [attacker.endpoint])
    for (const [member, bodyWith] of membersWithId(operation.body)) {
      const calls = victim.ids.map((id): [string, Call] => [path, { body: bodyWith(id) }])
      const how = `with its ids as ${member} of the body`
      // Nothing may match; that nothing was done is seen by what the other tenant has.
      yield await tryAll(field, operation, how, calls, isNoFault)
    }
  }
}

const UUID = /"[0-9a-f]{8}-[0-9a-f-]{27}"/g

/** Members of an example that are ids, each with what makes the body with this one in it and no other. */
function membersWithId(example: unknown): [member: string, bodyWith: (id: string) => unknown][] {
  const members = Object.entries(example ?? {})
  const hasOne = (value: unknown) => JSON.stringify(value).search(UUID) !== -1
  const others = Object.fromEntries(members.filter(([, value]) => !hasOne(value)))
  return members
    .filter(([, value]) => hasOne(value))
    .map(([name, value]) => [
      name,
      (id) => ({ ...others, [name]: JSON.parse(JSON.stringify(value).replace(UUID, `"${id}"`)) }),
    ])
}

async function* byParameters(field: Field): AsyncGenerator<Finding> {
  const { attacker, victim } = field
  const values = [victim.name, `${victim.name}.made`, ...victim.ids]
  for (const operation of field.operations.filter((one) => isOfTenant(one) && !one.streams)) {
    const [path] = pathsWith(operation, attacker.name, attacker.ids)
    const paths = operation.queryNames.flatMap((name) =>
      values.map((value) => `${path}?${name}=${value}`),
    )
    if (paths.length === 0) continue
    yield await tryAll(field, operation, 'with its ids as parameters', paths, isNoFault)
  }
}

/** Operations about no tenant in particular: keys, event types, publishing. */
async function* byWhatIsNoTenants(field: Field): AsyncGenerator<Finding> {
  const { victim } = field
  for (const operation of field.operations.filter((one) => !isOfTenant(one) && !one.isPublic)) {
    const paths = pathsWith(operation, '', [...victim.ids, victim.name])
    const isFine = operation.method === 'GET' ? isNoFault : isClientError
    yield await tryAll(field, operation, 'naming the other tenant', paths, isFine, {
      body: naming(victim.name, operation.body),
    })
  }
}

const isClientError = ({ status }: Answer) => status >= 400 && status < 500
const isNoFault = ({ status }: Answer) => status > 0 && status < 500

/** Sends the operation to each of the paths as the attacker, and looks for what is the victim's in the answers. */
async function tryAll(
  { attacker, victim }: Field,
  operation: Operation,
  how: string,
  tries: readonly (string | [path: string, call: Call])[],
  isFine: (answer: Answer) => boolean,
  every: Call = {},
): Promise<Finding> {
  const answers: string[] = []
  let held = true
  for (const one of tries) {
    const [path, call] = typeof one === 'string' ? [one, every] : one
    const sent = { body: operation.body, ...call }
    const answer = await attacker.send(operation.method, path, sent)
    // What the attacker says himself may come back.
    const said = `${path} ${JSON.stringify(sent.body ?? '')}`
    const whole = `${answer.text} ${JSON.stringify(answer.headers)}`
    const leaked = [victim.name, ...victim.ids, ...victim.secrets].filter(
      (text) => whole.includes(text) && !said.includes(text),
    )
    held &&= isFine(answer) && leaked.length === 0
    answers.push(describe(answer) + (leaked.length > 0 ? ` with ${leaked[0]}` : ''))
  }
  return finding(`${nameOf(operation)} ${how}`, held, counted(answers))
}

/** The example with the tenant wherever one can be named. */
function naming(tenant: string, example: unknown): unknown {
  if (example === undefined) return undefined
  return JSON.parse(JSON.stringify(example, (name, value) => (name === 'tenant' ? tenant : value)))
}
