/**
 * Run by tap before all tests: starts the server that they share, and makes its template database.
 *
 * The server outlives this process; scripts/test-database-stop.ts ends it after the tests. One that
 * was left behind, because a run was killed, is used again.
 */
import { startPostgres } from '../src/database/embedded.ts'
import { VOLATILE } from '../src/testing/database.ts'
import {
  enter,
  exclusively,
  readTestServer,
  SERVER_DATA,
  writeTestServer,
} from '../src/testing/server.ts'
import { dropLeftovers, ensureTemplate, withAdmin } from '../src/testing/template.ts'

/** Several test files at once, each with a pool or two. */
const CONNECTIONS_MAX = '200'

await exclusively(async () => {
  await enter(process.ppid)
  const url = (await runningServer()) ?? (await startServer())
  await writeTestServer({ url, template: await ensureTemplate(url) })
  await dropLeftovers(url)
})

async function runningServer(): Promise<string | undefined> {
  try {
    const { url } = await readTestServer()
    await withAdmin(url, (admin) => admin.query('select 1'))
    return url
  } catch {
    return undefined
  }
}

async function startServer(): Promise<string> {
  const settings = { ...VOLATILE, max_connections: CONNECTIONS_MAX }
  return (await startPostgres({ dataDir: SERVER_DATA, settings, detached: true })).url
}
