/** How much of the same kind of work is done at once, and how much may wait for it. */
export interface SemaphoreBounds {
  atOnce: number
  atOncePerKey: number
  /** Of several keys together that do it for one tenant. */
  atOncePerTenant?: number
  waiting: number
  waitingPerKey: number
  waitMs: number
}

/** Who wants a permit. */
export interface Worker {
  key: string
  /** Null = it is about no tenant. */
  tenant?: string | null | undefined
}

/** No permit was to be had within the bounds of waiting. */
export class TooManyAtOnce extends Error {
  override readonly name = 'TooManyAtOnce'
  readonly code = 'too_many_at_once'
  /** By then those that run may be done. */
  readonly retryAfterSeconds = 1
  constructor() {
    super('this key or tenant has too many of these requests in progress')
  }
}

interface Waiting {
  worker: Worker
  begin: () => void
}

/**
 * A semaphore that serves the keys round robin, whichever of them has how many waiting: a key that asks for a
 * hundred permits at once delays another by no more than the one that is under way.
 */
export class FairSemaphore {
  readonly #bounds: SemaphoreBounds
  readonly #ofKey = new Map<string, number>()
  readonly #ofTenant = new Map<string, number>()
  /** The key that is served next comes first. */
  readonly #queues = new Map<string, Waiting[]>()
  #running = 0
  #waiting = 0

  constructor(bounds: SemaphoreBounds) {
    this.#bounds = bounds
  }

  /**
   * Resolves when the worker may begin.
   *
   * @returns gives the permit back; again does nothing
   * @throws TooManyAtOnce when too many wait already, or it took too long
   */
  async acquire(worker: Worker): Promise<() => void> {
    return this.#fits(worker) ? this.#begin(worker) : await this.#wait(worker)
  }

  #fits({ key, tenant }: Worker): boolean {
    const { atOnce, atOncePerKey, atOncePerTenant = atOnce } = this.#bounds
    return (
      this.#running < atOnce &&
      (this.#ofKey.get(key) ?? 0) < atOncePerKey &&
      (!tenant || (this.#ofTenant.get(tenant) ?? 0) < atOncePerTenant)
    )
  }

  #begin(worker: Worker): () => void {
    this.#count(worker, 1)
    let isOver = false
    return () => {
      if (isOver) return
      isOver = true
      this.#count(worker, -1)
      this.#serve()
    }
  }

  #count({ key, tenant }: Worker, change: 1 | -1): void {
    this.#running += change
    add(this.#ofKey, key, change)
    if (tenant) add(this.#ofTenant, tenant, change)
  }

  #wait(worker: Worker): Promise<() => void> {
    const { waiting, waitingPerKey, waitMs } = this.#bounds
    const queue = this.#queues.get(worker.key) ?? []
    if (this.#waiting >= waiting || queue.length >= waitingPerKey) throw new TooManyAtOnce()
    const permit = Promise.withResolvers<() => void>()
    const begin = () => {
      clearTimeout(timer)
      permit.resolve(this.#begin(worker))
    }
    const own = { worker, begin }
    const timer = setTimeout(() => {
      this.#leave(worker.key, own)
      permit.reject(new TooManyAtOnce())
    }, waitMs)
    this.#queues.set(worker.key, [...queue, own])
    this.#waiting += 1
    return permit.promise
  }

  #leave(key: string, one: Waiting): void {
    const queue = (this.#queues.get(key) ?? []).filter((other) => other !== one)
    if (queue.length > 0) this.#queues.set(key, queue)
    else this.#queues.delete(key)
    this.#waiting -= 1
  }

  /** A key that was served is looked at again after the others. */
  #serve(): void {
    for (const [key, queue] of this.#queues) {
      if (this.#running >= this.#bounds.atOnce) return
      const next = queue.find(({ worker }) => this.#fits(worker))
      if (!next) continue
      this.#leave(key, next)
      this.#standLast(key)
      next.begin()
    }
  }

  #standLast(key: string): void {
    const queue = this.#queues.get(key)
    if (queue && this.#queues.delete(key)) this.#queues.set(key, queue)
  }
}

function add(counts: Map<string, number>, name: string, change: number): void {
  const count = (counts.get(name) ?? 0) + change
  if (count === 0) counts.delete(name)
  else counts.set(name, count)
}
