import type { Pool } from 'pg'
import { every, type Recurring } from '../clock.ts'
import { isTimeout } from '../postgres/outage.ts'

const INTERVAL_MS = 1_000
/** Stopping waits for the call that is under way, and each takes some 100 ms. */
const CALLS_MAX = 1_000
const BEFORE_ALL = '00000000-0000-0000-0000-000000000000'

/**
 * Asks the filters that were too costly to be asked while their events were published, a part of one event a
 * time, from tenant to tenant, until none is left.
 */
export function startRoutingLater(deps: {
  pool: Pool
  onError: (error: unknown) => void
}): Recurring {
  let isStopped = false
  const recurring = every(
    INTERVAL_MS,
    () => routeAll(deps.pool, () => isStopped, deps.onError),
    deps.onError,
  )
  return {
    stop() {
      isStopped = true
      return recurring.stop()
    },
  }
}

async function routeAll(
  pool: Pool,
  isStopped: () => boolean,
  onError: (error: unknown) => void,
): Promise<void> {
  let after = BEFORE_ALL
  for (let calls = 0; calls < CALLS_MAX && !isStopped(); calls++) {
    const tenant = await routeNext(pool, after, onError)
    if (tenant === null && after === BEFORE_ALL) return
    after = tenant ?? BEFORE_ALL
  }
}

/** @returns whose turn it was; null when nobody behind `after` has anything waiting */
async function routeNext(
  pool: Pool,
  after: string,
  onError: (error: unknown) => void,
): Promise<string | null> {
  try {
    return await call(pool, 'route_next', after)
  } catch (error) {
    if (!isTimeout(error)) throw error
    onError(error)
    return await call(pool, 'postpone_routing', after)
  }
}

async function call(pool: Pool, name: string, after: string): Promise<string | null> {
  const { rows } = await pool.query<{ tenant: string | null }>(
    `select postrider.${name}($1) as tenant`,
    [after],
  )
  return rows[0]?.tenant ?? null
}
