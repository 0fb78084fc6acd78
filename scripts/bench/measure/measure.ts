import { setTimeout as delay } from 'node:timers/promises'
import type { Receiver } from '../systems/start-receiver.ts'
import { payloadsOf, type Target } from '../systems/target.ts'
import { type Client, createClient } from './client.ts'
import { monotonicMs } from './clock.ts'
import { type Load, type Sent, send } from './load.ts'
import { startProgress } from './progress.ts'
import { type Distribution, distributionOf, round } from './statistics.ts'
import { cpuMsPerEvent, rssMb, usageOf, type Watched } from './usage.ts'

/** Numbered far from those that count, so that a late repeat of one is not taken for another. */
const WARM_UP_FROM = 1_900_000
const WARM_UP_CONNECTIONS = 8
/** Statements are planned, code is compiled, connections are open. */
const WARM_UP_EVENTS = 300
/** What was delivered is still being written down. */
const SETTLE_MS = 500
const POLL_MS = 50

export interface MeasureOptions extends Load {
  target: Target
  receiver: Receiver
  watched: Watched
  /** Rejects when the system has ended, which ends the measurement. */
  failed: Promise<never>
  /** Of the payload. */
  bytes: number
  warmUpEvents?: number
  /** How long the receiver may stand still before what has not arrived is given up. */
  waitSeconds?: number
  /** Called when the load begins. */
  onStart?: () => void
  label?: string
}

export interface Figures {
  accepted_per_s: number
  answer_ms: Distribution
  delivered_per_s: number
  publish_to_receive_ms: Distribution
  /** Accepted, and never arrived. */
  lost: number
  /** Requests beyond the first of each event. */
  repeated: number
  refused: number
  first_refusal?: string
  cpu_ms_per_event: Record<string, number>
  rss_mb: Record<string, number>
  in_flight_max: number
}

/** Warms the system up, sends the load, waits until all of it has arrived, and counts. */
export async function measure(options: MeasureOptions): Promise<Figures> {
  const { target, receiver, label = 'events' } = options
  const client = createClient({ ...target, connections: options.connections })
  const post = posterOf(target, client, options.bytes)
  try {
    await target.before?.()
    await Promise.race([warmUp(options, post), options.failed])
    const watched = { ...options.watched, receiver: [receiver.pid] }
    const before = await usageOf(watched)
    const driverBefore = process.cpuUsage()
    options.onStart?.()
    const progress = startProgress(label, options.events * 2)
    const sending = send(options, post, progress.update)
    const sent = await Promise.race([sending, options.failed])
    await arrival(options, options.events - sent.refused, (n) =>
      progress.update(options.events + n),
    )
    progress.stop()
    await delay(SETTLE_MS)
    const after = await usageOf(watched)
    const driver = process.cpuUsage(driverBefore)
    return {
      ...(await countArrivals(receiver, sent)),
      cpu_ms_per_event: {
        ...cpuMsPerEvent(before, after, options.events),
        driver: round((driver.user + driver.system) / 1000 / options.events, 3),
      },
      rss_mb: rssMb(after),
    }
  } finally {
    client.close()
  }
}

function posterOf(target: Target, client: Client, bytes: number) {
  const payload = payloadsOf(bytes)
  return (n: number) => client.post(target.body(n, payload(n)))
}

async function warmUp(options: MeasureOptions, post: (n: number) => ReturnType<Client['post']>) {
  const { receiver, warmUpEvents: events = WARM_UP_EVENTS } = options
  await receiver.reset()
  const load = { events, ratePerSecond: 0, connections: WARM_UP_CONNECTIONS }
  const { refused, firstRefusal } = await send(load, (n) => post(WARM_UP_FROM + n))
  if (refused > 0) throw new Error(`the system refused to warm up: ${firstRefusal}`)
  const arrived = await arrival(options, events)
  if (arrived < events) throw new Error(`of ${events} events to warm up, ${arrived} arrived`)
  await delay(SETTLE_MS)
  await receiver.reset()
}

/** Resolves when so many events have arrived, or when none has for too long, with how many have. */
async function arrival(
  { receiver, waitSeconds = 60, failed }: MeasureOptions,
  events: number,
  onProgress: (arrived: number) => void = () => undefined,
): Promise<number> {
  let last = { received: -1, at: monotonicMs() }
  for (;;) {
    const { distinct, received } = await receiver.counts()
    onProgress(distinct)
    if (distinct >= events) return distinct
    if (received !== last.received) last = { received, at: monotonicMs() }
    if (monotonicMs() - last.at > waitSeconds * 1000) return distinct
    await Promise.race([delay(POLL_MS), failed])
  }
}

async function countArrivals(receiver: Receiver, sent: Sent) {
  const events = sent.accepted.length
  const { received, distinct, lastAt, inFlightMax } = await receiver.counts()
  const { firstAt } = await receiver.arrivals(events)
  const delays = firstAt
    .map((at, n) => (at < 0 ? Number.NaN : at - (sent.countedFrom[n] ?? 0)))
    .filter((ms) => !Number.isNaN(ms))
  const lost = firstAt.filter((at, n) => at < 0 && sent.accepted[n] === 1).length
  return {
    accepted_per_s: round(perSecond(events - sent.refused, sent.endedAt - sent.startedAt), 1),
    answer_ms: distributionOf(sent.answerMs),
    delivered_per_s: round(perSecond(delays.length, lastAt - sent.startedAt), 1),
    publish_to_receive_ms: distributionOf(delays),
    lost,
    repeated: received - distinct,
    refused: sent.refused,
    ...(sent.firstRefusal !== null && { first_refusal: sent.firstRefusal }),
    in_flight_max: inFlightMax,
  }
}

const perSecond = (count: number, ms: number) => (ms > 0 ? (count * 1000) / ms : 0)
