import { z } from 'zod'
import type { DeliveryId } from '../ids.ts'

/** Names of graphile-worker tasks. postrider.enqueue() uses the same word. */
export const DELIVER_TASK = 'deliver'

/**
 * Payload of a `deliver` job: a wake-up, nothing more. The truth is in the delivery; a job whose number is
 * not the one that is due is late and does nothing.
 */
export const deliverPayload = z.object({
  /** Delivery id. */
  d: z.uuid().transform((id) => id as DeliveryId),
  /** Number of the attempt that was due when the job was made. */
  n: z.int().min(1),
})
