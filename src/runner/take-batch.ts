import type { Pool } from 'pg'
import type { DeliveryId, EndpointId } from '../ids.ts'
import type { Reservation } from '../limits/rate-limiter.ts'
import { retryThroughOutage } from '../postgres/outage.ts'
import type { Claimed, WakeUp } from './claim.ts'

/** A lost race with a runner that is fetching is over in milliseconds; an outage is graphile-worker's to retry. */
const CONFLICT_MS_MAX = 5_000

/** What becomes of the batch when it is full. */
export type BatchStep =
  | { step: 'look' }
  | { step: 'put_off'; waitMs: number; reservation: Reservation | null }
  | { step: 'claim' }

/** A delivery that is sent in a batch. */
export type BatchMember = Claimed & { batchId: string }

export interface Taken {
  /** In the order of the request; none unless it was to be claimed, and is full. */
  claimed: BatchMember[]
  /** In hand, and not of this batch: to be brought again. */
  left: Set<DeliveryId>
  /** Its endpoint has no batches any more. */
  single: Set<DeliveryId>
  isReady: boolean
  /** Until the batch that is being filled is due; null = it is not about that. */
  dueInMs: number | null
}

type Row = { verdict: 'claimed' | 'left' | 'filling' | 'ready' | 'single' } & BatchMember

const TAKE_STATEMENT = {
  name: 'postrider_take_batch',
  text: `
    select verdict, delivery_id as "deliveryId", delivery_id as "wokenId", batch_id as "batchId", attempt_id as "attemptId",
      attempt_number as "attemptNumber", schedule_step as "scheduleStep", abandoned_count as "abandonedCount",
      tenant_id as "tenantId", endpoint_id as "endpointId", event_id as "eventId", event_type as "eventType", body,
      waited_ms as "waitedMs", url, headers, secret_headers as "secretHeaders",
      timeout_seconds as "timeoutSeconds", retry_schedule as "retrySchedule", secrets,
      client_certificate as "clientCertificate", client_key_encrypted as "clientKeyEncrypted",
      traceparent, tracestate, 'standard' as shape, null as "shapeHeaders",
      signature_headers as "signatureHeaders", webhook_signature as "webhookSignature"
    from postrider.take_batch($1::uuid, $2::uuid[], $3::int[], $4::text, $5::text, $6::float8, $7::json)`,
}

/**
 * Makes the step that takes the next batch of an endpoint, out of what is in hand: see sql/functions/deliveries/batches.sql.
 * Only a claim must not be repeated after a lost answer: its deliveries are taken over like those of a lost runner.
 */
export function createTakeBatch(pool: Pool, runnerId: string) {
  return async (
    endpointId: EndpointId,
    wakeUps: readonly WakeUp[],
    step: BatchStep,
  ): Promise<Taken> => {
    const ask = () =>
      pool.query<Row>({ ...TAKE_STATEMENT, values: valuesOf(endpointId, wakeUps, step, runnerId) })
    const { rows } =
      step.step === 'claim'
        ? await ask()
        : await retryThroughOutage(ask, { forMs: CONFLICT_MS_MAX })
    return takenOf(rows)
  }
}

function valuesOf(
  endpointId: EndpointId,
  wakeUps: readonly WakeUp[],
  step: BatchStep,
  runnerId: string,
) {
  const { waitMs, reservation } = step.step === 'put_off' ? step : { waitMs: 0, reservation: null }
  return [
    endpointId,
    wakeUps.map(({ deliveryId }) => deliveryId),
    wakeUps.map(({ dueAttempt }) => dueAttempt),
    runnerId,
    step.step,
    waitMs,
    reservation && JSON.stringify(reservation),
  ]
}

function takenOf(rows: readonly Row[]): Taken {
  const idsOf = (verdict: Row['verdict']) =>
    new Set(rows.filter((row) => row.verdict === verdict).map(({ deliveryId }) => deliveryId))
  const [first, ...rest] = rows.filter(({ verdict }) => verdict === 'claimed')
  const filling = rows.find(({ verdict }) => verdict === 'filling')
  return {
    claimed: first ? [first, ...rest.map((row) => ({ ...row, ...sharedOf(first) }))] : [],
    left: idsOf('left'),
    single: idsOf('single'),
    isReady: rows.some(({ verdict }) => verdict === 'ready'),
    dueInMs: filling ? filling.waitedMs : null,
  }
}

/** The endpoint's, told once. */
function sharedOf(first: Row) {
  const { url, headers, secretHeaders, timeoutSeconds, retrySchedule, secrets } = first
  const { clientCertificate, clientKeyEncrypted, signatureHeaders, webhookSignature } = first
  return {
    ...{ url, headers, secretHeaders, timeoutSeconds, retrySchedule, secrets },
    ...{ clientCertificate, clientKeyEncrypted, signatureHeaders, webhookSignature },
  }
}
