import { Worker } from 'node:worker_threads'
import { LRUCache } from 'lru-cache'
import { FairSemaphore } from '../limits/fair-semaphore.ts'
import type { Violation } from './schema-rules.ts'

/** Each check takes up to 100 ms: a tenant is passed by others, and has no more waiting than its budget pays for. */
const TURNS = {
  ...{ atOnce: 1, atOncePerKey: 1, waiting: 100, waitingPerKey: 10 },
  waitMs: 2_000,
}
/**
 * Of one tenant in a window; 20 events whose check never ends. It is time of the processor: what the thread waited for
 * on a busy machine, or took to start, is not the tenant's.
 */
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

/**
 * Where events are checked whose schema does not let them be checked quickly: one thread for the process, which
 * tenants use in turn and each for a share of the time. Started by the first such event.
 */
export class SlowChecks {
  readonly #semaphore = new FairSemaphore(TURNS)
  readonly #used: LRUCache<string, { ms: number; endsAt: number }>
  readonly #thread = new CheckThread()
  readonly #now: () => number
  readonly #budgetMs: number

  constructor({ now = () => performance.now(), budgetMs = BUDGET_MS } = {}) {
    this.#now = now
    this.#budgetMs = budgetMs
    this.#used = new LRUCache({
      max: TENANTS_MAX,
      ttl: WINDOW_MS,
      ttlResolution: 0,
      perf: { now },
    })
  }

  /**
   * Checks data in a thread, next to all other work of the process.
   *
   * @param schema JSON, as stored
   * @throws CheckBudgetUsedUp, TooManyAtOnce
   */
  async check(tenant: string, schema: string, data: unknown): Promise<Violation[]> {
    this.#assertBudget(tenant)
    const release = await this.#semaphore.acquire({ key: tenant })
    try {
      this.#assertBudget(tenant) // those before may have used it up
      const { violations, ms } = await this.#thread.check(schema, data)
      this.#budgetOf(tenant).ms += ms
      return violations
    } finally {
      release()
    }
  }

  #assertBudget(tenant: string): void {
    const { ms, endsAt } = this.#budgetOf(tenant)
    if (ms >= this.#budgetMs) throw new CheckBudgetUsedUp(endsAt - this.#now())
  }

  #budgetOf(tenant: string) {
    const known = this.#used.get(tenant)
    if (known) return known
    const budget = { ms: 0, endsAt: this.#now() + WINDOW_MS }
    this.#used.set(tenant, budget)
    return budget
  }
}

interface Checked {
  violations: Violation[]
  /** Of the processor. */
  ms: number
}

const CANNOT_BE_CHECKED: Violation[] = [
  {
    path: '',
    message: 'cannot be checked: it takes too long, or more memory than there is for it',
  },
]
/** What starting another thread costs, about. */
const RESTART_MS = 100

/** Asked one at a time. It keeps no process alive, and is started again after it ended. */
class CheckThread {
  #worker: Worker | undefined
  #asked = 0

  check(schema: string, data: unknown): Promise<Checked> {
    this.#worker ??= this.#start()
    const thread = this.#worker
    const id = ++this.#asked
    const { promise, resolve, reject } = Promise.withResolvers<Checked>()
    const stopListening = listen(thread, id, resolve)
    try {
      thread.postMessage({ id, schema, data })
    } catch (error) {
      const isTooDeep = error instanceof RangeError // to be handed over
      if (isTooDeep) resolve({ violations: CANNOT_BE_CHECKED, ms: 0 })
      else reject(error)
    }
    return promise.finally(stopListening)
  }

  #start(): Worker {
    const file = `./slow-check-thread${import.meta.filename.endsWith('.ts') ? '.ts' : '.js'}`
    const started = new Worker(new URL(file, import.meta.url), {
      execArgv: [],
      resourceLimits: { maxOldGenerationSizeMb: MEMORY_MB_MAX },
    })
    started.on('error', () => undefined) // what was asked is answered when it ends
    started.once('exit', () => {
      if (this.#worker === started) this.#worker = undefined
    })
    return started
  }
}

/** Until the thread has answered, has ended, or was ended because it took too long. */
function listen(thread: Worker, id: number, resolve: (checked: Checked) => void) {
  const onMessage = (answer: Checked & { id: number }) => {
    if (answer.id === id) resolve(answer)
  }
  let ms = RESTART_MS
  const onExit = () => resolve({ violations: CANNOT_BE_CHECKED, ms })
  const timer = setTimeout(() => {
    ms = ANSWER_MS_MAX
    void thread.terminate()
  }, ANSWER_MS_MAX)
  thread.on('message', onMessage)
  thread.once('exit', onExit)
  thread.ref()
  return () => {
    clearTimeout(timer)
    thread.off('message', onMessage)
    thread.off('exit', onExit)
    thread.unref()
  }
}
