import type { Producer, ProducerOptions } from './producer.ts'
import { startHttpProducer } from './producer-http.ts'
import { startSqlProducer } from './producer-sql.ts'

/**
 * At every rate the same time goes by between two events of a key, 14 s in one of four tenants: so some meet while the
 * first one waits to be collapsed. With 100 keys at 10 events a second, none did in one short run of six.
 */
const KEYS_PER_RATE = 2.5

/** Half of the events by HTTP, half by SQL. */
export function startProducers(options: Omit<ProducerOptions, 'nextNumber' | 'keys'>): Producer {
  let n = 0
  const each = {
    ...options,
    rate: options.rate / 2,
    keys: Math.ceil(options.rate * KEYS_PER_RATE),
    nextNumber: () => n++,
  }
  const producers = [startHttpProducer(each), startSqlProducer(each)]
  return {
    async stop() {
      await Promise.all(producers.map((producer) => producer.stop()))
    },
    get badAnswers() {
      return new Map(producers.flatMap((producer) => [...producer.badAnswers]))
    },
    skipped: () => producers.reduce((sum, producer) => sum + producer.skipped(), 0),
  }
}
