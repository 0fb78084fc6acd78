import { SweptMap } from './swept-map.ts'
import {
  heldAtLeastMs,
  isEmpty,
  isSoonFree,
  learnHold,
  letInFirst,
  newWaitQueue,
  retryAfterMs,
  roomWithin,
  type WaitQueue,
  waitInQueue,
} from './wait-queue.ts'

/** A tenant may have so many times as many permits as are free: 225 of 250 when it is alone, 118 when it is one of two. */
const TIMES_FREE = 9
/** And so many of them for endpoints that hold theirs for long: 50 of 250. */
const TIMES_FREE_SLOW = 0.25
/** Of the permits that are free, those in which jobs may wait for a tenant that is not known to give its own back soon. */
const WAITING_UNLESS_QUICK = 0.8
const QUICK_MS = 1_000

/** A permit of a tenant, to be given back once; or none, and when to try again. */
export type TenantAcquired =
  | { release: (tookMs?: number) => void; retryInMs: null }
  | { release: null; retryInMs: number }

interface Tenant {
  all: WaitQueue & { taken: number }
  /** Those of them that are for slow endpoints. */
  slow: WaitQueue & { taken: number }
}

export interface TenantPermitsOptions {
  concurrency: number
  now?: () => number
  random?: () => number
}

/**
 * Keeps any one tenant from taking all permits of this runner, by however many endpoints.
 *
 * What a tenant may take depends on what is free, so no setting has to say how many tenants there are: one that is alone
 * gets nearly all, several that want as much get the same, and some permits are always free for the next one, who need
 * not wait until a request of another has ended; where there is only one, it goes to anyone. A permit counts from when its delivery is looked at, waiting at its
 * endpoint included, until it is finished.
 *
 * An endpoint that lately timed out or took long is slow, and those of a tenant together get fewer: they would hold all
 * that the tenant has, and its other endpoints would wait for them.
 */
export class TenantPermits {
  readonly #options: TenantPermitsOptions
  readonly #tenants: SweptMap<Tenant>
  /** Those in which somebody waits: a permit that one tenant gives back may be for another. */
  readonly #queues = new Set<WaitQueue>()
  #free: number

  constructor(options: TenantPermitsOptions) {
    this.#options = options
    this.#free = options.concurrency
    this.#tenants = new SweptMap((tenant) => isForgettable(tenant, this.#now()))
  }

  /** @param isSlow whether it is for an endpoint that has lately held a permit for long */
  acquire(tenantId: string, isSlow: boolean): TenantAcquired {
    const { full, acquired } = this.#take(this.#roomsOf(tenantId, isSlow))
    return full ? this.#putOff(full) : acquired
  }

  /** As `acquire`, but who is likely to find a permit within a second waits for it, up to two. */
  acquireSoon(tenantId: string, isSlow: boolean): TenantAcquired | Promise<TenantAcquired> {
    const rooms = this.#roomsOf(tenantId, isSlow)
    const { full, acquired } = this.#take(rooms)
    if (!full) return acquired
    const isSoon = mayWait(full, this.#free) && isSoonFree(full, permitsOf(full), this.#now())
    return isSoon ? this.#wait(full, rooms) : this.#putOff(full)
  }

  /** How many more of its requests may come within so many milliseconds; none while somebody waits. */
  roomWithin(ms: number, tenantId: string, isSlow: boolean): number {
    const [all, slow] = this.#roomsOf(tenantId, isSlow)
    return Math.min(
      ...[all, slow].map((room) =>
        room ? this.#roomIn(room, room === slow, ms) : Number.POSITIVE_INFINITY,
      ),
    )
  }

  /** Each permit that it takes is one less that is free, by which the next is judged. */
  #roomIn(room: Room, isSlow: boolean, ms: number): number {
    const times = isSlow ? TIMES_FREE_SLOW : TIMES_FREE
    const free = Math.floor((times * this.#free - room.taken) / (times + 1))
    return roomWithin(ms, room, { cap: room.taken + free, free })
  }

  #now(): number {
    return this.#options.now?.() ?? performance.now()
  }

  #find(id: string): Tenant {
    const known = this.#tenants.get(id)
    if (known) return known
    const tenant = { all: { ...newWaitQueue(), taken: 0 }, slow: { ...newWaitQueue(), taken: 0 } }
    this.#tenants.set(id, tenant)
    return tenant
  }

  #roomsOf(tenantId: string, isSlow: boolean): Room[] {
    const { all, slow } = this.#find(tenantId)
    return isSlow ? [all, slow] : [all]
  }

  /** A permit of the rooms that it takes, or the room that is full. */
  #take(rooms: Room[]) {
    const [, slow] = rooms
    const full = rooms.find((room) => isFull(room, room === slow, this.#free))
    if (full) return { full, acquired: null }
    const since = this.#now()
    this.#free -= 1
    for (const room of rooms) {
      if (room.taken === 0) room.movedAt = since
      room.taken += 1
    }
    let isHeld = true
    const release = (tookMs?: number) => {
      if (isHeld) this.#release(rooms, since, tookMs)
      isHeld = false
    }
    return { full: null, acquired: { release, retryInMs: null } }
  }

  #release(rooms: Room[], since: number, tookMs: number | undefined): void {
    this.#free += 1
    for (const room of rooms) releaseOf(room, this.#now(), { since, tookMs })
    for (const queue of this.#queues) letInFirst(queue)
  }

  #putOff(full: Room): TenantAcquired {
    const { random = Math.random } = this.#options
    const now = this.#now()
    // Thousands may be put off while endpoints hang, and each would be again in a second.
    const heldMs = heldAtLeastMs(full, now)
    const retryInMs = retryAfterMs(full, permitsOf(full), now, random, heldMs)
    return { release: null, retryInMs }
  }

  #wait(full: Room, rooms: Room[]): Promise<TenantAcquired> {
    this.#queues.add(full)
    const waited = waitInQueue<TenantAcquired>(full, {
      acquire: () => this.#take(rooms).acquired,
      giveUp: () => this.#putOff(full),
      now: () => this.#now(),
    })
    return waited.finally(() => {
      if (full.waiting.length === 0) this.#queues.delete(full)
    })
  }
}

type Room = Tenant['all']

/** One of them is left whenever the average time that a permit is held, divided by so many, is over. */
const permitsOf = ({ taken }: Room): number => Math.max(taken, 1)

/** The last one that is free is for a tenant that has none: nine times as many are more than a small runner has. */
const isFull = ({ taken }: Room, isSlow: boolean, free: number): boolean =>
  taken >= free * (isSlow ? TIMES_FREE_SLOW : TIMES_FREE) || (free === 1 && taken > 0)

/** Those of a tenant whose endpoints hang, or may do so, are not to keep those of others waiting. */
const mayWait = ({ holdMs, waiting }: Room, free: number): boolean =>
  (holdMs !== null && holdMs <= QUICK_MS) || waiting.length < free * WAITING_UNLESS_QUICK

function releaseOf(
  room: Room,
  now: number,
  { since, tookMs }: { since: number; tookMs: number | undefined },
): void {
  room.taken -= 1
  room.movedAt = now
  learnHold(room, now - since, tookMs)
}

function isForgettable({ all, slow }: Tenant, now: number): boolean {
  return all.taken === 0 && isEmpty(all, now) && isEmpty(slow, now)
}
