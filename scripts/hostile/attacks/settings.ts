import { type Finding, finding } from '../attack.ts'
import { type Answer, describe } from '../client.ts'
import type { Field } from '../field.ts'

/**
 * Tries to make an endpoint of the attacker with this, and to change one to it; both have to be refused.
 *
 * @param settings next to the URL
 */
export async function tryEndpoint(
  { attacker }: Field,
  tried: string,
  settings: Record<string, unknown>,
): Promise<Finding> {
  const body = { url: 'https://example.com/', ...settings }
  const made = await attacker.send('POST', attacker.path('/endpoints'), { body })
  await takeAway(attacker, made)
  const own = attacker.path(`/endpoints/${attacker.endpoint}`)
  const before = await attacker.send('GET', own)
  const changed = await attacker.send('PATCH', own, { body: settings })
  const after = await attacker.send('GET', own)
  const held = made.status === 422 && changed.status === 422 && before.text === after.text
  return finding(tried, held, `${describe(made)}, ${describe(changed)}`)
}

/** What should not have been made. */
export async function takeAway(attacker: Field['attacker'], made: Answer): Promise<void> {
  if (made.status !== 201) return
  const { id } = JSON.parse(made.text)
  await attacker.send('DELETE', attacker.path(`/endpoints/${id}`))
}
