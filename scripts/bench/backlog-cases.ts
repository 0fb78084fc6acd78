import type { Cleanup } from './program.ts'
import { createEndpoints, createTenants, ensureWaiting, storeHistory } from './systems/seed.ts'
import type { Server } from './systems/server.ts'
import { createDatabaseClient } from './systems/sql.ts'
import { EVENT_TYPE, type System, startSystem, TENANT } from './systems/system.ts'

export const CASES = ['empty', 'stored', 'scheduled', 'endpoints', 'tenants']

const STORED = 1_000_000
const WAITING = 100_000
/** As many as a tenant can have. */
const ENDPOINTS = 1_000
const TENANTS = 10_000
const HOUR_MS = 3_600_000

export interface PreparedCase {
  name: string
  databaseUrl: string
  /** Tenant and type of event `n`. */
  eventOf(n: number): { tenant: string; type: string }
  /** Called before each measurement: what the one before has delivered waits again. */
  refill(): Promise<void>
}

export interface CaseOptions {
  server: Server
  receiverUrl: string
  scale: number
  bytes: number
}

/** Makes a database in the state that the case is about. */
export async function prepareCase(
  cleanup: Cleanup,
  name: string,
  options: CaseOptions,
): Promise<PreparedCase> {
  const prepare = PREPARE[name]
  if (!prepare) throw new Error(`there is no case ${name}; there are ${CASES.join(', ')}`)
  const isBench = !['endpoints', 'tenants'].includes(name)
  const receiverUrl = isBench ? options.receiverUrl : null
  const base = { server: options.server, name, receiverUrl, runners: 0 }
  const system = await startSystem(cleanup, base)
  const prepared = await prepare({ ...options, cleanup, system, name })
  await system.stop()
  return {
    eventOf: () => BENCH_EVENT,
    refill: async () => undefined,
    ...prepared,
    name,
    databaseUrl: system.databaseUrl,
  }
}

const BENCH_EVENT = { tenant: TENANT, type: EVENT_TYPE }

type Prepare = (
  given: CaseOptions & { cleanup: Cleanup; system: System; name: string },
) => Promise<Partial<Pick<PreparedCase, 'eventOf' | 'refill'>>>

const PREPARE: Record<string, Prepare> = {
  empty: async () => ({}),
  stored: (given) => withHistory(given),
  scheduled: (given) => withHistory(given, new Date(Date.now() + 6 * HOUR_MS).toISOString()),
  async endpoints({ system, receiverUrl, scale }) {
    const count = scaled(ENDPOINTS, scale)
    await createEndpoints(system.call, receiverUrl, count)
    return { eventOf: (n) => ({ tenant: TENANT, type: `bench.${n % count}` }) }
  },
  async tenants({ system, receiverUrl, scale }) {
    const count = scaled(TENANTS, scale)
    await createTenants(system.call, receiverUrl, count)
    return { eventOf: (n) => ({ tenant: `tenant-${n % count}`, type: EVENT_TYPE }) }
  },
}

async function withHistory(
  { cleanup, system, scale, bytes }: Parameters<Prepare>[0],
  deliverAt?: string,
) {
  const client = await createDatabaseClient(cleanup, system.databaseUrl)
  await storeHistory(client, scaled(STORED, scale), bytes)
  const waiting = { bytes, ...(deliverAt !== undefined && { deliverAt }) }
  return { refill: () => ensureWaiting(client, scaled(WAITING, scale), waiting) }
}

const scaled = (count: number, scale: number) => Math.max(1, Math.round(count * scale))
