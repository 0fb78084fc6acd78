import type { Socket } from 'node:net'
import { hostname } from 'node:os'
import { setTimeout as delay } from 'node:timers/promises'
import pg from 'pg'
import { once } from '../clock.ts'
import type { Log } from '../log.ts'
import { CopyNotAdopted, findUnadopted } from '../postgres/adoption.ts'
import { isStuck, type Servers } from '../postgres/servers.ts'
import { setUpSession } from '../postgres/session-settings.ts'
import { createSilenceWatch, type Seen } from './silence.ts'

const HEARTBEAT_MS = 1_000
/** Heartbeats are a second apart: five are not missed by a moment of garbage collection. */
const SILENCE_MS = 5_000
/** A server that does not answer a heartbeat by then is treated as gone, and dialled again. */
const ANSWER_MS_MAX = 5_000
const RECONNECT_MS = 500
/**
 * The server notices a vanished client after 5 + 3 × 2 s and ends its session; its default is two hours.
 *
 * A statement that was given up after `ANSWER_MS_MAX` must not go on waiting on the server, and the next one on the row
 * that it holds: it was one session more every 5 s, until there were none left. So waits for locks end before that, and
 * a session that waits looks every second whether we are still there.
 */
const SESSION_SETTINGS = {
  // What this session writes may be forgotten (docs/explanation/guarantees.md): heartbeats come every second, a runner that is not
  // registered registers again, and the dead are found again. Waiting for a standby that is away, nobody would live.
  synchronous_commit: 'off',
  lock_timeout: '4s',
  client_connection_check_interval: '1s',
  tcp_keepalives_idle: '5',
  tcp_keepalives_interval: '2',
  tcp_keepalives_count: '3',
}

export interface PresenceOptions {
  connectionString: string
  servers?: Servers | undefined
  runnerId: string
  environment?: string | undefined
  log: Log
  /** The runner was found dead while it lived. It must end: its work belongs to others. */
  onReaped(): void
  /** The database is a copy now, or another environment's. It must end: started again, it waits to be adopted. */
  onUnadopted(reason: CopyNotAdopted): void
  /** The server did not answer a heartbeat in time: other connections to it are no better. */
  onSilent(): void
  /** Somebody asked the runner to stop, with `drain_runner`. Called with each heartbeat from then on. */
  onDrain(): void
}

export interface Presence {
  /** Resolves while the runner is known to live; waits while it is cut off from the database. */
  established(): Promise<void>
  /** Whether it is known to live at this moment. */
  isEstablished(): boolean
  /** Leaves the server that it is connected to, which is the wrong one. */
  cut(): void
  /** The server answers again: a connection that is being made for long may never get there. */
  dialAgain(): void
  /** Says goodbye and closes the connection. Safe to call twice. */
  stop(): Promise<void>
}

/**
 * Keeps a runner known as living, and finds the dead among the others.
 *
 * It registers on a dedicated connection, whose session Postgres ends when the process or its host is gone,
 * and notes a heartbeat there every second. A runner that is silent for five seconds as seen on one
 * unbroken connection, and has no session, is reaped. Losing the connection is no reason to end: the runner
 * claims nothing while it is cut off, and ends only when it finds that it was reaped meanwhile.
 */
export async function startPresence(options: PresenceOptions): Promise<Presence> {
  const presence = new KeptPresence(options)
  await presence.begin()
  return presence
}

class KeptPresence implements Presence {
  readonly #options: PresenceOptions
  readonly #stopping = new AbortController()
  #established = Promise.withResolvers<void>()
  #isEstablished = false
  #client!: pg.Client
  #dial: Dial | undefined
  #kept!: Promise<void>

  constructor(options: PresenceOptions) {
    this.#options = options
  }

  async begin(): Promise<void> {
    this.#client = await introduce(this.#options, this.#note)
    this.#establish()
    this.#kept = this.#keepUp()
      .catch((error: unknown) => {
        if (error instanceof RunnerReaped) this.#options.onReaped()
        if (error instanceof CopyNotAdopted) this.#options.onUnadopted(error)
      })
      // Anyone who still waits is let go: its claim will be refused, or it is being stopped itself.
      .finally(() => this.#established.resolve())
  }

  established = (): Promise<void> => this.#established.promise

  isEstablished = (): boolean => this.#isEstablished

  cut = (): void => {
    for (const each of [this.#client, this.#dial?.client]) if (each) streamOf(each).destroy()
  }

  dialAgain = (): void => {
    if (this.#isEstablished || !this.#dial) return
    const { client, since } = this.#dial
    const stream = streamOf(client)
    if (isStuck({ since, stream })) stream.destroy()
  }

  stop = once(async () => {
    this.#stopping.abort()
    await this.#kept
    const goodbye = this.#client.query('select postrider.stop_runner($1)', [this.#options.runnerId])
    await answeredWithin(ANSWER_MS_MAX, goodbye).catch(() => undefined)
    await this.#client.end().catch(() => undefined)
  })

  #note = (client: pg.Client): void => {
    this.#dial = { client, since: performance.now() }
  }

  #establish(): void {
    this.#isEstablished = true
    this.#established.resolve()
  }

  async #keepUp(): Promise<void> {
    const { signal } = this.#stopping
    while (!signal.aborted) {
      await watch(this.#client, this.#options, signal).catch((error: unknown) => {
        this.#options.log.warn({ err: error }, 'runner.presence_lost')
        if (error instanceof NoAnswer) this.#options.onSilent()
      })
      if (signal.aborted) return
      this.#isEstablished = false
      this.#established = Promise.withResolvers()
      await this.#client.end().catch(() => undefined)
      this.#client = await introduceAgain(this.#options, this.#note, signal)
      this.#establish()
    }
  }
}

/** A connection as it is made, which may take as long as `ANSWER_MS_MAX`. */
interface Dial {
  client: pg.Client
  /** By `performance.now()`. */
  since: number
}

/** The server has not answered within `ANSWER_MS_MAX`. */
class NoAnswer extends Error {
  override readonly name = 'NoAnswer'
}

/**
 * The answer, unless it takes longer than `msMax`.
 *
 * pg's own `query_timeout` does not do: in a process that was frozen for so long, timers come before what arrived
 * meanwhile is read. The runner would leave its session, without which it is found dead, although the server had answered.
 *
 * @throws NoAnswer
 */
export async function answeredWithin<T>(msMax: number, answer: Promise<T>): Promise<T> {
  const late = Promise.withResolvers<never>()
  const giveUp = () => late.reject(new NoAnswer(`the server did not answer within ${msMax} ms`))
  const timer = setTimeout(() => setImmediate(giveUp), msMax)
  try {
    return await Promise.race([answer, late.promise])
  } finally {
    clearTimeout(timer)
  }
}

/** The runner was marked as dead; it is never marked as living again. */
class RunnerReaped extends Error {
  override readonly name = 'RunnerReaped'
}

/** Connects and registers: the runner is known to live while this session is there. */
async function introduce(
  options: PresenceOptions,
  onDial: (client: pg.Client) => void,
): Promise<pg.Client> {
  const { connectionString, servers, log } = options
  const client = new pg.Client({
    connectionString: servers?.inUse().url ?? connectionString,
    application_name: 'postrider runner',
    connectionTimeoutMillis: ANSWER_MS_MAX,
    keepAlive: true,
  })
  onDial(client)
  // The query under way fails as well; without a listener the process would end.
  client.on('error', (error) => log.debug({ err: error }, 'database.connection_lost'))
  try {
    await client.connect()
    await answeredWithin(ANSWER_MS_MAX, register(client, options))
    return client
  } catch (error) {
    await client.end().catch(() => undefined)
    throw error
  }
}

async function register(
  client: pg.Client,
  { servers, runnerId, environment }: PresenceOptions,
): Promise<void> {
  await setUpSession(client, SESSION_SETTINGS)
  await servers?.admit(client)
  const reason = await findUnadopted(client, environment)
  if (reason !== null) throw new CopyNotAdopted(reason)
  const { rows } = await client.query<{ reaped: boolean }>(
    'select postrider.register_runner($1, $2, $3) as reaped',
    [runnerId, hostname(), process.pid],
  )
  if (rows[0]?.reaped) throw new RunnerReaped(`runner ${runnerId} was found dead while it lived`)
}

/** Which its types leave out. */
const streamOf = (client: pg.Client): Socket =>
  (client as unknown as { connection: { stream: Socket } }).connection.stream

/** Until it succeeds or is told to stop: a database may be away for hours, and no supervisor could help. */
async function introduceAgain(
  options: PresenceOptions,
  onDial: (client: pg.Client) => void,
  signal: AbortSignal,
): Promise<pg.Client> {
  for (;;) {
    try {
      return await introduce(options, onDial)
    } catch (error) {
      if (error instanceof RunnerReaped || error instanceof CopyNotAdopted || signal.aborted) {
        throw error
      }
      options.log.debug({ err: error }, 'runner.presence_lost')
    }
    await delay(RECONNECT_MS, undefined, { signal })
  }
}

/** A runner that counts as living. */
interface Heartbeat extends Seen {
  drain_requested_at: Date | null
  is_unadopted: boolean
}

const HEARTBEAT = `
  select h.id, h.seen_at, r.drain_requested_at, copy.is_unadopted
  from postrider.heartbeat($1) h
  join postrider.runner r using (id)
  cross join (select postrider.unadopted($2) is not null as is_unadopted) as copy`

/** A heartbeat a second, until the connection fails, the runner finds itself reaped or on a copy, or is stopped. */
async function watch(client: pg.Client, options: PresenceOptions, signal: AbortSignal) {
  const silence = createSilenceWatch(SILENCE_MS)
  while (!signal.aborted) {
    const values = [options.runnerId, options.environment ?? null]
    const answer = client.query<Heartbeat>(HEARTBEAT, values)
    const { rows } = await answeredWithin(ANSWER_MS_MAX, answer)
    const own = rows.find((row) => row.id === options.runnerId)
    if (!own || own.is_unadopted) return // introducing itself again tells why
    if (own.drain_requested_at) options.onDrain()
    const silent = silence.observe(
      rows.filter((row) => row.id !== options.runnerId),
      performance.now(),
    )
    if (silent.length > 0) await reap(client, silent, options.log)
    // At the very moment when somebody would be silent, so that nobody's work waits a second longer.
    const pauseMs = Math.min(HEARTBEAT_MS, silence.nextInMs(performance.now()))
    await delay(pauseMs, undefined, { signal }).catch(() => undefined)
  }
}

async function reap(client: pg.Client, silent: string[], log: Log) {
  const answer = client.query<{ dead: string[] }>('select postrider.reap($1) as dead', [silent])
  const { rows } = await answeredWithin(ANSWER_MS_MAX, answer)
  const dead = rows[0]?.dead ?? []
  if (dead.length > 0) log.warn({ runners: dead }, 'runners.reaped')
}
