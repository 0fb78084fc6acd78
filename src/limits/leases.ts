import { randomUUID } from 'node:crypto'
import { z } from 'zod'
import type { Redis } from '../redis/redis.ts'
import { defineScript, runScript } from '../redis/script.ts'

/** A permit among all runners. Who dies with one gives it back when its time is over. */
export interface Lease {
  release(): void
}

const ACQUIRE = defineScript(`
local max, for_ms, lease = tonumber(ARGV[1]), tonumber(ARGV[2]), ARGV[3]
local time = redis.call('time')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call('zremrangebyscore', KEYS[1], '-inf', now)
if redis.call('zcard', KEYS[1]) >= max then return 0 end
redis.call('zadd', KEYS[1], now + for_ms, lease)
if redis.call('pttl', KEYS[1]) < for_ms then redis.call('pexpire', KEYS[1], for_ms) end
return 1
`)

const acquireReply = z.union([z.literal(0), z.literal(1)])

/**
 * Makes a function that takes one of `max` permits for at most `forMs`; `null` = there is none.
 *
 * A permit is a member of a sorted set, its score the time when it ends: a counter would keep the permits of
 * a killed runner for ever.
 */
export function acquireFromRedis(redis: Redis) {
  return async (name: string, max: number, forMs: number): Promise<Lease | null> => {
    const key = `postrider:in-flight:${name}`
    const lease = randomUUID()
    const isAcquired = await redis.ask(async (commands) => {
      const given = { keys: [key], arguments: [String(max), String(Math.ceil(forMs)), lease] }
      return acquireReply.parse(await runScript(commands, ACQUIRE, given)) === 1
    })
    if (!isAcquired) return null
    const release = () => {
      // If it fails the permit comes back by itself, when its time is over.
      redis.ask((commands) => commands.zRem(key, lease)).catch(() => undefined)
    }
    return { release }
  }
}
