import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { ConfigError } from '../config/config.ts'
import { createFolder } from '../testing/wiring/cli.ts'
import { findConnection } from './connection.ts'

const LOCAL = { url: 'http://127.0.0.1:8080', key: 'local-key' }

/** A folder like the one where `postrider dev` runs. */
function bundle(t: Parameters<typeof createFolder>[0]) {
  const cwd = createFolder(t)
  const data = join(cwd, '.postrider')
  mkdirSync(data)
  writeFileSync(join(data, 'cli.json'), JSON.stringify(LOCAL))
  return { cwd, data }
}

t.test('a running service is found from its folder and every folder below', async (t) => {
  const { cwd } = bundle(t)
  const below = join(cwd, 'a', 'b')
  mkdirSync(below, { recursive: true })
  t.strictSame(await findConnection({ env: {}, cwd }), LOCAL)
  t.strictSame(await findConnection({ env: {}, cwd: below }), LOCAL)
})

t.test('POSTRIDER_DATA names the folder, also relative to the current one', async (t) => {
  const { cwd, data } = bundle(t)
  t.strictSame(await findConnection({ env: { POSTRIDER_DATA: data }, cwd: '/' }), LOCAL)
  t.strictSame(await findConnection({ env: { POSTRIDER_DATA: '.postrider' }, cwd }), LOCAL)
})

t.test('variables win, and each may be given alone', async (t) => {
  const { cwd } = bundle(t)
  const env = { POSTRIDER_URL: 'https://hooks.example/', POSTRIDER_API_KEY: 'other' }
  const expected = { url: 'https://hooks.example', key: 'other' }
  t.strictSame(await findConnection({ env, cwd }), expected)
  const onlyKey = { POSTRIDER_API_KEY: 'other' }
  t.strictSame(await findConnection({ env: onlyKey, cwd }), { ...LOCAL, key: 'other' })
  const sameUrl = { POSTRIDER_URL: LOCAL.url }
  t.strictSame(await findConnection({ env: sameUrl, cwd }), LOCAL)
})

t.test('the key of a local service is never sent to another URL', async (t) => {
  const { cwd } = bundle(t)
  const env = { POSTRIDER_URL: 'https://hooks.example' }
  const error = await findConnection({ env, cwd }).catch((reason) => reason)
  t.match(error, { mistakes: [/^POSTRIDER_API_KEY is not set/] })
})

t.test('without a service both variables are asked for', async (t) => {
  const env = { POSTRIDER_DATA: createFolder(t) }
  const error = await findConnection({ env, cwd: '/' }).catch((reason) => reason)
  t.ok(error instanceof ConfigError)
  t.match(error.mistakes, [/^POSTRIDER_URL /, /^POSTRIDER_API_KEY /])
})
