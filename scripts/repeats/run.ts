/**
 * Shows that the inbox applies each event once, however often it is sent and whenever its receiver is killed, and that
 * a receiver without it does not. Ends non-zero unless that is so.
 *
 *     npm run repeats -- --events 2000 --copies 6 --kills 50
 *
 * Its Postgres and its receivers are on 127.0.0.1. The last line of stdout is the result as JSON.
 */
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import pg from 'pg'
import { startRestartablePostgres } from '../../src/testing/servers/restartable-postgres.ts'
import { readOptions } from '../bench/options.ts'
import { runProgram } from '../bench/program.ts'
import { type RepeatReport, runRepeats } from './repeats.ts'

const INBOX = join(import.meta.dirname, '..', '..', 'sql', 'inbox.sql')
const MINUTES_MAX = 30

const given = readOptions({
  events: { default: 2_000, help: 'events' },
  copies: { default: 6, help: 'requests with each that run at the same time' },
  kills: { default: 50, help: 'receivers killed in a transaction, and as many after its commit' },
})

const isRight = ({ events, effects, doubled, missing }: RepeatReport): boolean =>
  effects === events && doubled === 0 && missing === 0

await runProgram(
  async (cleanup) => {
    const teardown = (done: () => Promise<void>) => cleanup.defer(done)
    const { url } = await startRestartablePostgres({ teardown }, { max_connections: '200' })
    const pool = new pg.Pool({ connectionString: url })
    pool.on('error', () => undefined) // when Postgres is stopped at the end
    cleanup.defer(() => pool.end())
    await pool.query(await readFile(INBOX, 'utf8'))
    const run = (hasInbox: boolean) => runRepeats({ ...given, pool, url, hasInbox })
    const withInbox = await run(true)
    const without = await run(false)
    console.log(JSON.stringify({ withInbox, without }))
    if (!isRight(withInbox) || without.doubled === 0) process.exitCode = 1
  },
  { minutesMax: MINUTES_MAX },
)
