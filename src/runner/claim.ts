import type { Pool } from 'pg'
import type { AttemptId, DeliveryId, EndpointId, EventId, TenantId } from '../ids.ts'
import { createBatcher } from '../postgres/batcher.ts'
import type { EndpointShape } from '../postgres/schema.ts'

/** One statement a table for so many claims; more would only make the locks last longer. */
const CLAIMS_IN_BATCH_MAX = 200
/** While one batch is being committed another is planned; more lanes made the batches smaller, not faster. */
const CLAIM_LANES = 2

/** What a job says. */
export interface WakeUp {
  deliveryId: DeliveryId
  /** Number of the job among those of its delivery; only the newest can claim. */
  dueAttempt: number
  /** The job itself, which its finish removes. Left out: the worker pool completes it. */
  jobId?: string
}

/** Its endpoint has batches, which this runner did not know: nothing was claimed, and it is to be taken with others. */
export class SentInBatches extends Error {
  override readonly name = 'SentInBatches'
  readonly code = 'sent_in_batches'
}

/** A delivery that this runner may send once, under the fence of `attemptId`. */
export interface Claimed {
  /** The one that the job names; where the endpoint collapses, the newest of its ordering key is claimed in its place. */
  wokenId: DeliveryId
  deliveryId: DeliveryId
  attemptId: AttemptId
  attemptNumber: number
  /** Failed attempts since the delivery was (re)opened. */
  scheduleStep: number
  /** Claims in a row that were cut off before they finished. */
  abandonedCount: number
  tenantId: TenantId
  endpointId: EndpointId
  eventId: EventId
  eventType: string | null
  /** The request body; `null` when the event is gone. */
  body: string | null
  /** Since the event could first be sent. */
  waitedMs: number
  url: string
  headers: Record<string, string>
  /** Name to encrypted value. */
  secretHeaders: Record<string, string>
  timeoutSeconds: number | null
  retrySchedule: number[] | null
  /** Encrypted secrets, the newest first. */
  secrets: string[]
  /** PEM; null together with the key. */
  clientCertificate: string | null
  clientKeyEncrypted: string | null
  /** W3C trace context of the publish. */
  traceparent: string | null
  tracestate: string | null
  shape: EndpointShape
  /** Headers that the shape adds or replaces. */
  shapeHeaders: Record<string, string> | null
  /** Name to template, of other schemes. */
  signatureHeaders: Record<string, string>
  webhookSignature: 'send' | 'omit'
}

const CLAIM_STATEMENT = {
  name: 'postrider_claim',
  text: `
    select delivery_id as "deliveryId", attempt_id as "attemptId", attempt_number as "attemptNumber",
      schedule_step as "scheduleStep", abandoned_count as "abandonedCount", tenant_id as "tenantId",
      endpoint_id as "endpointId", event_id as "eventId", event_type as "eventType", body, waited_ms as "waitedMs",
      url, headers, secret_headers as "secretHeaders",
      timeout_seconds as "timeoutSeconds", retry_schedule as "retrySchedule", secrets,
      client_certificate as "clientCertificate", client_key_encrypted as "clientKeyEncrypted",
      traceparent, tracestate, woken_id as "wokenId", shape, shape_headers as "shapeHeaders",
      signature_headers as "signatureHeaders", webhook_signature as "webhookSignature"
    from postrider.claim_many($1::uuid[], $2::int[], $3::text)`,
}

/**
 * Makes the claim step: takes a delivery and writes its attempt as `started` before anything is sent.
 *
 * Resolves with `null` when there is nothing to send: the job was late, or the endpoint accepts no work
 * at the moment. Concurrent claims go to the database as one statement.
 */
export function createClaim(pool: Pool, runnerId: string) {
  const batcher = createBatcher<WakeUp, Claimed | null>({
    maxItems: CLAIMS_IN_BATCH_MAX,
    lanes: CLAIM_LANES,
    run: (wakeUps) => claimMany(pool, runnerId, wakeUps),
  })
  return (wakeUp: WakeUp): Promise<Claimed | null> => batcher.add(wakeUp)
}

async function claimMany(
  pool: Pool,
  runnerId: string,
  wakeUps: readonly WakeUp[],
): Promise<(Claimed | SentInBatches | null)[]> {
  const ids = wakeUps.map((wakeUp) => wakeUp.deliveryId)
  const numbers = wakeUps.map((wakeUp) => wakeUp.dueAttempt)
  const { rows } = await pool.query<Omit<Claimed, 'attemptId'> & { attemptId: AttemptId | null }>({
    ...CLAIM_STATEMENT,
    values: [ids, numbers, runnerId],
  })
  const claimed = new Map(rows.map((row) => [row.wokenId, row]))
  const newest = newestOf(wakeUps)
  return wakeUps.map((wakeUp) => {
    const own = newest.get(wakeUp.deliveryId) === wakeUp && claimed.get(wakeUp.deliveryId)
    if (!own) return null
    return own.attemptId === null ? new SentInBatches() : (own as Claimed)
  })
}

/** A runner may hold two jobs of a delivery, of which the older is late: only one of them got the claim. */
function newestOf(wakeUps: readonly WakeUp[]): Map<DeliveryId, WakeUp> {
  const newest = new Map<DeliveryId, WakeUp>()
  for (const wakeUp of wakeUps) {
    const other = newest.get(wakeUp.deliveryId)
    if (!other || other.dueAttempt < wakeUp.dueAttempt) newest.set(wakeUp.deliveryId, wakeUp)
  }
  return newest
}
