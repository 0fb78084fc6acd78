import type { Pool } from 'pg'
import { retryThroughOutage } from '../postgres/outage.ts'
import type { Unreadable } from './deliver.ts'

/** A lost race with a rotation is over in milliseconds; in an outage nothing else of this delivery is written either. */
const CONFLICT_MS_MAX = 5_000

/**
 * Makes the step that has an endpoint held whose secret cannot be opened. False when the secret was changed
 * meanwhile, or when that could not be written down: the next delivery of the endpoint comes here again.
 */
export function createHoldUnreadable(
  pool: Pool,
  options: { runnerId: string; onError(error: unknown): void },
) {
  return async ({ endpointId, sealed, detail }: Unreadable): Promise<boolean> => {
    const hold = () =>
      pool.query<{ held: boolean }>(
        'select postrider.hold_unreadable($1, $2::text[], $3) as held',
        [endpointId, sealed, `${detail} (${options.runnerId})`],
      )
    try {
      const { rows } = await retryThroughOutage(hold, { forMs: CONFLICT_MS_MAX })
      return rows[0]?.held ?? false
    } catch (error) {
      options.onError(error)
      return false
    }
  }
}
