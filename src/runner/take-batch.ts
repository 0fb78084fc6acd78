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
export interface BatchMember extends Omit<Claimed, 'body'> {
  batchId: string
  /** It has no data any more, and is left out of the body. */
  isErased: boolean
}

export interface Taken {
  /** In the order of the request; none unless it was to be claimed, and is full. */
  claimed: BatchMember[]
  /** What is sent of them: each event as it would be sent alone, with its id in front, and a comma between. */
  items: string
  /** Whose job is kept while the batch is sent; null = nobody's. */
  leadId: DeliveryId | null
  /** Ids of jobs, in hand or not. An older job of a delivery, in whose place another came, is not among them. */
  removedJobs: Set<string>
  /** In hand, and not of this batch: to be brought again. */
  left: Set<DeliveryId>
  /** Its endpoint has no batches any more. */
  single: Set<DeliveryId>
  isReady: boolean
  /** Until the batch that is being filled is due; null = it is not about that. */
  dueInMs: number | null
}

/** What the members of a batch have in common. */
type Shared = Pick<
  BatchMember,
  | 'batchId'
  | 'tenantId'
  | 'endpointId'
  | 'url'
  | 'headers'
  | 'secretHeaders'
  | 'timeoutSeconds'
  | 'retrySchedule'
  | 'secrets'
  | 'clientCertificate'
  | 'clientKeyEncrypted'
  | 'signatureHeaders'
  | 'webhookSignature'
>

/** Without names, so that a thousand of them are short. */
type MemberValues = [
  deliveryId: DeliveryId,
  attemptId: BatchMember['attemptId'],
  attemptNumber: number,
  scheduleStep: number,
  abandonedCount: number,
  eventId: BatchMember['eventId'],
  eventType: string | null,
  waitedMs: number,
  isErased: boolean,
  traceparent: string | null,
  tracestate: string | null,
]

type Row = Shared & {
  /** JSON of `MemberValues[]`. */
  members: string | null
  items: string | null
  leadId: DeliveryId | null
  removedJobs: string[] | null
  left: DeliveryId[] | null
  single: DeliveryId[] | null
  isReady: boolean
  dueInMs: number | null
}

/**
 * One row: a row for each member, with every column, took the runner longer to read than the database to make. The events are joined as
 * the texts that they are.
 */
const TAKE_STATEMENT = {
  name: 'postrider_take_batch',
  text: `
    with taken as materialized (
      select * from postrider.take_batch($1::uuid, $2::uuid[], $3::int[], $4::text, $5::text, $6::float8, $7::json)
    ),
    told as (
      select (json_agg(json_build_array(delivery_id, attempt_id, attempt_number, schedule_step, abandoned_count, event_id,
          event_type, waited_ms, body is null, traceparent, tracestate)) filter (where verdict = 'claimed'))::text as members,
        string_agg('{"id":"' || event_id || '",' || substr(body, 2), ',') filter (where verdict = 'claimed') as items,
        array_agg(delivery_id) filter (where verdict = 'left') as "left",
        array_agg(delivery_id) filter (where verdict = 'single') as single,
        coalesce(bool_or(verdict = 'ready'), false) as "isReady",
        max(waited_ms) filter (where verdict = 'filling') as "dueInMs"
      from taken
    )
    select told.*, batch_id as "batchId", tenant_id as "tenantId", endpoint_id as "endpointId", url, headers,
      secret_headers as "secretHeaders", timeout_seconds as "timeoutSeconds", retry_schedule as "retrySchedule", secrets,
      client_certificate as "clientCertificate", client_key_encrypted as "clientKeyEncrypted",
      signature_headers as "signatureHeaders", webhook_signature as "webhookSignature",
      lead_id as "leadId", removed_jobs as "removedJobs"
    from told
    left join (select * from taken where url is not null limit 1) as first on true`,
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
    return takenOf(rows[0])
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

function takenOf(row: Row | undefined): Taken {
  const {
    members,
    items,
    leadId = null,
    removedJobs,
    left,
    single,
    isReady = false,
    dueInMs = null,
    ...shared
  } = row ?? ({} as Partial<Row>)
  return {
    claimed: membersOf(members, shared as Shared),
    items: items ?? '',
    leadId,
    removedJobs: new Set(removedJobs),
    left: new Set(left),
    single: new Set(single),
    isReady,
    dueInMs,
  }
}

const membersOf = (members: string | null | undefined, shared: Shared): BatchMember[] =>
  members ? (JSON.parse(members) as MemberValues[]).map((values) => memberOf(values, shared)) : []

function memberOf(
  [
    deliveryId,
    attemptId,
    attemptNumber,
    scheduleStep,
    abandonedCount,
    eventId,
    eventType,
    waitedMs,
    isErased,
    traceparent,
    tracestate,
  ]: MemberValues,
  shared: Shared,
): BatchMember {
  return {
    ...shared,
    ...{ wokenId: deliveryId, deliveryId, attemptId, attemptNumber, scheduleStep, abandonedCount },
    ...{ eventId, eventType, waitedMs, isErased, traceparent, tracestate },
    ...{ shape: 'standard', shapeHeaders: null },
  }
}
