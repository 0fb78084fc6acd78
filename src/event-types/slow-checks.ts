import { Worker } from 'node:worker_threads'
import { LRUCache } from 'lru-cache'
import { FairSemaphore } from '../limits/fair-semaphore.ts'
import type { Violation } from './schema-rules.ts'

/** Each check takes up to 100 ms: a tenant is passed by others, and has no more waiting than its budget pays for. */
const TURNS = {
  ...{ atOnce: 1, atOncePerKey: 1, waiting: 100, waitingPerKey: 10 },
  waitMs: 2_000,
}
/** Of one tenant in a window; 20 events whose check never ends. */
const BUDGET_MS = 2_000
const WINDOW_MS = 10_000
/** More than the thread serves in a window. */
const TENANTS_MAX = 10_000
/** Compiling may take a second, checking a tenth of one; a thread that takes longer hangs, or was short of memory. */
const ANSWER_MS_MAX = 5_000
const MEMORY_MB_MAX = 256

/** The checks of a tenant have taken as much time as they may. */
export class CheckBudgetUsedUp extends Error {
  override readonly name = 'CheckBudgetUsedUp'
  readonly code = 'too_many_at_once'
  readonly retryAfterSeconds: number
  constructor(waitMs: number) {
    const share = `${BUDGET_MS / 1000} s in ${WINDOW_MS / 1000} s`
    super(`the schemas of this tenant's events take too long to check: ${share} are used up`)
    this.retryAfterSeconds = Math.max(1, Math.ceil(waitMs / 1_000))
  }
}

export interface SlowChecks {
  /**
   * Checks data in a thread, next to all other work of the process.
   *
   * @param schema JSON, as stored
   * @throws CheckBudgetUsedUp, TooManyAtOnce
   */
  check(tenant: string, schema: string, data: unknown): Promise<Violation[]>
}

/**
 * Where events are checked whose schema does not let them be checked quickly: one thread for the process, which
 * tenants use in turns and each for a share of the time. Started by the first such event.
 */
export function createSlowChecks({ now = () => performance.now() } = {}): SlowChecks {
  const semaphore = new FairSemaphore(TURNS)
  const used = new LRUCache<string, { ms: number; endsAt: number }>({
    max: TENANTS_MAX,
    ttl: WINDOW_MS,
    ttlResolution: 0,
    perf: { now },
  })
  const thread = createThread()

  const budgetOf = (tenant: string) => {
    const known = used.get(tenant)
    if (known) return known
    const budget = { ms: 0, endsAt: now() + WINDOW_MS }
    used.set(tenant, budget)
    return budget
  }
  const assertBudget = (tenant: string) => {
    const { ms, endsAt } = budgetOf(tenant)
    if (ms >= BUDGET_MS) throw new CheckBudgetUsedUp(endsAt - now())
  }
  return {
    async check(tenant, schema, data) {
      assertBudget(tenant)
      const release = await semaphore.acquire({ key: tenant })
      try {
        assertBudget(tenant) // those before may have used it up
        const beganAt = now()
        const violations = await thread.check(schema, data)
        budgetOf(tenant).ms += now() - beganAt
        return violations
      } finally {
        release()
      }
    },
  }
}

const CANNOT_BE_CHECKED: Violation[] = [
  {
    path: '',
    message: 'cannot be checked: it takes too long, or more memory than there is for it',
  },
]

/** Asked one at a time. It keeps no process alive, and is started again after it ended. */
function createThread() {
  let worker: Worker | undefined
  let asked = 0

  const running = (): Worker => {
    if (worker) return worker
    const file = `./slow-check-thread${import.meta.filename.endsWith('.ts') ? '.ts' : '.js'}`
    const started = new Worker(new URL(file, import.meta.url), {
      execArgv: [],
      resourceLimits: { maxOldGenerationSizeMb: MEMORY_MB_MAX },
    })
    started.on('error', () => undefined) // what was asked is answered when it ends
    started.once('exit', () => {
      if (worker === started) worker = undefined
    })
    worker = started
    return started
  }
  return {
    check(schema: string, data: unknown): Promise<Violation[]> {
      const thread = running()
      const id = ++asked
      const { promise, resolve, reject } = Promise.withResolvers<Violation[]>()
      const onMessage = (answer: { id: number; violations: Violation[] }) => {
        if (answer.id === id) resolve(answer.violations)
      }
      const onExit = () => resolve(CANNOT_BE_CHECKED)
      const timer = setTimeout(() => void thread.terminate(), ANSWER_MS_MAX)
      thread.on('message', onMessage)
      thread.once('exit', onExit)
      thread.ref()
      try {
        thread.postMessage({ id, schema, data })
      } catch (error) {
        if (error instanceof RangeError)
          resolve(CANNOT_BE_CHECKED) // nested too deep to be handed over
        else reject(error)
      }
      return promise.finally(() => {
        clearTimeout(timer)
        thread.off('message', onMessage)
        thread.off('exit', onExit)
        thread.unref()
      })
    },
  }
}
