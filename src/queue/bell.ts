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
      sleeper = createSleeper(client, { look: () => look(), isLooking: () => isLooking, log })
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

type Sleeper = ReturnType<typeof createSleeper>

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
function createSleeper(client: PoolClient, { look, isLooking, log }: SleeperOptions) {
  const locks = createLocks(client)
  const busyRings = createTally(RINGS_JUDGED)
  const fruitfulLooks = createTally(LOOKS_JUDGED)
  let isAwake = false
  let isBlocked = false
  let timer: NodeJS.Timeout | undefined

  const after = (ms: number, act: () => unknown) => {
    clearTimeout(timer)
    timer = setTimeout(act, ms).unref()
  }
  /** What fails fails with the session, which graphile-worker replaces. */
  const quietly = (act: () => Promise<unknown>) =>
    void act().catch((error: unknown) => log.debug({ err: error }, 'runner.bell_lost'))
  const lookUnlessLooking = () => isLooking() || look()

  /** Takes the bell first, and looks then: a producer that did not see it taken is found, or is seen to be under way. */
  const fallAsleep = async () => {
    isAwake = false
    const isSet = await locks.take()
    if (isAwake) return await locks.letGo(false)
    if (isSet === null) return
    busyRings.clear()
    if (isSet) await watchTheQuiet(FIRST_PAUSE_MS)
    else goWithout()
  }
  const watchTheQuiet = async (pauseMs: number): Promise<void> => {
    const isAnybody = await locks.isAnybodyQuiet()
    if (isAwake) return
    isBlocked = false
    look() // not unless looking: the look has to begin after the question
    if (isAnybody && pauseMs <= LAST_PAUSE_MS) {
      after(pauseMs, () => quietly(() => watchTheQuiet(pauseMs * 2)))
    } else if (!locks.isOwn()) {
      after(CHECK_MS, () => quietly(fallAsleep))
    }
  }
  /** Somebody who is no runner holds the bell, so that it can be neither taken nor trusted. */
  const goWithout = () => {
    if (!isBlocked) log.warn({}, 'runner.bell_not_set')
    isBlocked = true
    const until = performance.now() + CHECK_MS
    const lookOn = () => {
      lookUnlessLooking()
      if (performance.now() < until) after(BLOCKED_LOOK_MS, lookOn)
      else quietly(fallAsleep)
    }
    lookOn()
  }
  const wakeUp = () => {
    isAwake = true
    fruitfulLooks.clear()
    quietly(() => locks.letGo(false))
    after(LOOK_MS, lookUnlessLooking)
  }

  quietly(fallAsleep)
  return {
    client,
    rang(text: string) {
      busyRings.add(text.includes('"busy"'))
      if (isAwake) return
      if (busyRings.share() >= 0.75) wakeUp()
      else if (text.includes('"free"') && !locks.isOwn()) quietly(fallAsleep)
    },
    looked(jobs: number) {
      if (!isAwake) return
      fruitfulLooks.add(jobs > 0)
      if (fruitfulLooks.share() < 0.5) quietly(fallAsleep)
      else after(LOOK_MS, lookUnlessLooking)
    },
    leave() {
      clearTimeout(timer)
      isAwake = true // an answer that is still to come lets go again
      quietly(() => locks.letGo(true))
    },
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
