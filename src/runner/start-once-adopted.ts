import { setTimeout as delay } from 'node:timers/promises'
import type { Pool } from 'pg'
import { once } from '../clock.ts'
import type { Log } from '../log.ts'
import { adoptionOf } from '../postgres/adoption.ts'
import type { RunnerReadiness } from './probes.ts'
import type { RunnerHandle } from './runner.ts'

const PAUSE_MS = 1_000

interface Beginning {
  /** Of the first looks at the database; ended here. */
  pool: Pool
  environment: string | undefined
  log: Log
  begin(): Promise<RunnerHandle>
}

/**
 * Begins when the database is one that this process may send from, at once or once somebody has adopted it. Until
 * then it is a runner that is not ready, says why, and does nothing at all: it takes no job, removes no old row, and
 * is not among the runners.
 */
export async function startOnceAdopted(beginning: Beginning): Promise<RunnerHandle> {
  const adoption = adoptionOf({ ...beginning, database: beginning.pool })
  const reason = await adoption.look().catch(async (error: unknown) => {
    await beginning.pool.end()
    throw error
  })
  if (reason === null) return await beginAndEnd(beginning)
  return waitingRunner(beginning, adoption)
}

async function beginAndEnd({ begin, pool }: Beginning): Promise<RunnerHandle> {
  try {
    return await begin()
  } finally {
    await pool.end()
  }
}

function waitingRunner(
  beginning: Beginning,
  adoption: ReturnType<typeof adoptionOf>,
): RunnerHandle {
  const stopping = new AbortController()
  const drained = new AbortController()
  let working: RunnerHandle | undefined
  const begun = untilAdopted(adoption, stopping.signal).then(async (isAdopted) => {
    if (!isAdopted) return await beginning.pool.end()
    working = await beginAndEnd(beginning)
    working.drained.addEventListener('abort', () => drained.abort())
  })
  const ended = begun.then(() => working?.ended)
  ended.catch(() => undefined) // the one who runs it hears of it
  return {
    id: 'not registered',
    ready: async () => (await working?.ready()) ?? NOT_ADOPTED,
    stop: once(async () => {
      stopping.abort()
      await begun.catch(() => undefined)
      await working?.stop()
    }),
    ended,
    drained: drained.signal,
  }
}

/** What a stranger may read, so not whose it is; the log says it. */
const NOT_ADOPTED: RunnerReadiness = {
  ready: false,
  checks: { database: 'reachable', environment: 'not adopted: nothing is sent' },
}

/** An outage is no answer. */
async function untilAdopted(
  { look }: ReturnType<typeof adoptionOf>,
  signal: AbortSignal,
): Promise<boolean> {
  while (!signal.aborted) {
    await delay(PAUSE_MS, undefined, { signal }).catch(() => undefined)
    if (signal.aborted) return false
    if ((await look().catch(() => '')) === null) return true
  }
  return false
}
