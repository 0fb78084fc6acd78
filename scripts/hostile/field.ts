import { randomBytes } from 'node:crypto'
import { type Area, walkPages } from './areas.ts'
import type { Client } from './client.ts'
import { type Operation, readOperations } from './document.ts'
import { type Making, makeParty, type Party } from './party.ts'

/** Where an attack takes place: the service, and what was made in it for this. */
export interface Field extends Client, Making {
  signal: AbortSignal
  operations: Operation[]
  /** Owns something of everything, each with a mark in it. */
  victim: Party
  /** Has every scope for its own tenant. */
  attacker: Party
  /** Letters that nothing else has. */
  run: string
  /** The pages for people, walked through once. */
  areas(): Promise<Area[]>
}

/** Makes two tenants with something of everything; the cleanup takes them away. */
export async function prepareField(making: Making, signal: AbortSignal): Promise<Field> {
  const run = randomBytes(5).toString('hex')
  const operations = await readOperations(making.client)
  const victim = await makeParty(making, `hostile-${run}-victim`)
  const attacker = await makeParty(making, `hostile-${run}-attacker`)
  let walked: Promise<Area[]> | undefined
  const areas = () => {
    walked ??= walkPages(making, [victim, attacker])
    return walked
  }
  return { ...making.client, ...making, signal, operations, victim, attacker, run, areas }
}
