import { randomInt } from 'node:crypto'
import { once } from '../clock.ts'
import type { Log } from '../log.ts'
import { Breaker } from './breaker.ts'
import { within } from './within.ts'

/** Redis answers in well under a millisecond; a limit that takes longer to ask is not worth its wait. */
const COMMAND_MS_MAX = 50
/** Answers outstanding at most: far above what deliveries and requests of one process can ask in 50 ms. */
const COMMANDS_MAX = 10_000
const CONNECT_MS_MAX = 2_000
/** A connection without a byte for so long is dead, since there is a heartbeat each second. */
const SILENCE_MS_MAX = 10_000
const RECONNECT_MS_MIN = 50
/** Also how long a process that is told to stop may linger while it is about to dial. */
const RECONNECT_MS_MAX = 1_000
/** Written by each probe: a replica or a full Redis still answers PING, but is no use for limits. */
const PROBE_KEY = 'postrider:probe'
const PROBE_KEPT: Expiration = { type: 'PX', value: 60_000 }

/** `off`: no Redis is configured. `degraded`: it is away, slow or full, and each process limits by itself. */
type RedisState = 'off' | 'ok' | 'degraded'

/** The commands that are used; all of them exist in Redis 6 and in Valkey. */
export interface RedisCommands {
  get(key: string): Promise<string | null>
  set(key: string, value: string, options: { expiration: Expiration }): Promise<unknown>
  zRem(key: string, member: string): Promise<unknown>
  eval(script: string, given: ScriptArguments): Promise<unknown>
  evalSha(sha1: string, given: ScriptArguments): Promise<unknown>
}

export interface Expiration {
  type: 'PX'
  /** Milliseconds. */
  value: number
}

export interface ScriptArguments {
  keys: string[]
  arguments: string[]
}

export interface Redis {
  readonly state: RedisState
  /**
   * What the command brings.
   *
   * @throws RedisAway, and nothing else, whatever went wrong; see `withFallback`
   */
  ask<T>(command: (redis: RedisCommands) => Promise<T>): Promise<T>
  /** Lets commands under way finish, within `COMMAND_MS_MAX`, and disconnects. Safe to call twice. */
  stop(): Promise<void>
}

/** Redis is not configured, or was away, slow or full. */
export class RedisAway extends Error {
  override readonly name = 'RedisAway'
  readonly code = 'redis_away'
}

interface RedisOptions {
  url: string | undefined
  log: Log
  commandMsMax?: number
}

/**
 * Connects to Redis and stays so, dialling again whenever the connection is lost.
 *
 * Resolves without waiting for the connection: Redis may be away at the start, or never be there.
 *
 * @param options.url without one, nothing is loaded and the state is `off`
 * @param options.commandMsMax for tests on a busy machine
 */
export async function connectRedis(options: RedisOptions): Promise<Redis> {
  const { url, log, commandMsMax = COMMAND_MS_MAX } = options
  if (url === undefined) return withoutRedis
  const client = await createClient(url)
  const probe = () => within(commandMsMax, client.set(PROBE_KEY, '', { expiration: PROBE_KEPT }))
  const breaker = new Breaker({ probe, log })
  client.on('error', (error) => breaker.fail(error))
  client.once('ready', () => breaker.check())
  // Rejects when it is stopped before it was connected; all else is told to the breaker.
  client.connect().catch(() => undefined)

  const stop = async () => {
    breaker.stop()
    await within(COMMAND_MS_MAX, client.close()).catch(() => undefined)
    client.destroy()
  }
  return {
    get state() {
      return breaker.isClosed() ? 'ok' : 'degraded'
    },
    ask: (command) => askThrough(breaker, () => within(commandMsMax, command(client))),
    stop: once(stop),
  }
}

/** What `connectRedis` resolves with when none is configured. */
export const withoutRedis: Redis = {
  state: 'off',
  ask: () => Promise.reject(new RedisAway()),
  stop: () => Promise.resolve(),
}

async function askThrough<T>(breaker: Breaker, command: () => Promise<T>): Promise<T> {
  if (!breaker.isClosed()) throw new RedisAway()
  try {
    return await command()
  } catch (error) {
    breaker.fail(error)
    throw new RedisAway('Redis did not answer', { cause: error })
  }
}

async function createClient(url: string) {
  // Takes a sixth of a second and 20 MB, so only where there is a Redis.
  const redis = await import('redis')
  return redis.createClient({
    url,
    RESP: 3,
    disableOfflineQueue: true,
    commandsQueueMaxLength: COMMANDS_MAX,
    commandOptions: { timeout: 0 }, // `within` counts the whole answer, node-redis only the sending
    disableClientInfo: true,
    maintNotifications: 'disabled',
    socket: {
      connectTimeout: CONNECT_MS_MAX,
      socketTimeout: SILENCE_MS_MAX,
      reconnectStrategy: reconnectInMs,
    },
  })
}

/** By chance up to half longer, so that all processes do not dial a returning Redis at once. */
function reconnectInMs(retries: number): number {
  const ms = Math.min(RECONNECT_MS_MIN * 2 ** Math.min(retries, 10), RECONNECT_MS_MAX)
  return ms + randomInt(Math.ceil(ms / 2))
}
