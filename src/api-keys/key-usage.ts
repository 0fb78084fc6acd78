import { type Kysely, sql } from 'kysely'
import { LRUCache } from 'lru-cache'
import type { ApiKeyId } from '../ids.ts'
import type { Database } from '../postgres/schema.ts'
import { CACHED_KEYS_MAX } from './key-cache.ts'

/** Fine enough to see which keys are in use, rare enough to cost nothing. */
const NOTED_EVERY_MS = 60_000
/** One statement; more keys at once wait for the next. */
const KEYS_IN_BATCH_MAX = 1_000

export interface KeyUsage {
  /** Returns at once; the row is written behind the caller's back. */
  note(id: ApiKeyId): void
  /** Resolves once nothing is being written. */
  idle(): Promise<void>
}

interface KeyUsageOptions {
  database: Kysely<Database>
  /** Milliseconds since 1970. */
  now: () => number
}

/**
 * Writes `api_key.last_used_at`, at most once a minute for each key, whichever processes see it.
 *
 * The use of a key is recorded unless it was within the last minute of this process. What is recorded is written by
 * one statement at a time, which skips keys that another process has written or is writing. When it
 * fails, this minute is lost: a request is worth more than a note of it.
 */
export const createKeyUsage = (options: KeyUsageOptions): KeyUsage => new KeyUses(options)

class KeyUses implements KeyUsage {
  readonly #database: Kysely<Database>
  readonly #recentlyUsed: LRUCache<ApiKeyId, true>
  readonly #waiting = new Set<ApiKeyId>()
  #writing: Promise<void> | undefined

  constructor({ database, now }: KeyUsageOptions) {
    this.#database = database
    this.#recentlyUsed = new LRUCache({
      max: CACHED_KEYS_MAX,
      ttl: NOTED_EVERY_MS,
      ttlResolution: 0,
      perf: { now },
    })
  }

  note(id: ApiKeyId): void {
    if (this.#recentlyUsed.has(id)) return
    this.#recentlyUsed.set(id, true)
    this.#waiting.add(id)
    this.#writing ??= this.#writeAll()
  }

  idle = async (): Promise<void> => {
    await this.#writing
  }

  async #writeAll(): Promise<void> {
    while (this.#waiting.size > 0) {
      const batch = [...this.#waiting].slice(0, KEYS_IN_BATCH_MAX)
      for (const id of batch) this.#waiting.delete(id)
      await write(this.#database, batch).catch(() => undefined)
    }
    this.#writing = undefined
  }
}

/**
 * Locked in one order, so that two processes cannot deadlock. The commit may be forgotten and waits for nothing:
 * reads go on while no standby answers, and each note of one would be another session that waits for it.
 */
async function write(database: Kysely<Database>, ids: ApiKeyId[]): Promise<void> {
  await sql`
    update postrider.api_key k set last_used_at = now()
    from (
      select id from postrider.api_key
      where id = any(${ids}) and (last_used_at is null or last_used_at <= now() - interval '1 minute')
      order by id
      for update skip locked
    ) as due, (select set_config('synchronous_commit', 'off', true)) as forgettable (setting)
    where k.id = due.id and forgettable.setting = 'off'`.execute(database)
}
