/** Run by tap before all tests: starts the server that they share, and makes its template database. */
import { ensureTestServer, enter, exclusively } from '../src/testing/servers/postgres-server.ts'

await exclusively(async () => {
  await enter(process.ppid)
  await ensureTestServer()
})
