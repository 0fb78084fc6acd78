import type pg from 'pg'

/** What one process does at a time, over more than one transaction; rows of `postrider.duty`. */
export type Duty = 'migrate' | 'retention'

/** Limits that a role or database may set, and that would end a transaction which only waits. */
const LIMITS = ['idle_in_transaction_session_timeout', 'transaction_timeout', 'statement_timeout']

/** A schema, table or type that another process has just created. */
const CREATED_MEANWHILE = new Set(['23505', '42P06', '42P07'])
/** For a role that may call functions and not lock rows, as a runner's. */
const byFunction = (duty: Duty) => `select postrider.take_duty('${duty}') as taken`
/** Before there are functions: for the owner of the schema. */
const byRow = (duty: Duty) => `
  select exists (
    select from postrider.duty where name = '${duty}' for update skip locked) as taken`

/**
 * Takes a duty until `endDuty`, or until the connection is gone; false when another process is at it.
 *
 * A transaction stays open on `client`, so the work itself is done on another connection. It is read committed
 * and idle: it holds no snapshot, so nothing that is built or detached concurrently waits for it. That is why
 * the last statement has no parameters: the portal of the extended protocol would keep its snapshot.
 */
export async function beginDuty(client: pg.ClientBase, duty: Duty): Promise<boolean> {
  await client.query('begin isolation level read committed')
  await client.query(`select set_config(name, '0', true) from pg_settings where name = any ($1)`, [
    LIMITS,
  ])
  const { rows } = await client.query(duty === 'migrate' ? byRow(duty) : byFunction(duty))
  if (rows[0].taken) return true
  await client.query('rollback')
  return false
}

/** The duty is free again. */
export async function endDuty(client: pg.ClientBase): Promise<void> {
  await client.query('commit')
}

/**
 * Makes the rows that `migrate` needs before it can apply its first migration, which makes the same
 * with their documentation. Many may call it at once.
 */
export async function prepareDuties(client: pg.ClientBase): Promise<void> {
  const { rows } = await client.query(`select to_regclass('postrider.duty') is not null as there`)
  if (rows[0].there) return
  await client
    .query(
      `begin;
       create schema if not exists postrider;
       create table if not exists postrider.duty (name text primary key);
       insert into postrider.duty (name) values ('migrate') on conflict do nothing;
       commit`,
    )
    .catch(async (error: pg.DatabaseError) => {
      await client.query('rollback')
      if (!CREATED_MEANWHILE.has(error.code ?? '')) throw error
    })
}
