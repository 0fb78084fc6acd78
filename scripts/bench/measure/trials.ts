import type { Receiver } from '../systems/start-receiver.ts'
import type { System } from '../systems/system.ts'
import type { Trial } from './contest.ts'
import { type Figures, type MeasureOptions, measure } from './measure.ts'

/** The rate at which latency is stated. */
const RATE_PER_SECOND = 100
/** A receiver that takes its time, the reason to have a queue at all. */
export const SLOW_MS = 2000
/**
 * A runner begins an endpoint with four requests at a time and doubles them with each round (limits/share.ts). 300 events, the
 * usual warm-up, end at about 130 of the 200 that 100 a second need, and the start would be measured; after 600 it is over.
 */
const SLOW_WARM_UP_EVENTS = 600
/** In an open loop this only bounds the driver; nothing should ever wait for a connection. */
const OPEN_CONNECTIONS = 256

export const TRIALS = ['throughput', 'latency', 'slow']

/** The trials that systems and versions are compared in. @param options.trials of `TRIALS`, comma separated */
export function trialsOf(options: { trials: string; events: number; seconds: number }): Trial[] {
  const { events, seconds } = options
  const open = {
    events: seconds * RATE_PER_SECOND,
    ratePerSecond: RATE_PER_SECOND,
    connections: OPEN_CONNECTIONS,
  }
  const all: Trial[] = [
    { name: 'throughput', delayMs: 0, events, ratePerSecond: 0, connections: 32 },
    { name: 'latency', delayMs: 0, ...open },
    { name: 'slow', delayMs: SLOW_MS, warmUpEvents: SLOW_WARM_UP_EVENTS, ...open },
  ]
  const names = options.trials.split(',')
  return all.filter(({ name }) => names.includes(name))
}

interface Pace {
  /** Events a second. */
  rate: number
  seconds: number
  /** Of each payload. */
  bytes: number
}

/** Measures a system in an open loop: so many events a second, for so long. */
export const measureAt = (
  system: System,
  receiver: Receiver,
  { rate, seconds, bytes }: Pace,
  more: Pick<MeasureOptions, 'label' | 'onStart'>,
): Promise<Figures> =>
  measure({
    target: system.target,
    receiver,
    watched: system.watched(),
    failed: system.failed(),
    events: Math.round(rate * seconds),
    ratePerSecond: rate,
    connections: OPEN_CONNECTIONS,
    bytes,
    ...more,
  })
