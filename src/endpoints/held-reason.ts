import type { HeldReason } from '../postgres/schema.ts'

/** What the reasons say for which deliveries are held. */
export const HELD_REASONS: Record<HeldReason, string> = {
  disabled: 'The endpoint is disabled.',
  paused: 'The endpoint is paused, or all deliveries are.',
  suspended: 'The tenant is suspended.',
  secret: 'No key of the service opens the secret or the client key of the endpoint.',
  circuit: 'The endpoint fails: now and then one delivery is sent to it as a probe.',
}
