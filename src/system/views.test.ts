import t, { type Test } from 'tap'
import { createWork } from '../testing/data/work.ts'
import { untilAnswer } from '../testing/until.ts'
import { onBothPostgres, type TestDatabase } from '../testing/wiring/database.ts'

onBothPostgres(t, conformance)

/** Enough that the planner would not choose an index for want of rows, and seconds to make. */
const DAYS = 5
const DELIVERIES_A_DAY = 6_000

const VIEWS = [
  'queue_depth',
  'runner_health',
  'overdue_delivery',
  'endpoint_health',
  'attempt_rate',
  'failure_reason',
  'locked_orphan',
  'invariant_violation',
  'table_health',
  'xmin_holder',
  'notify_pressure',
  'partition',
  'attached_table',
  'backfill_progress',
]

async function conformance(t: Test, { pool }: TestDatabase) {
  const work = await createWork(pool)
  const sample = await fill()

  /** Finished deliveries with an attempt each on some past days, and ten open ones of today. */
  async function fill() {
    await pool.query(
      `select postrider.create_partition(parent, (clock_timestamp() at time zone 'UTC')::date - day)
       from unnest(array['event', 'delivery', 'attempt']) as parent, generate_series(1, $1) as day`,
      [DAYS],
    )
    await pool.query(
      `with made as materialized (
         select (left(postrider.id_at(at)::text, 14) || '7' || right(gen_random_uuid()::text, 21))::uuid as id, at
         from generate_series(1, $1) as day, generate_series(1, $2) as n,
           lateral (select (date_trunc('day', clock_timestamp() at time zone 'UTC') at time zone 'UTC')
             - make_interval(days => day) + n * interval '10 seconds' as at) as clock
       ),
       events as (
         insert into postrider.event (id, tenant_id, type, data, occurred_at, created_at)
         select id, $3, 'a.b', '1', at, at from made
       ),
       attempts as (
         insert into postrider.attempt (id, tenant_id, delivery_id, endpoint_id, number, trigger, outcome, runner, started_at)
         select id, $3, id, $4, 1, 'schedule', 'delivered', $5, at from made
       )
       insert into postrider.delivery (id, tenant_id, event_id, endpoint_id, state, attempt_count, due_attempt, created_at, finished_at)
       select id, $3, id, $4, 'delivered', 1, 2, at, at from made`,
      [DAYS, DELIVERIES_A_DAY, work.tenant.id, work.endpoint.id, work.runner],
    )
    for (let n = 0; n < 10; n++) await work.publish()
    await pool.query('vacuum analyze')
    const { rows } = await pool.query(
      `select id, tableoid::regclass::text as partition from postrider.delivery order by id offset 10000 limit 1`,
    )
    return rows[0] as { id: string; partition: string }
  }

  /** Relations of a plan that are read, by kind of node. */
  async function explain(sql: string, values: unknown[] = []) {
    const { rows } = await pool.query(`explain (format json, costs off) ${sql}`, values)
    const found: { node: string; relation: string }[] = []
    const visit = (plan: Record<string, unknown>): void => {
      if (typeof plan['Relation Name'] === 'string') {
        found.push({ node: String(plan['Node Type']), relation: plan['Relation Name'] })
      }
      for (const child of (plan['Plans'] ?? []) as Record<string, unknown>[]) visit(child)
    }
    const plans = rows[0]['QUERY PLAN']
    visit((typeof plans === 'string' ? JSON.parse(plans) : plans)[0].Plan)
    return found
  }

  const readBy = async (sql: string, values: unknown[] = []) =>
    (await explain(sql, values)).map(({ relation }) => `postrider.${relation}`)

  t.test('a query by id reads one partition', async (t) => {
    for (const parent of ['event', 'delivery', 'attempt']) {
      t.strictSame(await readBy(`select * from postrider.${parent} where id = '${sample.id}'`), [
        sample.partition.replace('delivery', parent),
      ])
    }
  })

  t.test('children are looked for from the hour before their parent on', async (t) => {
    const read = await readBy(
      `select * from postrider.attempt where delivery_id = '${sample.id}' and id >= postrider.id_floor('${sample.id}')`,
    )
    const { rows } = await pool.query<{ name: string }>(
      `select 'postrider.' || name as name from postrider.partition
       where parent = 'attempt' and day >= to_date(right($1, 8), 'YYYYMMDD') order by day`,
      [sample.partition],
    )
    t.strictSame(
      read,
      rows.map(({ name }) => name),
    )
  })

  /** Rows of finished work that were read in order, by this session and those before it. */
  async function scannedRows(): Promise<number> {
    const { rows } = await pool.query(
      `select sum(seq_tup_read)::int as rows from pg_stat_user_tables
       where schemaname = 'postrider' and relname ~ '^(event|delivery|attempt)_\\d+$' and n_live_tup > 1000`,
    )
    return rows[0].rows
  }

  /** Runs a query and says how many rows of finished work it read without an index. */
  async function scannedBy(sql: string): Promise<number> {
    const before = await scannedRows()
    const client = await pool.connect()
    try {
      await client.query(sql)
      await client.query('select pg_stat_force_next_flush()')
    } finally {
      client.release(true) // a session that ends has told the statistics everything
    }
    await sessionsEnded()
    return (await scannedRows()) - before
  }

  /** Resolves once no session but the pool's idle ones is left. */
  async function sessionsEnded(): Promise<void> {
    const count = async () => {
      const { rows } = await pool.query<{ sessions: number }>(
        `select count(*)::int as sessions from pg_stat_activity
         where datname = current_database() and backend_type = 'client backend'`,
      )
      return rows[0]?.sessions ?? 0
    }
    await untilAnswer(count, (sessions) => sessions <= pool.totalCount)
  }

  t.test('what is read without an index would be noticed', async (t) => {
    t.equal(
      await scannedBy(`select count(*) from postrider.delivery where state = 'delivered'`),
      DAYS * DELIVERIES_A_DAY,
    )
  })

  for (const view of VIEWS) {
    t.test(`${view} reads no finished work but through an index`, async (t) => {
      t.equal(await scannedBy(`select * from postrider.${view}`), 0)
    })
  }

  for (const call of [
    'reconcile()',
    'janitor()',
    'clean_up()',
    'erase_due()',
    `violations(now() - interval '30 days')`,
    'retention_plan(2)',
  ]) {
    t.test(`${call} reads no finished work but through an index`, async (t) => {
      t.equal(await scannedBy(`select * from postrider.${call}`), 0)
    })
  }

  t.test('what changes all the time is vacuumed by its own settings', async (t) => {
    const { rows } = await pool.query<{ name: string }>(
      `select c.oid::regclass::text as name from pg_class c
       where c.reloptions::text like '%autovacuum_vacuum%' and c.relname !~ '_\\d{8}$' order by 1`,
    )
    t.strictSame(
      rows.map(({ name }) => name),
      [
        'graphile_worker._private_jobs',
        'postrider.circuit',
        'postrider.ordering_line',
        'postrider.ordering_place',
        'postrider.runner',
        'postrider.tenant_backlog',
      ],
    )
    const days = await pool.query(
      `select bool_and(c.reloptions::text like '%autovacuum_vacuum%') as "all"
       from postrider.partition p join pg_class c on c.relname = p.name where p.parent = 'delivery'`,
    )
    t.strictSame(days.rows, [{ all: true }])
  })

  t.test('endpoint_health counts what is open', async (t) => {
    const { rows } = await pool.query(
      'select pending, delivering, held from postrider.endpoint_health where id = $1',
      [work.endpoint.id],
    )
    t.strictSame(rows, [{ pending: '10', delivering: '0', held: '0' }])
  })

  t.test('every function has a comment', async (t) => {
    const { rows } = await pool.query(`
      select p.oid::regprocedure::text as missing from pg_proc p
      where p.pronamespace = 'postrider'::regnamespace and obj_description(p.oid, 'pg_proc') is null`)
    t.strictSame(rows, [])
  })

  t.end()
}
