import type { Ledger, PublishedLine } from '../ledger.ts'
import type { Random } from '../random.ts'
import type { Services } from '../services.ts'

export interface ProducerOptions {
  system: Services
  ledger: Ledger<PublishedLine>
  random: Random
  /** Events a second. */
  rate: number
  /** Some are published to be delivered later, up to so many seconds. */
  aheadSeconds: number
  /** Numbers its events; shared, so that no number comes twice. */
  nextNumber(): number
}

/** So many ordering keys in all; some events have none. */
const KEYS = 100
const KEYED_SHARE = 0.7

export function chooseOrderingKey(random: Random): string | null {
  if (random.next() >= KEYED_SHARE) return null
  return `key-${Math.floor(random.between(0, KEYS))}`
}

export interface Producer {
  /** Begins no more events; resolves once the outcome of each is in the ledger. */
  stop(): Promise<void>
  /** Answers that no outage explains, such as `500 internal_error`, and how many of each. */
  badAnswers: Map<string, number>
  /** Events that were left out because too many were waiting. */
  skipped(): number
}
