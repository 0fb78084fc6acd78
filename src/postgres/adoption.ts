import { every, type Recurring } from '../clock.ts'
import type { Log } from '../log.ts'
import type { Queryable } from './migrate/schema-record.ts'
import type { Settings } from './session-settings.ts'

/** A server may be replaced behind its name at any time, and nobody looks again by hand. */
const INTERVAL_MS = 1_000

/** The database is a copy, or belongs to another environment: nothing may be sent from it. */
export class CopyNotAdopted extends Error {
  override readonly name = 'CopyNotAdopted'
  readonly code = 'copy_not_adopted'
}

/** Has the sessions of a process say which environment it belongs to: what sends compares that in the database. */
export const environmentSettings = (environment: string | undefined): Settings =>
  environment === undefined ? {} : { 'postrider.environment': environment }

/** Why a process of this environment must send nothing from the database, in words; null = it may. */
export async function findUnadopted(
  database: Queryable,
  environment: string | undefined,
): Promise<string | null> {
  const { rows } = await database.query<{ reason: string | null }>(
    'select postrider.unadopted($1) as reason',
    [environment ?? null],
  )
  return rows[0]?.reason ?? null
}

/** Whether the database may be sent from, as of the last look. */
export interface Adoption {
  /** Why not, in words; null = it may. Looks only when asked to. */
  whyUnadopted(): string | null
  /** Looks now. */
  look(): Promise<string | null>
  /** Looks again and again, after a first look that it waits for. */
  watch(): Promise<Recurring>
}

/** Tells in the log when it is found not to be adopted, and when it is. */
export function adoptionOf(deps: {
  database: Queryable
  environment: string | undefined
  log: Pick<Log, 'error' | 'info' | 'debug'>
}): Adoption {
  const { database, environment, log } = deps
  let reason: string | null = null
  const look = async () => {
    const before = reason
    reason = await findUnadopted(database, environment)
    if (reason !== null && reason !== before) log.error({ reason }, 'database.not_adopted')
    if (reason === null && before !== null) log.info({}, 'database.adopted')
    return reason
  }
  return {
    look,
    whyUnadopted: () => reason,
    async watch() {
      await look()
      return every(INTERVAL_MS, look, (err) => log.debug({ err }, 'database.not_asked'))
    },
  }
}
