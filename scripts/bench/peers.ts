/**
 * Postrider next to other systems: same Postgres, driver and receiver, one API and one worker each.
 *
 *     node scripts/bench/peers.ts --peers ../peers/bullmq,../peers/other --rounds 3
 *
 * A peer is a folder with `run.sh` and `adapter.mjs` (see peer.ts), its packages installed. It sends
 * to http://127.0.0.1:9900 and may use a Redis on port 6390. Ratios are to the first peer.
 */

import { contest } from './measure/contest.ts'
import { startReport } from './measure/report.ts'
import { TRIALS, trialsOf } from './measure/trials.ts'
import { readOptions } from './options.ts'
import { runProgram } from './program.ts'
import { peer } from './systems/peer.ts'
import { postrider } from './systems/postrider-contender.ts'
import { startServer } from './systems/server.ts'

const options = readOptions({
  peers: { default: '', help: 'folders, comma separated' },
  trials: { default: TRIALS.join(), among: TRIALS, help: 'which of these' },
  rounds: { default: 3, help: 'of every system in every trial' },
  events: { default: 5000, help: 'of throughput' },
  seconds: { default: 20, help: 'of latency and slow' },
  bytes: { default: 300, help: 'of each payload' },
  'redis-port': { default: 6390, help: 'of the Redis for the peers; 0 starts none' },
  'receiver-port': { default: 9900, help: 'where the peers send to' },
})

await runProgram(
  async (cleanup) => {
    const server = await startServer(cleanup)
    const folders = options.peers.split(',').filter(Boolean)
    const peers = folders.map((folder) =>
      peer({ server, folder, redisPort: options['redis-port'] }),
    )
    await contest(cleanup, {
      ...options,
      contenders: [...(await Promise.all(peers)), postrider(server)],
      trials: trialsOf(options),
      report: await startReport('peers', server),
      receiverPort: options['receiver-port'],
    })
  },
  { minutesMax: 90 },
)
