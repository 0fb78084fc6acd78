import { AsyncLocalStorage } from 'node:async_hooks'
import {
  CompiledQuery,
  type DatabaseConnection,
  type Driver,
  Kysely,
  PostgresDialect,
  type QueryResult,
} from 'kysely'
import type { Pool } from 'pg'
import type { TenantId } from '../ids.ts'
import { currentActor } from './actor.ts'
import { retryConflicts } from './outage.ts'
import { inOrder } from './pooled-session.ts'
import type { Database } from './schema.ts'

/**
 * A statement about a tenant's data was made without saying for which tenant: a route that lacks
 * `tenantOfPath`, or a service that was given the wrong database.
 */
export class TenantScopeMissing extends Error {
  override readonly name = 'TenantScopeMissing'
  readonly code = 'tenant_scope_missing'
  constructor() {
    super('this database is used within inTenant(...) only')
  }
}

export interface TenantScope {
  /**
   * Sees and changes the rows of one tenant, the one of `inTenant`, whatever a query says or
   * forgets: row-level security (sql/functions/tenants/tenant_isolation.sql) holds underneath.
   *
   * Every statement, and every transaction that is begun on it, is its own transaction that
   * runs as role postrider_tenant. So none is open while a request waits for something else. A statement that
   * lost against another transaction is made again; for transactions, there is `transact`.
   */
  database: Kysely<Database>
  /** Runs `work`, and whatever it awaits, with `database` being that of this tenant. */
  inTenant<T>(tenantId: TenantId, work: () => T): T
}

/** @param pool made with `pipeline`, so that the scope costs no round trips */
export function createTenantScope(pool: Pool): TenantScope {
  const tenants = new AsyncLocalStorage<TenantId>()
  const current = () => {
    const tenantId = tenants.getStore()
    if (tenantId === undefined) throw new TenantScopeMissing()
    return tenantId
  }
  return {
    database: new Kysely<Database>({ dialect: new TenantDialect({ pool }, current) }).withSchema(
      'postrider',
    ),
    inTenant: (tenantId, work) => tenants.run(tenantId, work),
  }
}

class TenantDialect extends PostgresDialect {
  readonly #current: () => TenantId
  constructor(config: { pool: Pool }, current: () => TenantId) {
    super(config)
    this.#current = current
  }
  override createDriver(): Driver {
    return scoped(super.createDriver(), this.#current)
  }
}

/** A connection of the pool, lent to one tenant until it is released. */
interface ScopedConnection extends DatabaseConnection {
  inner: DatabaseConnection
  enter: CompiledQuery
  /** Inside a transaction of the caller, which has entered the scope already. */
  isEntered: boolean
}

function scoped(driver: Driver, current: () => TenantId): Driver {
  const leave = (connection: DatabaseConnection, end: Driver['commitTransaction']) => {
    toScoped(connection).isEntered = false
    return end.call(driver, toScoped(connection).inner)
  }
  return {
    init: (options) => driver.init(options),
    async acquireConnection(options) {
      const enter = enterScope(current())
      return lend(driver, await driver.acquireConnection(options), enter)
    },
    beginTransaction: (connection, settings) => enterTransaction(driver, connection, settings),
    commitTransaction: (connection) => leave(connection, driver.commitTransaction),
    rollbackTransaction: (connection) => leave(connection, driver.rollbackTransaction),
    releaseConnection: (connection) => driver.releaseConnection(toScoped(connection).inner),
    destroy: (options) => driver.destroy(options),
  }
}

function lend(driver: Driver, inner: DatabaseConnection, enter: CompiledQuery): ScopedConnection {
  const connection: ScopedConnection = {
    inner,
    enter,
    isEntered: false,
    executeQuery: (query) =>
      connection.isEntered ? inner.executeQuery(query) : executeAlone(driver, connection, query),
    streamQuery: () => {
      throw new Error('a tenant has no streams of rows')
    },
  }
  return connection
}

/** In a transaction that has entered the scope. */
function begin(
  driver: Driver,
  { inner, enter }: ScopedConnection,
  settings: Parameters<Driver['beginTransaction']>[1],
) {
  return inOrder([driver.beginTransaction(inner, settings), inner.executeQuery(enter)])
}

/** A statement outside a transaction of the caller is a transaction by itself. */
function executeAlone<R>(driver: Driver, connection: ScopedConnection, query: CompiledQuery) {
  return retryConflicts(async () => {
    const [, result] = await inOrder([
      begin(driver, connection, {}),
      connection.inner.executeQuery<R>(query),
      // Of a statement that failed, Postgres makes a rollback.
      driver.commitTransaction(connection.inner),
    ])
    return result as QueryResult<R>
  })
}

async function enterTransaction(
  driver: Driver,
  connection: DatabaseConnection,
  settings: Parameters<Driver['beginTransaction']>[1],
): Promise<void> {
  const scoped = toScoped(connection)
  await begin(driver, scoped, settings).catch(async (error: unknown) => {
    await driver.rollbackTransaction(scoped.inner)
    throw error
  })
  scoped.isEntered = true
}

/** Kysely hands back the connections that it got from `acquireConnection`. */
const toScoped = (connection: DatabaseConnection) => connection as ScopedConnection

/** Both settings end with the transaction. The role comes first: it is the one that must not fail. */
const enterScope = (tenantId: TenantId): CompiledQuery => {
  const { who = '', client = '' } = currentActor() ?? {}
  return CompiledQuery.raw(
    `select set_config('role', 'postrider_tenant', true), set_config('postrider.tenant_id', $1, true),
       set_config('postrider.who', $2, true), set_config('postrider.client', $3, true)`,
    [tenantId, who, client],
  )
}
