import { setTimeout as delay } from 'node:timers/promises'
import type { Pool } from 'pg'
import { isPassing } from '../../src/postgres/outage.ts'
import { eraseOldest, eraseOpenEvent } from './erasures.ts'
import type { ErasedLine, Ledger } from './ledger.ts'
import type { Random } from './random.ts'

/** What people do by one statement, each replacing or removing jobs that runners may hold. */
const STATEMENTS = {
  // Locked first, so that none is reopened that was delivered meanwhile: that would be a repeat by order. Nor one
  // that was published for later: it would be early by order.
  retry: `select postrider.retry_now(d.id, 'chaos')
    from (select d.id from postrider.delivery d
          where d.finished_at is null and d.state = 'pending'
            and not exists (
              select from postrider.event e where e.id = d.event_id and e.deliver_at > now())
          order by random() limit 5 for update skip locked) as d`,
  pause: `select postrider.pause_endpoint(id, 'chaos') from (${anEndpoint('active')}) as e`,
  resume: `select postrider.resume_endpoint(id, 'chaos') from (${anEndpoint('paused')}) as e`,
  limit: `update postrider.endpoint set rate_per_second = 5 where id = (${anEndpoint('active')})`,
  unlimit: `update postrider.endpoint set rate_per_second = null where rate_per_second is not null`,
} as const

/** Resolves with how many things were changed. */
type Operate = (pool: Pool, erased: Ledger<ErasedLine>) => Promise<number>

const byStatement =
  (text: string): Operate =>
  async (pool) =>
    (await pool.query(text)).rowCount ?? 0

/** What people do while the system is in trouble. */
const OPERATIONS = {
  retry: byStatement(STATEMENTS.retry),
  pause: byStatement(STATEMENTS.pause),
  resume: byStatement(STATEMENTS.resume),
  limit: byStatement(STATEMENTS.limit),
  unlimit: byStatement(STATEMENTS.unlimit),
  erase: eraseOpenEvent,
  'erase oldest': eraseOldest,
} satisfies Record<string, Operate>

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
  /** Resolves once each has been done. */
  eachDone: Promise<void>
  /** Does no more, and takes back what would keep deliveries from ending. */
  stop(): Promise<void>
}

/** Does what operators do, all the time: at random, but first what has not been done yet. */
export function startOperator(options: {
  pool: Pool
  random: Random
  /** Where it writes what it has erased. */
  erased: Ledger<ErasedLine>
}): Operator {
  const { pool, random, erased } = options
  const stopping = new AbortController()
  const done = new Map<Operation, number>()
  const names = Object.keys(OPERATIONS) as Operation[]
  const eachDone = Promise.withResolvers<void>()

  const run = async () => {
    while (!stopping.signal.aborted) {
      const missing = names.filter((name) => !done.has(name))
      const name = random.pick(missing.length > 0 ? missing : names)
      const count = await OPERATIONS[name](pool, erased).catch(noneWhenTooLate)
      if (count > 0) done.set(name, (done.get(name) ?? 0) + 1)
      if (done.size === names.length) eachDone.resolve()
      const pauseMs = random.between(...PAUSE_MS)
      await delay(pauseMs, undefined, { signal: stopping.signal }).catch(() => undefined)
    }
  }
  const running = run()
  // Anyone who calls stop hears of it; until then it is no unhandled rejection.
  running.catch(eachDone.reject)
  eachDone.promise.catch(() => undefined)
  return {
    done,
    eachDone: eachDone.promise,
    async stop() {
      stopping.abort()
      await running
      await pool.query(STATEMENTS.unlimit)
      await pool.query(
        `select postrider.resume_endpoint(id, 'chaos') from postrider.endpoint where state = 'paused'`,
      )
    },
  }
}

function noneWhenTooLate(error: unknown): number {
  if (isPassing(error) || TOO_LATE.has(String((error as { code?: string }).code))) return 0
  throw error
}
