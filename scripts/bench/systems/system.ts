import { randomBytes } from 'node:crypto'
import { join } from 'node:path'
import { freePort } from '../../../src/testing/servers/free-port.ts'
import type { Watched } from '../measure/usage.ts'
import { type Child, type ChildOptions, runChild, startChild } from '../processes.ts'
import type { Cleanup } from '../program.ts'
import { answers } from './ports.ts'
import type { Server } from './server.ts'
import type { Target } from './target.ts'

export const CHECKOUT = join(import.meta.dirname, '..', '..', '..')
export const TENANT = 'bench'
export const EVENT_TYPE = 'bench.event'

export interface SystemOptions {
  server: Server
  /** Names the database and the logs. */
  name: string
  /** Where events are delivered: the one endpoint of the tenant. Null makes neither. */
  receiverUrl: string | null
  /** The checkout that runs; this one by default. */
  root?: string
  apis?: number
  runners?: number
  /** Further configuration, such as RUNNER_CONCURRENCY. */
  env?: Record<string, string>
  /** A migrated database to go on with, instead of a new one. */
  databaseUrl?: string
}

/** Postrider as separate processes: `postrider api` and `postrider runner` on one database. */
export interface System {
  /** Publishes to the first API. */
  target: Target
  databaseUrl: string
  /** Its processes by kind: `api`, `runner`, and `postgres` where that is ours. */
  watched(): Watched
  startRunner(): void
  /** Rejects when one of its processes ends by itself. */
  failed(): Promise<never>
  /** A request to the API as its admin; throws unless it succeeds. */
  call: Call
  /** Stops APIs and runners; the database stays. */
  stop(): Promise<void>
}

export type Call = (method: string, path: string, body?: object) => Promise<unknown>

/** Migrates, starts the processes, and makes the tenant with its endpoint through the API. */
export async function startSystem(cleanup: Cleanup, options: SystemOptions): Promise<System> {
  const databaseUrl = options.databaseUrl ?? (await options.server.createDatabase(options.name))
  const adminKey = randomBytes(24).toString('base64url')
  const describe = describer(options, databaseUrl, adminKey)
  await runChild(cleanup, describe('migrate'))

  const apis = await times(options.apis ?? 1, () => startApi(cleanup, describe))
  const url = apis[0]?.url ?? ''
  const call = createCall(url, adminKey)
  if (options.receiverUrl) await createEndpoint(call, options.receiverUrl)

  const runners: Child[] = []
  const startRunner = () => void runners.push(startChild(cleanup, describe('runner')))
  await times(options.runners ?? 1, async () => startRunner())
  return {
    target: targetOf(url, adminKey),
    databaseUrl,
    watched: () => watchedOf(options.server, { api: apis, runner: runners }),
    startRunner,
    failed: () => Promise.race([...apis, ...runners].map((one) => one.failed)),
    call,
    stop: async () => void (await Promise.all([...apis, ...runners].map((one) => one.stop()))),
  }
}

type Describe = (command: string, env?: Record<string, string>) => ChildOptions

/** How each command of the system is started. */
function describer(
  { server, name, root = CHECKOUT, env = {} }: SystemOptions,
  databaseUrl: string,
  adminKey: string,
): Describe {
  const shared = {
    DATABASE_URL: databaseUrl,
    POSTRIDER_ADMIN_KEY: adminKey,
    SECRET_ENCRYPTION_KEY: Buffer.alloc(32, 7).toString('base64'), // the secrets are made for this run
    EGRESS_ALLOW: '127.0.0.0/8', // the receiver is on loopback
    ...env,
  }
  let started = 0
  return (command, more = {}) => {
    started += 1
    return {
      name: `postrider ${command}`,
      command: join(root, 'scripts', 'postrider'),
      args: [command],
      env: { ...shared, ...more },
      logFile: join(server.folder, `${name}-${started}-${command}.log`),
    }
  }
}

async function startApi(cleanup: Cleanup, describe: Describe): Promise<Child & { url: string }> {
  const port = await freePort()
  const api = startChild(cleanup, describe('api', { PORT: String(port) }))
  const url = `http://127.0.0.1:${port}`
  await Promise.race([answers(`${url}/ready`), api.failed])
  return { ...api, url }
}

function createCall(url: string, adminKey: string): Call {
  return async (method, path, body = {}) => {
    const response = await fetch(url + path, {
      method,
      headers: { authorization: `Bearer ${adminKey}`, 'content-type': 'application/json' },
      ...(method !== 'GET' && { body: JSON.stringify(body) }),
    })
    const text = await response.text()
    if (!response.ok) throw new Error(`${method} ${path} answered ${response.status}: ${text}`)
    return text === '' ? null : JSON.parse(text)
  }
}

async function createEndpoint(call: Call, url: string): Promise<void> {
  await call('PUT', `/api/tenants/${TENANT}`)
  await call('POST', `/api/tenants/${TENANT}/endpoints`, { url: `${url}/hook` })
}

function targetOf(url: string, adminKey: string): Target {
  return {
    name: 'postrider',
    url: `${url}/api/events`,
    headers: { authorization: `Bearer ${adminKey}` },
    body: (_n, data) => JSON.stringify({ tenant: TENANT, type: EVENT_TYPE, data }),
  }
}

function watchedOf({ pid }: Server, parts: Record<string, readonly Child[]>): Watched {
  const pids = Object.entries(parts).map(([name, children]) => [name, children.map((c) => c.pid)])
  return { ...Object.fromEntries(pids), ...(pid !== null && { postgres: [pid] }) }
}

async function times<T>(count: number, make: () => Promise<T>): Promise<T[]> {
  const made: T[] = []
  for (let i = 0; i < count; i++) made.push(await make())
  return made
}
