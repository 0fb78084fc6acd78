import { z } from 'zod'
import type { Redis } from '../redis/redis.ts'
import { defineScript, runScript } from '../redis/script.ts'
import { SweptMap } from './swept-map.ts'

/** How the slots of a row lie; whole microseconds, so that both twins compute exactly the same. */
export interface Pace {
  intervalUs: number
  /** How much sooner than its slot a sender may come: the burst after a silence. */
  toleranceUs: number
  /** A slot further ahead is not handed out. */
  aheadUs: number
}

export interface Taken {
  /** Until the slot; 0 = it is there. */
  waitMs: number
  /** Whether the slot was taken; if not, it was too far ahead, and is still free. */
  isTaken: boolean
}

/**
 * Takes the next free slot of a row (GCRA, the generic cell rate algorithm): slots follow one another at
 * the interval, a slot is taken once, and those that passed while nobody came are gone. All that is stored
 * of a row is when its next slot begins.
 */
export type TakeSlot = (row: string, pace: Pace) => Promise<Taken> | Taken

/** @param nowUs microseconds since 1970 */
export function takeInProcess(nowUs = () => Date.now() * 1000): TakeSlot {
  const rows = new SweptMap<number>((freeAt) => freeAt <= nowUs())
  return (row, { intervalUs, toleranceUs, aheadUs }) => {
    const now = nowUs()
    const freeAt = Math.max(rows.get(row) ?? 0, now)
    const waitUs = Math.max(freeAt - toleranceUs - now, 0)
    const isTaken = waitUs <= aheadUs
    if (isTaken) rows.set(row, freeAt + intervalUs)
    return { waitMs: Math.ceil(waitUs / 1000), isTaken }
  }
}

/**
 * A row is kept a minute longer than its last slot: should the clock of Redis be set back a little, it
 * does not begin again.
 */
const TAKE = defineScript(`
local interval, tolerance, ahead, now = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
if not now then
  local time = redis.call('time')
  now = time[1] * 1000000 + time[2]
end
local free_at = math.max(tonumber(redis.call('get', KEYS[1]) or 0), now)
local wait = math.max(free_at - tolerance - now, 0)
if wait > ahead then return { math.ceil(wait / 1000), 0 } end
local next_at = free_at + interval
redis.call('set', KEYS[1], string.format('%.0f', next_at), 'px', math.ceil((next_at - now) / 1000) + 60000)
return { math.ceil(wait / 1000), 1 }
`)

const takeReply = z.tuple([z.int(), z.union([z.literal(0), z.literal(1)])])

/**
 * Rows in Redis, by the clock of Redis: one for all runners, however theirs go.
 *
 * @param nowUs instead of the clock of Redis, for tests
 */
export function takeFromRedis(redis: Redis, nowUs?: () => number) {
  return (row: string, { intervalUs, toleranceUs, aheadUs }: Pace): Promise<Taken> =>
    redis.ask(async (commands) => {
      const reply = await runScript(commands, TAKE, {
        keys: [`postrider:slot:${row}`],
        arguments: [intervalUs, toleranceUs, aheadUs, nowUs?.() ?? ''].map(String),
      })
      const [waitMs, taken] = takeReply.parse(reply)
      return { waitMs, isTaken: taken === 1 }
    })
}
