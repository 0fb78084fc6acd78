import { type Kysely, sql } from 'kysely'
import pg from 'pg'
import t, { type Test } from 'tap'
import type { TenantId } from '../ids.ts'
import { createWork } from '../testing/data/work.ts'
import { addIncident } from '../testing/data/world.ts'
import { onBothPostgres, type TestDatabase } from '../testing/wiring/database.ts'
import type { Database } from './schema.ts'
import { createTenantScope, TenantScopeMissing } from './tenant-scope.ts'

onBothPostgres(t, conformance)

const ROLE = 'postrider_tenant'
const DENIED = '42501'
const NEVER_SET = '42704'
const NO_UUID = '22P02'

async function conformance(t: Test, { pool, url }: TestDatabase) {
  const { database, inTenant } = createTenantScope(pool)
  const own = await tenantWithEverything()
  const other = await tenantWithEverything()
  const ownId = own.tenant.id as TenantId
  const asOwn = <T>(work: (on: Kysely<Database>) => Promise<T>) =>
    inTenant(ownId, () => work(database))
  const rowsOf = async <Row = Record<string, unknown>>(text: string) =>
    (await pool.query(text)).rows as Row[]

  /** Has a row in every table that has a tenant. */
  async function tenantWithEverything() {
    const work = await createWork(pool)
    const { tenant, endpoint } = work
    const due = await work.publish()
    await work.finish(await work.claim(due), 500, 3600)
    await pool.query(`select postrider.publish($1, 'a.b', '1', 'the-key')`, [tenant.key])
    await pool.query(`select postrider.cancel($1)`, [due.id])
    await pool.query(
      `insert into postrider.api_key (tenant_id, name, hash, scopes)
       values ($1::uuid, 'key', sha256($1::text::bytea), '{read}')`,
      [tenant.id],
    )
    const { rows } = await pool.query(
      `select id from postrider.start_replay($1, since => now() - interval '1 hour')`,
      [tenant.key],
    )
    await pool.query(`update postrider.endpoint set ordering = 'key' where id = $1`, [endpoint.id])
    const [, waiting = ''] = await work.publishInOrder('a', 'a')
    const incidentId = await addIncident(pool, work.tenant.id, work.endpoint.id)
    const replayId = rows[0]?.id as string
    return { ...work, endpoint, delivery: due, replayId, incidentId, waiting }
  }

  /** Tables and views, partitions left out, with how they name their tenant. */
  const relations = await rowsOf<{ name: string; kind: string; column: string; granted: boolean }>(`
    select c.oid::regclass::text as name, c.relkind as kind, a.attname as column,
      has_table_privilege('${ROLE}', c.oid, 'select') as granted
    from pg_class c
    join pg_attribute a on a.attrelid = c.oid
      and a.attname = case c.relname when 'tenant' then 'id' else 'tenant_id' end
    where c.relnamespace = 'postrider'::regnamespace and c.relkind in ('r', 'p', 'v')
      and not c.relispartition and c.relname !~ '_\\d{8}$'`)

  t.test("a row of one tenant cannot name another tenant's endpoint", async (t) => {
    const tables = await rowsOf<{ name: string; bound: boolean }>(`
      select c.relname as name, exists (
        select from pg_constraint f
        where f.conrelid = c.oid and f.confrelid = 'postrider.endpoint'::regclass and cardinality(f.conkey) = 2) as bound
      from pg_class c
      where c.relnamespace = 'postrider'::regnamespace and c.relkind = 'r' and not c.relispartition
        and c.relname !~ '_\\d{8}$' and c.relname not in ('attempt_day') -- counts that outlive their endpoints
        -- Functions alone write them, with tenant and endpoint of one delivery; each row would lock that of its endpoint.
        and c.relname not in ('ordering_line', 'ordering_place')
        and (select count(*) from pg_attribute a
             where a.attrelid = c.oid and a.attname in ('tenant_id', 'endpoint_id') and not a.attisdropped) = 2`)
    t.ok(tables.length >= 4)
    t.strictSame(
      tables.filter(({ bound }) => !bound),
      [],
    )
    await t.rejects(
      asOwn((on) =>
        sql`insert into postrider.endpoint_secret (tenant_id, endpoint_id, encrypted)
            values (${ownId}, ${other.endpoint.id}, 'mine')`.execute(on),
      ),
      { code: '23503' },
      'although row-level security sees its own row tenant',
    )
  })

  t.test('a query without a condition sees one tenant, or is refused', async (t) => {
    t.ok(relations.length > 10)
    for (const { name, column, granted } of relations) {
      const query = sql<{
        tenant: string
      }>`select ${sql.ref(column)} as tenant from ${sql.raw(name)}`
      if (granted) {
        const { rows } = await asOwn((on) => query.execute(on))
        t.strictSame([...new Set(rows.map(({ tenant }) => tenant))], [ownId], name)
      } else {
        await t.rejects(
          asOwn((on) => query.execute(on)),
          { code: DENIED },
          name,
        )
      }
    }
  })

  t.test('every table with a tenant has the policy', async (t) => {
    const policies = await rowsOf(`
      select p.polrelid::regclass::text as name, pg_get_expr(p.polqual, p.polrelid) as condition
      from pg_policy p join pg_class c on c.oid = p.polrelid
      where c.relrowsecurity and p.polroles = array['${ROLE}'::regrole::oid] and p.polcmd = '*'`)
    for (const { name, column, kind } of relations.filter(({ kind }) => kind !== 'v')) {
      const condition = new RegExp(`^\\(${column} = \\( SELECT \\(current_setting`)
      t.match(
        policies.find((policy) => policy['name'] === name),
        { condition },
        `${kind} ${name}`,
      )
    }
  })

  t.test('partitions cannot be named', async (t) => {
    const partitions = await rowsOf<{ name: string; granted: boolean }>(`
      select c.oid::regclass::text as name,
        has_any_column_privilege('${ROLE}', c.oid, 'select, insert, update') as granted
      from pg_class c where c.relnamespace = 'postrider'::regnamespace and c.relispartition and c.relkind = 'r'`)
    t.ok(partitions.length > 10)
    t.strictSame(
      partitions.filter(({ granted }) => granted),
      [],
    )
    for (const parent of ['event', 'delivery', 'attempt']) {
      const partition = partitions.find(({ name }) => name.startsWith(`postrider.${parent}_`))
      const query = sql`select from ${sql.raw(partition?.name ?? '')}`
      await t.rejects(
        asOwn((on) => query.execute(on)),
        { code: DENIED },
        parent,
      )
    }
  })

  t.test('views have the rights of anyone who reads them', async (t) => {
    const views = await rowsOf<{ name: string; options: string[] | null }>(`
      select c.relname as name, c.reloptions as options from pg_class c
      where c.relnamespace = 'postrider'::regnamespace and c.relkind = 'v'`)
    t.ok(views.length > 5)
    for (const { name, options } of views) {
      t.ok(options?.includes('security_invoker=true'), name)
    }
  })

  t.test('anyone who forgets the tenant gets nothing', async (t) => {
    await t.rejects(database.selectFrom('endpoint').selectAll().execute(), TenantScopeMissing)
    await t.rejects(
      database.transaction().execute(() => Promise.resolve()),
      TenantScopeMissing,
    )
    const client = new pg.Client({ connectionString: url })
    await client.connect()
    t.teardown(() => client.end())
    await client.query(`set role ${ROLE}`)
    const readable = relations.filter(({ granted }) => granted)
    for (const { name } of readable) {
      await t.rejects(client.query(`select from ${name}`), { code: NEVER_SET }, name)
    }
    // As a transaction before has left it.
    await client.query(`set postrider.tenant_id = ''`)
    for (const { name } of readable) {
      await t.rejects(client.query(`select from ${name}`), { code: NO_UUID }, name)
    }
    await t.rejects(client.query('select postrider.retry_now($1)', [own.delivery.id]), {
      code: 'P0002',
    })
  })

  t.test('writes stay within the tenant', async (t) => {
    const { endpoint } = other
    const values = { url: 'https://example.com/', tenant_id: other.tenant.id }
    await t.rejects(
      asOwn((on) => on.insertInto('endpoint').values(values).execute()),
      { code: DENIED },
    )
    const updated = await asOwn((on) =>
      on.updateTable('endpoint').set({ description: 'mine' }).returning('tenant_id').execute(),
    )
    t.strictSame(updated, [{ tenant_id: ownId }])
    await t.rejects(
      asOwn((on) => on.updateTable('endpoint').set({ tenant_id: other.tenant.id }).execute()),
      { code: DENIED },
    )
    await asOwn((on) => on.deleteFrom('endpoint_secret').execute())
    const left = await pool.query(
      'select description from postrider.endpoint e join postrider.endpoint_secret s on s.endpoint_id = e.id where e.id = $1',
      [endpoint.id],
    )
    t.strictSame(left.rows, [{ description: '' }])
    for (const table of ['event', 'delivery', 'attempt', 'tenant'] as const) {
      await t.rejects(
        asOwn((on) => on.deleteFrom(table).execute()),
        { code: DENIED },
        table,
      )
    }
  })

  /** What each function that a tenant's request may call does about something of another tenant. */
  const refusals: Record<string, { call: string; refused: { code: string } | unknown[] }> = {
    retry_now: { call: `retry_now('${other.delivery.id}')`, refused: { code: 'P0002' } },
    cancel: { call: `cancel('${other.delivery.id}')`, refused: { code: 'P0002' } },
    pause_endpoint: { call: `pause_endpoint('${other.endpoint.id}')`, refused: { code: 'P0002' } },
    resume_endpoint: {
      call: `resume_endpoint('${other.endpoint.id}')`,
      refused: { code: 'P0002' },
    },
    enable_endpoint: {
      call: `enable_endpoint('${other.endpoint.id}')`,
      refused: { code: 'P0002' },
    },
    disable_by_hand: {
      call: `disable_by_hand('${other.endpoint.id}')`,
      refused: { code: 'P0002' },
    },
    delete_endpoint: {
      call: `delete_endpoint('${other.tenant.id}', '${other.endpoint.id}')`,
      refused: [{ answer: false }],
    },
    cancel_deliveries_of: {
      call: `cancel_deliveries_of('${other.endpoint.id}')`,
      refused: [{ answer: 0 }],
    },
    explain_route: {
      call: `explain_route('${other.tenant.id}', '${other.delivery.eventId}')`,
      refused: [],
    },
    publish_test: {
      call: `publish_test('${other.endpoint.id}', 'a.b', '{}')`,
      refused: { code: '55000' },
    },
    publish_example: {
      call: `publish_example('${other.endpoint.id}', 'a.b', '{}')`,
      refused: { code: '55000' },
    },
    start_replay: {
      call: `start_replay('${other.tenant.key}', now() - interval '1 hour')`,
      refused: { code: 'P0002' },
    },
    start_bulk: {
      call: `start_bulk('${other.tenant.key}', 'cancel')`,
      refused: { code: 'P0002' },
    },
    start_recovery: {
      call: `start_recovery('${other.endpoint.id}', now() - interval '1 hour')`,
      refused: { code: 'P0002' },
    },
    cancel_replay: { call: `cancel_replay('${other.replayId}')`, refused: [{ answer: false }] },
    ...Object.fromEntries(
      [
        ...['acknowledge_incident', 'probe_incident', 'release_incident', 'pause_incident'],
        ...['incident_message', 'notify_customer'],
      ].map((name) => [
        name,
        { call: `${name}('${other.incidentId}')`, refused: { code: 'P0002' } },
      ]),
    ),
    note_incident: {
      call: `note_incident('${other.incidentId}', 'mine')`,
      refused: { code: 'P0002' },
    },
    retry_head: { call: `retry_head('${other.endpoint.id}', 'a')`, refused: { code: 'P0002' } },
    skip_head: { call: `skip_head('${other.endpoint.id}', 'a')`, refused: { code: 'P0002' } },
    skip_to: {
      call: `skip_to('${other.endpoint.id}', 'a', '${other.waiting}')`,
      refused: { code: 'P0002' },
    },
    release_ordering: {
      call: `release_ordering('${other.endpoint.id}')`,
      refused: { code: 'P0002' },
    },
    // Writes no row, as stateOf() sees.
    audit_rotation: {
      call: `audit_rotation('${other.endpoint.id}', 60)`,
      refused: [{ answer: '' }],
    },
    // Finds no row of another tenant, so there is nothing that it would lock.
    lock_endpoints_of: {
      call: `lock_endpoints_of('${other.tenant.id}')`,
      refused: [{ answer: '' }],
    },
  }

  t.test('functions with more rights refuse what is another tenant’s', async (t) => {
    const callable = await rowsOf<{ name: string }>(`
      select p.proname as name from pg_proc p
      where p.pronamespace = 'postrider'::regnamespace and p.prosecdef
        and has_function_privilege('${ROLE}', p.oid, 'execute')`)
    // So that there is a reason to keep to oneself.
    await pool.query('select postrider.pause_endpoint($1)', [other.endpoint.id])
    const before = await stateOf(other.tenant.id)
    for (const { name } of callable) {
      const refusal = refusals[name]
      if (!refusal) {
        t.fail(`say in this test how ${name}() refuses what belongs to another tenant`)
        continue
      }
      const called = asOwn((on) =>
        sql`select postrider.${sql.raw(refusal.call)} as answer`.execute(on),
      )
      if (Array.isArray(refusal.refused)) t.match((await called).rows, refusal.refused, name)
      else await t.rejects(called, refusal.refused, name)
    }
    t.strictSame(await stateOf(other.tenant.id), before)
  })

  t.test('and work for the tenant itself', async (t) => {
    const { rows } = await asOwn((on) =>
      sql`select postrider.retry_now(${own.delivery.id}), postrider.pause_endpoint(${own.endpoint.id}),
        postrider.resume_endpoint(${own.endpoint.id}), postrider.cancel(${own.delivery.id})`.execute(
        on,
      ),
    )
    t.match(rows, [{ retry_now: 'attempt 2 is due now', cancel: 'cancelled' }])
  })

  /** Everything of a tenant that a function could change. */
  async function stateOf(tenantId: string) {
    const { rows } = await pool.query(
      `select
         (select json_agg(e order by id) from postrider.endpoint e where tenant_id = $1) as endpoints,
         (select json_agg(r order by id) from postrider.replay r where tenant_id = $1) as replays,
         (select json_agg(i order by id) from postrider.incident i where tenant_id = $1) as incidents,
         (select json_agg(d order by id) from postrider.delivery d where tenant_id = $1) as deliveries,
         (select count(*) from postrider.event where tenant_id = $1) as events`,
      [tenantId],
    )
    return rows[0]
  }

  t.test('a connection is given back as it was, whatever happened on it', async (t) => {
    const broken = sql`select 1 / 0`
    await asOwn((on) => on.selectFrom('endpoint').selectAll().execute())
    await t.rejects(
      asOwn((on) => broken.execute(on)),
      { code: '22012' },
    )
    await asOwn((on) =>
      on.transaction().execute((trx) => trx.selectFrom('event').select('id').execute()),
    )
    await t.rejects(
      asOwn((on) => on.transaction().execute((trx) => broken.execute(trx))),
      { code: '22012' },
    )
    await t.rejects(
      asOwn((on) => on.transaction().execute(() => Promise.reject(new Error('changed my mind')))),
      /changed my mind/,
    )
    const clients = await Promise.all(Array.from({ length: pool.totalCount }, () => pool.connect()))
    for (const client of clients) {
      const { rows } = await client.query(
        `select current_setting('role') as role, nullif(current_setting('postrider.tenant_id', true), '') as tenant`,
      )
      t.strictSame(rows, [{ role: 'none', tenant: null }])
      t.equal(client.getTransactionStatus(), 'I')
      client.release()
    }
  })

  t.test('what a transaction did is kept as a whole or not at all', async (t) => {
    const describe = (description: string) => (on: Kysely<Database>) =>
      on.updateTable('endpoint').set({ description }).execute()
    await asOwn((on) => on.transaction().execute(describe('kept')))
    await t.rejects(
      asOwn((on) =>
        on.transaction().execute(async (trx) => {
          await describe('gone')(trx)
          throw new Error('rolled back')
        }),
      ),
      /rolled back/,
    )
    const rows = await asOwn((on) => on.selectFrom('endpoint').select('description').execute())
    t.strictSame(rows, [{ description: 'kept' }])
  })

  t.test('requests of several tenants at once do not mix', async (t) => {
    const tenants = [own, other].map(({ tenant }) => tenant.id as TenantId)
    const seen = await Promise.all(
      Array.from({ length: 40 }, (_, n) => {
        const tenantId = tenants[n % 2] as TenantId
        return inTenant(tenantId, async () => {
          const first = await database.selectFrom('delivery').select('tenant_id').execute()
          const second = await database
            .transaction()
            .execute((trx) => trx.selectFrom('event').select('tenant_id').execute())
          return [...first, ...second].every((row) => row.tenant_id === tenantId)
        })
      }),
    )
    t.ok(seen.every(Boolean))
  })
}
