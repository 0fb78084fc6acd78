import { readFile } from 'node:fs/promises'
import t from 'tap'
import { createWork } from '../testing/data/work.ts'
import { createTestDatabase } from '../testing/wiring/database.ts'

const FILE = new URL('../../sql/functions/deliveries/delivery_state.sql', import.meta.url)
const WRITES = String.raw`(insert\s+into|update(\s+only)?|merge\s+into)\s+(only\s+)?"?postrider"?\."?delivery"?\M`

const { pool } = await createTestDatabase(t)

/** Names of our functions whose text matches, as the catalogue of a migrated database has it. */
async function functionsWith(pattern: string) {
  const { rows } = await pool.query<{ name: string }>(
    `select distinct p.proname::text as name from pg_proc p
     where p.pronamespace = 'postrider'::regnamespace and pg_get_functiondef(p.oid) ~* $1 order by 1`,
    [pattern],
  )
  return rows.map(({ name }) => name)
}

async function namesInFile() {
  const text = await readFile(FILE, 'utf8')
  return [...text.matchAll(/^create or replace function postrider\.(\w+)/gm)].map(
    ([, name]) => name,
  )
}

t.test('only the functions of the state machine write deliveries', async (t) => {
  const own = await namesInFile()
  const writers = await functionsWith(WRITES)
  t.ok(writers.length >= 10, 'the pattern finds them')
  t.strictSame(
    writers.filter((name) => !own.includes(name)),
    [],
  )
})

t.test('only they add and remove the jobs of deliveries', async (t) => {
  const own = await namesInFile()
  const makers = await functionsWith(String.raw`postrider\.enqueue\(|remove_job\('d:`)
  t.strictSame(
    makers.filter((name) => !own.includes(name) && name !== 'enqueue'),
    [],
  )
})

t.test('no view, rule or trigger changes a delivery, and no role may', async (t) => {
  const { rows: triggers } = await pool.query(
    `select tgname from pg_trigger where tgrelid = 'postrider.delivery'::regclass and not tgisinternal`,
  )
  t.strictSame(triggers, [])
  const { rows: grants } = await pool.query(
    `select grantee, privilege_type from information_schema.role_table_grants
     where table_schema = 'postrider' and table_name = 'delivery' and privilege_type in ('INSERT', 'UPDATE')
       and grantee <> (select tableowner from pg_tables where schemaname = 'postrider' and tablename = 'delivery')`,
  )
  t.strictSame(grants, [])
})

t.test('a delivery has a reason while it is held, and only then', async (t) => {
  const work = await createWork(pool)
  const { id } = await work.publish()
  const set = (columns: string) =>
    pool.query(`update postrider.delivery set ${columns} where id = $1`, [id])
  await t.rejects(set(`state = 'held'`), { code: '23514' })
  await t.rejects(set(`held_reason = 'paused'`), { code: '23514' })
  await t.rejects(set(`state = 'held', held_reason = 'a mood'`), { code: '23514' })
  await set(`state = 'held', held_reason = 'paused'`)
})

t.test('what is held says by what, though that changes while it is held', async (t) => {
  const work = await createWork(pool)
  const { id } = await work.publish()
  const change = (sql: string) => pool.query(sql, [work.endpoint.id])
  const reason = async () => {
    await change('select postrider.align($1)')
    const { rows } = await pool.query(
      'select state, held_reason as reason from postrider.delivery where id = $1',
      [id],
    )
    return rows[0]
  }
  await change(`select postrider.pause_endpoint($1, 'Ann')`)
  t.strictSame(await reason(), { state: 'held', reason: 'paused' })
  await change(
    `insert into postrider.circuit (endpoint_id, tenant_id, failures, opened_at)
     select id, tenant_id, 20, now() from postrider.endpoint where id = $1`,
  )
  t.strictSame(await reason(), { state: 'held', reason: 'paused' }, 'what a person has to lift')
  await change(`select postrider.resume_endpoint($1, 'Ann')`)
  t.strictSame(await reason(), { state: 'held', reason: 'circuit' }, 'is not released by that')
  await change(`update postrider.endpoint set state = 'disabled' where id = $1`)
  t.strictSame(await reason(), { state: 'held', reason: 'disabled' })
  await change(`select postrider.enable_endpoint($1, 'Ann')`)
  t.strictSame(await reason(), { state: 'pending', reason: null })
})
