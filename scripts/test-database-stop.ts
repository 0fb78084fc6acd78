/** Run by tap after all tests: stops their servers, unless another run in this checkout uses them. */
import { removeClusters } from '../src/testing/servers/cluster.ts'
import { exclusively, leave, stopTestServers } from '../src/testing/servers/postgres-server.ts'

await exclusively(async () => {
  const { isLast } = await leave(process.ppid)
  if (isLast) await Promise.all([stopTestServers(), removeClusters()])
})
