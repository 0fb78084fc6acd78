import type { PoolClient } from 'pg'
import { isPassing } from '../../../src/postgres/outage.ts'
import { createPool } from '../../../src/postgres/pool.ts'
import type { PublishedLine } from '../ledger.ts'
import { createCrowd } from './crowd.ts'
import { steadily } from './pace.ts'
import { chooseOrderingKey, type Producer, type ProducerOptions } from './producer.ts'
import { chooseDeliverAt } from './scheduled.ts'

const CONNECTIONS = 4
/** A server that is gone, or stands still, says nothing. */
const SILENCE_MS_MAX = 15_000
const WAITING_MAX = 500
/** A transaction that the producer takes back: nothing of it may ever be sent. */
const ROLLBACK_SHARE = 0.05

/** What the producer's own table is called; a row of it is the change that the event is about. */
export const MARKER_TABLE = 'public.chaos_marker'

/**
 * Publishes from SQL, in one transaction with a change of the producer's own.
 *
 * When the answer to COMMIT is lost the outcome is `unknown`: the two were stored together or not at all,
 * which is checked in the end.
 */
export function startSqlProducer(options: ProducerOptions): Producer {
  const pool = createPool({
    connectionString: options.system.databaseUrl,
    servers: options.system.servers,
    max: CONNECTIONS,
    silenceMsMax: SILENCE_MS_MAX,
    applicationName: 'chaos producer',
  })
  const stopping = new AbortController()
  const crowd = createCrowd(WAITING_MAX)
  const badAnswers = new Map<string, number>()
  const onUnexplained = (error: unknown) => {
    const name = `sql ${error instanceof Error ? error.message : error}`
    badAnswers.set(name, (badAnswers.get(name) ?? 0) + 1)
  }

  const publish = async () => {
    const n = options.nextNumber()
    const tenant = options.random.pick(options.system.tenants)
    const isTakenBack = options.random.next() < ROLLBACK_SHARE
    const deliverAt = chooseDeliverAt(options.random, options.aheadSeconds)
    const orderingKey = chooseOrderingKey(options)
    const result = await withClient((client) =>
      publishOne(client, { n, tenant, deliverAt, orderingKey, isTakenBack, onUnexplained }),
    )
    const line = {
      n,
      via: 'sql',
      api: null,
      tenant,
      deliverAt: deliverAt?.getTime() ?? null,
    } as const
    options.ledger.write({ ...line, ...result, tries: 1, at: Date.now() })
  }
  const withClient = async (use: (client: PoolClient) => Promise<Result>): Promise<Result> => {
    let client: PoolClient
    try {
      client = await pool.connect()
    } catch {
      return NOT_STORED
    }
    const result = await use(client)
    client.release(result.outcome !== 'accepted')
    return result
  }
  const pacing = steadily(options.rate, stopping.signal, () => crowd.start(publish))
  return {
    badAnswers,
    skipped: crowd.skipped,
    async stop() {
      stopping.abort()
      await pacing
      await crowd.idle()
      await pool.end()
    },
  }
}

type Result = Pick<PublishedLine, 'outcome' | 'id'>

const NOT_STORED: Result = { outcome: 'not_stored', id: null }

async function publishOne(
  client: PoolClient,
  event: {
    n: number
    tenant: string
    deliverAt: Date | null
    orderingKey: string | null
    isTakenBack: boolean
    onUnexplained(error: unknown): void
  },
): Promise<Result> {
  let id: string | null = null
  try {
    await client.query('begin')
    await client.query(`insert into ${MARKER_TABLE} (n) values ($1)`, [event.n])
    const { rows } = await client.query<{ id: string }>(
      `select postrider.publish($1, 'chaos.sql', $2, deliver_at => $3, ordering_key => $4) as id`,
      [event.tenant, JSON.stringify({ n: event.n }), event.deliverAt, event.orderingKey],
    )
    id = rows[0]?.id ?? null
    if (event.isTakenBack) {
      await client.query('rollback')
      return { outcome: 'not_stored', id }
    }
  } catch (error) {
    if (!isPassing(error)) event.onUnexplained(error)
    return { outcome: 'not_stored', id }
  }
  try {
    await client.query('commit')
    return { outcome: 'accepted', id }
  } catch (error) {
    if (!isPassing(error)) event.onUnexplained(error)
    return { outcome: 'unknown', id }
  }
}
