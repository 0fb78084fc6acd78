import type { Pool } from 'pg'
import type { EndpointId } from '../ids.ts'
import type { Reservation } from '../limits/rate-limiter.ts'
import { createBatcher } from '../postgres/batcher.ts'
import { retryThroughOutage } from '../postgres/outage.ts'
import type { WakeUp } from './claim.ts'
import type { EndpointLimits } from './endpoint-limits.ts'

const SNOOZES_IN_BATCH_MAX = 200
/** A lost race with a runner that is fetching is over in milliseconds; an outage is graphile-worker's to retry. */
const CONFLICT_MS_MAX = 5_000

export interface Snoozed {
  wakeUp: WakeUp
  endpointId: EndpointId
  /** Those that put it off. */
  limits: Pick<EndpointLimits, 'rateVersion' | 'maxInFlight'>
  waitMs: number
  reservation: Reservation | null
  /** False = this runner has no job of it, and moves what was put off; what is being sent then stays as it is. */
  isInHand?: boolean
}

/**
 * Makes the snooze step: puts the job of a delivery off, in one statement for all that ask at a time. A late
 * job is not put off, since another has its place; a runner that was found dead is refused.
 *
 * @param onChanged hears of endpoints that have other limits by now: what they put off is due at once instead
 */
export function createSnooze(
  pool: Pool,
  runnerId: string,
  onChanged: (endpointIds: readonly EndpointId[]) => void,
) {
  const batcher = createBatcher<Snoozed, void>({
    maxItems: SNOOZES_IN_BATCH_MAX,
    lanes: 1,
    run: async (snoozed) => {
      const changed = await retryThroughOutage(() => snoozeMany(pool, runnerId, snoozed), {
        forMs: CONFLICT_MS_MAX,
      })
      if (changed.length > 0) onChanged(changed)
      return snoozed.map(() => undefined)
    },
  })
  return (snoozed: Snoozed): Promise<void> => batcher.add(snoozed)
}

async function snoozeMany(pool: Pool, runnerId: string, snoozed: readonly Snoozed[]) {
  const { rows } = await pool.query<{ changed: EndpointId[] }>({
    name: 'postrider_snooze',
    text: `select postrider.snooze_many($1::uuid[], $2::int[], $3::float8[], $4::uuid[], $5::json[], $6::text,
             $7::int[], $8::int[], $9::boolean[]) as changed`,
    values: [
      snoozed.map(({ wakeUp }) => wakeUp.deliveryId),
      snoozed.map(({ wakeUp }) => wakeUp.dueAttempt),
      snoozed.map(({ waitMs }) => waitMs),
      snoozed.map(({ endpointId }) => endpointId),
      snoozed.map(({ reservation }) => reservation && JSON.stringify(reservation)),
      runnerId,
      snoozed.map(({ limits }) => limits.rateVersion),
      snoozed.map(({ limits }) => limits.maxInFlight),
      snoozed.map(({ isInHand = true }) => isInHand),
    ],
  })
  return rows[0]?.changed ?? []
}
