import type { Random } from '../random.ts'

const SCHEDULED_SHARE = 0.15
const AHEAD_MS_MIN = 300

/** When an event is to be delivered at the earliest; null, for most of them: at once. */
export function chooseDeliverAt(random: Random, secondsMax: number): Date | null {
  if (random.next() >= SCHEDULED_SHARE) return null
  return new Date(Date.now() + Math.round(random.between(AHEAD_MS_MIN, secondsMax * 1000)))
}
