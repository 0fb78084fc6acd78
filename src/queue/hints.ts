import type { Notification, PoolClient } from 'pg'
import type { Log } from '../log.ts'
import type { Bell } from './bell.ts'

type Handler = (message: Notification) => void

interface Listener {
  receive: Handler
  stop(): void
}

/** Far above what a busy service sends (1,500 events/s are 30), far below what keeps a runner from its work. */
const WAKE_UPS_IN_WINDOW_MAX = 30
const WINDOW_MS = 20
/** A flood costs one index probe a second. */
const SCHEMA_CHECK_MS = 1_000

/**
 * Lets notifications be hints for graphile-worker, and nothing more.
 *
 * Every role that can connect may send them, with any text. `jobs:insert` wakes the pool: its text is read by the
 * bell alone, and a flood is passed on at a bounded rate. `worker:migrate` would end the pool for good; it is passed on only
 * when the tables say the same: a breaking migration of graphile-worker that was not there when the runner
 * started. That is also checked after each reconnect, since a notification may have been missed.
 *
 * @returns wraps the clients that graphile-worker listens on
 */
export function createHints(log: Log, bell: Bell): (client: PoolClient) => PoolClient {
  const schema: SchemaWatch = { known: undefined }
  return (client) => {
    const wrapped = { ...listening(client, { schema, log, bell }), query: ringing(client, bell) }
    return new Proxy(client, {
      get(target, key) {
        if (Object.hasOwn(wrapped, key)) return wrapped[key as keyof typeof wrapped]
        const value = Reflect.get(target, key)
        return typeof value === 'function' ? value.bind(target) : value
      },
    })
  }
}

/** Handlers of notifications hear what their listener passes on. */
function listening(client: PoolClient, options: ListenerOptions) {
  const listeners = new Map<unknown, Listener>()
  return {
    on(event: string, handler: Handler) {
      if (event !== 'notification') return client.on(event as 'notice', handler as () => void)
      const listener = listenerOf(client, handler, options)
      listeners.set(handler, listener)
      return client.on('notification', listener.receive)
    },
    removeListener(event: string, handler: Handler) {
      const listener = event === 'notification' ? listeners.get(handler) : undefined
      listener?.stop()
      return client.removeListener(event, listener?.receive ?? handler)
    },
  }
}

/** Tells the bell when the session listens. */
function ringing(client: PoolClient, bell: Bell) {
  return (...args: unknown[]) => {
    const answer = (client.query as (...args: unknown[]) => unknown)(...args)
    if (String(args[0]).startsWith('LISTEN')) {
      void Promise.resolve(answer).then(
        () => bell.listening(client),
        () => undefined,
      )
    }
    return answer
  }
}

interface ListenerOptions {
  schema: SchemaWatch
  log: Log
  bell: Bell
}

function listenerOf(
  client: PoolClient,
  handler: Handler,
  { schema, log, bell }: ListenerOptions,
): Listener {
  const wakeUps = throttle(handler, WAKE_UPS_IN_WINDOW_MAX, WINDOW_MS)
  const check = async (message: Notification) => {
    if (await hasBreakingMigration(client, schema)) handler(message)
  }
  const checks = throttle(
    (message) =>
      void check(message).catch((error: unknown) => {
        log.debug({ err: error }, 'runner.schema_check_failed') // the next connection checks again
      }),
    1,
    SCHEMA_CHECK_MS,
  )
  checks.call(migrated())
  return {
    receive({ channel, processId, payload = '' }) {
      if (channel === 'jobs:insert') {
        bell.rang(payload)
        wakeUps.call({ channel, processId, payload: '{"count":1}' })
      } else if (channel === 'worker:migrate') checks.call(migrated())
    },
    stop() {
      bell.deaf(client)
      wakeUps.stop()
      checks.stop()
    },
  }
}

/** What graphile-worker understands as: stop, the schema is not yours any more. */
function migrated(): Notification {
  return { channel: 'worker:migrate', processId: 0, payload: '{"breaking":true}' }
}

interface SchemaWatch {
  /** graphile-worker's newest migration when the runner started, which found that it could work with it. */
  known: number | undefined
}

async function hasBreakingMigration(client: PoolClient, schema: SchemaWatch): Promise<boolean> {
  const { rows } = await client.query<{ newest: number; breaking: number }>(
    `select max(id) as newest, coalesce(max(id) filter (where breaking), 0) as breaking
     from graphile_worker.migrations`,
  )
  const [row] = rows
  if (!row) return false
  schema.known ??= row.newest
  return row.breaking > schema.known
}

/** Calls at once, up to `max` times in a window; of those beyond, the last is called when the window ends. */
function throttle(handler: Handler, max: number, windowMs: number) {
  let calls = 0
  let waiting: Notification | undefined
  let timer: NodeJS.Timeout | undefined
  const endWindow = () => {
    timer = undefined
    calls = 0
    const message = waiting
    waiting = undefined
    if (message) call(message)
  }
  const call = (message: Notification) => {
    timer ??= setTimeout(endWindow, windowMs).unref()
    calls += 1
    if (calls <= max) handler(message)
    else waiting = message
  }
  return { call, stop: () => clearTimeout(timer) }
}
