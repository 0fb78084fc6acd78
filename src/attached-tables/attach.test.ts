/** Tables that publish by themselves, attached by an owner who may do nothing else, and written to by others. */

import t, { type Test } from 'tap'
import { findViolations } from '../operations/violations.ts'
import { createTableRoles } from '../testing/data/table-roles.ts'
import { createTenant } from '../testing/data/tenant.ts'
import { isLong } from '../testing/long.ts'
import { untilHolds } from '../testing/until.ts'
import { onBothPostgres, type TestDatabase } from '../testing/wiring/database.ts'

onBothPostgres(t, conformance)

const DENIED = '42501'
const UNSUPPORTED = '0A000'

interface Published {
  type: string
  data: unknown
  key: string | null
  tenant: string
}

async function conformance(t: Test, database: TestDatabase) {
  const { pool } = database
  const tenant = await createTenant(pool)
  const other = await createTenant(pool)
  const { names: roles, loginAs } = await createTableRoles(t, database)
  const owner = await loginAs('owner')
  const writer = await loginAs('writer')
  await pool.query(`create schema shop authorization ${roles.owner}`)
  await owner.query(`grant usage, create on schema shop to ${roles.writer}, ${roles.hostile}`)

  let made = 0
  /** A table of the owner, which the writer may change; its name. */
  async function createTable(
    columns = 'id int primary key, account text, status text, total numeric',
    more = '',
  ): Promise<string> {
    made += 1
    const table = `shop.invoice_${made}`
    await owner.query(`create table ${table} (${columns}) ${more}`)
    await owner.query(
      `grant select, insert, update, delete, truncate on ${table} to ${roles.writer}`,
    )
    return table
  }

  const attach = (table: string, settings: Record<string, unknown> = {}, by = owner) => {
    const given = { type: 'invoice', tenant: 'account', ...settings }
    const named = Object.keys(given).map((setting, place) => `"${setting}" => $${place + 2}`)
    return by.query(`select postrider.attach($1, ${named.join(', ')}) as id`, [
      table,
      ...Object.values(given),
    ])
  }
  const detach = (table: string, by = owner) => by.query('select postrider.detach($1)', [table])

  /** What has been published since the last look, in order. */
  let seenUpTo = '00000000-0000-0000-0000-000000000000'
  async function published(): Promise<Published[]> {
    const { rows } = await pool.query<Published & { id: string; data: string }>(
      `select e.id, e.type, e.data::text as data, e.ordering_key as key, t.key as tenant
       from postrider.event e join postrider.tenant t on t.id = e.tenant_id
       where e.id > $1 order by e.created_at, e.type, e.data::text`,
      [seenUpTo],
    )
    seenUpTo = [seenUpTo, ...rows.map(({ id }) => id)].sort().at(-1) ?? seenUpTo
    return rows.map(({ type, data, key, tenant }) => ({
      type,
      data: JSON.parse(data),
      key,
      tenant,
    }))
  }
  const types = async () => (await published()).map(({ type }) => type)
  const row = (id: number, status = 'open', total = '10.50') =>
    `(${id}, '${tenant.key}', '${status}', ${total})`

  t.test('what a writer without any right on Postrider changes is published', async (t) => {
    const table = await createTable()
    await attach(table, { data: '{id, status, total}', ordering_key: 'id' })
    await writer.query(`insert into ${table} values ${row(1)}, ${row(2, 'open', '1e20')}`)
    await writer.query(`update ${table} set status = 'paid' where id = 1`)
    await writer.query(`delete from ${table} where id = 2`)
    t.strictSame(
      (await published()).map(({ type, data, key }) => [type, key, data]),
      [
        ['invoice.created', '1', { id: 1, status: 'open', total: 10.5 }],
        ['invoice.created', '2', { id: 2, status: 'open', total: 1e20 }],
        ['invoice.updated', '1', { id: 1, status: 'paid', total: 10.5 }],
        ['invoice.deleted', '2', { id: 2, status: 'open', total: 1e20 }],
      ],
    )
    await t.rejects(writer.query('select postrider.publish($1, $2, $3)', ['a', 'b', '1']), {
      code: DENIED,
    })
    t.strictSame(await findViolations(pool), [])
    await detach(table)
  })

  t.test('what is rolled back is not', async (t) => {
    const table = await createTable()
    await attach(table)
    await writer.query('begin')
    await writer.query(`insert into ${table} values ${row(1)}`)
    await writer.query('rollback')
    t.strictSame(await published(), [])
    await detach(table)
  })

  t.test('an update that changes nothing of what is published, publishes nothing', async (t) => {
    const table = await createTable()
    await attach(table, { data: '{id, status}' })
    await writer.query(`insert into ${table} values ${row(1)}`)
    await published()
    await writer.query(`update ${table} set total = 11`)
    await writer.query(`update ${table} set status = status`)
    t.strictSame(await published(), [], 'another column, or the same value')
    await writer.query(`update ${table} set status = 'paid'`)
    t.strictSame(await types(), ['invoice.updated'])
    await detach(table)
  })

  // The plan of a session's first update was kept, which compared each row with each: minutes for these.
  if (isLong)
    t.test('old and new rows are paired by key, also after a statement on one row', async (t) => {
      const table = await createTable()
      await attach(table, { when: `new.status = 'paid' and old.id is not null` })
      await writer.query(
        `insert into ${table} select n, $1, 'open', n from generate_series(1, 50000) as n`,
        [tenant.key],
      )
      await writer.query(`update ${table} set total = 0 where id = 1`)
      await writer.query(`update ${table} set total = total + 1`)
      await writer.query(`update ${table} set status = 'paid' where id = 4711`)
      t.match(await published(), [{ type: 'invoice.updated', data: { id: 4711, total: 4712 } }])
      await detach(table)
    })

  t.test('when decides by itself, and sees no old row of one that is new', async (t) => {
    const table = await createTable()
    await attach(table, { when: 'new.status is distinct from old.status' })
    await writer.query(`insert into ${table} values ${row(1)}`)
    await writer.query(`update ${table} set total = 11`)
    await writer.query(`update ${table} set status = 'paid'`)
    await writer.query(`delete from ${table}`)
    t.strictSame(await types(), ['invoice.created', 'invoice.updated', 'invoice.deleted'])
    await attach(table, { when: 'new.id is null' })
    await writer.query(`insert into ${table} values ${row(1)}`)
    await writer.query(`delete from ${table}`)
    t.strictSame(await types(), ['invoice.deleted'], 'nor a new row of one that is deleted')
    await detach(table)
  })

  t.test('previous holds the old values of what changed', async (t) => {
    const table = await createTable()
    await attach(table, { previous: true, data: '{id, status, total}', when: 'true' })
    await writer.query(`insert into ${table} values ${row(1)}`)
    await writer.query(`update ${table} set status = null, total = 12`)
    await writer.query(`update ${table} set status = status`)
    t.strictSame(
      (await published()).map(({ data }) => data),
      [
        { id: 1, status: 'open', total: 10.5 },
        { id: 1, status: null, total: 12, previous: { status: 'open', total: 10.5 } },
        { id: 1, status: null, total: 12, previous: {} },
      ],
    )
    await detach(table)
  })

  t.test('data is a column, an expression or all columns, as the row has them', async (t) => {
    const table = await createTable('id int primary key, account text, body json, at timestamptz')
    const data = async (settings: object) => {
      await attach(table, { ...settings })
      await writer.query(`set timezone = 'Asia/Tokyo'; set datestyle = 'SQL, DMY'`)
      await writer.query(
        `insert into ${table} values (1, '${tenant.key}', '{"b": 1, "a": 12345678901234567890}', '2026-01-31T12:00:00Z')`,
      )
      await writer.query(`delete from ${table}`)
      const { rows } = await pool.query(
        `select data::text as data from postrider.event where id > $1 order by created_at`,
        [seenUpTo],
      )
      await published()
      return rows.map((row) => row.data)
    }
    const body = '{"b": 1, "a": 12345678901234567890}'
    t.strictSame(await data({ data: 'body' }), [body, body], 'byte by byte')
    t.strictSame(
      await data({ data: `json_build_object('was', old.id, 'is', new.id)` }),
      ['{"was" : null, "is" : 1}', '{"was" : 1, "is" : null}'],
      'an expression sees what there is',
    )
    const all = `{"id":1,"account":"${tenant.key}","body":${body},"at":"2026-01-31T12:00:00+00:00"}`
    t.strictSame(await data({}), [all, all], 'and times do not depend on the session')
    await detach(table)
  })

  t.test('tenant and ordering key of a deleted row are those that it had', async (t) => {
    const table = await createTable()
    await attach(table, { tenant: 'lower(new.account)', ordering_key: `'no. ' || new.id` })
    await writer.query(`insert into ${table} values (1, upper('${tenant.key}'), 'open', 1)`)
    await writer.query(`delete from ${table}`)
    t.match(await published(), [
      { type: 'invoice.created', tenant: tenant.key, key: 'no. 1' },
      { type: 'invoice.deleted', tenant: tenant.key, key: 'no. 1' },
    ])
    await detach(table)
  })

  t.test('rows of several tenants in one statement go to each', async (t) => {
    const table = await createTable()
    await attach(table)
    await writer.query(
      `insert into ${table} values (1, '${tenant.key}'), (2, '${other.key}'), (3, '${tenant.key}')`,
    )
    t.strictSame(
      (await published()).map((event) => [(event.data as { id: number }).id, event.tenant]),
      [
        [1, tenant.key],
        [2, other.key],
        [3, tenant.key],
      ],
    )
    await detach(table)
  })

  t.test('an update of the primary key ends one row and begins another', async (t) => {
    const table = await createTable()
    await attach(table)
    await writer.query(`insert into ${table} values ${row(1)}, ${row(2)}`)
    await published()
    await writer.query(`update ${table} set id = id + 1 where id = 2`)
    t.match(await published(), [
      { type: 'invoice.created', data: { id: 3 } },
      { type: 'invoice.deleted', data: { id: 2 } },
    ])
    await detach(table)
  })

  // The creation came first, so the last that a receiver got of the key was a deletion, of a row that exists.
  t.test('under one ordering key, what ends comes before what begins', async (t) => {
    const keyed = 'warehouse int, sku text, account text, n int, primary key (warehouse, sku)'
    const table = await createTable(keyed)
    const parted = await createTable(keyed, 'partition by list (warehouse)')
    for (const n of [1, 2, 3, 4]) {
      await owner.query(`create table ${parted}_${n} partition of ${parted} for values in (${n})`)
    }
    const inOrder = async () => {
      const { rows } = await pool.query(
        `select e.type || ' ' || (e.data ->> 'warehouse') as what from postrider.event e
         where e.id > $1 order by e.ordering_key, e.position`,
        [seenUpTo],
      )
      await published()
      return rows.map(({ what }) => what.replace('invoice.', ''))
    }
    for (const [name, key] of [
      [table, 'sku'],
      [parted, 'new.sku'],
      [parted, `'all of ${parted}'`],
    ] as const) {
      await attach(name, { ordering_key: key })
      await writer.query(`insert into ${name} values (1, 'b', $1, 5)`, [tenant.key])
      await writer.query(`update ${name} set warehouse = 2`)
      t.strictSame(await inOrder(), ['created 1', 'deleted 1', 'created 2'], 'update')
      await writer.query(
        `with moved as (delete from ${name} returning *)
         insert into ${name} select 3, sku, account, n from moved`,
      )
      t.strictSame(await inOrder(), ['deleted 2', 'created 3'], 'a delete that an insert reads')
      await writer.query(
        `merge into ${name} as t using (values (3), (4)) as s (n) on t.warehouse = s.n
         when matched then delete
         when not matched then insert values (s.n, 'b', '${tenant.key}', 5)`,
      )
      t.strictSame(await inOrder(), ['deleted 3', 'created 4'], 'merge')
      await writer.query(`delete from ${name}`)
      await published()
    }
    await writer.query(
      `insert into ${table} select n, 'many', $1, n from generate_series(1, 1500) as n`,
      [tenant.key],
    )
    await published()
    await writer.query(`update ${table} set warehouse = -warehouse`)
    const ended = (await inOrder()).map((what) => what.split(' ')[0])
    t.equal(ended.lastIndexOf('deleted'), 1499, 'also over several batches')
    t.equal(ended.indexOf('created'), 1500)
    for (const name of [table, parted]) await detach(name)
  })

  // The other customer got an update with the old values of this one; and this one never heard of it.
  t.test('a row that changes its tenant ends for one and begins for the other', async (t) => {
    const table = await createTable()
    const parted = await createTable(
      'id int primary key, account text, status text',
      'partition by range (id)',
    )
    await owner.query(`create table ${parted}_0 partition of ${parted} default`)
    const lists = { data: '{id, status}', previous: true, ordering_key: 'id' }
    const change = `json_build_object('id', coalesce(new.id, old.id), 'was', old.status)`
    const cases: [of: string, settings: Record<string, unknown>, before: object, after: object][] =
      [
        [
          table,
          lists,
          { status: 'secret', previous: undefined },
          { status: 'open', previous: undefined },
        ],
        [
          parted,
          lists,
          { status: 'secret', previous: undefined },
          { status: 'open', previous: undefined },
        ],
        [table, { previous: true }, { status: 'secret' }, { status: 'open', previous: undefined }],
        [table, { data: change }, { was: 'secret' }, { was: null }],
        [table, { tenant: 'lower(new.account)' }, { status: 'secret' }, { status: 'open' }],
        [table, { tenant: 'coalesce(new.account, old.account)' }, {}, {}],
        [table, { when: 'new.status is distinct from old.status' }, {}, {}],
      ]
    for (const [name, settings, before, after] of cases) {
      const says = `${name} ${JSON.stringify(settings)}`
      await attach(name, settings)
      await writer.query(
        `insert into ${name} (id, account, status) values (1, $1, 'secret'), (2, $1, 'x')`,
        [tenant.key],
      )
      await published()
      await writer.query(
        `update ${name} set account = case id when 1 then $1 else account end, status = case id when 1 then 'open' else status end`,
        [other.key],
      )
      t.match(
        await published(),
        [
          { type: 'invoice.created', tenant: other.key, data: { ...after } },
          { type: 'invoice.deleted', tenant: tenant.key, data: { ...before } },
        ],
        says,
      )
      await writer.query(`delete from ${name}`)
      await published()
    }
    t.strictSame(await findViolations(pool), [])
    for (const name of [table, parted]) await detach(name)
  })

  t.test(
    'also if nothing else of it changes, and as far as when and events let through',
    async (t) => {
      const table = await createTable()
      const moveTo = async (to: { key: string }) => {
        await writer.query(`update ${table} set account = $1`, [to.key])
        return (await published()).map(({ type, tenant }) => [type, tenant])
      }
      await attach(table, { data: '{id}' })
      await writer.query(`insert into ${table} values ${row(1)}`)
      await published()
      t.strictSame(await moveTo(other), [
        ['invoice.created', other.key],
        ['invoice.deleted', tenant.key],
      ])
      t.strictSame(await moveTo(other), [])
      await attach(table, { when: 'old.id is not null and new.id is not null' })
      t.strictSame(await moveTo(tenant), [], 'it is no update')
      await attach(table, { events: ['updated', 'created'] })
      t.strictSame(await moveTo(other), [['invoice.created', other.key]])
      await detach(table)
    },
  )

  t.test('a row that had no tenant begins for the one that it gets', async (t) => {
    const table = await createTable()
    await writer.query(`insert into ${table} values (1, null, 'open', 1)`)
    await attach(table)
    await writer.query(`update ${table} set account = $1`, [tenant.key])
    t.match(await published(), [{ type: 'invoice.created', tenant: tenant.key }])
    await t.rejects(writer.query(`update ${table} set account = null`), {
      message: /tenant_missing/,
    })
    await detach(table)
  })

  // What a full join is made by can be hashed or sorted: these keys can be only sorted, and the function is volatile.
  t.test('any key pairs rows, whatever function says whose they are', async (t) => {
    await owner.query(
      `create function shop.tenant_of(key text) returns text language plpgsql as 'begin return key; end'`,
    )
    for (const type of ['bit(8)', 'money', 'int4range']) {
      const table = await createTable(`id ${type} primary key, account text, status text`)
      await attach(table, { tenant: 'shop.tenant_of(new.account)' })
      const id = type === 'bit(8)' ? "b'00000001'" : type === 'money' ? "'1'" : "'[1,2)'"
      await writer.query(`insert into ${table} values (${id}, $1, 'open')`, [tenant.key])
      await writer.query(`update ${table} set status = 'paid'`)
      await writer.query(`update ${table} set account = $1`, [other.key])
      t.strictSame(
        await types(),
        ['created', 'updated', 'created', 'deleted'].map((what) => `invoice.${what}`),
        type,
      )
      await detach(table)
    }
    await owner.query(`drop function shop.tenant_of(text)`)
  })

  t.test('upsert, merge and copy publish what they do', async (t) => {
    const table = await createTable()
    await attach(table)
    await writer.query(
      `insert into ${table} values ${row(1)} on conflict (id) do update set status = 'again'`,
    )
    await writer.query(
      `insert into ${table} values ${row(1)}, ${row(2)} on conflict (id) do update set status = 'again'`,
    )
    t.strictSame(await types(), ['invoice.created', 'invoice.created', 'invoice.updated'])
    await writer.query(`insert into ${table} values ${row(1)} on conflict do nothing`)
    t.strictSame(await types(), [], 'a conflict that does nothing')
    await writer.query(
      `merge into ${table} as t using (values (1), (2), (3)) as s (id) on t.id = s.id
       when matched and t.id = 1 then delete
       when matched then update set status = 'merged'
       when not matched then insert values (s.id, '${tenant.key}', 'new', 1)`,
    )
    t.strictSame((await types()).sort(), ['invoice.created', 'invoice.deleted', 'invoice.updated'])
    await owner.query(
      `do $$ begin execute 'copy ${table} from program ''x'''; exception when others then null; end $$`,
    )
    await pool.query(`copy ${table} from program 'printf "7\\t${tenant.key}\\tcopied\\t1\\n"'`)
    t.strictSame(await types(), ['invoice.created'])
    await detach(table)
  })

  t.test('a cascade publishes what it deletes', async (t) => {
    const parent = await createTable('id int primary key')
    const child = await createTable(
      `id int primary key, account text, parent int references ${parent} on delete cascade`,
    )
    await attach(child)
    await writer.query(`insert into ${parent} values (1)`)
    await writer.query(
      `insert into ${child} values (1, '${tenant.key}', 1), (2, '${tenant.key}', 1)`,
    )
    await published()
    await writer.query(`delete from ${parent}`)
    t.strictSame(await types(), ['invoice.deleted', 'invoice.deleted'])
    await detach(child)
  })

  t.test('truncate is refused, unless no deletion is published', async (t) => {
    const table = await createTable()
    await attach(table)
    await writer.query(`insert into ${table} values ${row(1)}`)
    await t.rejects(writer.query(`truncate ${table}`), { code: UNSUPPORTED, message: /truncate/ })
    await attach(table, { events: ['created'] })
    await writer.query(`truncate ${table}`)
    await writer.query(`insert into ${table} values ${row(1)}`)
    await writer.query(`update ${table} set status = 'x'`)
    await writer.query(`delete from ${table}`)
    t.strictSame(await types(), ['invoice.created', 'invoice.created'])
    t.strictSame(await findViolations(pool), [])
    await detach(table)
  })

  t.test('partitions publish, named or not; doctor finds one that came later', async (t) => {
    const table = await createTable(
      'id int, account text, status text, total numeric, primary key (id)',
      'partition by range (id)',
    )
    const part = (n: number, from: number) =>
      owner.query(
        `create table ${table}_${n} partition of ${table} for values from (${from}) to (${from + 10})`,
      )
    await part(0, 0)
    await attach(table, { data: '{id, status}' })
    await writer.query(`insert into ${table} values ${row(1)}`)
    await owner.query(`insert into ${table}_0 values ${row(2)}`)
    await part(1, 10)
    await writer.query(`insert into ${table} values ${row(11)}`)
    t.match(await published(), [{ data: { id: 1 } }, { data: { id: 2 } }, { data: { id: 11 } }])
    t.match(await findViolations(pool), [
      { kind: 'table_not_published', id: table, detail: /postrider_delete on .*_1 is gone/ },
    ])
    await attach(table, { data: '{id, status}' })
    t.strictSame(await findViolations(pool), [])
    await owner.query(`insert into ${table}_1 values ${row(12)}`)
    await writer.query(`update ${table} set id = 3, status = 'moved' where id = 12`)
    await writer.query(`update ${table} set status = 'paid'`)
    t.match(await published(), [
      { type: 'invoice.created', data: { id: 12 } },
      { type: 'invoice.created', data: { id: 3 } },
      { type: 'invoice.deleted', data: { id: 12 } },
      ...[1, 11, 2, 3].map((id) => ({ type: 'invoice.updated', data: { id, status: 'paid' } })),
    ])
    await t.rejects(attach(`${table}_0`), { code: UNSUPPORTED, hint: /the table that it is part/ })
    await detach(table)
    await writer.query(`insert into ${table}_0 values ${row(4)}`).catch(() => undefined)
    t.strictSame(await published(), [])
  })

  // It was taken for the table that it was a part of: attaching or detaching it did so to that one.
  t.test('a partition that became a table publishes until it is detached for itself', async (t) => {
    const table = await createTable('id int primary key, account text', 'partition by range (id)')
    for (const n of [0, 1, 2]) {
      await owner.query(
        `create table ${table}_${n} partition of ${table} for values from (${n}0) to (${n + 1}0)`,
      )
    }
    const insert = (into: string, id: number) =>
      owner.query(`insert into ${into} values (${id}, $1)`, [tenant.key])
    await attach(table)
    await owner.query(`alter table ${table} detach partition ${table}_0`)
    await insert(`${table}_0`, 1)
    t.strictSame(await types(), ['invoice.created'])
    await attach(`${table}_0`, { type: 'archive' })
    await insert(`${table}_0`, 2)
    await insert(table, 11)
    t.strictSame(await types(), ['archive.created', 'invoice.created'])
    t.strictSame((await detach(`${table}_0`)).rows, [{ detach: true }])
    await insert(`${table}_0`, 3)
    await insert(table, 12)
    t.strictSame(await types(), ['invoice.created'])

    await t.rejects(detach(`${table}_1`), { code: UNSUPPORTED, hint: new RegExp(table) })
    await owner.query(`alter table ${table} detach partition ${table}_1`)
    t.strictSame((await detach(`${table}_1`)).rows, [{ detach: true }], 'without being attached')
    await insert(`${table}_1`, 13)
    await insert(table, 21)
    t.match(await published(), [{ data: { id: 21 } }])
    t.strictSame(await findViolations(pool), [])
    await detach(table)
  })

  // The new one's function replaced that of the old one, which could then not be detached.
  t.test('a table that takes the name of an attached one is another table', async (t) => {
    const table = await createTable()
    await attach(table)
    await owner.query(`alter table ${table} rename to before`)
    await owner.query(`create table ${table} (like shop.before including all)`)
    await attach(table, { type: 'bill' })
    await owner.query(`insert into shop.before values ${row(1)}`)
    await owner.query(`insert into ${table} values ${row(1)}`)
    t.strictSame(await types(), ['invoice.created', 'bill.created'])
    t.strictSame(await findViolations(pool), [])
    for (const attached of ['shop.before', table]) {
      t.strictSame((await detach(attached)).rows, [{ detach: true }])
    }
    await owner.query('drop table shop.before')
  })

  t.test('stored generated columns are published, virtual ones are refused', async (t) => {
    const { rows } = await pool.query('show server_version_num')
    const table = await createTable(
      `id int primary key, account text, twice int generated always as (id * 2) stored`,
    )
    await attach(table)
    await writer.query(`insert into ${table} values (4, '${tenant.key}')`)
    t.match(await published(), [{ data: { id: 4, twice: 8 } }])
    await detach(table)
    if (Number(rows[0].server_version_num) < 180000) return
    const virtual = await createTable(
      `id int primary key, account text, twice int generated always as (id * 2) virtual`,
    )
    await t.rejects(attach(virtual), { code: UNSUPPORTED, message: /virtual/ })
    await t.rejects(attach(virtual, { data: '{id, twice}' }), { code: UNSUPPORTED })
    await t.rejects(attach(virtual, { data: '{id}', when: 'new.twice > 1' }), {
      code: UNSUPPORTED,
    })
    await attach(virtual, { data: '{id}' })
    await writer.query(`insert into ${virtual} values (4, '${tenant.key}')`)
    t.match(await published(), [{ data: { id: 4 } }])
    // A whole row is no column, and was let through: the column was null in what was published.
    for (const data of [
      'new',
      'to_jsonb(new)',
      'row_to_json(new.*)',
      'json_build_array(old.id, old)',
    ]) {
      await t.rejects(
        attach(virtual, { data }),
        { code: UNSUPPORTED, message: /twice/, hint: /Name the columns/ },
        data,
      )
    }
    await t.rejects(attach(virtual, { data: '{id}', when: 'new is distinct from old' }), {
      code: UNSUPPORTED,
    })
    await detach(virtual)

    const later = await createTable('id int primary key, account text')
    await attach(later, { data: 'to_jsonb(new)' })
    t.strictSame(await findViolations(pool), [])
    await owner.query(
      `alter table ${later} add column twice int generated always as (id * 2) virtual`,
    )
    t.match(await findViolations(pool), [{ id: later, detail: /virtual generated column twice/ }])
    await detach(later)
  })

  // Its rows were paired where their periods overlap, so every version of a row with every other.
  t.test('versions of a row, by a key without overlaps, are paired with themselves', async (t) => {
    const { rows } = await pool.query('show server_version_num')
    if (Number(rows[0].server_version_num) < 180000) return
    await pool.query('create extension if not exists btree_gist schema public')
    for (const type of ['int', 'text', 'uuid', 'int4range']) {
      const id = {
        int: '1',
        text: `'a'`,
        uuid: `'00000000-0000-0000-0000-000000000001'`,
        int4range: `'[1,5)'`,
      }[type]
      const table = await createTable(
        `id ${type}, account text, status text, at daterange, primary key (id, at without overlaps)`,
      )
      await attach(table, { data: '{at, status}', previous: true })
      await writer.query(
        `insert into ${table} values (${id}, $1, 'open', '[2026-01-01,2026-02-01)'), (${id}, $1, 'open', '[2026-02-01,2026-03-01)')`,
        [tenant.key],
      )
      await published()
      await writer.query(`update ${table} set status = 'paid' where at @> '2026-02-02'::date`)
      t.match(
        await published(),
        [
          {
            type: 'invoice.updated',
            data: { at: '[2026-02-01,2026-03-01)', previous: { status: 'open' } },
          },
        ],
        type,
      )
      await writer.query(
        `update ${table} set at = '[2026-02-05,2026-03-01)' where at @> '2026-02-10'::date`,
      )
      t.match(
        await published(),
        [
          { type: 'invoice.created', data: { at: '[2026-02-05,2026-03-01)', previous: undefined } },
          { type: 'invoice.deleted', data: { at: '[2026-02-01,2026-03-01)', previous: undefined } },
        ],
        'another period is another key',
      )
      t.strictSame(await findViolations(pool), [])
      await detach(table)
    }
    await pool.query('drop extension btree_gist cascade')
  })

  t.test('doctor finds a table that has become part of an inheritance', async (t) => {
    const table = await createTable('id int primary key, account text')
    await attach(table)
    await owner.query(`create table shop.offspring () inherits (${table})`)
    t.match(await findViolations(pool), [{ id: table, detail: /shop.offspring inherits from/ }])
    await owner.query(`alter table shop.offspring no inherit ${table}`)
    t.strictSame(await findViolations(pool), [])
    await owner.query(`create table shop.ancestor (id int not null, account text)`)
    await owner.query(`alter table ${table} inherit shop.ancestor`)
    t.match(await findViolations(pool), [{ id: table, detail: /inherits from shop.ancestor/ }])
    await detach(table)
    await owner.query(`drop table ${table}, shop.ancestor, shop.offspring`)
  })

  t.test('what is no table that can publish is refused in words', async (t) => {
    const table = await createTable()
    await owner.query(`create view shop.a_view as select * from ${table}`)
    await owner.query(`create materialized view shop.a_copy as select * from ${table}`)
    await owner.query(`create temporary table a_temp (id int primary key, account text)`)
    await owner.query(`create table shop.base (id int primary key, account text)`)
    await owner.query(`create table shop.heir (primary key (id)) inherits (shop.base)`)
    await owner.query(`create table shop.keyless (id int, account text)`)
    await owner.query(`create unlogged table shop.fast (id int primary key, account text)`)
    const cases: [table: string, code: string, message: RegExp][] = [
      ['shop.a_view', UNSUPPORTED, /is a view/],
      ['shop.a_copy', UNSUPPORTED, /is a view/],
      ['a_temp', UNSUPPORTED, /is a temporary table/],
      ['shop.base', UNSUPPORTED, /is part of an inheritance/],
      ['shop.heir', UNSUPPORTED, /is part of an inheritance/],
      ['shop.keyless', UNSUPPORTED, /has no primary key/],
      ['shop.nothing', '42P01', /does not exist/],
    ]
    for (const [refused, code, message] of cases) {
      await t.rejects(attach(refused), { code, message }, refused)
    }
    await t.rejects(
      pool.query(`select postrider.attach('postrider.tenant', 'tenant', 'key')`),
      { code: UNSUPPORTED },
      'nor what is ours',
    )
    await attach('shop.keyless', { events: ['created', 'deleted'] })
    await attach('shop.fast')
    await owner.query(`insert into shop.keyless values (1, '${tenant.key}')`)
    await owner.query(`insert into shop.fast values (1, '${tenant.key}')`)
    t.strictSame(await types(), ['invoice.created', 'invoice.created'])
    for (const attached of ['shop.keyless', 'shop.fast']) await detach(attached)
  })

  t.test(
    'what does not fit the table is refused when attaching, and nothing is left',
    async (t) => {
      const table = await createTable()
      const cases: [settings: Record<string, unknown>, code: string, column: string | undefined][] =
        [
          [{ tenant: 'acount' }, '42703', 'tenant'],
          [{ tenant: 'new.acount' }, '42703', 'tenant'],
          [{ tenant: '' }, '22023', 'tenant'],
          [{ tenant: 'new.account ||' }, '42601', 'tenant'],
          [{ tenant: 'new.account; drop table x' }, '42601', 'tenant'],
          [{ tenant: 'max(new.account)' }, '42803', 'tenant'],
          [{ tenant: 'row_number() over ()' }, '42P20', 'tenant'],
          [{ tenant: 'generate_series(1, 2)' }, UNSUPPORTED, 'tenant'],
          [{ tenant: '(select key from postrider.tenant)' }, UNSUPPORTED, 'tenant'],
          [{ tenant: 'no_function(new.id)' }, '42883', 'tenant'],
          [{ tenant: '$1' }, '42P02', 'tenant'],
          [{ when: 'new.total' }, '42804', 'when'],
          [{ when: 'status' }, '42804', 'when'],
          [{ when: 'tg_op = 1' }, '42703', 'when'],
          [{ data: '{id, nothing}' }, '42703', 'data'],
          [{ data: '{}' }, '42703', 'data'],
          [{ data: '{id' }, '22023', 'data'],
          [{ data: 'new.nothing' }, '42703', 'data'],
          [{ ordering_key: 'new.ctid' }, '42703', undefined],
          [{ ordering_key: 'nothing' }, '42703', 'ordering_key'],
          [{ previous: true, data: 'new.id' }, '22023', 'previous'],
          [{ type: 'in voice' }, '22023', 'type'],
          [{ type: 'postrider.invoice' }, '22023', 'type'],
          [{ type: 'a'.repeat(120) }, '22023', 'type'],
          [{ events: ['truncated'] }, '22023', 'events'],
          [{ events: [] }, '22023', 'events'],
        ]
      for (const [settings, code, column] of cases) {
        await t.rejects(attach(table, settings), { code, column }, JSON.stringify(settings))
      }
      const { rows } = await pool.query(
        `select (select count(*) from pg_trigger where tgrelid = $1::regclass)
         + (select count(*) from pg_proc where pronamespace = 'shop'::regnamespace)
         + (select count(*) from postrider.attachment) as left`,
        [table],
      )
      t.strictSame(rows, [{ left: '0' }])
      await attach(table, { type: 'a'.repeat(119), tenant: 'new.account -- the customer' })
      await detach(table)
    },
  )

  t.test(
    'only the owner of a table, or a member of that role, attaches and detaches it',
    async (t) => {
      const table = await createTable()
      const hostile = await loginAs('hostile')
      await owner.query(`grant all on ${table} to ${roles.hostile}`)
      await t.rejects(attach(table, {}, hostile), { code: DENIED, hint: /set role/ })
      await attach(table)
      await t.rejects(detach(table, hostile), { code: DENIED })
      for (const call of ['forget_attachment(null, $1)', 'note_attachment($1)']) {
        await t.rejects(hostile.query(`select postrider.${call}`, [table]), { code: DENIED }, call)
      }
      await t.rejects(
        hostile.query(`create table shop.theirs (id int primary key, account text)`).then(() =>
          hostile.query(
            `create trigger postrider_insert after insert on shop.theirs for each statement
           execute function shop.postrider_publish_${table.slice(5)}()`,
          ),
        ),
        { code: DENIED },
        'the function that publishes with the rights of the owner is nobody else’s',
      )
      const plain = await loginAs('plain')
      await t.rejects(plain.query(`select postrider.publish_rows('[]', 'x')`), { code: DENIED })
      await pool.query(`grant ${roles.owner} to ${roles.plain}`)
      await attach(table, { type: 'bill' }, plain)
      await writer.query(`insert into ${table} values ${row(1)}`)
      t.strictSame(await types(), ['bill.created'])
      await detach(table, plain)
      await pool.query(`revoke ${roles.owner} from ${roles.plain}`)
    },
  )

  t.test('an owner who cannot publish is told so', async (t) => {
    const plain = await loginAs('plain')
    await pool.query(`create schema plain authorization ${roles.plain}`)
    await plain.query(`create table plain.thing (id int primary key, account text)`)
    await t.rejects(attach('plain.thing', {}, plain), {
      code: DENIED,
      hint: /grant postrider_producer to/,
    })
    await t.rejects(
      pool.query(`select postrider.attach('plain.thing', 'thing', 'account')`),
      { code: DENIED },
      'also by an administrator',
    )
  })

  t.test(
    'an expression can do nothing that the owner cannot, also when others write or attach',
    async (t) => {
      const hostile = await loginAs('hostile')
      await hostile.query(`create table shop.trap (id int primary key, account text)`)
      await hostile.query(
        `grant insert on shop.trap to public; grant usage on schema shop to public`,
      )
      await hostile.query(`create function shop.peek(id int) returns text language plpgsql as $$
      begin return (select string_agg(key, ',') from postrider.tenant); end $$`)
      await hostile.query(`create function shop.who(id int) returns text language sql
      return current_user`)
      await attach('shop.trap', { data: 'shop.peek(new.id)' }, hostile)
      for (const by of [writer, pool]) {
        await t.rejects(by.query(`insert into shop.trap values (1, $1)`, [tenant.key]), {
          code: DENIED,
          message: /tenant/,
        })
      }
      await pool.query(
        `select postrider.attach('shop.trap', 'trap', 'account', 'shop.who(new.id)')`,
      )
      await pool.query(`insert into shop.trap values (1, $1)`, [tenant.key])
      t.match(await published(), [{ type: 'trap.created', data: roles.hostile }])
      await hostile.query(`revoke execute on function shop.who from public`)
      await t.rejects(
        owner
          .query(`create table shop.calls (id int primary key, account text)`)
          .then(() => attach('shop.calls', { data: 'shop.who(new.id)' })),
        { code: DENIED, message: /cannot call/ },
      )
      await detach('shop.trap', hostile)
    },
  )

  // Only monitoring could read the list that the page for owners shows.
  t.test('owners of tables see theirs in the list, and nothing of the others', async (t) => {
    const hostile = await loginAs('hostile')
    const table = await createTable()
    await attach(table)
    await hostile.query(`create table shop.discreet (id int primary key, account text)`)
    await attach('shop.discreet', { tenant: `'not for others'` }, hostile)
    const seenBy = async (by: typeof owner, where = 'true') =>
      (await by.query(`select "table", problem from postrider.attached_table where ${where}`)).rows
    t.strictSame(await seenBy(owner), [{ table, problem: null }])
    t.strictSame(await seenBy(hostile), [{ table: 'shop.discreet', problem: null }])
    t.equal((await seenBy(pool as never)).length, 2, 'all of it by the owner of the schema')
    await owner.query(`create function shop.told(text) returns boolean language plpgsql cost 0.0001
      as $$ begin raise exception 'told %', $1; end $$`)
    const told = `tenant = 'account' or shop.told(tenant)`
    t.equal((await seenBy(owner, told)).length, 1, 'nor by a function of theirs')
    await t.rejects((await loginAs('plain')).query('select * from postrider.attached_table'), {
      code: DENIED,
    })

    await pool.query(`alter table ${table} owner to ${roles.hostile}`)
    await attach(table, {}, hostile)
    t.strictSame(await seenBy(owner), [], 'as whose table it was attached last')
    t.equal((await seenBy(hostile)).length, 2)
    await detach(table, hostile)
    await pool.query(`alter table ${table} owner to ${roles.owner}`)
    await attach(table)
    await owner.query(`drop trigger postrider_insert on ${table}`)
    await hostile.query('drop table shop.discreet')
    await owner.query(`revoke usage on schema shop from ${roles.hostile}`)
    t.match(await seenBy(hostile), [{ table: 'shop.discreet', problem: 'the table is gone' }])
    await owner.query(`grant usage on schema shop to ${roles.hostile}`)
    await detach('shop.discreet', hostile)
    await detach(table)
    await owner.query('drop function shop.told(text)')
  })

  // The table of the other was listed in place of the attached one, which could not be detached.
  t.test('a trigger of another role that names an attachment changes nothing', async (t) => {
    const hostile = await loginAs('hostile')
    await hostile.query(`create table shop.older (id int primary key)`)
    const table = await createTable()
    const { id } = (await attach(table)).rows[0]
    await hostile.query(`create function shop.lure() returns trigger language plpgsql security definer
      as 'begin return null; end'`)
    await hostile.query(`comment on function shop.lure() is 'postrider.attach: {"id": "${id}"}'`)
    for (const operation of ['insert', 'update', 'delete', 'truncate']) {
      await hostile.query(`create trigger postrider_${operation} after ${operation} on shop.older
        for each statement execute function shop.lure('${id}')`)
    }
    const listed = async () =>
      (await pool.query(`select "table", problem from postrider.attached_table`)).rows
    t.strictSame(await listed(), [{ table, problem: null }])
    await owner.query(`drop trigger postrider_insert on ${table}`)
    t.match(await listed(), [{ table, problem: /postrider_insert on .* is gone/ }])
    t.strictSame((await detach(table)).rows, [{ detach: true }])
    await hostile.query(`drop table shop.older; drop function shop.lure()`)
  })

  t.test('a table that takes the name of a renamed one does not take its attachment', async (t) => {
    const hostile = await loginAs('hostile')
    const table = await createTable()
    const { id } = (await attach(table)).rows[0]
    await owner.query(`alter table ${table} rename to moved`)
    await hostile.query(`create table ${table} (id int primary key, account text)`)
    await hostile.query(`create function shop.lure() returns trigger language plpgsql security definer
      as 'begin return null; end'`)
    await hostile.query(`comment on function shop.lure() is
      'postrider.attach: {"id": "${id}", "type": "lure", "tenant": "account", "events": ["created"], "columns": []}'`)
    await hostile.query(`create trigger postrider_insert after insert on ${table}
      for each statement execute function shop.lure('${id}')`)
    await t.rejects(hostile.query('select postrider.note_attachment($1)', [table]), {
      code: DENIED,
      message: /attached as another table/,
    })
    t.strictSame((await detach('shop.moved')).rows, [{ detach: true }])
    await hostile.query(`drop table ${table}; drop function shop.lure()`)
  })

  // Its function was taken for the one of the table: an administrator who attached that wrote over it, and gave it away.
  t.test('attaching for an owner leaves the functions of others alone', async (t) => {
    const hostile = await loginAs('hostile')
    await owner.query(`create function shop.audited() returns trigger language plpgsql
      as 'begin return null; end'`)
    await hostile.query(`create table shop.prey (id int primary key, account text)`)
    const { id } = (await attach('shop.prey', { events: ['created'] }, hostile)).rows[0]
    await hostile.query(`drop trigger postrider_insert on shop.prey`)
    for (const [operation, does] of [
      ['delete', 'audited'],
      ['update', 'postrider_publish_prey'],
    ]) {
      await hostile.query(`create trigger postrider_${operation} after ${operation} on shop.prey
        for each statement execute function shop.${does}('${id}')`)
    }
    await pool.query(`select postrider.attach('shop.prey', 'trap', 'account')`)
    await hostile.query(`create or replace trigger postrider_delete after delete on shop.prey
      for each statement execute function shop.audited('${id}')`)
    await pool.query(`select postrider.detach('shop.prey')`)
    const { rows } = await pool.query(
      `select prosrc as source, pg_get_userbyid(proowner) as owner from pg_proc where proname = 'audited'`,
    )
    t.strictSame(rows, [{ source: 'begin return null; end', owner: roles.owner }])
    await hostile.query('drop table shop.prey')
    await owner.query('drop function shop.audited()')
  })

  t.test('nobody is made to run code of an owner by attaching for them', async (t) => {
    const hostile = await loginAs('hostile')
    await hostile.query(`create table shop.bait (id int primary key, account text)`)
    await hostile.query(`create function shop.become() returns text language plpgsql immutable as $$
      begin execute 'create table shop.proof ()'; return 'x'; end $$`)
    await hostile.query(`alter table shop.bait enable row level security, force row level security`)
    await hostile.query(`create policy p on shop.bait using (shop.become() = 'x')`)
    await pool.query(
      `select postrider.attach('shop.bait', 'bait', 'account', 'json_build_object(''a'', shop.become())')`,
    )
    const { rows } = await pool.query(`select to_regclass('shop.proof') as proof`)
    t.strictSame(rows, [{ proof: null }])
    await detach('shop.bait', hostile)
  })

  t.test('a refused event refuses the change, and says why', async (t) => {
    const table = await createTable()
    await attach(table)
    await t.rejects(writer.query(`insert into ${table} values (1, 'nobody', 'open', 1)`), {
      code: '22023',
      message: new RegExp(`${table} is attached to Postrider.*tenant_not_found`),
      column: 'tenant',
      detail: 'Event invoice.created of tenant nobody.',
    })
    await t.rejects(writer.query(`insert into ${table} values (1, null, 'open', 1)`), {
      message: /tenant_missing/,
    })
    const { rows } = await writer.query(`select count(*)::int from ${table}`)
    t.strictSame(rows, [{ count: 0 }])
    await detach(table)
  })

  t.test('a write fails in words when a column is gone, and doctor finds it before', async (t) => {
    const table = await createTable()
    await attach(table, { when: 'new.total > 0' })
    await owner.query(`alter table ${table} rename column total to amount`)
    t.match(await findViolations(pool), [{ id: table, detail: /column total is gone/ }])
    await t.rejects(writer.query(`insert into ${table} values ${row(1)}`), {
      code: '42703',
      message: new RegExp(`${table} is attached to Postrider, and its changes cannot be read`),
      hint: /attach\(\) again/,
    })
    await attach(table, { when: 'new.amount > 0' })
    await writer.query(`insert into ${table} values ${row(1)}`)
    t.match(await published(), [{ data: { amount: 10.5 } }])
    t.strictSame(await findViolations(pool), [])
    await owner.query(`alter table ${table} drop constraint ${table.slice(5)}_pkey`)
    t.match(await findViolations(pool), [{ id: table, detail: /its primary key is gone/ }])
    await owner.query(`alter table ${table} add primary key (account, id)`)
    t.match(await findViolations(pool), [{ id: table, detail: /its primary key is gone/ }])
    await attach(table, { when: 'new.amount > 0' })
    t.strictSame(await findViolations(pool), [])
    await owner.query(`alter table ${table} add column note text`)
    await writer.query(`update ${table} set note = 'new'`)
    t.match(await published(), [{ data: { note: 'new' } }], 'a new column comes along')
    await detach(table)
  })

  t.test('doctor finds triggers that are gone or off, and tables that are gone', async (t) => {
    const table = await createTable()
    await attach(table)
    const found = async () => (await findViolations(pool)).map(({ detail }) => detail)
    await owner.query(`alter table ${table} disable trigger postrider_update`)
    t.match(await found(), [/postrider_update on .* is disabled/])
    await owner.query(`alter table ${table} enable replica trigger postrider_update`)
    t.match(await found(), [/postrider_update on .* fires in sessions of replication only/])
    await owner.query(`alter table ${table} enable always trigger postrider_update`)
    t.strictSame(await found(), [])
    await owner.query(`drop trigger postrider_insert on ${table}`)
    t.match(await found(), [/postrider_insert on .* is gone/])
    await attach(table)
    t.strictSame(await found(), [], 'attaching again mends it')
    await pool.query(
      `revoke execute on function postrider.publish_rows(json, text) from ${roles.owner}`,
    )
    t.match(await found(), [/cannot publish: grant postrider_producer/])
    await t.rejects(writer.query(`insert into ${table} values ${row(1)}`), { code: DENIED })
    await pool.query(
      `grant execute on function postrider.publish_rows(json, text) to ${roles.owner}`,
    )
    await owner.query(`alter table ${table} rename to renamed`)
    const { rows } = await pool.query(`select "table", problem from postrider.attached_table`)
    t.strictSame(rows, [{ table: 'shop.renamed', problem: null }])
    await pool.query(`alter table shop.renamed owner to ${roles.hostile}`)
    t.match(await found(), [/belongs to .*_owner, and the table to .*_hostile/])
    await pool.query(`alter table shop.renamed owner to ${roles.owner}`)
    await owner.query(`drop table shop.renamed`)
    t.match(await found(), [/the table is gone/])
    await detach(table)
    t.strictSame(await found(), [])
    const again = await createTable()
    await attach(again)
    await owner.query(`drop table ${again}`)
    await owner.query(`create table ${again} (id int primary key, account text)`)
    t.match(await found(), [/postrider_delete on .* is gone/], 'one that was created again')
    await attach(again)
    t.strictSame(await found(), [])
    await detach(again)
  })

  t.test('a table that is made again takes over the function of the one before', async (t) => {
    for (const name of ['again', `again_${'x'.repeat(50)}`]) {
      const table = `shop.${name}`
      for (let n = 0; n < 3; n++) {
        await owner.query(`create table ${table} (id int primary key, account text)`)
        await attach(table)
        if (n < 2) await owner.query(`drop table ${table}`)
      }
      const { rows } = await pool.query(
        `select pg_get_userbyid(proowner) as owner from pg_proc
         where proname ~ '^postrider_publish_' and obj_description(oid, 'pg_proc') like $1`,
        [`%in ${table}. %`],
      )
      t.strictSame(rows, [{ owner: roles.owner }], name)
      await published()
      await owner.query(`insert into ${table} values (1, $1)`, [tenant.key])
      t.match(await published(), [{ type: 'invoice.created' }])
      await owner.query(`drop table ${table}`)
      await detach(table)
    }
  })

  // Neither worked: the function was still that of the owner before.
  t.test(
    'a table that was given to another owner is attached or detached by that one',
    async (t) => {
      const hostile = await loginAs('hostile')
      for (const again of [true, false]) {
        const table = await createTable(
          'id int primary key, account text',
          'partition by range (id)',
        )
        await owner.query(`create table ${table}_0 partition of ${table} default`)
        await attach(table)
        for (const given of [table, `${table}_0`]) {
          await pool.query(`alter table ${given} owner to ${roles.hostile}`)
        }
        if (again) await attach(table, { type: 'bill' }, hostile)
        await hostile.query(`insert into ${table} values (1, $1)`, [tenant.key])
        t.strictSame(await types(), [again ? 'bill.created' : 'invoice.created'])
        t.strictSame((await detach(table, hostile)).rows, [{ detach: true }])
        for (const into of [table, `${table}_0`]) {
          await hostile.query(`insert into ${into} values ($1, 'nobody')`, [into.length])
        }
        t.strictSame(await findViolations(pool), [])
        await pool.query(`drop table ${table}`)
      }
    },
  )

  // What was noted of it when it was a table could not be taken from the list.
  t.test('a table that became a partition is published as part of the other', async (t) => {
    const table = await createTable('id int primary key, account text', 'partition by range (id)')
    const part = await createTable('id int primary key, account text')
    for (const attached of [table, part]) await attach(attached, { type: 'bill' })
    await owner.query(`alter table ${table} attach partition ${part} default`)
    await attach(table)
    t.match(await findViolations(pool), [{ id: part, detail: /is gone; .* postrider.detach/ }])
    t.strictSame((await detach(part)).rows, [{ detach: true }])
    t.strictSame(await findViolations(pool), [])
    await owner.query(`insert into ${part} values (1, $1)`, [tenant.key])
    t.strictSame(await types(), ['invoice.created'])
    await detach(table)
  })

  t.test(
    'a session of replication publishes nothing, unless a trigger is to fire always',
    async (t) => {
      const table = await createTable()
      await attach(table)
      const client = await pool.connect()
      t.teardown(() => client.release(true))
      await client.query(`set session_replication_role = replica`)
      await client.query(`insert into ${table} values ${row(1)}`)
      t.strictSame(await published(), [])
      await owner.query(`alter table ${table} enable always trigger postrider_insert`)
      await client.query(`insert into ${table} values ${row(2)}`)
      t.strictSame(await types(), ['invoice.created'])
      await detach(table)
    },
  )

  // detach looked a name without a schema up in pg_catalog only.
  t.test('a name without a schema means the same table to attach and detach', async (t) => {
    const table = await createTable()
    const name = table.slice('shop.'.length)
    const here = await loginAs('owner')
    await here.query('set search_path = "$user", shop, public')
    await attach(name, {}, here)
    t.strictSame((await detach(name)).rows, [{ detach: false }], 'where it is in no search_path')
    t.strictSame((await detach(name.toUpperCase(), here)).rows, [{ detach: true }])
    t.strictSame((await detach(name, here)).rows, [{ detach: false }])
    await owner.query(`create table shop."It is gone" (id int primary key, account text)`)
    for (const [of, given] of [
      [name, name],
      ['shop."It is gone"', '"It is gone"'],
      [`shop.gone_too`, `shop.gone_too`],
    ] as const) {
      await owner.query(
        `create table if not exists ${of.includes('.') ? of : table} (id int primary key, account text)`,
      )
      await attach(of, {}, here)
      await here.query(`drop table ${of}`)
      t.strictSame((await detach(given, here)).rows, [{ detach: true }], `${given}, which is gone`)
    }
    t.strictSame(
      (await detach('two words', here).catch(() => ({ rows: [] }))).rows.filter(
        ({ detach }) => detach,
      ),
      [],
    )
    t.strictSame(await findViolations(pool), [])
  })

  // row_to_json(new) took the column in place of the row.
  t.test(
    'columns can have the names that rows have in expressions and in what is written',
    async (t) => {
      for (const settings of [
        {},
        { data: '{id, r, new, d}' },
        { previous: true },
        { data: `json_build_object('id', coalesce(new.id, old.id))` },
      ]) {
        const table = await createTable(
          'id int primary key, account text, new text, old int, r text, d text, e text, batch text',
        )
        await attach(table, settings)
        await writer.query(`insert into ${table} values (1, $1, 'n', 1, 'r')`, [tenant.key])
        await writer.query(`update ${table} set old = 2, r = 's'`)
        await writer.query(`delete from ${table}`)
        const seen = await published()
        t.match(
          seen,
          [{ data: { id: 1 } }, { data: { id: 1 } }, { data: { id: 1 } }],
          JSON.stringify(settings),
        )
        if (!('data' in settings)) {
          t.match(seen, [
            { data: { new: 'n', old: 1, r: 'r' } },
            { data: { old: 2, r: 's' } },
            { data: { old: 2 } },
          ])
        }
        await detach(table)
      }
    },
  )

  t.test('names of every kind are quoted', async (t) => {
    await owner.query(`create table shop."It's a ""very"" long name, longer than forty bytes" (
      "the id" int primary key, "new" text, "Größe" int)`)
    const table = `shop."It's a ""very"" long name, longer than forty bytes"`
    await attach(table, { tenant: 'new', data: '{"the id", Größe, new}', ordering_key: 'the id' })
    await owner.query(`insert into ${table} values (1, $1, 3)`, [tenant.key])
    await owner.query(`update ${table} set "Größe" = 4`)
    t.match(await published(), [
      { type: 'invoice.created', key: '1', data: { 'the id': 1, Größe: 3, new: tenant.key } },
      { type: 'invoice.updated', key: '1', data: { 'the id': 1, Größe: 4 } },
    ])
    const { rows } = await detach(table)
    t.strictSame(rows, [{ detach: true }])
    const { rows: again } = await detach(table)
    t.strictSame(again, [{ detach: false }])
  })

  t.test('a session attaches and detaches with any reading of strings', async (t) => {
    const table = await createTable()
    const session = await loginAs('owner')
    await session.query('set standard_conforming_strings = off; set backslash_quote = off')
    await attach(table, {}, session)
    await owner.query(`insert into ${table} values (1, $1)`, [tenant.key])
    t.match(await published(), [{ type: 'invoice.created' }])
    const another = await loginAs('owner')
    await another.query('set standard_conforming_strings = off')
    t.match(
      await another.query('select problem from postrider.attached_table where "table" = $1', [
        table,
      ]),
      { rows: [{ problem: null }] },
    )
    t.strictSame((await detach(table, session)).rows, [{ detach: true }])
  })

  t.test('the audit log says who attached what', async (t) => {
    const table = await createTable()
    await attach(table)
    await detach(table)
    const { rows } = await pool.query(
      `select session_role, action, target_id from postrider.audit_log where target_id = $1 order by id`,
      [table],
    )
    t.strictSame(rows, [
      { session_role: roles.owner, action: 'attach', target_id: table },
      { session_role: roles.owner, action: 'detach', target_id: table },
    ])
  })

  // Last, as what looks for violations above goes through all events.
  t.test('a statement on thousands of rows publishes each, with keys in order', async (t) => {
    const table = await createTable()
    await attach(table, { ordering_key: `'the one'` })
    await writer.query(
      `insert into ${table} select n, $1, 'open', n from generate_series(1, 2500) as n`,
      [tenant.key],
    )
    const { rows } = await pool.query(
      `select count(*)::int, count(distinct data->>'id')::int as ids, count(distinct position)::int as positions
       from postrider.event where id > $1`,
      [seenUpTo],
    )
    t.strictSame(rows, [{ count: 2500, ids: 2500, positions: 2500 }])
    await published()
    await detach(table)
  })

  t.test(
    'large statements on the same keys of a tenant wait for each other, in any order',
    async (t) => {
      const tables = [await createTable(), await createTable()]
      for (const table of tables) await attach(table, { ordering_key: 'id', data: '{id}' })
      const insert = (by: typeof owner, table = '', order = '') =>
        by.query(
          `insert into ${table} select n, $1, 'open', n from generate_series(1, 2500) as n order by n ${order}`,
          [tenant.key],
        )
      await t.resolves(
        Promise.all([insert(writer, tables[0], 'asc'), insert(owner, tables[1], 'desc')]),
        'neither is ended by a deadlock',
      )
      t.equal((await published()).length, 5000)
      for (const table of tables) await detach(table)
    },
  )

  // Batches were in the order of tenant keys and of the column's collation, and each locked by id of the tenant and bytes.
  for (const [what, large, small] of [
    ['of several tenants', 'low a, high a, high b', 'high b, low a'],
    ['whatever the collation', 'low a, low B, low C', 'low C, low a'],
  ] as const) {
    t.test(`keys are taken in one order in all batches of a statement, ${what}`, async (t) => {
      made += 1
      const tenants = { high: `b-${made}-${tenant.key}`, low: `a-${made}-${tenant.key}` }
      const keysOf = (text: string) =>
        text.split(', ').map((each) => {
          const [name, key = ''] = each.split(' ')
          return { tenant: name === 'low' ? tenants.low : tenants.high, key }
        })
      for (const key of [tenants.high, tenants.low]) {
        await pool.query('insert into postrider.tenant (key, name) values ($1, $1)', [key])
      }
      const table = await createTable(
        'id int primary key, account text, status text collate "en-US-x-icu"',
      )
      await attach(table, { ordering_key: 'status', events: ['created'] })
      const [first, second, third] = keysOf(large)
      const holder = await pool.connect()
      await holder.query('begin')
      await holder.query(`select postrider.publish($1, 'a.b', '{}', ordering_key => $2)`, [
        second?.tenant,
        second?.key,
      ])

      const inserted = writer.query(
        `insert into ${table} select n, $1, $2 from generate_series(1, 1000) as n
         union all values (1001, $3, $4), (1002, $5, $6)`,
        [first, second, third].flatMap((each) => [each?.tenant, each?.key]),
      )
      const isWaiting = `select cardinality(pg_blocking_pids(pid)) > 0 or state = 'idle' as holds
        from pg_stat_activity where datname = current_database() and usename = $1 and query ~ $2`
      await untilHolds(pool, isWaiting, [roles.writer, table])
      const events = keysOf(small).map((each) => ({
        ...{ tenant: each.tenant, orderingKey: each.key },
        ...{ type: 'a.b', data: what },
      }))
      const publishing = owner.query('select * from postrider.publish_many($1)', [
        JSON.stringify(events),
      ])
      await untilHolds(pool, isWaiting, [roles.owner, 'publish_many'])
      await holder.query('rollback')
      holder.release()
      await t.resolves(Promise.all([inserted, publishing]), 'neither is ended by a deadlock')
      await published()
      await detach(table)
    })
  }
}
