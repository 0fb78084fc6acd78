import { randomUUID } from 'node:crypto'
import t, { type Test } from 'tap'
import { createPool } from '../postgres/pool.ts'
import { isLong } from '../testing/long.ts'
import { readTestServer } from '../testing/servers/postgres-server.ts'
import { urlOf, withAdmin } from '../testing/servers/template.ts'
import { runCli } from '../testing/wiring/cli.ts'

/** As many as a rollout may start at once. */
const PROCESSES = 8

/** A database that nothing was ever done to. */
async function createEmptyDatabase(t: Test): Promise<string> {
  const { url } = await readTestServer()
  const name = `migrate_${randomUUID().replaceAll('-', '')}`
  await withAdmin(url, (admin) => admin.query(`create database ${name}`))
  t.teardown(() => withAdmin(url, (admin) => admin.query(`drop database ${name} with (force)`)))
  return urlOf(url, name)
}

if (isLong)
  t.test(
    'many processes at once on an empty database all end with 0, and do it once',
    async (t) => {
      const url = await createEmptyDatabase(t)
      const migrate = () => runCli(t, ['migrate', '--json'], { env: { DATABASE_URL: url } })
      const results = await Promise.all(Array.from({ length: PROCESSES }, migrate))
      t.strictSame(
        results.map(({ exitCode }) => exitCode),
        results.map(() => 0),
        results.map(({ stderr }) => stderr).join(''),
      )

      const applied = results.map(({ stdout }) => JSON.parse(stdout).applied as string[])
      const atWork = applied.filter((names) => names.length > 0)
      t.equal(atWork.length, 1, 'one did it, the others found it done')
      const pool = createPool({ connectionString: url, max: 1, applicationName: 'test' })
      const { rows } = await pool.query('select name from postrider.migration order by name')
      await pool.end()
      t.strictSame(
        atWork.flat().filter((name) => rows.some((row) => row.name === name)),
        rows.map(({ name }) => name),
      )
      t.strictSame(JSON.parse((await migrate()).stdout), { applied: [] })
    },
  )
