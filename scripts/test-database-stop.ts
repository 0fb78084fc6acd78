/** Run by tap after all tests: stops their server, unless another run in this checkout uses it. */
import { stopPostgres } from '../src/database/embedded.ts'
import { exclusively, leave, SERVER_DATA } from '../src/testing/server.ts'

await exclusively(async () => {
  const { isLast } = await leave(process.ppid)
  if (isLast) await stopPostgres(SERVER_DATA)
})
