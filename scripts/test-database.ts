/**
 * Run by tap before all tests: starts the server that they share, makes its template database, and packs what
 * their processes load.
 */
import { packForTests } from '../src/testing/packed/pack.ts'
import { ensureTestServer, enter, exclusively } from '../src/testing/servers/postgres-server.ts'

await exclusively(async () => {
  await enter(process.ppid)
  await Promise.all([ensureTestServer(), packForTests()])
})
