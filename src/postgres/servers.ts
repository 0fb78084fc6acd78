import type { Socket } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import pg from 'pg'
import { type DatabaseHost, parseDatabaseUrl } from '../config/database-url.ts'
import type { Log } from '../log.ts'
import { isEndOfPooler } from './outage.ts'
import { READ_ONLY_BY_DEFAULT } from './session-settings.ts'
import { createWatchPace, type WatchPace } from './watch-pace.ts'

/** A server that takes longer to connect and say what it is serves nobody. */
const ANSWER_MS_MAX = 1_000
/** At the start: a failover is over by then, and a busy machine has answered. In docs/reference/exit-codes.md. */
const START_MS_MAX = 30_000
/** A command whose servers all say that they are none is not to keep a person waiting. */
const SWITCHOVER_MS_MAX = 3_000
const START_PAUSE_MS = 100

/** What a server says of itself. */
export interface ServerState {
  /** The same for a primary and its standbys; another one is another database. */
  system: string
  /** One higher with each failover; null on a standby, and where the role may not ask. */
  timeline: number | null
  isStandby: boolean
  /** Not a standby, and not made read-only as a whole. */
  isWritable: boolean
  /** Statements whose commit waits for a standby, and that have taken seconds; of this role, as others are not shown. */
  waiting: string[]
}

/** The server that is not, or no longer, the primary; counts as an outage, as a read-only transaction does. */
export class NotPrimary extends Error {
  override readonly name = 'NotPrimary'
  readonly code = '25006'
}

/** A mistake in the URL: no waiting mends it. */
export class SeveralClusters extends Error {
  override readonly name = 'SeveralClusters'
  readonly code = 'several_clusters'
}

type Asked = Pick<pg.ClientBase, 'query'>

/** A commit takes milliseconds, and a standby that is restarted is back by then. */
const STANDBY_WAIT_SECONDS = 3

const TIMELINE = `case when not pg_catalog.pg_is_in_recovery() then
      ('x' || pg_catalog.left(pg_catalog.pg_walfile_name(pg_catalog.pg_current_wal_lsn()), 8))::bit(32)::int
    end`
const SYSTEM = '(select system_identifier::text from pg_catalog.pg_control_system())'

/**
 * One message: the setting ends with its transaction, so a pooler gives the session back as it was. Each look is the first
 * statement of a new session, which knows no view yet: without any it costs the server 6.7 instead of 8.4 ms, 4.8 of them
 * the session.
 */
const stateWith = (system: string, timeline: string) => `
  set local jit = off;
  select ${system} as system, ${timeline} as timeline,
    pg_catalog.pg_is_in_recovery() as "isStandby",
    not pg_catalog.pg_is_in_recovery() and (
      not pg_catalog.current_setting('default_transaction_read_only')::boolean or (${READ_ONLY_BY_DEFAULT})
    ) as "isWritable",
    array(
      select pg_catalog.format('%s since %s', pid, query_start) from pg_catalog.pg_stat_get_activity(null)
      where wait_event = 'SyncRep'
        and state_change < pg_catalog.clock_timestamp() - interval '${STANDBY_WAIT_SECONDS} s') as waiting`

const STATE = stateWith(SYSTEM, TIMELINE)
/** For servers that do not let everybody ask, or have no timelines: whether it can be written to is known anyway. */
const STATE_IN_PART = stateWith("''", 'null::int')

/** A right or a function is missing. */
const NOT_ASKABLE = new Set(['42501', '42883', '0A000'])

/** Asks a server for its state, on a connection to it. */
export async function stateOf(client: Asked): Promise<ServerState> {
  return await read(client, STATE).catch((error: unknown) => {
    if (!NOT_ASKABLE.has(codeOf(error))) throw error
    return read(client, STATE_IN_PART)
  })
}

async function read(client: Asked, question: string): Promise<ServerState> {
  // A result for each statement of the message, which the types of pg do not know.
  const results = (await client.query(question)) as unknown as pg.QueryResult<ServerState>[]
  const state = results.at(-1)?.rows[0]
  if (!state) throw new Error('the server does not say what it is')
  return state
}

const codeOf = (error: unknown): string => String((error as { code?: unknown }).code)

/** Asks on a connection that is made for it: an old one may lead to a server that nobody else reaches by this name. */
async function ask(
  { url }: DatabaseHost,
  answerMs = ANSWER_MS_MAX,
  settings: pg.ClientConfig = {},
): Promise<ServerState> {
  const client = new pg.Client({
    ...settings,
    connectionString: url,
    application_name: 'postrider watch',
    connectionTimeoutMillis: answerMs,
    query_timeout: answerMs,
  })
  client.on('error', () => undefined) // the query fails as well
  try {
    await client.connect()
    return await stateOf(client)
  } finally {
    // Not awaited: a server that hangs does not say goodbye either.
    void client.end().catch(() => undefined)
  }
}

/**
 * Makes the looks at a server, of which there is no end.
 *
 * A session that waits for a lock, even as it begins, does not notice that nobody listens any more: each look would leave
 * one behind, until `max_connections` are taken. So the server is to give up the wait; it does for every lock but those
 * on what it reads before it knows the settings, such as `pg_authid`. A pooler, which has its own sessions, may refuse
 * the setting, and is asked without it from then on.
 */
function createLook(host: DatabaseHost): () => Promise<ServerState> {
  let settings: pg.ClientConfig = { lock_timeout: ANSWER_MS_MAX }
  return async () => {
    try {
      return await ask(host, ANSWER_MS_MAX, settings)
    } catch (error) {
      if (!settings.lock_timeout || !isRefusedSetting(error)) throw error
      settings = {}
      return await ask(host)
    }
  }
}

/** As poolers say it: PgBouncer by ending the session, others by the codes of Postgres for what it does not know. */
const isRefusedSetting = (error: unknown): boolean =>
  isEndOfPooler(error) || ['42704', '0A000', '22023'].includes(codeOf(error))

/** The servers behind a database URL, and which of them is in use. */
export interface Servers {
  /** Where to connect now. */
  inUse(): DatabaseHost
  /** There are several to choose from. */
  isSeveral: boolean
  /**
   * Whether a connection that has just been made leads to a server that may be used.
   *
   * @throws NotPrimary when it cannot be written to, and has to be, or is known to be overtaken
   */
  admit(client: Asked): Promise<void>
  /**
   * Commits of the server in use wait for a standby that does not answer. Another one would wait as well, and hold a
   * session that nobody can end: not even cutting its connection does.
   */
  doCommitsWait(): boolean
  /** Whether writes are accepted only by a server that was overtaken, which is not used: see the log. */
  isOnlyOvertakenLeft(): boolean
  /** A connection was lost: looks at once whether there is another primary, and more often for a while. */
  suspect(): void
  /** Calls `cut` when connections that are there lead to the wrong server. */
  onChange(cut: () => void): void
  /** Calls `dialAgain` when the server in use answers after it did not: what dials since then may never get there. */
  onBack(dialAgain: () => void): void
  /** Safe to call twice. */
  stop(): Promise<void>
}

/** Why nothing is stored although a server answers, for `/ready`; null = nothing is known against it. */
export function ailmentOf(servers: Servers): string | null {
  if (servers.doCommitsWait()) return 'commits wait for a standby'
  return servers.isOnlyOvertakenLeft() ? 'only an overtaken server accepts writes' : null
}

interface WatchOptions {
  /** For tests, in which only what is suspected is to be looked at. */
  lookEveryMs?: number
  /** For tests, which are not to wait until it gives up. */
  startMs?: number
}

/**
 * Finds the primary among the servers of a database URL, and watches that it stays the one.
 *
 * The primary is the server that can be written to and has the highest timeline: a failover ends one and begins
 * the next, so a primary that was overtaken, and does not know, can be recognised. Each name is asked again and
 * again, on new connections, as a name may lead to another server than before (a Service, DNS, a virtual address).
 *
 * A name *changes* when its server has a higher timeline than before, turned read-only, or can be written to after
 * it could not be. Whatever is connected then is to be cut, and dials where `inUse` says.
 *
 * @throws NotPrimary when none of several servers is one; SeveralClusters
 */
export async function openServers(
  connectionString: string,
  log: Log,
  watchOptions: WatchOptions = {},
): Promise<Servers> {
  const { hosts, mustWrite } = parseDatabaseUrl(connectionString)
  const { startMs = START_MS_MAX } = watchOptions
  const patience = { startMs, switchoverMs: startMs }
  const first = mustWrite ? await findAmong(hosts, patience) : { host: hosts[0], state: null }
  return new WatchedServers({ hosts, mustWrite, log, watchOptions }, first)
}

interface WatchedOptions extends Pick<ReturnType<typeof parseDatabaseUrl>, 'hosts' | 'mustWrite'> {
  log: Log
  watchOptions: WatchOptions
}

class WatchedServers implements Servers {
  readonly isSeveral: boolean
  readonly #options: WatchedOptions
  #current: { host: DatabaseHost; state: ServerState | null }
  readonly #waits = createWaits()
  #isServed = true
  #isOnlyOvertakenLeft = false
  readonly #cuts: (() => void)[] = []
  readonly #backs: (() => void)[] = []
  readonly #stopping = new AbortController()
  readonly #pace: WatchPace
  readonly #watching: Promise<void>[]

  constructor(options: WatchedOptions, first: { host: DatabaseHost; state: ServerState | null }) {
    this.#options = options
    this.#current = first
    this.isSeveral = options.hosts.length > 1
    this.#pace = createWatchPace({ signal: this.#stopping.signal, ...options.watchOptions })
    this.#watching = options.hosts.map((host) => this.#watch(host))
  }

  inUse = (): DatabaseHost => this.#current.host

  doCommitsWait = (): boolean => this.#waits.doCommitsWait()

  isOnlyOvertakenLeft = (): boolean => this.#isOnlyOvertakenLeft

  suspect = (): void => this.#pace.hurry()

  async admit(client: Asked): Promise<void> {
    const state = await stateOf(client).catch(unlessPromoted)
    if (!state) return
    if (this.#options.mustWrite && !state.isWritable) {
      throw new NotPrimary('this server cannot be written to')
    }
    const known = this.#current.state
    if (known && isOvertaken(state, known)) {
      throw new NotPrimary(`this server was overtaken by timeline ${known.timeline}`)
    }
  }

  onChange(cut: () => void): void {
    this.#cuts.push(cut)
  }

  onBack(dialAgain: () => void): void {
    this.#backs.push(dialAgain)
  }

  async stop(): Promise<void> {
    this.#stopping.abort()
    await Promise.all(this.#watching)
  }

  async #watch(host: DatabaseHost): Promise<void> {
    const look = createLook(host)
    let answersSince = Number.NEGATIVE_INFINITY
    while (!this.#stopping.signal.aborted) {
      // One that does not answer is not better than the one in use, and connections to it fail by themselves.
      const state = await look().catch(() => null)
      if (state) {
        this.#hear(host, state)
        this.#lookForOvertaken(host, state)
      } else if (host === this.#current.host) this.#missAnswer()
      answersSince = state ? Math.min(answersSince, performance.now()) : Number.POSITIVE_INFINITY
      const isJustBack = performance.now() - answersSince < JUST_BACK_MS
      if (state && isJustBack && host === this.#current.host) {
        for (const dialAgain of this.#backs) dialAgain()
      }
      await this.#pace.pause()
    }
  }

  #missAnswer(): void {
    this.#isServed = false
    this.#pace.hurry()
  }

  #hear(host: DatabaseHost, state: ServerState): void {
    const known = this.#current.state
    if (!known) this.#current = { host, state }
    else if (isBetter(state, known)) this.#change(host, state)
    else if (host !== this.#current.host) return
    else if (hasFallen(state, known)) this.#change(host, { ...state, timeline: known.timeline })
    else if (state.system !== known.system && !this.isSeveral) this.#change(host, state)
    this.#waits.look(state)
    if (host !== this.#current.host) return
    if (state.isWritable && state.waiting.length === 0) this.#pace.isWell()
    else this.#pace.hurry()
  }

  /**
   * A cluster that makes an overtaken server its primary again (seen: Patroni 3.0.2, of a leader that was frozen for
   * 10 s) throws away what the later timeline acknowledged. Whether to go on without it is for people to decide.
   */
  #lookForOvertaken(host: DatabaseHost, state: ServerState): void {
    const known = this.#current.state
    const doesAccept = known !== null && state.isWritable
    const isOld = doesAccept && isOvertaken(state, known)
    if (host === this.#current.host) this.#isServed = doesAccept && !isOld
    if (this.#isServed) this.#isOnlyOvertakenLeft = false
    else if (isOld && !this.#isOnlyOvertakenLeft) {
      this.#isOnlyOvertakenLeft = true
      const what = { host: host.name, timeline: state.timeline, overtakenBy: known.timeline }
      this.#options.log.error(what, 'database.only_overtaken_left')
    }
  }

  #change(host: DatabaseHost, state: ServerState): void {
    const { timeline, isWritable } = state
    const before = this.#current.host.name
    const what = { host: host.name, before, timeline, isWritable }
    this.#options.log.warn(what, 'database.server_changed')
    this.#current = { host, state }
    this.#pace.hurry()
    for (const cut of this.#cuts) cut()
  }
}

/** Seen twice, a statement has waited for all the time between; once, it may just have come to its commit. */
function createWaits() {
  let before: readonly string[] = []
  let doWait = false
  return {
    look({ waiting }: ServerState) {
      doWait = waiting.some((statement) => before.includes(statement))
      before = waiting
    },
    doCommitsWait: () => doWait,
  }
}

/** What is dialled at the very moment at which the way is back may still go the old way, and is not stuck until later. */
const JUST_BACK_MS = 3_000

/**
 * Whether a connection should have heard something by now, as the server answers others. One that has is on its way,
 * however slowly: where the machine is busy, or its session waits for a lock, cutting it would fail who waits for it.
 */
export const isStuck = (dial: { since: number; stream: Socket }): boolean =>
  dial.stream.bytesRead === 0 && performance.now() - dial.since > ANSWER_MS_MAX

/** It has been promoted between two functions of the question, which is no reason to do without it. */
function unlessPromoted(error: unknown): null {
  if (codeOf(error) === '55000') return null
  throw error
}

const isOvertaken = (state: ServerState, by: ServerState): boolean =>
  state.system === by.system && (state.timeline ?? Number.POSITIVE_INFINITY) < (by.timeline ?? 0)

function isBetter(state: ServerState, known: ServerState): boolean {
  if (!state.isWritable || state.system !== known.system) return false
  return isOvertaken(known, state) || (!known.isWritable && !isOvertaken(state, known))
}

/** The server in use can no longer be written to; one that was overtaken before is not asked about again. */
const hasFallen = (state: ServerState, known: ServerState): boolean =>
  known.isWritable &&
  !state.isWritable &&
  (state.timeline === null || state.timeline === known.timeline)

interface FoundServer {
  host: DatabaseHost
  state: ServerState
}

/**
 * The primary among the servers of a URL. One that does not answer in time is given more time with each question: on a
 * busy machine a first answer takes seconds, and to ask for it again and again in a second finds nobody.
 *
 * @throws NotPrimary saying what each of them is; SeveralClusters
 */
async function findAmong(hosts: readonly DatabaseHost[], patience: Patience): Promise<FoundServer> {
  const { startMs, switchoverMs } = patience
  const startedAt = performance.now()
  for (;;) {
    const sinceMs = performance.now() - startedAt
    const answerMs = Math.max(Math.min(sinceMs, startMs - sinceMs), ANSWER_MS_MAX)
    const answers = await Promise.all(hosts.map((host) => askOrError(host, answerMs)))
    const primary = newest(answers.filter((answer) => 'state' in answer))
    if (primary) return primary
    const mostMs = answers.every(isDefinite) ? switchoverMs : startMs
    if (performance.now() - startedAt >= mostMs) {
      const said = answers.map((answer) => `${answer.host.name} ${wordsFor(answer)}`).join(', ')
      throw new NotPrimary(`no server can be written to: ${said}`)
    }
    await delay(START_PAUSE_MS)
  }
}

interface Patience {
  /** As long as a server is slow to answer. */
  startMs: number
  /** Where each of them says that it is no primary, or is not there. */
  switchoverMs: number
}

const PATIENCE_OF_COMMAND = { startMs: START_MS_MAX, switchoverMs: SWITCHOVER_MS_MAX }

type Answer = FoundServer | { host: DatabaseHost; error: unknown }

async function askOrError(host: DatabaseHost, answerMs?: number): Promise<Answer> {
  try {
    return { host, state: await ask(host, answerMs) }
  } catch (error) {
    if (isRefusal(error)) throw error
    return { host, error }
  }
}

/** Nothing listens there, or no way leads there. */
const NOT_THERE = new Set(['ECONNREFUSED', 'ENOTFOUND', 'EHOSTUNREACH', 'ENETUNREACH'])

/** It says what it is, or it is not there: it is not just slow, or about to start. */
const isDefinite = (answer: Answer): boolean =>
  'state' in answer || NOT_THERE.has(codeOf(answer.error))

/** A wrong password is wrong on all of them, and no outage. */
const isRefusal = (error: unknown): boolean =>
  ['28P01', '28000', '3D000', '42501'].includes(codeOf(error))

/** @throws SeveralClusters: nobody can say which is meant */
function newest(found: readonly FoundServer[]): FoundServer | undefined {
  const primaries = found.filter(({ state }) => state.isWritable)
  if (new Set(primaries.map(({ state }) => state.system)).size > 1) {
    const names = primaries.map(({ host }) => host.name).join(' and ')
    throw new SeveralClusters(`${names} belong to different clusters`)
  }
  return primaries.sort((a, b) => (b.state.timeline ?? 0) - (a.state.timeline ?? 0))[0]
}

/** Each server of a URL, what it is, and which of them a process would use now. */
export async function describeServers(
  connectionString: string,
): Promise<{ host: string; is: string; isInUse: boolean }[]> {
  const { hosts, mustWrite } = parseDatabaseUrl(connectionString)
  const answers = await Promise.all(
    hosts.map((host) => askOrError(host).catch((error: unknown) => ({ host, error }))),
  )
  const found = answers.filter((answer) => 'state' in answer)
  const primary = mustWrite ? newestOrNone(found) : found[0]
  return answers.map((answer) => ({
    host: answer.host.name,
    is: wordsFor(answer),
    isInUse: answer.host === primary?.host,
  }))
}

function newestOrNone(found: readonly FoundServer[]): FoundServer | undefined {
  try {
    return newest(found)
  } catch {
    return undefined
  }
}

function wordsFor(answer: Answer): string {
  if ('state' in answer) {
    const { isStandby, isWritable, timeline } = answer.state
    if (isStandby) return 'is a standby'
    return isWritable ? `is a primary of timeline ${timeline}` : 'is read-only'
  }
  return `does not answer (${(answer.error as Error).message || String(answer.error)})`
}

/**
 * The URL of one server, for a command that does its work and ends: of the primary, where there is a choice.
 *
 * @throws NotPrimary, SeveralClusters
 */
export async function urlOfOne(connectionString: string): Promise<string> {
  const { hosts, mustWrite } = parseDatabaseUrl(connectionString)
  return mustWrite ? (await findAmong(hosts, PATIENCE_OF_COMMAND)).host.url : hosts[0].url
}
