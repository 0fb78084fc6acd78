import { setTimeout as delay } from 'node:timers/promises'
import { DatabaseUnavailable, isKeyBusy, keyBusy } from './publish-refused.ts'
import type { Published, PublishItem } from './publisher.ts'
import { createRoom, WAIT_BOUNDS } from './wait-bounds.ts'

const FIRST_PAUSE_MS = 25
const LONGEST_PAUSE_MS = 200

/** How publishing with a key ended; what was published together with others is not told apart. */
type End = { body?: string; published?: Published; error?: unknown }

/**
 * Lets each idempotency key be published by one request of this process at a time. The others wait here, where
 * they hold neither a connection nor a place in a batch.
 */
export interface KeyLocks {
  /**
   * A request with the same body as one that has succeeded meanwhile is answered like a repeat of it.
   *
   * @param endsAt when it has waited long enough, by `performance.now()`
   */
  one(item: PublishItem, endsAt: number, publish: () => Promise<Published>): Promise<Published>
  /**
   * Begins once none of the keys is under way, so two that share keys never wait for each other.
   *
   * @param endsAt as above; a key that is under way then is busy
   */
  all<T>(items: readonly PublishItem[], endsAt: number, publish: () => Promise<T>): Promise<T>
}

export function createKeyLocks(): KeyLocks {
  const inRoom = createRoom()
  const twins = new Twins()
  return {
    one: (item, ...rest) => inRoom([item], () => twins.one(item, ...rest)),
    all: (items, ...rest) => inRoom(items, () => twins.all(items, ...rest)),
  }
}

/** Requests under way by their keys: those with the same key wait for each other. */
class Twins implements KeyLocks {
  readonly #underWay = new Map<string, Promise<End>>()

  one: KeyLocks['one'] = async (item, endsAt, publish) => {
    const key = keyOf(item)
    const since = performance.now()
    for (let twin = this.#underWay.get(key); twin; twin = this.#underWay.get(key)) {
      const { body, published, error } = await twin
      if (published && body === item.body) return { ...published, duplicate: true }
      const isOver = isKeyBusy(error) && performance.now() >= endsAt
      if (isOver || (error instanceof DatabaseUnavailable && isLate(since))) throw error
    }
    return this.#begin([key], publish, (published) => ({ body: item.body, published }))
  }

  all: KeyLocks['all'] = async (items, endsAt, publish) => {
    const keys = [...new Set(items.filter((item) => item.idempotencyKey !== null).map(keyOf))]
    const twinOf = () => keys.map((key) => this.#underWay.get(key)).find(Boolean)
    let twin = twinOf()
    while (twin) {
      await twin
      twin = twinOf()
      if (twin && performance.now() >= endsAt) throw keyBusy()
    }
    return this.#begin(keys, publish, () => ({}))
  }

  /** Nothing is awaited between finding the keys free and this. */
  #begin<T>(keys: readonly string[], work: () => Promise<T>, endOf: (value: T) => End): Promise<T> {
    const result = work()
    const end = result.then(endOf, (error: unknown) => ({ error }))
    const ended = end.finally(() => {
      for (const key of keys) this.#underWay.delete(key)
    })
    for (const key of keys) this.#underWay.set(key, ended)
    return result
  }
}

/** JSON, as no character is forbidden in either part. */
const keyOf = ({ tenant, idempotencyKey }: PublishItem) => JSON.stringify([tenant, idempotencyKey])

/** A twin that this process publishes has long ended by then, unless the database hangs. */
const isLate = (since: number) => performance.now() - since > WAIT_BOUNDS.waitMsMax

/**
 * Publishes until the key is free or `endsAt` has come: another publisher, such as another process or a producer's open
 * transaction, may be publishing with it, and roll back. Nothing is held between two tries.
 *
 * @param again the second and each further try
 */
export async function whileBusy<T>(
  publish: () => Promise<T>,
  { again = publish, endsAt }: { again?: () => Promise<T>; endsAt: number },
): Promise<T> {
  let attempt = publish
  for (let pauseMs = FIRST_PAUSE_MS; ; pauseMs = Math.min(pauseMs * 2, LONGEST_PAUSE_MS)) {
    try {
      return await attempt()
    } catch (error) {
      if (!isKeyBusy(error) || performance.now() >= endsAt) throw error
    }
    await delay(Math.min(pauseMs * (0.5 + Math.random()), endsAt - performance.now()))
    attempt = again
  }
}
