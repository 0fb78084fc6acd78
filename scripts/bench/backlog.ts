/**
 * Whether an event costs the same however much there is already. Accepted and delivered a second on
 *
 * - `empty`: a new database
 * - `stored`: a million delivered events, and 100,000 that are due and wait
 * - `scheduled`: the same, but the 100,000 wait for a time to come
 * - `endpoints`: one tenant with 1,000 endpoints, each event wanted by one of them
 * - `tenants`: 10,000 tenants, each event of another one
 *
 *     node scripts/bench/backlog.ts --cases empty,stored --scale 0.1 --rounds 3
 */
import { setTimeout as delay } from 'node:timers/promises'
import { CASES, type PreparedCase, prepareCase } from './backlog-cases.ts'
import { createClient } from './measure/client.ts'
import { monotonicMs } from './measure/clock.ts'
import { send } from './measure/load.ts'
import { startProgress } from './measure/progress.ts'
import { startReport } from './measure/report.ts'
import { distributionOf, median, round } from './measure/statistics.ts'
import { cpuMsPerEvent, usageOf } from './measure/usage.ts'
import { readOptions } from './options.ts'
import { type Cleanup, runProgram } from './program.ts'
import { type Server, startServer } from './systems/server.ts'
import { type Receiver, startReceiver } from './systems/start-receiver.ts'
import { startSystem } from './systems/system.ts'
import { payloadsOf } from './systems/target.ts'

const WARM_UP_EVENTS = 500
const POLL_MS = 20
const WAIT_MS_MAX = 120_000

interface Settings {
  events: number
  connections: number
  bytes: number
}

interface Rates {
  accepted_per_s: number
  delivered_per_s: number
}

async function measureCase(
  parent: Cleanup,
  server: Server,
  receiver: Receiver,
  prepared: PreparedCase,
  settings: Settings,
): Promise<Rates & Record<string, unknown>> {
  await using cleanup = parent.use(new AsyncDisposableStack())
  await prepared.refill()
  const base = { server, name: `${prepared.name}_run`, receiverUrl: null }
  const system = await startSystem(cleanup, { ...base, databaseUrl: prepared.databaseUrl })
  const client = createClient({ ...system.target, connections: settings.connections })
  cleanup.defer(async () => client.close())
  const payload = payloadsOf(settings.bytes)
  const post = (n: number) =>
    client.post(JSON.stringify({ ...prepared.eventOf(n), data: payload(n) }))

  await runLoad({ ...settings, events: WARM_UP_EVENTS }, post, receiver, 'warming up')
  const before = await usageOf(system.watched())
  const load = runLoad(settings, post, receiver, prepared.name)
  const rates = await Promise.race([load, system.failed()])
  const cpu = cpuMsPerEvent(before, await usageOf(system.watched()), settings.events)
  return { case: prepared.name, ...rates, cpu_ms_per_event: cpu }
}

/** Delivered are as many as were published, whichever: with a backlog, older ones come first. */
async function runLoad(
  settings: Settings,
  post: Parameters<typeof send>[1],
  receiver: Receiver,
  label: string,
) {
  const progress = startProgress(label, settings.events)
  const { received: before } = await receiver.counts()
  const sent = await send({ ...settings, ratePerSecond: 0 }, post, progress.update)
  progress.stop()
  if (sent.refused > 0) throw new Error(`events were refused: ${sent.firstRefusal}`)
  const deliveredAt = await receivedAt(receiver, before + settings.events)
  return {
    accepted_per_s: round((settings.events * 1000) / (sent.endedAt - sent.startedAt), 1),
    delivered_per_s: round((settings.events * 1000) / (deliveredAt - sent.startedAt), 1),
    answer_ms: distributionOf(sent.answerMs),
  }
}

async function receivedAt(receiver: Receiver, count: number): Promise<number> {
  const deadline = monotonicMs() + WAIT_MS_MAX
  while ((await receiver.counts()).received < count) {
    if (monotonicMs() > deadline) throw new Error('deliveries stopped')
    await delay(POLL_MS)
  }
  return monotonicMs()
}

/** How each case relates to the first, by the medians of the rounds. */
function ratios(results: ReadonlyMap<string, Rates[]>) {
  const medians = [...results].map(([name, rates]) => ({
    case: name,
    accepted_per_s: median(rates.map((rate) => rate.accepted_per_s)),
    delivered_per_s: median(rates.map((rate) => rate.delivered_per_s)),
  }))
  const [base] = medians
  return medians.map((rate) => ({
    ...rate,
    accepted_ratio: round(rate.accepted_per_s / (base?.accepted_per_s ?? Number.NaN)),
    delivered_ratio: round(rate.delivered_per_s / (base?.delivered_per_s ?? Number.NaN)),
  }))
}

const { cases, rounds, scale, ...settings } = readOptions({
  cases: {
    default: CASES.join(),
    among: CASES,
    help: 'the first is what the others are compared with',
  },
  scale: {
    default: 1,
    help: 'of a million events, 100,000 waiting, 1,000 endpoints, 10,000 tenants',
  },
  rounds: { default: 3, help: 'in reversed order every other time' },
  events: { default: 5000, help: 'of each measurement' },
  connections: { default: 32, help: 'of the closed loop' },
  bytes: { default: 300, help: 'of each payload' },
})

await runProgram(
  async (cleanup) => {
    const server = await startServer(cleanup)
    const report = await startReport('backlog', server)
    const receiver = await startReceiver(cleanup)
    const prepared: PreparedCase[] = []
    for (const name of cases.split(',')) {
      const asked = { server, receiverUrl: receiver.url, scale, bytes: settings.bytes }
      prepared.push(await prepareCase(cleanup, name, asked))
    }
    const results = new Map<string, Rates[]>(prepared.map(({ name }) => [name, []]))
    for (let round = 1; round <= rounds; round++) {
      for (const each of round % 2 === 1 ? prepared : prepared.toReversed()) {
        const figures = await measureCase(cleanup, server, receiver, each, settings)
        results.get(each.name)?.push(figures)
        report(figures, { ...settings, scale, round })
      }
    }
    report({ case: 'all', medians: ratios(results) }, { ...settings, scale, rounds })
  },
  { minutesMax: 120 },
)
