import {
  isEmpty,
  isSoonFree,
  type Line,
  learnHold,
  letInFirst,
  newLine,
  retryAfterMs,
  waitInLine,
} from './line.ts'
import { SweptMap } from './swept-map.ts'

/** A tenant may have so many times as many places as are free: 225 of 250 when it is alone, 118 when it is one of two. */
const TIMES_FREE = 9
/** And so many of them for endpoints that hold theirs for long: 50 of 250. */
const TIMES_FREE_SLOW = 0.25
/** Of the places that are free, those in which jobs may wait for a tenant of which nothing is known yet. */
const WAITING_FOR_UNKNOWN = 0.8

/** A place of a tenant, to be left once; or none, and when to try again. */
export type TenantEntry =
  | { leave: () => void; retryInMs: null }
  | { leave: null; retryInMs: number }

interface Tenant {
  all: Line & { taken: number }
  /** Those of them that are for slow endpoints. */
  slow: Line & { taken: number }
}

export interface Tenants {
  /** @param isSlow whether it is for an endpoint that has lately held a place for long */
  enter(tenantId: string, isSlow: boolean): TenantEntry
  /** As `enter`, but who is likely to find a place within 250 ms waits for it, up to a second. */
  enterSoon(tenantId: string, isSlow: boolean): TenantEntry | Promise<TenantEntry>
}

/**
 * Keeps any one tenant from taking all places of this runner, by however many endpoints.
 *
 * What a tenant may take depends on what is free, so no setting has to say how many tenants there are: one that is alone
 * gets nearly all, several that want as much get the same, and some places are always free for the next one, who need
 * not wait until a request of another has ended. A place counts from when its delivery is looked at, waiting at its
 * endpoint included, until it is finished.
 *
 * An endpoint that lately timed out or took long is slow, and those of a tenant together get fewer: they would hold all
 * that the tenant has, and its other endpoints would wait for them.
 */
export function createTenants(options: {
  concurrency: number
  now?: () => number
  random?: () => number
}): Tenants {
  const { concurrency, now = () => performance.now(), random = Math.random } = options
  const tenants = new SweptMap<Tenant>((tenant) => isForgettable(tenant, now()))
  /** Those whose line is not empty: a place that one leaves may be for another. */
  const lines = new Set<Line>()
  let free = concurrency

  const find = (id: string): Tenant => {
    const known = tenants.get(id)
    if (known) return known
    const tenant = { all: { ...newLine(), taken: 0 }, slow: { ...newLine(), taken: 0 } }
    tenants.set(id, tenant)
    return tenant
  }

  const take = (rooms: Room[]): TenantEntry => {
    const since = now()
    free -= 1
    for (const room of rooms) {
      if (room.taken === 0) room.movedAt = since
      room.taken += 1
    }
    let isIn = true
    const leave = () => {
      if (!isIn) return
      isIn = false
      free += 1
      for (const room of rooms) leaveRoom(room, since, now())
      for (const line of lines) letInFirst(line)
    }
    return { leave, retryInMs: null }
  }

  /** A place in the rooms that it takes, or the one that is full. */
  const ask = (id: string, isSlow: boolean) => {
    const { all, slow } = find(id)
    const rooms = isSlow ? [all, slow] : [all]
    return () => {
      const full = rooms.find((room) => room.taken >= capOf(room === slow, free))
      return full ? { full, entry: null } : { full: null, entry: take(rooms) }
    }
  }
  const putOff = (full: Room): TenantEntry => ({
    leave: null,
    retryInMs: retryAfterMs(full, placesOf(full), now(), random),
  })

  return {
    enter(id, isSlow) {
      const { full, entry } = ask(id, isSlow)()
      return full ? putOff(full) : entry
    },
    enterSoon(id, isSlow) {
      const askAgain = ask(id, isSlow)
      const { full, entry } = askAgain()
      if (!full) return entry
      if (!mayWait(full, free) || !isSoonFree(full, placesOf(full), now())) return putOff(full)
      lines.add(full)
      const waited = waitInLine(full, {
        enter: () => askAgain().entry,
        giveUp: () => putOff(full),
        now,
      })
      return waited.finally(() => {
        if (full.waiting.length === 0) lines.delete(full)
      })
    },
  }
}

type Room = Tenant['all']

/** One of them is left whenever the average time that a place is held, divided by so many, is over. */
const placesOf = ({ taken }: Room): number => Math.max(taken, 1)

const capOf = (isSlow: boolean, free: number): number =>
  free * (isSlow ? TIMES_FREE_SLOW : TIMES_FREE)

/** Those of a tenant that may hang are not to keep those of others waiting. */
const mayWait = ({ holdMs, waiting }: Room, free: number): boolean =>
  holdMs !== null || waiting.length < free * WAITING_FOR_UNKNOWN

function leaveRoom(room: Room, since: number, now: number): void {
  room.taken -= 1
  room.movedAt = now
  learnHold(room, now - since)
}

function isForgettable({ all, slow }: Tenant, now: number): boolean {
  return all.taken === 0 && isEmpty(all, now) && isEmpty(slow, now)
}
