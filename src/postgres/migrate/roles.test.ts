import t, { type Test } from 'tap'
import { guideStatements } from '../../testing/data/dba-guide.ts'
import { createWork } from '../../testing/data/work.ts'
import { isLong } from '../../testing/long.ts'
import {
  connect,
  createRolesDatabase,
  startRolesServer,
} from '../../testing/servers/roles-server.ts'
import { runCommand } from '../../testing/wiring/command.ts'
import { createPool } from '../pool.ts'
import { grantRoles, migrate } from './migrate.ts'
import { GROUP_ROLES } from './roles.ts'

const DENIED = '42501'

t.test('on Postgres 18', (t) => conformance(t))
if (isLong) t.test('on Postgres 15', (t) => conformance(t, 15))

async function conformance(t: Test, major?: number) {
  const database = await createRolesDatabase(
    t,
    ['postrider_producer', 'postrider_monitor', 'postrider_operator'],
    major ? { major } : {},
  )
  if (!database) return t.plan(0, 'Postgres 15 is not installed: apt-get install postgresql')
  const { url, server, urls } = database
  const pool = createPool({ connectionString: url, max: 4, applicationName: 'test' })
  t.teardown(() => pool.end())
  const namesOf = async (text: string) =>
    (await pool.query<{ name: string }>(text)).rows.map(({ name }) => name)
  const relations = (kinds: string) =>
    namesOf(`select relname as name from pg_class
      where relnamespace = 'postrider'::regnamespace and relkind in (${kinds}) order by 1`)

  t.test('the group roles log in nowhere, own nothing and are no superusers', async (t) => {
    const { rows } = await pool.query(
      `select rolname from pg_roles where rolname = any ($1)
         and not (rolcanlogin or rolsuper or rolbypassrls or rolcreaterole or rolcreatedb)
         and not exists (select from pg_class c where c.relowner = pg_roles.oid)`,
      [GROUP_ROLES],
    )
    t.equal(rows.length, GROUP_ROLES.length)
  })

  t.test('a producer can publish, in its own transaction, and nothing else', async (t) => {
    const work = await createWork(pool)
    const producer = await connect(t, urls.postrider_producer)
    await producer.query('begin')
    await producer.query('select postrider.publish($1, $2, $3)', [work.tenant.key, 'a.b', '{}'])
    await producer.query('commit')
    const many = JSON.stringify([{ tenant: work.tenant.key, type: 'a.b', data: {} }])
    await producer.query('select * from postrider.publish_many($1)', [many])

    const shown = ['attachment', 'backfill', 'attached_table', 'backfill_progress']
    for (const name of await relations(`'r', 'p', 'v'`)) {
      if (shown.includes(name)) continue
      await t.rejects(producer.query(`select from postrider.${name}`), { code: DENIED }, name)
    }
    for (const name of shown) {
      const { rows } = await producer.query(`select * from postrider.${name}`)
      t.strictSame(rows, [], 'what belongs to it')
    }
    const { rows } = await producer.query(`
      select proname from pg_proc
      where pronamespace = 'postrider'::regnamespace and prosecdef and has_function_privilege(oid, 'execute')
      order by 1`)
    t.strictSame(
      rows.map(({ proname }) => proname),
      [
        ...['cancel_backfill', 'forget_attachment', 'move_backfill', 'note_attachment', 'publish'],
        ...['publish_many', 'publish_rows', 'record_backfill', 'take_backfill'],
      ],
      "of all functions with their owner's rights",
    )
    await t.rejects(producer.query('select from graphile_worker.jobs'), { code: DENIED })
    await t.rejects(producer.query('create table postrider.own (id int)'), { code: DENIED })
  })

  t.test('monitoring reads every view, with all rows', async (t) => {
    const work = await createWork(pool)
    await work.publish()
    const monitor = await connect(t, urls.postrider_monitor)
    for (const name of await relations(`'v'`)) {
      const [seen, owned] = await Promise.all([
        monitor.query(`select count(*)::int from postrider.${name}`),
        pool.query(`select count(*)::int from postrider.${name}`),
      ])
      // Other sessions come and go; what is stored does not.
      if (name !== 'xmin_holder') t.strictSame(seen.rows, owned.rows, name)
    }
    await t.resolves(monitor.query('select count(*) from postrider.delivery'))
  })

  t.test('monitoring sees what the sessions of others do, without their statements', async (t) => {
    const monitor = await connect(t, urls.postrider_monitor)
    await (await connect(t, url)).query(`set application_name = 'somebody'`)
    const { rows } = await monitor.query(
      `select bool_and(state is not null) as "isKnown" from postrider.client_sessions()
       where application_name = 'somebody'`,
    )
    t.strictSame(rows, [{ isKnown: true }])
  })

  t.test('monitoring reads no secret and no payload, and changes nothing', async (t) => {
    const monitor = await connect(t, urls.postrider_monitor)
    for (const column of [
      'endpoint_secret.encrypted',
      'api_key.hash',
      'event.data',
      'attempt.response_body',
      'attempt.request_headers',
      'endpoint.headers',
      'endpoint.client_key_encrypted',
      'endpoint.secret_headers',
    ]) {
      const [table, name] = column.split('.')
      await t.rejects(
        monitor.query(`select ${name} from postrider.${table}`),
        { code: DENIED },
        column,
      )
    }
    await t.rejects(monitor.query('select postrider.pause_all()'), { code: DENIED })
    await t.rejects(
      monitor.query('select postrider.publish($1, $2, $3)', ['acme', 'a.b', '{}']),
      { code: DENIED },
      'it cannot publish to a customer',
    )
    await t.rejects(monitor.query('delete from postrider.runner'), { code: DENIED })
  })

  t.test('operators can do all that the documentation shows in SQL', async (t) => {
    const work = await createWork(pool)
    const operator = await connect(t, urls.postrider_operator)
    for (const { heading, sql } of guideStatements()) {
      const filled = await work.fillIn(sql)
      await t.resolves(operator.query(filled), `${heading}: ${sql}`)
    }
    const { rows } = await pool.query(
      `select distinct who from postrider.audit_log
       where tenant_id = $1 and action !~ '^create_' order by 1`,
      [work.tenant.id],
    )
    t.strictSame(
      rows,
      [{ who: 'my_operator' }, { who: 'ticket 4711' }],
      'and leave their name, or what they said instead',
    )
    const { rows: roles } = await pool.query(
      `select distinct session_role as role from postrider.audit_log
       where tenant_id = $1 and action !~ '^create_'`,
      [work.tenant.id],
    )
    t.strictSame(
      roles,
      [{ role: 'my_operator' }],
      'whatever they said, their role stands next to it',
    )
    for (const column of [
      'endpoint_secret.encrypted',
      'endpoint.secret_headers',
      'endpoint.client_key_encrypted',
      'api_key.hash',
    ]) {
      const [table, name] = column.split('.')
      await t.rejects(operator.query(`select ${name} from postrider.${table}`), { code: DENIED })
    }
    await t.rejects(operator.query('delete from postrider.audit_log'), { code: DENIED })
  })

  t.test('what comes with a later migration is granted by it', async (t) => {
    await pool.query(`drop function postrider.drain_runner(text, text)`)
    await pool.query(`delete from postrider.function_source where name = 'runners/drain.sql'`)
    await pool.query(`create table postrider.later (tenant_id uuid)`)
    await migrate(url)
    const operator = await connect(t, urls.postrider_operator)
    await t.rejects(operator.query(`select postrider.drain_runner('nobody')`), { code: 'P0002' })
    await pool.query('insert into postrider.later values (null)')
    const { rows } = await operator.query('select count(*)::int from postrider.later')
    t.strictSame(rows, [{ count: 1 }])
    await pool.query('drop table postrider.later')
  })

  t.test('granting again changes nothing, many at once', async (t) => {
    const privileges = () =>
      namesOf(`select coalesce(relacl::text, '') as name from pg_class
        where relnamespace in ('postrider'::regnamespace, 'graphile_worker'::regnamespace) order by oid`)
    const before = await privileges()
    await Promise.all([grantRoles(url), grantRoles(url), grantRoles(url)])
    t.strictSame(await privileges(), before)
  })

  t.test('another database of the server is not touched', async (t) => {
    const other = await server.createDatabase('other')
    await migrate(other)
    const producer = Object.assign(new URL(urls.postrider_producer), { pathname: 'other' }).href
    const client = await connect(t, producer)
    await t.rejects(client.query(`select postrider.publish('a', 'b', '1')`), { code: DENIED })
  })

  t.end()
}

if (isLong)
  t.test('an owner who may create roles needs no administrator', async (t) => {
    const { server, url } = await ownedDatabase(t, 'createrole')
    const { exitCode, stdout } = await roles(url)
    t.equal(exitCode, 0)
    t.match(stdout, /granted to .*postrider_operator/)
    t.match(stdout, /administrator can add: grant pg_read_all_stats to plain_owner;/)
    await server.asAdmin('grant pg_read_all_stats to plain_owner')
    t.notMatch((await roles(url)).stdout, /administrator/)
  })

if (isLong)
  t.test('nobody connects afterwards but those who work with the database', async (t) => {
    const { server, url } = await ownedDatabase(t, 'createrole')
    const [stranger, neighbour, guest] = [
      await server.login(url, 'stranger'),
      await server.login(url, 'neighbour'),
      await server.login(url, 'guest'),
    ]
    await (await connect(t, url)).query(
      'create table public.theirs (); grant select on public.theirs to neighbour',
    )
    const connected = await connect(t, guest)
    await connect(t, stranger).then((client) => client.end())
    t.equal((await roles(url)).exitCode, 0)
    await t.rejects(connect(t, stranger), { code: DENIED })
    await connect(t, neighbour)
    await connected.end()
    await connect(t, guest)
    await connect(t, await server.login(url, 'member', 'in role postrider_producer'))
  })

if (isLong)
  t.test('one who does not own the database is told how to close it', async (t) => {
    const { server, url } = await ownedDatabase(t, 'createrole')
    await server.asAdmin('alter database owned owner to postgres')
    await server.asAdmin('grant create on database owned to plain_owner')
    const { exitCode, stdout } = await roles(url)
    t.equal(exitCode, 0)
    t.match(
      stdout,
      /administrator can add: grant connect on database owned to .*; revoke connect on database owned from public;/,
    )
  })

if (isLong)
  t.test('one who may not is told what an administrator has to run, then goes on', async (t) => {
    const { server, url } = await ownedDatabase(t, '')
    await server.asAdmin('create role postrider_tenant nologin')
    await server.asAdmin('grant postrider_tenant to plain_owner')
    for (const expected of [/create role postrider_runner nologin/, /grant postrider_tenant to/]) {
      const { exitCode, stderr } = await roles(url)
      t.equal(exitCode, 1)
      t.match(stderr, /role plain_owner cannot do all of it; ask an administrator to run:/)
      t.match(stderr, expected)
      for (const [statement] of stderr.matchAll(/^ {2}(?:create|grant) .*;$/gm)) {
        await server.asAdmin(statement)
      }
    }
    t.equal((await roles(url)).exitCode, 0)
  })

/** Not as superuser, as on most managed servers. */
async function ownedDatabase(t: Test, clauses: string) {
  const server = await startRolesServer(t)
  if (!server) throw new Error('the Postgres of the tests is missing')
  const url = await server.login(await server.createDatabase('owned'), 'plain_owner', clauses)
  await server.asAdmin('alter database owned owner to plain_owner')
  return { server, url }
}

const roles = (url: string) => runCommand(['migrate', '--roles'], { env: { DATABASE_URL: url } })
