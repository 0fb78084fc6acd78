import type { EventEmitter } from 'node:events'
import type { Socket } from 'node:net'
import { Kysely, PostgresDialect } from 'kysely'
import pg from 'pg'
import { workBehindPooler } from './pooled-session.ts'
import type { Database } from './schema.ts'
import { isStuck, type Servers } from './servers.ts'
import { type Settings, setUpSession } from './session-settings.ts'

/**
 * Longer than a busy pool needs to hand out a connection; shorter than a caller's patience. No shorter with several hosts:
 * what dials one of them is cut as soon as another is found to be the primary.
 */
const CONNECT_MS_MAX = 10_000
/** A firewall forgets an idle connection without telling either end; probes keep it alive. */
const KEEP_ALIVE_AFTER_MS = 10_000

/**
 * A session knows its statements and plans them once, which takes longer than a hundred runs of them. pg's own 10 s closed
 * those that only bursts need, so that each burst planned them again.
 */
const IDLE_MS_MAX = 5 * 60_000

export type PoolOptions = {
  connectionString: string
  /** Where to connect instead of to `connectionString`, of which the rest counts; each connection is looked at first. */
  servers?: Servers | undefined
  /** Connections at most. */
  max: number
  /** Shown in pg_stat_activity. */
  applicationName: string
  /** Postgres ends a statement that takes longer. Default: the server's setting. */
  statementTimeoutMs?: number
  /** A pooler in transaction mode stands between, on which nothing outlives a transaction. */
  pooled?: boolean
  /** Of each session, next to those of `SESSION_SETTINGS`, such as `{ plan_cache_mode: 'force_custom_plan' }`. */
  settings?: Settings
  /**
   * What a `json` column becomes. `text` (default) keeps the producer's bytes: parsing would round
   * large numbers and drop repeated names, and what is signed must be what was published.
   * `parsed` is for graphile-worker, which expects its payloads as objects.
   */
  json?: 'text' | 'parsed'
  /**
   * A statement is sent without waiting for the answer of the one before. Nothing changes for
   * anyone who awaits each; createTenantScope makes use of it.
   */
  pipeline?: boolean
  /**
   * A connection on which a statement is under way and not a byte has come for so long is cut. Longer than
   * `statementTimeoutMs`, by which a server that is there has answered. Default: TCP decides, in up to 15
   * minutes when a host has died or a firewall has forgotten the connection.
   */
  silenceMsMax?: number
  /** A connection was lost. The pool replaces it; the query that was on it has failed by itself. */
  onError?: (error: Error) => void
}

/**
 * A pool of connections that survives losing any of them.
 *
 * `jsonb` is parsed. `bigint` and `numeric` stay strings: a number would be wrong for some values,
 * and a type that depends on the value is worse; write `count(*)::int` where a number is wanted.
 */
export function createPool(options: PoolOptions): pg.Pool {
  const { servers } = options
  const clients = new Map<Connected, Dial>()
  const pool = new pg.Pool({
    connectionString: servers?.inUse().url ?? options.connectionString,
    Client: known(clients, servers),
    max: options.max,
    application_name: options.applicationName,
    connectionTimeoutMillis: CONNECT_MS_MAX,
    idleTimeoutMillis: IDLE_MS_MAX,
    keepAlive: true,
    keepAliveInitialDelayMillis: KEEP_ALIVE_AFTER_MS,
    // Behind a pooler each statement is a transaction, which is one round trip this way.
    pipeline: options.pipeline ?? options.pooled ?? false,
    onConnect: (client) => setUp(client as Connected, options, () => cutIdle(pool)),
    ...((options.json ?? 'text') === 'text' && { types: { getTypeParser: jsonAsText } }),
  })
  pool.on('error', () => undefined) // the listener of each client hears of it too
  pool.on('connect', (client) => clients.set(client as Connected, 'done'))
  pool.on('acquire', (client) => clients.set(client as Connected, 'done'))
  pool.on('release', (_error, client) => {
    if (clients.has(client as Connected)) clients.set(client as Connected, 'idle')
  })
  clientsOf.set(pool, clients)
  servers?.onChange(() => cutConnections(pool))
  servers?.onBack(() => cutStuckDials(clients))
  return pool
}

/** Since when it connects and is set up, by `performance.now()`; then whether somebody has it. */
type Dial = number | 'done' | 'idle'

/** Clients that are known from the beginning, and connect to the server in use at that moment. */
function known(clients: Map<Connected, Dial>, servers: Servers | undefined): typeof pg.Client {
  return class extends pg.Client {
    constructor(config?: pg.ClientConfig) {
      super(config)
      if (servers?.isSeveral) {
        const { host, port } = servers.inUse()
        Object.assign(this, { host, port })
      }
      const client = this as unknown as Connected
      clients.set(client, performance.now())
      this.once('end', () => clients.delete(client))
    }
  }
}

/**
 * A commit waits until a synchronous standby has it. Where an operator cancels that wait, the server says so in a
 * warning, and that the commit has succeeded: it has on this server, and is lost when another one takes over. The
 * same statement may be made again, as after an answer that was lost; whatever it writes waits for the standby.
 */
class CommitNotReplicated extends Error {
  override readonly name = 'CommitNotReplicated'
  /** SQLSTATE transaction_resolution_unknown, which counts as an outage. */
  readonly code = '08007'
  constructor() {
    super('the wait for the standby was cancelled: the commit is on this server only')
  }
}

/** Where in Postgres the warning comes from; its text depends on `lc_messages`. */
const WAIT_FOR_STANDBY = 'SyncRepWaitForLSN'

/** Before anybody gets the client; where this fails, it is closed, and those who wait for it get the error. */
async function setUp(
  client: Connected,
  options: PoolOptions,
  onSilence: () => void,
): Promise<void> {
  const { statementTimeoutMs, silenceMsMax, servers, onError = () => undefined } = options
  // Without a listener a lost connection would end the process.
  reportLoss(client, (error) => {
    servers?.suspect()
    onError(error)
  })
  refuseUnreplicated(client)
  if (silenceMsMax) cutWhenSilent(client, silenceMsMax, onSilence)
  const settings = {
    ...(statementTimeoutMs && { statement_timeout: `${statementTimeoutMs}` }),
    ...options.settings,
  }
  const { stream } = client.connection
  const tooLong = setTimeout(() => stream.destroy(), CONNECT_MS_MAX)
  const work = options.pooled ? workBehindPooler : setUpSession
  try {
    await work(client, settings)
    // What a pooler leads to may be another server with the next transaction.
    if (!options.pooled) await servers?.admit(client)
  } finally {
    clearTimeout(tooLong)
  }
}

/** The parts of a client that its types leave out. */
type Connected = pg.PoolClient & {
  connection: EventEmitter<{ errorMessage: [pg.DatabaseError] }> & { stream: Socket }
  readyForQuery: boolean
  /** Whose answer is being read. What is set on it is what it fails with once that has come. */
  _activeQuery?: { _canceledDueToError?: Error } | null
}

/** The warning comes within the answer of the statement that commits. */
function refuseUnreplicated(client: Connected): void {
  client.on('notice', ({ routine }) => {
    const query = client._activeQuery
    if (routine === WAIT_FOR_STANDBY && query) query._canceledDueToError = new CommitNotReplicated()
  })
}

/** Reading and writing start the count again, so it costs nothing per statement. */
function cutWhenSilent(client: Connected, silenceMsMax: number, onSilence: () => void): void {
  const { stream } = client.connection
  stream.setTimeout(silenceMsMax)
  // Not as the callback of `setTimeout`, which hears of the first silence only: a session that has once had nothing to do
  // for so long would never be cut again.
  stream.on('timeout', () => {
    const { bytesRead } = stream
    // After what has arrived is read: in a process that was frozen for so long timers come first, and the answer of a
    // server that is well would be thrown away.
    setImmediate(() => {
      if (client.readyForQuery || stream.bytesRead !== bytesRead) return
      stream.destroy()
      onSilence()
    })
  })
}

const clientsOf = new WeakMap<pg.Pool, Map<Connected, Dial>>()

/**
 * Cuts every connection of a pool made here, idle, in use or just being made, because the server was found to be
 * gone: what is under way fails as an outage now instead of when TCP gives up. The pool dials again.
 */
export function cutConnections(pool: pg.Pool): void {
  for (const { connection } of clientsOf.get(pool)?.keys() ?? []) connection.stream.destroy()
}

/** Whether a pool made here has a connection, in use or not; one that is just being made does not count. */
export const hasConnection = (pool: pg.Pool): boolean =>
  [...(clientsOf.get(pool)?.values() ?? [])].some((dial) => typeof dial !== 'number')

/** Where one is silent, those that nobody uses are as good as gone: each would cost the next statement as long a wait. */
function cutIdle(pool: pg.Pool): void {
  for (const [{ connection }, dial] of clientsOf.get(pool) ?? []) {
    if (dial === 'idle') connection.stream.destroy()
  }
}

/** Those that were begun while the server did not answer may wait for an answer that never comes. */
function cutStuckDials(clients: Map<Connected, Dial>): void {
  for (const [{ connection }, since] of clients) {
    const { stream } = connection
    if (typeof since === 'number' && isStuck({ since, stream })) stream.destroy()
  }
}

/**
 * Once per connection: Postgres' farewell and the closed socket are an error each. In the middle of a statement the
 * farewell is the statement's error, and pg says no more once the pool has taken the client away.
 */
function reportLoss(client: Connected, onError: (error: Error) => void): void {
  let isLost = false
  const lost = (error: Error) => {
    if (!isLost) onError(error)
    isLost = true
  }
  client.on('error', lost)
  client.connection.on('errorMessage', (error) => {
    if (FAREWELLS.test(`${error.code}`)) lost(error)
  })
}

/** SQLSTATEs with which a server ends a session: operator intervention but for a cancelled statement, and its time-outs. */
const FAREWELLS = /^(?:57P\d\d|25P03|25P04)$/

/** Queries on schema `postrider`; tables are named without it. */
export function createDatabase(pool: pg.Pool): Kysely<Database> {
  return new Kysely<Database>({ dialect: new PostgresDialect({ pool }) }).withSchema('postrider')
}

const { JSON: JSON_OID } = pg.types.builtins
// Arrays are missing among the declared names.
const JSON_ARRAY_OID = 199 as TypeId
const TEXT_ARRAY_OID = 1009 as TypeId

/** Types as pg has them, except that `json` is read like `text`. */
const jsonAsText = ((oid: TypeId, format?: 'text') => {
  if (oid === JSON_OID) return (value: string) => value
  return pg.types.getTypeParser(oid === JSON_ARRAY_OID ? TEXT_ARRAY_OID : oid, format)
}) as typeof pg.types.getTypeParser

type TypeId = Parameters<typeof pg.types.getTypeParser>[0]
