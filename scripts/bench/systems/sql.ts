import pg from 'pg'
import type { Cleanup } from '../program.ts'
import { EVENT_TYPE, TENANT } from './system.ts'
import { payloadsOf } from './target.ts'

/** Of publish_many; larger ones gain nothing more. */
const BATCH_EVENTS = 1000

/** A producer's connection. */
export async function createDatabaseClient(cleanup: Cleanup, url: string): Promise<pg.Client> {
  const client = new pg.Client({ connectionString: url, application_name: 'postrider bench' })
  client.on('error', () => undefined) // the database is dropped under it at the end
  await client.connect()
  cleanup.defer(() => client.end())
  return client
}

export interface SqlLoad {
  events: number
  bytes: number
  batch?: number
  /** Number of the first event. */
  from?: number
  /** Events of another tenant or type than all others, or with an ordering key. */
  eventOf?: (n: number) => {
    tenant?: string
    type?: string
    deliverAt?: string
    orderingKey?: string
  }
}

/** Publishes by SQL, in batches; throws when one is refused. @returns ms of each batch */
export async function publishMany(client: pg.Client, load: SqlLoad): Promise<number[]> {
  const { batch = BATCH_EVENTS, from = 0 } = load
  const durations: number[] = []
  for (let n = from; n < from + load.events; n += batch) {
    const events = jsonOf(load, n, Math.min(n + batch, from + load.events))
    const startedAt = performance.now()
    const { rows } = await client.query<{ error: string | null }>(
      'select error from postrider.publish_many($1) where error is not null limit 1',
      [events],
    )
    durations.push(performance.now() - startedAt)
    if (rows[0]) throw new Error(`publish_many refused an event: ${rows[0].error}`)
  }
  return durations
}

function jsonOf({ bytes, eventOf = () => ({}) }: SqlLoad, from: number, to: number): string {
  const payload = payloadsOf(bytes)
  const events = Array.from({ length: to - from }, (_, i) => ({
    tenant: TENANT,
    type: EVENT_TYPE,
    ...eventOf(from + i),
    data: payload(from + i),
  }))
  return JSON.stringify(events)
}
