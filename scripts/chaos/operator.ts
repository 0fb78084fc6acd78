import { setTimeout as delay } from 'node:timers/promises'
import type { Pool } from 'pg'
import { isPassing } from '../../src/database/outage.ts'
import type { Random } from './random.ts'

/** What people do while the system is in trouble, each replacing or removing jobs that runners may hold. */
const OPERATIONS = {
  // Locked first, so that none is reopened that was delivered meanwhile: that would be a repeat by order.
  retry: `select postrider.retry_now(d.id, 'chaos')
    from (select d.id from postrider.delivery d
          where d.finished_at is null and d.state = 'pending'
          order by random() limit 5 for update skip locked) as d`,
  pause: `select postrider.pause_endpoint(id, 'chaos') from (${anEndpoint('active')}) as e`,
  resume: `select postrider.resume_endpoint(id, 'chaos') from (${anEndpoint('paused')}) as e`,
  limit: `update postrider.endpoint set rate_per_second = 5 where id = (${anEndpoint('active')})`,
  unlimit: `update postrider.endpoint set rate_per_second = null where rate_per_second is not null`,
} as const

export type Operation = keyof typeof OPERATIONS

/** Often enough that some meet jobs that are fetched and not claimed; rarely enough that work gets done. */
const PAUSE_MS = [100, 600] as const
/** What an operation is refused with that comes a moment too late: in flight, paused, disabled, not there. */
const TOO_LATE = new Set(['55000', '55006', 'P0002'])

function anEndpoint(state: 'active' | 'paused'): string {
  return `select id from postrider.endpoint where state = '${state}' order by random() limit 1`
}

export interface Operator {
  /** How many of each were done. */
  done: Map<Operation, number>
  /** Does no more, and takes back what would keep deliveries from ending. */
  stop(): Promise<void>
}

/** Does at random what operators do, all the time. */
export function startOperator(pool: Pool, random: Random): Operator {
  const stopping = new AbortController()
  const done = new Map<Operation, number>()
  const names = Object.keys(OPERATIONS) as Operation[]

  const run = async () => {
    while (!stopping.signal.aborted) {
      const name = random.pick(names)
      const { rowCount } = await attempt(pool, OPERATIONS[name])
      if (rowCount) done.set(name, (done.get(name) ?? 0) + 1)
      const pauseMs = random.between(...PAUSE_MS)
      await delay(pauseMs, undefined, { signal: stopping.signal }).catch(() => undefined)
    }
  }
  const running = run()
  // Whoever calls stop hears of it; until then it is no unhandled rejection.
  running.catch(() => undefined)
  return {
    done,
    async stop() {
      stopping.abort()
      await running
      await pool.query(OPERATIONS.unlimit)
      await pool.query(
        `select postrider.resume_endpoint(id, 'chaos') from postrider.endpoint where state = 'paused'`,
      )
    },
  }
}

async function attempt(pool: Pool, text: string): Promise<{ rowCount: number | null }> {
  try {
    return await pool.query(text)
  } catch (error) {
    if (isPassing(error) || TOO_LATE.has(String((error as { code?: string }).code))) {
      return { rowCount: 0 }
    }
    throw error
  }
}
