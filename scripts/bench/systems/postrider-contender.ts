import type { Contender } from '../measure/contest.ts'
import type { Server } from './server.ts'
import { CHECKOUT, startSystem } from './system.ts'

/** Postrider of a checkout: one API, one runner, default settings. */
export function postrider(
  server: Server,
  { name = 'postrider', root = CHECKOUT }: { name?: string; root?: string } = {},
): Contender {
  return {
    name,
    async start(cleanup, receiver, run) {
      const options = { server, name: run, root, receiverUrl: receiver.url }
      const system = await startSystem(cleanup, options)
      return { ...system, watched: system.watched(), failed: system.failed() }
    },
  }
}
