/**
 * What order by key costs one quick endpoint: a burst of events, stored before the runner starts, and delivered
 *
 * - `unordered`  in no particular order
 * - `keys`       in order, of so many keys by turns
 * - `blocked`    the same, next to a key that is blocked and has so many events waiting
 * - `one_key`    in order, all of one key
 *
 * The cases of a round follow one another, in reversed order every other time; a rate counts from the first arrival to the
 * last. Ratios are to `unordered`, that of `blocked` to `keys`.
 *
 *     node scripts/bench/ordering.ts --events 10000 --keys 1000 --waiting 100000 --rounds 3
 *
 * Whether events without a key cost what they did before is asked by
 *
 *     node scripts/bench/compare.ts <commit before>
 *     node scripts/bench/burst.ts <commit before>
 */
import type { Client } from 'pg'
import { startReport } from './measure/report.ts'
import { median, round } from './measure/statistics.ts'
import { readOptions } from './options.ts'
import { type Cleanup, runProgram } from './program.ts'
import { allReceived } from './scaling.ts'
import { type Server, startServer } from './systems/server.ts'
import { createDatabaseClient, publishMany } from './systems/sql.ts'
import { startReceiver } from './systems/start-receiver.ts'
import { startSystem } from './systems/system.ts'

const CASES = ['unordered', 'keys', 'blocked', 'one_key'] as const
type Case = (typeof CASES)[number]

interface OrderingSettings {
  events: number
  oneKeyEvents: number
  keys: number
  waiting: number
  bytes: number
}

async function measureCase(
  parent: Cleanup,
  { server, name, which }: { server: Server; name: string; which: Case },
  settings: OrderingSettings,
): Promise<{ delivered_per_s: number; publish_ms_per_event: number; lost: number }> {
  await using cleanup = parent.use(new AsyncDisposableStack())
  const receiver = await startReceiver(cleanup)
  const system = await startSystem(cleanup, { server, name, receiverUrl: receiver.url, runners: 0 })
  const client = await createDatabaseClient(cleanup, system.databaseUrl)
  if (which !== 'unordered') await client.query(`update postrider.endpoint set ordering = 'key'`)
  if (which === 'blocked') await blockKey(client, settings)
  const events = which === 'one_key' ? settings.oneKeyEvents : settings.events
  const eventOf = (n: number) => keyOf(which, n, settings.keys)
  const tookMs = await publishMany(client, { events, bytes: settings.bytes, eventOf })

  system.startRunner()
  await Promise.race([allReceived(receiver, events), system.failed()])
  const { distinct } = await receiver.counts()
  const { firstAt } = await receiver.arrivals(events)
  const arrived = firstAt.filter((at) => at >= 0).toSorted()
  const ms = (arrived.at(-1) ?? 0) - (arrived[0] ?? 0)
  return {
    delivered_per_s: round(((arrived.length - 1) * 1000) / ms, 1),
    publish_ms_per_event: round(tookMs.reduce((sum, one) => sum + one, 0) / events, 3),
    lost: events - distinct,
  }
}

/** Every case has the key in its events, so that publishing differs by what the endpoint asks for. */
const keyOf = (which: Case, n: number, keys: number) => ({
  orderingKey: which === 'one_key' ? 'one' : `key-${n % keys}`,
})

/** As if the first had used up its schedule. */
async function blockKey(client: Client, { waiting, bytes }: OrderingSettings): Promise<void> {
  const eventOf = () => ({ orderingKey: 'blocked' })
  await publishMany(client, { events: waiting + 1, bytes, eventOf })
  await client.query(`
    with failed as (
      update postrider.delivery d set state = 'failed', finished_at = now(), next_attempt_at = null
      where d.id in (select l.delivery_id from postrider.ordering_line l) returning d.id
    )
    select graphile_worker.remove_job('d:' || f.id) from failed f`)
  await client.query('update postrider.ordering_line set blocked_at = now()')
}

function ratios(results: ReadonlyMap<Case, number[]>) {
  const of = (which: Case) => median(results.get(which) ?? [])
  return {
    unordered: of('unordered'),
    keys: of('keys'),
    blocked: of('blocked'),
    one_key: of('one_key'),
    keys_ratio: round(of('keys') / of('unordered'), 2),
    blocked_ratio: round(of('blocked') / of('keys'), 2),
  }
}

const {
  rounds,
  'one-key-events': oneKeyEvents,
  ...rest
} = readOptions({
  events: { default: 10_000, help: 'of each burst' },
  'one-key-events': { default: 1_000, help: 'of the burst of one key' },
  keys: { default: 1_000, help: 'different ordering keys' },
  waiting: { default: 100_000, help: 'behind the key that is blocked' },
  bytes: { default: 300, help: 'of each payload' },
  rounds: { default: 3, help: 'in reversed order every other time' },
})

await runProgram(
  async (cleanup) => {
    const settings = { ...rest, oneKeyEvents }
    const server = await startServer(cleanup)
    const report = await startReport('ordering', server)
    const results = new Map<Case, number[]>(CASES.map((which) => [which, []]))
    for (let n = 1; n <= rounds; n++) {
      for (const which of n % 2 === 1 ? CASES : CASES.toReversed()) {
        const figures = await measureCase(
          cleanup,
          { server, name: `ordering_${which}_${n}`, which },
          settings,
        )
        results.get(which)?.push(figures.delivered_per_s)
        report({ case: which, ...figures }, { ...settings, round: n })
      }
    }
    report({ case: 'all', ...ratios(results) }, { ...settings, rounds })
  },
  { minutesMax: 60 },
)
