import type { PoolClient } from 'pg'
import type { Log } from '../log.ts'

/** While awake. Half of it is what a delivery waits for on average; a busy service finds jobs at each look. */
const LOOK_MS = 4
/** Looks of which at least half have to find jobs for the runner to stay awake. */
const LOOKS_JUDGED = 32
/** Notifications of which three quarters have to say that commits queue. */
const RINGS_JUDGED = 8
/** Doubled from look to look, up to the poll of each second, for transactions that ring nobody. */
const FIRST_PAUSE_MS = 4
const LAST_PAUSE_MS = 512
/** Whether the bell that another runner held is free by now; also how long until one that is blocked is tried again. */
const CHECK_MS = 1_000
/** Instead of a bell, while a stranger keeps it from being set. */
const BLOCKED_LOOK_MS = 50

/** What a runner asks to be woken by: see sql/functions/queue/bell.sql, which has the argument that it oversleeps nothing. */
export interface Bell {
  /** How it looks for jobs: `nudge` fetches, now or right after the fetch under way. */
  connect(workerPool: { nudge(count: number): void }): void
  /** The session listens. With it ends what it holds. */
  listening(client: PoolClient): void
  /** The session will not listen any more. */
  deaf(client: PoolClient): void
  /** A notification came that there are jobs, with this text. */
  rang(text: string): void
  /** Some jobs that nobody rings for have become due. */
  look(): void
  /** A fetch has begun. */
  looks(): void
  /** It has ended, with so many jobs. */
  looked(jobs: number): void
}

/**
 * Keeps the bell as the load asks for: held while the system is quiet, so that a producer rings and a runner
 * comes at once; let go while commits would queue to ring it, when the runner looks by itself every few milliseconds.
 */
export function createBell(log: Log): Bell {
  let look = (): void => undefined
  let isLooking = false
  let sleeper: Sleeper | undefined
  return {
    connect(workerPool) {
      look = () => workerPool.nudge(1)
    },
    listening(client) {
      sleeper?.leave()
      sleeper = new Sleeper(client, { look: () => look(), isLooking: () => isLooking, log })
    },
    deaf(client) {
      if (sleeper?.client !== client) return
      sleeper.leave()
      sleeper = undefined
    },
    rang: (text) => sleeper?.rang(text),
    look: () => look(),
    looks() {
      isLooking = true
    },
    looked(jobs) {
      isLooking = false
      sleeper?.looked(jobs)
    },
  }
}

interface SleeperOptions {
  look(): void
  isLooking(): boolean
  log: Log
}

/** The locks of the bell, as a session that listens has them. */
function createLocks(client: PoolClient) {
  let isOwn = false
  let isAsking = false
  return {
    isOwn: () => isOwn,
    /** Whether it is set, by this session or another; null where that is being found out already. */
    async take(): Promise<boolean | null> {
      if (isAsking) return null
      if (isOwn) return true
      isAsking = true
      try {
        const { rows } = await client.query<{ is_own: boolean; is_set: boolean }>(
          'select is_own, is_set from postrider.set_bell()',
        )
        isOwn = rows[0]?.is_own ?? false
        return rows[0]?.is_set ?? false
      } finally {
        isAsking = false
      }
    },
    async letGo(handOn: boolean): Promise<void> {
      if (!isOwn) return
      isOwn = false
      await client.query('select postrider.release_bell($1)', [handOn])
    },
    async isAnybodyQuiet(): Promise<boolean> {
      const { rows } = await client.query<{ is_anybody: boolean }>(
        'select postrider.is_anybody_quiet() as is_anybody',
      )
      return rows[0]?.is_anybody ?? true
    },
  }
}

/** One listening session of a runner: asleep, falling asleep, or awake. */
class Sleeper {
  readonly client: PoolClient
  readonly #options: SleeperOptions
  readonly #locks: ReturnType<typeof createLocks>
  readonly #busyRings = createTally(RINGS_JUDGED)
  readonly #fruitfulLooks = createTally(LOOKS_JUDGED)
  #isAwake = false
  #isBlocked = false
  #timer: NodeJS.Timeout | undefined

  constructor(client: PoolClient, options: SleeperOptions) {
    this.client = client
    this.#options = options
    this.#locks = createLocks(client)
    this.#fallAsleep()
  }

  rang(text: string): void {
    this.#busyRings.add(text.includes('"busy"'))
    if (this.#isAwake) return
    if (this.#busyRings.share() >= 0.75) this.#wakeUp()
    else if (text.includes('"free"') && !this.#locks.isOwn()) this.#fallAsleep()
  }

  looked(jobs: number): void {
    if (!this.#isAwake) return
    this.#fruitfulLooks.add(jobs > 0)
    if (this.#fruitfulLooks.share() < 0.5) this.#fallAsleep()
    else this.#after(LOOK_MS, () => this.#lookUnlessLooking())
  }

  leave(): void {
    clearTimeout(this.#timer)
    this.#isAwake = true // an answer that is still to come lets go again
    this.#quietly(() => this.#locks.letGo(true))
  }

  #fallAsleep(): void {
    this.#quietly(() => this.#takeTheBell())
  }

  /** Takes the bell first, and looks then: a producer that did not see it taken is found, or is seen to be under way. */
  async #takeTheBell(): Promise<void> {
    this.#isAwake = false
    const isSet = await this.#locks.take()
    if (this.#isAwake) return await this.#locks.letGo(false)
    if (isSet === null) return
    this.#busyRings.clear()
    if (isSet) await this.#watchTheQuiet(FIRST_PAUSE_MS)
    else this.#goWithout()
  }

  async #watchTheQuiet(pauseMs: number): Promise<void> {
    const isAnybody = await this.#locks.isAnybodyQuiet()
    if (this.#isAwake) return
    this.#isBlocked = false
    this.#options.look() // not unless looking: the look has to begin after the question
    if (isAnybody && pauseMs <= LAST_PAUSE_MS) {
      this.#after(pauseMs, () => this.#quietly(() => this.#watchTheQuiet(pauseMs * 2)))
    } else if (!this.#locks.isOwn()) {
      this.#after(CHECK_MS, () => this.#fallAsleep())
    }
  }

  /** Somebody who is no runner holds the bell, so that it can be neither taken nor trusted. */
  #goWithout(): void {
    if (!this.#isBlocked) this.#options.log.warn({}, 'runner.bell_not_set')
    this.#isBlocked = true
    const until = performance.now() + CHECK_MS
    const lookOn = () => {
      this.#lookUnlessLooking()
      if (performance.now() < until) this.#after(BLOCKED_LOOK_MS, lookOn)
      else this.#fallAsleep()
    }
    lookOn()
  }

  #wakeUp(): void {
    this.#isAwake = true
    this.#fruitfulLooks.clear()
    this.#quietly(() => this.#locks.letGo(false))
    this.#after(LOOK_MS, () => this.#lookUnlessLooking())
  }

  #lookUnlessLooking(): void {
    if (!this.#options.isLooking()) this.#options.look()
  }

  #after(ms: number, act: () => void): void {
    clearTimeout(this.#timer)
    this.#timer = setTimeout(act, ms).unref()
  }

  /**
   * Most of what fails fails with the session, which graphile-worker replaces; then `leave` ends the tries. A statement that was
   * cancelled, or found no place among the locks, leaves the session as it is, and a runner that nobody rings for.
   */
  #quietly(act: () => Promise<unknown>): void {
    void act().catch((error: unknown) => {
      this.#options.log.debug({ err: error }, 'runner.bell_lost')
      if (!this.#isAwake) this.#after(CHECK_MS, () => this.#fallAsleep())
    })
  }
}

/** Which share of the last so many was true; NaN, which is neither much nor little, while there were fewer. */
function createTally(size: number) {
  let last: boolean[] = []
  return {
    add(isTrue: boolean) {
      last.push(isTrue)
      if (last.length > size) last.shift()
    },
    share: () => (last.length < size ? Number.NaN : last.filter((isTrue) => isTrue).length / size),
    clear() {
      last = []
    },
  }
}
