import type { Pool } from 'pg'
import { isPassing } from '../../src/postgres/outage.ts'
import type { ErasedLine, Ledger } from './ledger.ts'

/** So few that most events are delivered anyway. */
const BATCH = 5
/**
 * Of a tenant that has less than this nothing is erased: which events are its oldest must not depend on a
 * transaction that commits while we look.
 */
const EVENTS_MIN = 40

/** Read before it is erased: afterwards nothing tells which event it was. */
type Chosen = Pick<ErasedLine, 'id' | 'n'>

/** Erases an event that somebody has still to get; returns how many there were. */
export async function eraseOpenEvent(pool: Pool, ledger: Ledger<ErasedLine>): Promise<number> {
  const { rows } = await pool.query<Chosen>(
    `select e.id, (e.data ->> 'n')::int as n from postrider.event e
     where e.data is not null and e.id = (
       select d.event_id from postrider.delivery d where d.finished_at is null order by random() limit 1)`,
  )
  const [event] = rows
  if (!event) return 0
  return await erase(ledger, [event], async () => {
    await pool.query(`select postrider.erase_event($1, 'chaos')`, [event.id])
    return 1
  })
}

/** Erases the oldest events of some tenant; returns how many there were. */
export async function eraseOldest(pool: Pool, ledger: Ledger<ErasedLine>): Promise<number> {
  const { rows } = await pool.query<Chosen & { tenant: string }>(
    `select t.key as tenant, e.id, (e.data ->> 'n')::int as n
     from (select * from postrider.tenant where key like 'chaos-%' order by random() limit 1) as t
     join postrider.event e on e.tenant_id = t.id and e.data is not null
     order by e.id limit ${EVENTS_MIN}`,
  )
  const tenant = rows[0]?.tenant
  if (tenant === undefined || rows.length < EVENTS_MIN) return 0
  return await erase(ledger, rows.slice(0, BATCH), async () => {
    const erased = await pool.query<{ count: number }>(
      `select postrider.erase_tenant_data($1, 'chaos', ${BATCH}) as count`,
      [tenant],
    )
    return erased.rows[0]?.count ?? 0
  })
}

async function erase(
  ledger: Ledger<ErasedLine>,
  chosen: readonly Chosen[],
  run: () => Promise<number>,
): Promise<number> {
  const note = (outcome: ErasedLine['outcome']) => {
    for (const { id, n } of chosen) ledger.write({ id, n, outcome, at: Date.now() })
  }
  try {
    const count = await run()
    note('accepted')
    return count
  } catch (error) {
    if (isPassing(error)) note('unknown')
    throw error
  }
}
