/** How much of the same kind of work is done at once, and how many may wait for it. */
export interface TurnBounds {
  atOnce: number
  atOncePerKey: number
  /** Of several keys together that do it for one tenant. */
  atOncePerTenant?: number
  waiting: number
  waitingPerKey: number
  waitMs: number
}

/** Who wants a turn. */
export interface Worker {
  key: string
  /** Null = it is about no tenant. */
  tenant?: string | null | undefined
}

export interface Turns {
  /**
   * Resolves when it is the worker's turn.
   *
   * @returns gives the turn back; again does nothing
   * @throws NoTurn when too many wait already, or it took too long
   */
  take(worker: Worker): Promise<() => void>
}

/** There was no turn within the bounds of waiting. */
export class NoTurn extends Error {
  override readonly name = 'NoTurn'
  readonly code = 'too_many_at_once'
  /** By then those who are at it may be done. */
  readonly retryAfterSeconds = 1
  constructor() {
    super('this key, or this tenant, has as many of these requests under way as it may have')
  }
}

interface Waiting {
  worker: Worker
  begin: () => void
}

/**
 * Gives turns to keys one after the other, whichever of them has how many waiting: a key that asks for a hundred
 * at once delays another by no more than the one that is under way.
 */
export function createTurns(bounds: TurnBounds): Turns {
  const { atOnce, atOncePerKey, atOncePerTenant = atOnce, waitMs } = bounds
  const ofKey = new Map<string, number>()
  const ofTenant = new Map<string, number>()
  /** The key whose turn is next comes first. */
  const queues = new Map<string, Waiting[]>()
  let running = 0
  let waiting = 0

  const fits = ({ key, tenant }: Worker): boolean =>
    running < atOnce &&
    (ofKey.get(key) ?? 0) < atOncePerKey &&
    (!tenant || (ofTenant.get(tenant) ?? 0) < atOncePerTenant)
  const count = ({ key, tenant }: Worker, change: 1 | -1) => {
    running += change
    add(ofKey, key, change)
    if (tenant) add(ofTenant, tenant, change)
  }
  const leave = (key: string, one: Waiting) => {
    const queue = (queues.get(key) ?? []).filter((other) => other !== one)
    if (queue.length > 0) queues.set(key, queue)
    else queues.delete(key)
    waiting -= 1
  }
  const standLast = (key: string) => {
    const queue = queues.get(key)
    if (queue && queues.delete(key)) queues.set(key, queue)
  }
  const goOn = () => {
    // A key that has had a turn is looked at again after the others.
    for (const [key, queue] of queues) {
      const next = queue.find(({ worker }) => fits(worker))
      if (!next) continue
      leave(key, next)
      standLast(key)
      next.begin()
    }
  }
  const begin = (worker: Worker) => {
    count(worker, 1)
    let isOver = false
    return () => {
      if (isOver) return
      isOver = true
      count(worker, -1)
      goOn()
    }
  }
  const wait = (worker: Worker): Promise<() => void> => {
    const { key } = worker
    const queue = queues.get(key) ?? []
    if (waiting >= bounds.waiting || queue.length >= bounds.waitingPerKey) throw new NoTurn()
    const turn = Promise.withResolvers<() => void>()
    const begins = () => {
      clearTimeout(timer)
      turn.resolve(begin(worker))
    }
    const own = { worker, begin: begins }
    const timer = setTimeout(() => {
      leave(key, own)
      turn.reject(new NoTurn())
    }, waitMs)
    queues.set(key, [...queue, own])
    waiting += 1
    return turn.promise
  }
  return { take: async (worker) => (fits(worker) ? begin(worker) : await wait(worker)) }
}

function add(counts: Map<string, number>, name: string, change: number): void {
  const count = (counts.get(name) ?? 0) + change
  if (count === 0) counts.delete(name)
  else counts.set(name, count)
}
