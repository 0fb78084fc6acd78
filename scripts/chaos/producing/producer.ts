import type { Ledger, PublishedLine } from '../ledger.ts'
import type { Random } from '../random.ts'
import type { Services } from '../services.ts'

export interface ProducerOptions {
  system: Services
  ledger: Ledger<PublishedLine>
  random: Random
  /** Events a second. */
  rate: number
  /** How many ordering keys there are in all. */
  keys: number
  /** Some are published to be delivered later, up to so many seconds. */
  aheadSeconds: number
  /** Numbers its events; shared, so that no number comes twice. */
  nextNumber(): number
}

/** Some events have no ordering key. */
const KEYED_SHARE = 0.7

/** One of so many ordering keys, or none. */
export function chooseOrderingKey({ random, keys }: Pick<ProducerOptions, 'random' | 'keys'>) {
  if (random.next() >= KEYED_SHARE) return null
  return `key-${Math.floor(random.between(0, keys))}`
}

export interface Producer {
  /** Begins no more events; resolves once the outcome of each is in the ledger. */
  stop(): Promise<void>
  /** Answers that no outage explains, such as `500 internal_error`, and how many of each. */
  badAnswers: Map<string, number>
  /** Events that were left out because too many were waiting. */
  skipped(): number
}
