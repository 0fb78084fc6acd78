import type { Random } from './random.ts'

const SCHEDULED_SHARE = 0.15
/** Soon enough that a run of a minute sees most of them sent; late enough to meet faults before. */
const AHEAD_MS = [300, 12_000] as const

/** When an event is to be delivered at the earliest; null, for most of them: at once. */
export function chooseDeliverAt(random: Random): Date | null {
  if (random.next() >= SCHEDULED_SHARE) return null
  return new Date(Date.now() + Math.round(random.between(...AHEAD_MS)))
}
