/**
 * Attacks a Postrider on this machine as a tenant, a receiver, a producer and a stranger, and ends with 1 unless it
 * holds.
 *
 *     npm run hostile
 *     POSTRIDER_URL=http://127.0.0.1:8080 POSTRIDER_API_KEY=… npm run hostile -- --only 'addresses,bodies' --json 1
 *
 * Where and with which key: POSTRIDER_URL and POSTRIDER_API_KEY (an admin key), or a running `postrider dev`. It
 * makes two tenants, attacks one from the other, and takes both away. docs/explanation/security-model.md tells more.
 */

import { ConfigError } from '../../src/config/config.ts'
import { findConnection } from '../../src/terminal/connection.ts'
import { readOptions } from '../bench/options.ts'
import { ATTACKS, runHostile, type Told } from './hostile.ts'
import { NotLoopback, targetOf } from './target.ts'

const given = readOptions({
  only: {
    default: '',
    help: `some of: ${ATTACKS.map(({ name, about }) => `\n      ${name}: ${about}`).join('')}\n     `,
  },
  json: { default: 0, help: '1 prints one JSON document instead of lines' },
})

const interrupted = new AbortController()
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.once(signal, () => interrupted.abort())
}

/** One line a try, the answers next to it. */
function tell({ attack, tried, verdict, answer }: Told): void {
  if (given.json === 0) console.log(`${verdict.padEnd(9)}  ${attack}: ${tried}: ${visible(answer)}`)
}

/** An answer may hold what a terminal takes for commands. */
const visible = (text: string): string =>
  text.replace(/[^ -~]/gu, (character) => JSON.stringify(character).slice(1, -1)).slice(0, 500)

function chosen(): readonly string[] | undefined {
  if (given.only === '') return undefined
  const names = given.only.split(',').map((name) => name.trim())
  const unknown = names.filter((name) => !ATTACKS.some((attack) => attack.name === name))
  if (unknown.length > 0) refuse(`there is no attack ${unknown.join(', ')}; see --help`)
  return names
}

function refuse(message: string): never {
  console.error(`hostile: ${message}`)
  process.exit(2)
}

async function attackedService() {
  try {
    const { url, key } = await findConnection({ env: process.env, cwd: process.cwd() })
    return { target: await targetOf(url), adminKey: key }
  } catch (error) {
    if (error instanceof NotLoopback || error instanceof ConfigError) return refuse(error.message)
    throw error
  }
}

const only = chosen()
const summary = await runHostile({
  ...(await attackedService()),
  ...(only && { only }),
  tell,
  signal: interrupted.signal,
})
if (given.json !== 0) console.log(JSON.stringify(summary))
else {
  const { held, broken, notTried, seconds } = summary
  console.log(`\n${held} held, ${broken} broken, ${notTried} not tried, in ${seconds} s`)
}
process.exit(summary.ok ? 0 : 1)
