import { setTimeout as pause } from 'node:timers/promises'
import { enterPortal } from '../areas.ts'
import { type Attack, type Finding, finding, notTried } from '../attack.ts'
import { type Call, describe } from '../client.ts'
import type { Field } from '../field.ts'
import { makeKey } from '../party.ts'

/** The service says: within five seconds. */
const REVOKED_MS_MAX = 10_000

/** Links to the portal that give more than their maker has, or outlive it. */
export const links: Attack = {
  name: 'links',
  about: 'links to the portal by keys of less, and after the key that made them was revoked',
  async *run(field) {
    for (const scopes of [['publish'], ['read'], ['manage']]) yield* tryScopes(field, scopes)
    yield* afterItsKey(field)
  },
}

async function* tryScopes(field: Field, scopes: string[]): AsyncGenerator<Finding> {
  const { attacker: own } = field
  const { key } = await makeKey(field, { name: scopes.join(), scopes, tenant: own.name })
  for (const access of ['read', 'manage']) {
    const answer = await field.send('POST', own.path('/portal-links'), { key, body: { access } })
    const tried = `a link with access ${access}, made with the scope ${scopes.join()}`
    yield finding(tried, answer.status === 403, describe(answer))
  }
}

async function* afterItsKey(field: Field): AsyncGenerator<Finding> {
  const { attacker: own, keeper, adminKey, signal } = field
  const scopes = ['read', 'manage']
  const { id, key } = await makeKey(field, { name: 'makes links', scopes, tenant: own.name })
  const maker = {
    path: own.path,
    send: (method: string, path: string, call?: Call) => field.send(method, path, { key, ...call }),
  }
  const cookie = await enterPortal(field, maker)
  const tried = 'a session of a link whose key was revoked'
  if (cookie === null) return yield notTried(tried, 'no links are made here')
  const look = () => field.send('GET', '/portal/endpoints', { cookie })
  const before = await look()
  await keeper.send('DELETE', `/api/keys/${id}`, { key: adminKey })
  const startedAt = performance.now()
  let after = await look()
  while (after.status === 200 && performance.now() - startedAt < REVOKED_MS_MAX) {
    await pause(200, undefined, { signal })
    after = await look()
  }
  const held = before.status === 200 && after.status === 401
  yield finding(tried, held, `${describe(before)}, then ${describe(after)}`)
}
