import pg from 'pg'
import t from 'tap'
import type { TenantId } from '../../ids.ts'
import { layOutCluster } from '../../testing/servers/cluster.ts'
import { VOLATILE } from '../../testing/servers/postgres-server.ts'
import { urlOf, withAdmin } from '../../testing/servers/template.ts'
import { untilHolds } from '../../testing/until.ts'
import { createFolder } from '../../testing/wiring/cli.ts'
import { startPostgres } from '../embedded/embedded-postgres.ts'
import { createPool } from '../pool.ts'
import { createTenantScope } from '../tenant-scope.ts'
import { assertSchema, migrate } from './migrate.ts'

/** Each of these tests is about a role, which belongs to the server: this one is theirs alone. */
const dataDir = `${createFolder(t)}/postgres`
await layOutCluster(dataDir)
const server = await startPostgres({ dataDir, settings: VOLATILE })
t.teardown(async () => {
  // Connections of a migration may still be closing; told of the stop meanwhile, nobody listens to their error.
  const pool = createPool({ connectionString: server.url, max: 1, applicationName: 'test' })
  await untilHolds(
    pool,
    `select count(*) = 0 as holds from pg_stat_activity
     where backend_type = 'client backend' and pid <> pg_backend_pid()`,
  )
  await pool.end()
  await server.stop()
})
const asAdmin = (text: string) => withAdmin(server.url, (admin) => admin.query(text))

t.test('an owner who may not create roles is told what an administrator has to do', async (t) => {
  await asAdmin(`create role plain_owner login password 'x'`)
  await asAdmin('create database owned owner plain_owner')
  const url = Object.assign(new URL(urlOf(server.url, 'owned')), {
    username: 'plain_owner',
    password: 'x',
  }).href
  await t.rejects(migrate(url), {
    code: 'migration_failed',
    message: /create role postrider_tenant nologin; grant postrider_tenant to plain_owner;/,
  })
  await asAdmin('create role postrider_tenant nologin')
  await t.rejects(migrate(url), { message: /grant postrider_tenant to plain_owner;/ })
  await asAdmin('grant postrider_tenant to plain_owner')
  await migrate(url)

  const pool = createPool({
    connectionString: url,
    max: 1,
    applicationName: 'test',
    pipeline: true,
  })
  t.teardown(() => pool.end())
  const { rows } = await pool.query<{ id: TenantId }>(
    `insert into postrider.tenant (key, name) values ('a', 'A'), ('b', 'B') returning id`,
  )
  const { database, inTenant } = createTenantScope(pool)
  const seen = await inTenant(rows[0]?.id as TenantId, () =>
    database.selectFrom('tenant').select('key').execute(),
  )
  t.strictSame(seen, [{ key: 'a' }])
})

t.test('an owner who may create roles needs no administrator', async (t) => {
  await asAdmin('drop database owned with (force)')
  await asAdmin('drop role postrider_tenant')
  await asAdmin(`create role creating_owner login createrole password 'x'`)
  await asAdmin('create database created owner creating_owner')
  const url = Object.assign(new URL(urlOf(server.url, 'created')), {
    username: 'creating_owner',
    password: 'x',
  }).href
  await migrate(url)
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  t.teardown(() => client.end())
  await t.resolves(client.query('set role postrider_tenant'))
})

t.test('databases of one server may be migrated at once', async (t) => {
  await asAdmin('drop database created with (force)')
  await asAdmin('drop owned by postrider_tenant')
  await asAdmin('drop role postrider_tenant')
  const names = ['first', 'second', 'third']
  for (const name of names) await asAdmin(`create database ${name}`)
  await Promise.all(names.map((name) => migrate(urlOf(server.url, name))))
  const { rows } = await asAdmin(
    `select rolcanlogin, rolsuper, rolbypassrls, rolinherit from pg_roles where rolname = 'postrider_tenant'`,
  )
  t.match(rows, [{ rolcanlogin: false, rolsuper: false, rolbypassrls: false }])
})

t.test('a database that was restored without the role gets it, policies and grants', async (t) => {
  // What a dump leaves behind when the role is not there: everything but what names it.
  for (const name of ['first', 'second', 'third']) {
    await withAdmin(urlOf(server.url, name), (admin) =>
      admin.query('drop owned by postrider_tenant'),
    )
  }
  await asAdmin('drop role postrider_tenant')
  const url = urlOf(server.url, 'first')
  const pool = createPool({
    connectionString: url,
    max: 1,
    applicationName: 'test',
    pipeline: true,
  })
  t.teardown(() => pool.end())
  await t.rejects(assertSchema(pool), {
    code: 'schema_outdated',
    missing: ['role postrider_tenant'],
    message: /postrider migrate/,
  })
  t.ok((await migrate(url)).applied.includes('tenants/tenant_isolation.sql'))
  await t.resolves(assertSchema(pool))
  t.strictSame((await migrate(url)).applied, [])

  const { rows } = await pool.query<{ id: TenantId }>(
    `insert into postrider.tenant (key, name) values ('a', 'A'), ('b', 'B') returning id`,
  )
  const { database, inTenant } = createTenantScope(pool)
  const seen = await inTenant(rows[1]?.id as TenantId, () =>
    database.selectFrom('tenant').select('key').execute(),
  )
  t.strictSame(seen, [{ key: 'b' }])
})
