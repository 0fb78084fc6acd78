import type { Producer, ProducerOptions } from './producer.ts'
import { startHttpProducer } from './producer-http.ts'
import { startSqlProducer } from './producer-sql.ts'

/** Half of the events by HTTP, half by SQL. */
export function startProducers(options: Omit<ProducerOptions, 'nextNumber'>): Producer {
  let n = 0
  const each = { ...options, rate: options.rate / 2, nextNumber: () => n++ }
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
