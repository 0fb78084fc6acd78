/** A real runner and receiver of an endpoint that wants the newest event of each ordering key only. */
import type { Pool } from 'pg'
import t from 'tap'
import { findViolations } from '../operations/violations.ts'
import { secretBox } from '../testing/data/encryption.ts'
import { createTenant } from '../testing/data/tenant.ts'
import { isLong } from '../testing/long.ts'
import { startReceiver } from '../testing/servers/receiver.ts'
import { untilHolds } from '../testing/until.ts'
import { createTestDatabase } from '../testing/wiring/database.ts'
import { startService } from '../testing/wiring/service.ts'

const KEYS = Array.from({ length: 10 }, (_, n) => `article:${n}`)
/** Changes of all keys together, before anything is sent. */
const QUIET_CHANGES = isLong ? 3_000 : 1_000
const IN_CALL = isLong ? 500 : 200
const PRODUCERS = 4
/** Changes of each producer while a runner sends. */
const LIVE_CHANGES = isLong ? 60 : 20

const { pool, url } = await createTestDatabase(t)
const tenant = await createTenant(pool)

/** The last state of each key, by the order of commits. */
async function newestOfKeys(): Promise<Map<string, string>> {
  const { rows } = await pool.query<{ key: string; id: string }>(
    `select distinct on (ordering_key) ordering_key as key, id from postrider.event
     where tenant_id = $1 and ordering_key is not null order by ordering_key, position desc`,
    [tenant.id],
  )
  return new Map(rows.map(({ key, id }) => [key, id]))
}

const ended = () =>
  untilHolds(
    pool,
    `select count(*) = 0 as holds from postrider.delivery where tenant_id = $1 and finished_at is null`,
    [tenant.id],
  )

t.test(
  'of many changes to a few keys the last of each arrives, and the last one last',
  async (t) => {
    await using receiver = await startReceiver()
    await tenant.addEndpoint({ url: receiver.url, collapse_ms: 0 }, secretBox.encrypt)
    const publish = (on: Pick<Pool, 'query'>, keys: string[]) =>
      on.query(`select count(*) from postrider.publish_many($1)`, [
        JSON.stringify(
          keys.map((orderingKey) => ({
            tenant: tenant.key,
            type: 'stock.changed',
            data: 1,
            orderingKey,
          })),
        ),
      ])

    const calls = Array.from({ length: QUIET_CHANGES / IN_CALL }, (_, call) =>
      Array.from({ length: IN_CALL }, (_, n) => KEYS[(call + n) % KEYS.length] ?? ''),
    )
    await Promise.all(
      Array.from({ length: PRODUCERS }, async () => {
        for (let call = calls.pop(); call; call = calls.pop()) await publish(pool, call)
      }),
    )
    const runner = await startService(t, 'runner', { DATABASE_URL: url })
    await ended()
    const idsOf = () => receiver.requests.map(({ headers }) => String(headers['webhook-id']))
    t.strictSame(
      idsOf().toSorted(),
      [...(await newestOfKeys()).values()].toSorted(),
      'one of each key',
    )

    // In separate transactions, some of which are open while the runner sends what was before.
    await Promise.all(
      Array.from({ length: PRODUCERS }, async (_, own) => {
        const client = await pool.connect()
        for (let n = 0; n < LIVE_CHANGES; n++) {
          await client.query('begin')
          await publish(client, [KEYS[(n * (own + 1)) % 3] ?? ''])
          await client.query(n % 10 === 9 ? 'rollback' : 'commit')
        }
        client.release()
      }),
    )
    await ended()
    const { rows } = await pool.query<{ id: string; key: string; position: string }>(
      'select id, ordering_key as key, position from postrider.event where tenant_id = $1',
      [tenant.id],
    )
    const byId = new Map(rows.map((row) => [row.id, row]))
    const last = new Map<string, number>()
    for (const id of idsOf()) {
      const { key = '', position } = byId.get(id) ?? {}
      t.ok(Number(position) > (last.get(key) ?? 0), `${key} goes on`)
      last.set(key, Number(position))
    }
    const arrived = new Map(idsOf().map((id) => [byId.get(id)?.key, id]))
    t.strictSame(arrived, await newestOfKeys(), 'the last state of each key is the last to arrive')
    t.ok(idsOf().length <= KEYS.length + PRODUCERS * LIVE_CHANGES)
    const { rows: states } = await pool.query(
      `select state from postrider.delivery where tenant_id = $1 group by 1 order by 1`,
      [tenant.id],
    )
    t.strictSame(states, [{ state: 'collapsed' }, { state: 'delivered' }])
    t.strictSame(await findViolations(pool), [])
    t.equal(await runner.stop(), 0)
  },
)

t.test('turned off, the state that waits for newer ones arrives at once', async (t) => {
  await using receiver = await startReceiver()
  const own = await createTenant(pool)
  const { id } = await own.addEndpoint(
    { url: receiver.url, collapse_ms: 86_400_000 },
    secretBox.encrypt,
  )
  const publish = async () => {
    const { rows } = await pool.query<{ id: string }>(
      `select postrider.publish($1, 'stock.changed', '{}', ordering_key => 'article:1') as id`,
      [own.key],
    )
    return rows[0]?.id
  }
  const runner = await startService(t, 'runner', { DATABASE_URL: url })
  const first = await publish()
  await pool.query('update postrider.endpoint set collapse_ms = null where id = $1', [id])
  const second = await publish()
  const requests = await receiver.received(2)
  t.strictSame(
    new Set(requests.map(({ headers }) => headers['webhook-id'])),
    new Set([first, second]),
  )
  t.equal(await runner.stop(), 0)
})
