import { z } from 'zod'
import type { DeliveryId, EndpointId, ReplayId, TenantId } from '../ids.ts'

/** Names of graphile-worker tasks; SQL uses the same words. */
export const DELIVER_TASK = 'deliver'
/** Lets one delivery through an open circuit. */
export const PROBE_TASK = 'probe'
/** Releases or holds the open deliveries of an endpoint, a batch at a time. */
export const ALIGN_TASK = 'align'

/** Plans again what the limits of an endpoint have put off, after they were changed. */
export const REPLAN_TASK = 'replan'

/** Makes the next batch of a replay due. */
export const REPLAY_TASK = 'replay'

/** Publishes the next rows of an attached table. */
export const BACKFILL_TASK = 'backfill'

/** Looks again at the line of an ordering key that somebody was changing. */
export const ADVANCE_TASK = 'advance'

/** Deletes the next batch of the rows of a tenant that is being deleted. */
export const DELETE_TENANT_TASK = 'delete_tenant'

const endpointId = z.uuid().transform((id) => id as EndpointId)

/**
 * Payload of a `deliver` job: a wake-up, nothing more. The truth is in the delivery; a job whose number is
 * not the one that is due is late and does nothing.
 */
export const deliverPayload = z.object({
  /** Delivery id. */
  d: z.uuid().transform((id) => id as DeliveryId),
  /** Number of the attempt that was due when the job was made. */
  n: z.int().min(1),
  /** Endpoint id, for its limits; without it they are not asked. */
  e: endpointId.optional(),
  /** The slot that a snoozed job has reserved at its endpoint's rate. */
  r: z.object({ at: z.number(), rateVersion: z.int().default(0) }).optional(),
})

/** Payload of the jobs about an endpoint as a whole. */
export const endpointPayload = z.object({ e: endpointId })

export const replanPayload = endpointPayload.extend({
  /** Whether what waits for newer events is to be due as the endpoint says now. */
  h: z.boolean().default(false),
})

export const linePayload = z.object({
  t: z.uuid(),
  e: endpointId,
  /** The ordering key. */
  k: z.string(),
  /** How often it was looked at. */
  n: z.int(),
})

export const tenantPayload = z.object({ t: z.uuid().transform((id) => id as TenantId) })

export const replayPayload = z.object({ r: z.uuid().transform((id) => id as ReplayId) })

export const backfillPayload = z.object({ b: z.uuid() })
