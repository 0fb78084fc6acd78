import type { Pool } from 'pg'
import { assertSchema } from '../postgres/migrate/migrate.ts'
import { isOfSchema } from '../postgres/migrate/schema-version.ts'
import { within } from '../redis/within.ts'
import type { RunnerReadiness } from './probes.ts'

/** A probe that gets no response within a few seconds counts as failed anyway; this one says why. */
const ANSWER_MS_MAX = 2_000

/** A runner that is cut off, or that NOTIFY does not reach, works slowly or not at all. */
export async function readinessOf(
  pool: Pool,
  {
    isAlive,
    isListening,
    server,
    ailment = null,
  }: {
    isAlive: boolean
    isListening: boolean
    server?: string | undefined
    ailment?: string | null
  },
): Promise<RunnerReadiness> {
  // The server's first, as its sessions may all wait by now.
  const database = ailment === null ? await stateOf(pool) : { database: ailment }
  return {
    ready: database.schema === 'current' && isAlive && isListening,
    checks: {
      ...database,
      ...(server !== undefined && { server }),
      registered: isAlive ? 'yes' : 'cut off',
      listening: isListening ? 'yes' : 'no',
    },
  }
}

async function stateOf(pool: Pool): Promise<{ database: string; schema?: string }> {
  try {
    await within(ANSWER_MS_MAX, assertSchema(pool))
    return { database: 'reachable', schema: 'current' }
  } catch (error) {
    if (!isOfSchema(error)) return { database: 'unreachable' }
    return { database: 'reachable', schema: 'not the one of this program' }
  }
}
