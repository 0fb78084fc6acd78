import type { Pool, PoolClient } from 'pg'
import type { Test } from 'tap'

/** A producer whose open transaction has published with these idempotency keys; the test ends it. */
export const holdKeys = (t: Test, pool: Pool, held: Held): Promise<PoolClient> =>
  hold(t, pool, { ...held, argument: 'idempotency_key' })

/** The same with these ordering keys. */
export const holdOrderingKeys = (t: Test, pool: Pool, held: Held): Promise<PoolClient> =>
  hold(t, pool, { ...held, argument: 'ordering_key' })

interface Held {
  tenant: string
  keys: readonly string[]
}

async function hold(
  t: Test,
  pool: Pool,
  { tenant, keys, argument }: Held & { argument: 'idempotency_key' | 'ordering_key' },
): Promise<PoolClient> {
  const producer = await pool.connect()
  t.teardown(() => producer.release())
  await producer.query('begin')
  await producer.query(
    `select postrider.publish($1, 'invoice.paid', '1', ${argument} => key) from unnest($2::text[]) as key`,
    [tenant, keys],
  )
  return producer
}

/** Each commit that has stored a key takes as long as on a disk that is overloaded, until the test ends. */
export async function slowDownKeys(t: Test, pool: Pool): Promise<void> {
  await pool.query(`
    create or replace function public.slow_disk() returns trigger language plpgsql as
      'begin perform pg_sleep(0.2); return null; end';
    create constraint trigger slow_disk after insert or update on postrider.idempotency
      deferrable initially deferred for each row execute function public.slow_disk()`)
  t.teardown(() => pool.query('drop trigger slow_disk on postrider.idempotency'))
}

/** Counts who tries to store a key, also where that is rolled back. */
export async function countTries(pool: Pool): Promise<void> {
  await pool.query(`
    create sequence public.tries;
    create function public.count_try() returns trigger language plpgsql as
      $$ begin perform nextval('public.tries'); return new; end $$;
    create trigger count_try before insert on postrider.idempotency
      for each row execute function public.count_try()`)
}
