/**
 * What finding out how much an endpoint bears costs one that bears everything: a burst of events for one quick
 * endpoint, stored before the runner starts, in this checkout and in a commit. The rate counts from the first
 * arrival to the last, so that the gentle beginning is in it. The ratio is to the commit.
 *
 *     node scripts/bench/burst.ts main~5 --events 5000 --rounds 3
 */
import { join } from 'node:path'
import { commitOf, startReport } from './measure/report.ts'
import { median, round } from './measure/statistics.ts'
import { readOptions } from './options.ts'
import { type Cleanup, runProgram } from './program.ts'
import { allReceived } from './scaling.ts'
import { type Server, startServer } from './systems/server.ts'
import { createDatabaseClient, publishMany } from './systems/sql.ts'
import { startReceiver } from './systems/start-receiver.ts'
import { CHECKOUT, startSystem } from './systems/system.ts'
import { checkOut } from './systems/worktree.ts'

interface BurstSettings {
  events: number
  delay: number
  bytes: number
}

async function measureBurst(
  parent: Cleanup,
  { server, name, root }: { server: Server; name: string; root: string },
  { events, delay, bytes }: BurstSettings,
): Promise<{ delivered_per_s: number; in_flight_max: number; lost: number; repeated: number }> {
  await using cleanup = parent.use(new AsyncDisposableStack())
  const receiver = await startReceiver(cleanup, { delayMs: delay })
  const base = { server, name, root, receiverUrl: receiver.url, runners: 0 }
  const system = await startSystem(cleanup, base)
  const client = await createDatabaseClient(cleanup, system.databaseUrl)
  await publishMany(client, { events, bytes })

  system.startRunner()
  await Promise.race([allReceived(receiver, events), system.failed()])
  const { received, distinct, inFlightMax } = await receiver.counts()
  const { firstAt } = await receiver.arrivals(events)
  const arrived = firstAt.filter((at) => at >= 0).toSorted()
  const ms = (arrived.at(-1) ?? 0) - (arrived[0] ?? 0)
  return {
    delivered_per_s: round(((arrived.length - 1) * 1000) / ms, 1),
    in_flight_max: inFlightMax,
    lost: events - distinct,
    repeated: received - distinct,
  }
}

if (import.meta.main) {
  const [ref = '', ...args] = process.argv.slice(2)
  const isRef = ref !== '' && !ref.startsWith('-')
  const { rounds, ...settings } = readOptions(
    {
      events: { default: 5000, help: 'stored before the runner starts' },
      delay: { default: 0, help: 'milliseconds until the receiver answers' },
      bytes: { default: 300, help: 'of each payload' },
      rounds: { default: 3, help: 'of both, in reversed order every other time' },
    },
    isRef ? args : ['--help'],
  )
  await runProgram(
    async (cleanup) => {
      const server = await startServer(cleanup)
      const before = await checkOut(cleanup, ref, join(server.folder, 'checkout'))
      const report = await startReport('burst', server)
      const rates = new Map<string, number[]>([before, CHECKOUT].map((root) => [root, []]))
      for (let n = 1; n <= rounds; n++) {
        for (const [root, measured] of n % 2 === 1 ? rates : [...rates].toReversed()) {
          const which = root === CHECKOUT ? 'now' : 'before'
          const place = { server, name: `burst_${which}_${n}`, root }
          const figures = await measureBurst(cleanup, place, settings)
          measured.push(figures.delivered_per_s)
          report({ which, commit_of: await commitOf(root), ...figures }, { ...settings, round: n })
        }
      }
      const [then = 0, now = 0] = [...rates.values()].map(median)
      report({ before: then, now, ratio: round(now / then, 2) }, { ...settings, rounds })
    },
    { minutesMax: 60 },
  )
}
