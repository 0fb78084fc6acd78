import { existsSync } from 'node:fs'
import { join } from 'node:path'
import pg from 'pg'
import { startPostgres } from '../../postgres/embedded/embedded-postgres.ts'
import type { GroupRole } from '../../postgres/migrate/rights.ts'
import { createFolder } from '../wiring/cli.ts'
import type { TestLifetime } from '../wiring/database.ts'
import { binariesOf, type ClusterKind, DATABASE_WITH_ROLES, layOutCluster } from './cluster.ts'
import { VOLATILE } from './postgres-server.ts'
import { urlOf, withAdmin } from './template.ts'

export interface RolesServer {
  /** Of the superuser. */
  url: string
  /** A new database with the name, whose owner may do everything. */
  createDatabase(name: string): Promise<string>
  /** A new role that may log in, with these clauses of `create role`; returns the URL with it. */
  login(url: string, name: string, clauses?: string): Promise<string>
  asAdmin(text: string): Promise<pg.QueryResult>
}

/**
 * A server of this test's own, since roles belong to a server and the others share one.
 *
 * @returns null when that version of Postgres is not installed
 */
export async function startRolesServer(
  t: TestLifetime,
  {
    major,
    kind = 'empty',
    settings = {},
  }: { major?: number; kind?: ClusterKind; settings?: Record<string, string> } = {},
): Promise<RolesServer | null> {
  const binaries = major && binariesOf(major)
  if (binaries && !existsSync(join(binaries, 'postgres'))) return null
  const dataDir = join(createFolder(t), 'postgres')
  await layOutCluster(dataDir, { kind, ...(major && { major }) })
  const server = await startPostgres({
    dataDir,
    settings: { ...VOLATILE, ...settings },
    ...(binaries && { binaries }),
  })
  t.teardown(() => server.stop())
  const asAdmin = (text: string) => withAdmin(server.url, (admin) => admin.query(text))
  return {
    asAdmin,
    url: server.url,
    async createDatabase(name) {
      await asAdmin(`create database ${name}`)
      return urlOf(server.url, name)
    },
    async login(url, name, clauses = '') {
      await asAdmin(`create role ${name} login password 'x' ${clauses}`)
      return Object.assign(new URL(url), { username: name, password: 'x' }).href
    },
  }
}

/** A migrated database with the group roles, and a member of each of those that are asked for. */
export async function createRolesDatabase<Name extends GroupRole>(
  t: TestLifetime,
  groups: readonly Name[],
  options: { major?: number; settings?: Record<string, string> } = {},
): Promise<{ url: string; server: RolesServer; urls: Record<Name, string> } | null> {
  const server = await startRolesServer(t, { ...options, kind: 'roles' })
  if (!server) return null
  const url = urlOf(server.url, DATABASE_WITH_ROLES)
  const urls = {} as Record<Name, string>
  for (const group of groups) {
    urls[group] = await server.login(
      url,
      `my_${group.replace('postrider_', '')}`,
      `in role ${group}`,
    )
  }
  return { url, server, urls }
}

/** A connection until the test ends. */
export async function connect(t: TestLifetime, connectionString: string): Promise<pg.Client> {
  const client = new pg.Client({ connectionString })
  client.on('error', () => undefined) // the server may stop first
  await client.connect()
  t.teardown(() => client.end())
  return client
}
