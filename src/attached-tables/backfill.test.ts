/** Rows that were there before their table was attached. */

import { randomInt } from 'node:crypto'
import type pg from 'pg'
import t, { type Test } from 'tap'
import { findViolations } from '../operations/violations.ts'
import { createTableRoles } from '../testing/data/table-roles.ts'
import { createTenant } from '../testing/data/tenant.ts'
import { isLong } from '../testing/long.ts'
import { untilHolds } from '../testing/until.ts'
import { runCommand } from '../testing/wiring/command.ts'
import { onBothPostgres, type TestDatabase } from '../testing/wiring/database.ts'
import { createTestConsole } from '../testing/wiring/pages.ts'

onBothPostgres(t, conformance)

const DENIED = '42501'
const REFUSED = '55000'

/** In the test of a backfill under which the table changes. */
const ROWS = 5_000
const WRITERS = 3
const CHANGES_EACH = 300

/** Of arguments, variables and aliases that the functions of a backfill have, or had; and what has to be quoted. */
const COLUMN_NAMES = [
  ...[
    'after it',
    'size',
    'place',
    'read',
    'events',
    'batch',
    'name',
    'found',
    'keys',
    'k',
    'k1',
    'k2',
  ],
  ...['e', 'r', 'n', 'b', 'last', 'row', 'old', 'new', 'where', 'tenant', 'type', 'ordering_key'],
  ...["it's", 'Capital ""quoted""', '$1', `long_${'x'.repeat(52)}`],
]

/** How a session writes and reads values, from one batch to the next. */
const SESSIONS = [
  `set timezone = 'Asia/Kathmandu'; set datestyle = 'German, DMY'; set extra_float_digits = -15`,
  `set timezone = 'America/St_Johns'; set datestyle = 'SQL, MDY'; set bytea_output = 'escape'`,
  `set intervalstyle = 'sql_standard'; set standard_conforming_strings = off; set extra_float_digits = 3`,
]

/** Keys of these types, as text; most of them not in the order of the type. */
const KEYS: Readonly<Record<string, readonly string[]>> = {
  smallint: ['3', '-1', '2', '1'],
  uuid: [1, 2, 3, 4, 5].map((n) => `${n}`.repeat(8).concat('-0000-4000-8000-000000000000')),
  numeric: ['NaN', '-Infinity', 'Infinity', '1.10', '1e40', '-0.5', '1e-20'],
  float8: ['NaN', '-0', 'Infinity', '0.1', '0.10000000000000002', '0.1000000000000001', '1e-320'],
  float4: ['NaN', '0.1', '0.10000001', '16777216', '-Infinity'],
  money: ['1.10', '-2', '1000000'],
  boolean: ['true', 'false'],
  date: ['2026-03-04', '2026-04-03', '0044-03-15 BC', 'infinity', '2026-12-11'],
  timestamptz: ['-infinity', ...[1, 2, 3, 4].map((n) => `2026-10-25 00:59:59.99999${n}Z`)],
  timestamp: ['2026-03-04 05:06:07.000001', '2026-04-03 05:06:07', 'infinity', '2026-04-03'],
  timetz: ['12:00:00+02', '12:00:00-02', '12:00:00Z', '11:59:59.999999Z'],
  interval: ['1 mon', '29 days 23:59:59', '-1 days +02:03:04', '1 year -1 mon', '31 days'],
  text: ['', 'a', 'B', 'c', 'ä', 'Z', '"quoted"', 'back\\slash', "it's", '{"a":1}', ' '],
  'text collate types.german': ['a', 'B', 'c', 'ä', 'Z', 'z', 'Ö', 'o'],
  'text collate types.by_letter': ['a', 'B', 'c', 'D', 'e', 'Z'],
  'text collate "C"': ['a', 'B', 'c', 'D', 'ä', 'Z'],
  'types.german_text collate "C"': ['a', 'B', 'c', 'D', 'ä', 'Z'],
  'varchar(3)': ['a', 'B', 'c', 'D', 'äöü'],
  'char(5)': ['a', 'ab', 'B', '', 'abcde'],
  bpchar: ['a', 'ab ', 'B', '', 'abcde'],
  '"char"': ['a', 'B', '', '~', ' '],
  name: ['a', 'B', 'c', 'D', 'x'.repeat(63)],
  bytea: ['\\x00', '\\x', '\\xff', '\\x5c27', '\\x61'],
  'bit(4)': ['0001', '1000', '0100'],
  varbit: ['0001', '1', '01', ''],
  oid: ['4000000000', '1', '2'],
  inet: ['10.0.0.1', '10.0.0.0/8', '::1', '10.0.0.1/8', '9.255.255.255'],
  cidr: ['10.0.0.0/8', '10.0.0.0/16', '2001:db8::/32'],
  macaddr: ['08:00:2b:01:02:03', '08:00:2b:01:02:04', 'ff:00:2b:01:02:03'],
  jsonb: ['{"a": 1}', '[]', '"x"', 'null', '{"b": 1, "a": 2}'],
  'text[]': ['{a,"b c"}', '{}', '{NULL}', '{a}', '{"\\"",B}'],
  'timestamptz[]': ['{2026-03-04Z}', '{2026-04-03Z}', '{2026-04-03Z,infinity}'],
  int4range: ['[1,5)', 'empty', '(,)', '[1,9)', '[-3,2)'],
  tstzrange: ['[2026-03-04Z,2026-04-03Z)', '[2026-03-04Z,)', '(,2026-04-03Z)'],
  int8multirange: ['{}', '{[1,5)}', '{[1,2),[4,5)}'],
  'types.mood': ['happy', 'sad', 'A', 'ok'],
  'types.pair': ['(B,2026-03-04Z)', '("a ""b",2026-04-03Z)', '(,)', '(c,)'],
  'types.citext': ['a', 'B', 'c', 'D', 'e', 'F', 'Z', 'z2'],
  'types.hstore': ['a=>1', 'b=>NULL', '"it\'s"=>"\\""', 'a=>2', ''],
  'types.a_mood': ['happy', 'sad', 'A', 'ok'],
  'types.a_citext': ['a', 'B', 'c', 'D', 'e'],
  'types.a_range': ['[1,5)', 'empty', '[1,9)', '[-3,2)'],
  'types.an_array': ['{3}', '{}', '{1,2}', '{20}'],
  'types.a_pair': ['(B,2026-03-04Z)', '(a,2026-04-03Z)', '(c,)'],
}

interface Step {
  is_over: boolean
  wait_seconds: number
  read: string
  published: string
  total: string
}

async function conformance(t: Test, database: TestDatabase) {
  const { pool } = database
  const tenant = await createTenant(pool)
  const { names, loginAs } = await createTableRoles(t, database)
  const owner = await loginAs('owner')
  await pool.query(`create schema shop authorization ${names.owner}`)
  await owner.query(`grant usage on schema shop to ${names.writer}`)

  let made = 0
  /** An attached table of the owner (or of the owner of the database) with these rows; its name, and type of its events. */
  async function createTable({
    by = owner,
    rows = 0,
    columns = 'id int primary key, account text, status text, total int default 0',
    values = `n, '${tenant.key}', case when n % 2 = 0 then 'open' else 'draft' end`,
    settings = '',
  }: {
    by?: pg.Client | pg.Pool
    rows?: number
    columns?: string
    values?: string
    settings?: string
  }) {
    made += 1
    const name = `${by === owner ? 'shop' : 'public'}.thing_${made}`
    const type = `thing_${made}`
    await by.query(`create table ${name} (${columns})`)
    await by.query(`insert into ${name} select ${values} from generate_series(1, ${rows}) as n`)
    await by.query(
      `select postrider.attach($1, type => '${type}', tenant => 'account' ${settings})`,
      [name],
    )
    return { name, type }
  }

  async function begin(table: string, more = '', by: pg.Client | pg.Pool = owner): Promise<string> {
    const { rows } = await by.query(`select postrider.backfill($1 ${more}) as id`, [table])
    return rows[0].id
  }
  async function step(id: string, by: pg.Client | pg.Pool = owner): Promise<Step> {
    const { rows } = await by.query<Step>('select * from postrider.backfill_step($1)', [id])
    return rows[0] as Step
  }
  async function progress(id: string) {
    const { rows } = await pool.query('select * from postrider.backfill_progress where id = $1', [
      id,
    ])
    return rows[0]
  }
  /** Numbers of the rows that were published, in order. */
  async function published(type: string, kind = 'created'): Promise<number[]> {
    const { rows } = await pool.query<{ id: number }>(
      `select (data->>'id')::int as id from postrider.event where type = $1 order by created_at, 1`,
      [`${type}.${kind}`],
    )
    return rows.map(({ id }) => id)
  }
  const upTo = (max: number) => Array.from({ length: max }, (_, n) => n + 1)

  t.test('the owner publishes the rows that are there, each once', async (t) => {
    const { name, type } = await createTable({ rows: 1_100 })
    const id = await begin(name, ', rate_per_second => 100000')
    t.match(await progress(id), { state: 'running', total: '1100', read: '0', is_automatic: false })
    await owner.query(`call postrider.run_backfill('${id}')`)
    t.strictSame(await published(type), upTo(1_100))
    t.match(await progress(id), { state: 'done', read: '1100', published: '1100', error: null })
    t.match(await step(id), { is_over: true }, 'and once more there is nothing to do')
    const { rows } = await pool.query(
      `select count(*)::int from pg_proc where proname ~ 'postrider_backfill'`,
    )
    t.strictSame(rows, [{ count: 0 }], 'nothing is left of it')
  })

  t.test('only rows that where and when let through, under the name that was given', async (t) => {
    const { name, type } = await createTable({ rows: 20, settings: `, "when" => 'new.id > 10'` })
    const id = await begin(name, `, "where" => 'status <> ''draft''', event => 'existing'`)
    await owner.query(`call postrider.run_backfill('${id}')`)
    t.strictSame(await published(type), [])
    t.strictSame(await published(type, 'existing'), [12, 14, 16, 18, 20])
    t.match(await progress(id), { read: '10', total: '10', published: '5' })
  })

  t.test('a batch is no more than a second at its rate, and says how long to wait', async (t) => {
    const { name } = await createTable({ rows: 20 })
    const id = await begin(name, ', rate_per_second => 5')
    t.match(await step(id), { is_over: false, wait_seconds: 1, read: '5', published: '5' })
  })

  t.test('a session that ends costs nothing but its batch', async (t) => {
    const { name, type } = await createTable({ rows: 1_200 })
    const id = await begin(name)
    const first = await loginAs('owner')
    await step(id, first)
    await first.query('begin')
    await step(id, first)
    await first.end()
    t.match(await progress(id), { read: '500' })
    const second = await loginAs('owner')
    while (!(await step(id, second)).is_over);
    t.strictSame(await published(type), upTo(1_200))
  })

  t.test('it goes by a key of several columns of any type', async (t) => {
    const { name, type } = await createTable({
      columns: `"at" timestamptz, "it's" text, id int, account text, primary key ("at", "it's")`,
      values: `timestamptz '2026-01-31 12:00:00.000001Z' + (n / 3) * interval '1 microsecond', 'a "' || n % 3 || '"', n, '${tenant.key}'`,
      rows: 50,
    })
    const id = await begin(name, ', rate_per_second => 7')
    await owner.query(`set timezone = 'Asia/Tokyo'; set datestyle = 'SQL, DMY'`)
    while (!(await step(id)).is_over);
    t.strictSame(
      (await published(type)).sort((a, b) => a - b),
      upTo(50),
    )
  })

  // The operators of the first schema compared columns of all types: citext went by its order, and was read as text.
  if (isLong)
    t.test('it loses and doubles no row, whatever the type of the key', async (t) => {
      await pool.query(`
      create schema types;
      grant usage on schema types to public;
      create extension citext schema types;
      create extension hstore schema types;
      create collation types.by_letter (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
      create collation types.german (provider = icu, locale = 'de');
      create type types.mood as enum ('sad', 'ok', 'happy', 'A');
      create type types.pair as (a text, b timestamptz);
      create domain types.a_mood as types.mood;
      create domain types.a_citext as types.citext;
      create domain types.a_range as int4range;
      create domain types.an_array as int[];
      create domain types.a_pair as types.pair;
      create domain types.german_text as text collate types.german`)
      for (const [type, keys] of Object.entries(KEYS)) {
        for (const primaryKey of type.startsWith('types.') ? ['half, k', 'k, half'] : ['half, k']) {
          const { name, type: events } = await createTable({
            columns: `id int, k ${type}, half int, account text, primary key (${primaryKey})`,
            values: 'n, null',
            settings: `, events => '{created}'`,
          })
          await owner.query(
            `insert into ${name} select n, k::${type.replace(/ collate .*/, '')}, n % 2, $2
           from unnest($1::text[]) with ordinality as u (k, n)`,
            [keys, tenant.key],
          )
          const id = await begin(name, `, rate_per_second => 2, event => 'existing'`)
          for (const setting of SESSIONS) {
            await owner.query(setting)
            await step(id)
          }
          while (!(await step(id)).is_over);
          const found = (await published(events, 'existing')).sort((a, b) => a - b)
          t.strictSame(found, upTo(keys.length), `${type}: primary key (${primaryKey})`)
        }
      }
      await owner.query('reset all')
    })

  t.test('a session begins and continues it, whatever its settings', async (t) => {
    const { name, type } = await createTable({ rows: 10 })
    const [first, second] = await Promise.all([loginAs('owner'), loginAs('owner')])
    await first.query(SESSIONS.join(';'))
    await second.query(SESSIONS.join(';'))
    const id = await begin(name, ', rate_per_second => 4', first)
    while (!(await step(id, second)).is_over);
    t.strictSame(await published(type), upTo(10))
  })

  t.test('a key without overlaps, which has no order, is refused in words', async (t) => {
    const { rows } = await pool.query(
      `select current_setting('server_version_num')::int as version`,
    )
    const made = createTable({
      columns: 'id int4range, at daterange, account text, primary key (id, at without overlaps)',
      values: 'null, null, null',
      settings: `, events => '{created}'`,
    })
    if (rows[0].version < 180_000) {
      await t.rejects(made, { code: '42601' }, 'there are none yet')
      return
    }
    const { name } = await made
    await t.rejects(begin(name), { code: '0A000', message: /is one without overlaps/ })
  })

  if (isLong)
    t.test('a batch reads no more of the table than its rows', async (t) => {
      const { name, type } = await createTable({
        columns: 'account text, name types.citext, id int, primary key (account, name)',
        values: `'${tenant.key}', md5(n::text), n`,
        rows: 20_000,
      })
      await owner.query(`analyze ${name}`)
      const id = await begin(name, ', rate_per_second => 100')
      await step(id)
      const read = async () => {
        const { rows } = await owner.query(
          `select (seq_tup_read + idx_tup_fetch)::int as read from pg_stat_xact_all_tables where relid = $1::regclass`,
          [name],
        )
        return rows[0].read
      }
      await owner.query('begin')
      const before = await read()
      await step(id)
      t.ok((await read()) - before <= 300, 'for 100 rows: keys, and rows')
      await owner.query('commit')
      t.equal((await published(type)).length, 200)
    })

  // A column `after` was read as the place, so that the second batch was the end or an error; `size` could not begin.
  t.test('columns can have any name', async (t) => {
    const { name, type } = await createTable({
      columns: `id int primary key, account text, after json, before jsonb, ${COLUMN_NAMES.map((column) => `"${column}" int default 1`).join(', ')}`,
      values: `n, '${tenant.key}', '["x"]', '{}'`,
      rows: 10,
      settings: `, data => 'json_build_object(''id'', new.id, ''size'', new.size)',
        events => '{created}', "when" => 'new."where" = 1 and new.e = 1'`,
    })
    const all = COLUMN_NAMES.map((column) => `"${column}" = 1`).join(' and ')
    const id = await begin(
      name,
      `, rate_per_second => 3, "where" => $where$${all} and after is not null$where$`,
    )
    while (!(await step(id)).is_over);
    t.strictSame(await published(type), upTo(10))
  })

  if (isLong)
    t.test('the columns of the key can have any name', async (t) => {
      for (const column of COLUMN_NAMES) {
        const { name, type } = await createTable({
          columns: `"${column}" int, "also ${column}" int, account text, primary key ("${column}", "also ${column}")`,
          values: `n / 3, n, '${tenant.key}'`,
          rows: 6,
          settings: `, data => $data$json_build_object('id', new."also ${column}")$data$, events => '{created}'`,
        })
        const id = await begin(name, ', rate_per_second => 2')
        while (!(await step(id)).is_over);
        t.strictSame(await published(type), upTo(6), column)
      }
    })

  t.test('what does not fit is refused in words', async (t) => {
    const { name } = await createTable({ rows: 1 })
    const { name: keyless } = await createTable({
      columns: 'id int, account text',
      values: `n, '${tenant.key}'`,
      settings: `, events => '{created}'`,
    })
    await owner.query('create table shop.free (id int primary key)')
    await t.rejects(begin('shop.free'), { code: REFUSED, message: /is not attached/ })
    await t.rejects(begin(keyless), { code: '0A000', message: /has no primary key/ })
    await t.rejects(begin(name, `, "where" => 'nothing > 1'`), { code: '42703', column: 'where' })
    await t.rejects(begin(name, `, "where" => 'id'`), { code: '42804', column: 'where' })
    await t.rejects(begin(name, `, "where" => 'size > 1'`), { code: '42703', column: 'where' })
    await t.rejects(begin(name, `, "where" => '$2 > 1'`), { code: '42P02', column: 'where' })
    await t.rejects(begin(name, `, event => 'deleted'`), { code: '22023' })
    for (const rate of ['0', '-1', 'null', '1000001', `'NaN'`, `'Infinity'`]) {
      await t.rejects(begin(name, `, rate_per_second => ${rate}`), {
        code: '22023',
        message: /^rate_per_second is \S+, and not between 0 and 1000000$/,
      })
    }
    await t.rejects(begin(name, `, event => null`), { code: '22023' })
    await owner.query(`alter table ${name} enable row level security, force row level security`)
    await t.rejects(begin(name), { code: '0A000', message: /policies .* apply to its owner/ })
    await owner.query(`alter table ${name} no force row level security`)
    const id = await begin(name)
    await t.rejects(begin(name), { code: REFUSED, message: /is running/ })
    await owner.query('select postrider.cancel_backfill($1)', [id])
    await t.resolves(begin(name))
  })

  t.test('a cancelled one publishes nothing more, and ends with its table', async (t) => {
    const { name, type } = await createTable({ rows: 600 })
    const id = await begin(name)
    await step(id)
    const cancel = 'select postrider.cancel_backfill($1) as was_running'
    t.strictSame((await owner.query(cancel, [id])).rows, [{ was_running: true }])
    t.strictSame((await owner.query(cancel, [id])).rows, [{ was_running: false }])
    t.match(await step(id), { is_over: true })
    t.equal((await published(type)).length, 500)
    const next = await begin(name)
    await owner.query('select postrider.detach($1)', [name])
    t.match(await progress(next), { state: 'cancelled' })
  })

  // It published the rest as attach() had said when it began, to whom that had said.
  t.test('a table is attached with other settings only when no backfill is running', async (t) => {
    const { name, type } = await createTable({ rows: 10 })
    const id = await begin(name)
    const attach = (data: string) =>
      owner.query(`select postrider.attach($1, type => $2, tenant => 'account', data => $3)`, [
        name,
        type,
        data,
      ])
    await t.rejects(attach('{id}'), { code: REFUSED, hint: /cancel_backfill/ })
    await t.resolves(attach(''), 'with the same ones also now')
    await owner.query('select postrider.cancel_backfill($1)', [id])
    await t.resolves(attach('{id}'))
  })

  t.test('a table that has another name is not found, which is said', async (t) => {
    const { name } = await createTable({ rows: 10 })
    const id = await begin(name)
    await owner.query(`alter table ${name} rename to elsewhere`)
    await t.rejects(step(id), { code: '42P01', message: `${name} is gone, or has another name` })
    await owner.query('select postrider.cancel_backfill($1)', [id])
    t.match(await step(id), { is_over: true })
    await t.resolves(begin('shop.elsewhere'))
  })

  // It published the rows of the other table, which nobody had attached, and was done.
  t.test('another table that has taken the name is not published', async (t) => {
    const { name, type } = await createTable({ rows: 600 })
    const id = await begin(name)
    await step(id)
    await owner.query(`alter table ${name} rename to swapped`)
    await owner.query(`create table ${name} as table shop.swapped`)
    const refused = {
      code: REFUSED,
      message: `${name} is another table than when the backfill began, or was detached since`,
      hint: /cancel_backfill/,
    }
    await t.rejects(step(id), refused)
    await owner.query(`drop table ${name}; alter table shop.swapped rename to ${name.slice(5)}`)
    await step(id)
    t.strictSame(await published(type), upTo(600), 'it continues when the name is given back')
    await owner.query(`alter table ${name} rename to swapped`)
    await owner.query(`create table ${name} (like shop.swapped including all)`)
    await owner.query(`select postrider.attach($1, type => 'other', tenant => 'account')`, [name])
    await t.rejects(step(id), refused, 'nor one that is attached itself')
    t.match(await progress(id), { state: 'running', read: '600' })
    await owner.query(`select postrider.detach($1), postrider.detach('shop.swapped')`, [name])
  })

  t.test('only the owner of the table can begin, continue and cancel it', async (t) => {
    const { name, type } = await createTable({ rows: 10 })
    const hostile = await loginAs('hostile')
    await pool.query(`grant usage on schema shop to ${names.hostile}`)
    await owner.query(`grant all on ${name} to ${names.hostile}`)
    await t.rejects(begin(name, '', hostile), { code: DENIED })
    const id = await begin(name)
    await t.rejects(step(id, hostile), { code: DENIED })
    await t.rejects(hostile.query('select postrider.move_backfill($1, null, 0, 0)', [id]), {
      code: DENIED,
    })
    await t.rejects(hostile.query('select postrider.cancel_backfill($1)', [id]), { code: DENIED })
    await t.rejects(step(id, pool), { code: DENIED, hint: /set role/ }, 'not even a superuser')
    const { rows } = await pool.query('select postrider.continue_backfill($1) as did', [id])
    t.strictSame(rows, [{ did: 'not for runners' }], 'and no runner evaluates what an owner wrote')
    t.strictSame(await published(type), [])
  })

  t.test(
    'a writer who waits for it is let through, and what it writes is what arrives',
    async (t) => {
      const { name, type } = await createTable({ rows: 10, settings: `, ordering_key => 'id'` })
      await owner.query(`grant select, update on ${name} to ${names.writer}`)
      const writer = await loginAs('writer')
      await writer.query('begin')
      await writer.query(`update ${name} set total = 1 where id = 7`)
      const id = await begin(name)
      t.match(await step(id), { is_over: false, read: '0' }, 'it gives up')
      await writer.query(`update ${name} set total = 2 where id between 1 and 10`)
      t.match(await step(id), { read: '0' }, 'again, and has no lock that the writer waits for')
      await writer.query('commit')
      while (!(await step(id)).is_over);
      const { rows } = await pool.query(
        `select (data->>'id')::int as id, array_agg((data->>'total')::int order by position) as totals
       from postrider.event where type ~ ('^' || $1 || '[.]') group by 1 order by 1`,
        [type],
      )
      t.match(
        rows,
        upTo(10).map((n) => ({ id: n, totals: n === 7 ? [1, 2, 2] : [2, 2] })),
      )
    },
  )

  // The batch went as far as the new key of the row that it had waited for: what lay between was lost.
  t.test('a key that changes while its row is waited for hides no other row', async (t) => {
    const { name, type } = await createTable({ rows: 10 })
    await owner.query(`grant select, update on ${name} to ${names.writer}`)
    const writer = await loginAs('writer')
    const id = await begin(name, ', rate_per_second => 1')
    const { rows } = await owner.query('select pg_backend_pid() as pid, clock_timestamp() as now')
    await writer.query('begin')
    await writer.query(`update ${name} set id = 9999 where id = 1`)
    const stepped = step(id)
    await untilHolds(
      pool,
      `select wait_event_type = 'Lock' or state_change > $2 and state = 'idle' as holds
       from pg_stat_activity where pid = $1`,
      [rows[0].pid, rows[0].now],
    )
    await writer.query('commit')
    await stepped
    while (!(await step(id)).is_over);
    t.strictSame(new Set(await published(type)), new Set([...upTo(10).slice(1), 9999]))
  })

  t.test(
    'whatever changes meanwhile, the newest state of every row is published last',
    async (t) => {
      const { name, type } = await createTable({ rows: ROWS, settings: `, ordering_key => 'id'` })
      await owner.query(`grant select, insert, update, delete on ${name} to ${names.writer}`)
      const id = await begin(name, ', rate_per_second => 1000000')
      const writers = await Promise.all(upTo(WRITERS).map(() => loginAs('writer')))
      const change = async (writer: pg.Client) => {
        for (let n = 0; n < CHANGES_EACH; n++) await writer.query(anyChange(name))
      }
      const writing = Promise.all(writers.map(change))
      while (!(await step(id)).is_over);
      await writing
      const table = await pool.query(`select id, status, total from ${name} order by id`)
      const last = await pool.query(
        `select (data->>'id')::int as id, data->>'status' as status, (data->>'total')::int as total
       from (
         select distinct on (ordering_key) type, data from postrider.event
         where type ~ ('^' || $1 || '[.]') order by ordering_key, position desc
       ) as e
       where type !~ 'deleted$' order by 1`,
        [type],
      )
      t.strictSame(last.rows, table.rows)
      t.strictSame(await findViolations(pool), [])
    },
  )

  /** Of one row, or of a few next to one another. */
  function anyChange(table: string): string {
    const id = randomInt(1, ROWS * 1.2)
    return [
      `update ${table} set total = total + 1 where id = ${id}`,
      `update ${table} set status = 'changed', total = total + 1 where id between ${id} and ${id + 3}`,
      `delete from ${table} where id = ${id}`,
      `insert into ${table} values (${id}, '${tenant.key}', 'new') on conflict (id) do update set status = 'again'`,
    ][randomInt(4)] as string
  }

  t.test('the command line begins, continues, lists and cancels them, as the owner', async (t) => {
    const { name, type } = await createTable({ rows: 30 })
    const url = Object.assign(new URL(database.url), { username: names.owner, password: 'x' }).href
    const table = (args: string[], DATABASE_URL = url) =>
      runCommand(['table', ...args, '--json'], { env: { DATABASE_URL } })
    const done = await table(['backfill', name, '--where', 'id <= 20', '--event', 'existing'])
    t.match(done, { exitCode: 0, stderr: '' })
    t.match(JSON.parse(done.stdout), { state: 'ended', read: 20, total: 20, published: 20 })
    t.strictSame(await published(type, 'existing'), upTo(20))

    const begun = await table(['backfill', name, '--rate', '1000', '--no-wait'])
    const { id } = JSON.parse(begun.stdout)
    t.strictSame(await published(type), [])
    t.match(JSON.parse((await table(['continue', id])).stdout), { state: 'ended', published: 30 })
    t.match(await table(['cancel', id]), { exitCode: 1, stderr: /no backfill .* is running/ })
    // It was read as a whole number.
    const slow = await table(['backfill', name, '--rate', '0.5', '--no-wait'])
    const started = JSON.parse(slow.stdout).id
    t.match(await progress(started), { rate_per_second: '0.5' })
    t.match(await table(['cancel', started]), { exitCode: 0 })
    t.match(await table(['backfill', name, '--rate', 'fast']), {
      exitCode: 2,
      stderr: /--rate .*'fast' is invalid. It is not a number/,
    })
    t.match(await table(['backfill', 'shop.nothing']), { exitCode: 1, stderr: /does not exist/ })
    t.match(await table(['backfill', name, '--where', 'nothing']), {
      exitCode: 1,
      stderr: /where: column "nothing" does not exist. Give an SQL condition/,
    })

    // Also said how to continue it where a runner did so anyway.
    const { name: ofSchemaOwner } = await createTable({ by: pool, rows: 30 })
    for (const [of, DATABASE_URL, words] of [
      [name, url, /to continue it: postrider table continue/],
      [ofSchemaOwner, database.url, /runners continue it; to end it: postrider table cancel/],
    ] as const) {
      const stopped = { env: { DATABASE_URL }, stopSignal: AbortSignal.abort() }
      const { stdout, stderr } = await runCommand(['table', 'backfill', of, '--json'], stopped)
      t.match(stderr, words)
      t.match(await table(['cancel', JSON.parse(stdout).id], DATABASE_URL), { exitCode: 0 })
    }

    const listed = JSON.parse((await table(['backfills'], database.url)).stdout).data
    t.match(
      listed.find((one: { id: string }) => one.id === id),
      { table: name, state: 'done', read: 30 },
    )
    const own = JSON.parse((await table(['backfills'])).stdout).data
    const isTheirs = (one: { table: string }) => one.table.startsWith('shop.')
    t.ok(own.some((one: { id: string }) => one.id === id))
    t.ok(own.every(isTheirs), 'the owner of tables sees theirs')
    const ownTables = JSON.parse((await table(['list'])).stdout).data
    t.ok(ownTables.some((one: { table: string }) => one.table === name))
    t.ok(ownTables.every(isTheirs))
    const tables = JSON.parse((await table(['list'], database.url)).stdout).data
    t.match(
      tables.find((one: { table: string }) => one.table === name),
      { type, tenant: 'account', problem: null },
    )
  })

  t.test('the console shows tables and how far backfills are, and cancels one', async (t) => {
    const { get, post, signedIn } = await createTestConsole(pool)
    const admin = await signedIn()
    const { name } = await createTable({ rows: 4_321 })
    const id = await begin(name)
    await step(id)
    const shown = await get('/console/tables', { cookie: admin })
    t.match(shown, { status: 200, text: name })
    t.match(shown.text, /500 of 4321 rows, 500 events/)
    const cancel = `/console/tables/backfills/${id}/cancel`
    t.equal((await post(cancel, {}, { cookie: admin })).status, 303)
    t.match(await progress(id), { state: 'cancelled' })
    t.equal((await post(cancel, {}, { cookie: admin })).status, 404)
  })

  if (isLong)
    t.test('runners continue those of tables that belong to the owner of the schema', async (t) => {
      const { name, type } = await createTable({ by: pool, rows: 700 })
      const id = await begin(name, ', rate_per_second => 500', pool)
      t.match(await progress(id), { is_automatic: true })
      const job = async () => {
        const { rows } = await pool.query(
          `select task_identifier as task, run_at > now() as later from graphile_worker.jobs where key = $1`,
          [`backfill:${id}`],
        )
        return rows
      }
      t.strictSame(await job(), [{ task: 'backfill', later: false }])
      const go = async () =>
        (await pool.query('select postrider.continue_backfill($1) as did', [id])).rows[0].did
      t.equal(await go(), '500 of 700 rows read')
      t.strictSame(await job(), [{ task: 'backfill', later: true }])

      await pool.query('select postrider.suspend_tenant($1)', [tenant.key])
      t.match(await go(), /tenant_suspended/)
      t.match(await progress(id), { state: 'running', error: /tenant_suspended/, read: '500' })
      await pool.query('select postrider.resume_tenant($1)', [tenant.key])

      await pool.query('select graphile_worker.remove_job($1)', [`backfill:${id}`])
      t.match(await findViolations(pool), [{ kind: 'backfill_without_job', id }])
      await pool.query('select postrider.reconcile()')
      t.strictSame(await findViolations(pool), [])
      t.equal(await go(), '700 of 700 rows read')
      t.equal(await go(), 'done')
      t.match(await progress(id), { state: 'done', error: null })
      t.strictSame(await published(type), upTo(700))
      const next = await begin(name, '', pool)
      t.strictSame(
        (await pool.query('select postrider.cancel_backfill($1) as cancelled', [next])).rows,
        [{ cancelled: true }],
      )
    })
}
