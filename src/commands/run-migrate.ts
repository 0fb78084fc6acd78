import { readConfig } from '../config/config.ts'
import { findCostlyFilters } from '../endpoints/costly-filters.ts'
import { findUnadopted } from '../postgres/adoption.ts'
import { grantRoles, migrate, withClient } from '../postgres/migrate/migrate.ts'
import { migrationPlan } from '../postgres/migrate/migration-plan.ts'
import { GROUP_ROLES } from '../postgres/migrate/roles.ts'
import type { Queryable } from '../postgres/migrate/schema-record.ts'
import { urlOfOne } from '../postgres/servers.ts'
import type { CommandContext } from '../terminal/context.ts'

export interface MigrateOptions {
  plan?: true
  roles?: true
  json?: true
}

/** @throws what the database refuses; nothing of that file is applied then */
export async function runMigrate(
  { env, print }: CommandContext,
  { plan, roles, json }: MigrateOptions,
): Promise<void> {
  const config = readConfig(env, 'migrate')
  const databaseUrl = await urlOfOne(config.databaseDirectUrl ?? config.databaseUrl)
  if (plan) return print(await planOf(databaseUrl, json))
  const environment = config.environment.name
  const { applied } = await migrate(databaseUrl, { environment })
  const optional = roles ? (await grantRoles(databaseUrl)).optional : undefined
  const notices = await withClient(databaseUrl, async (client) => [
    ...(await copyNotice(client, environment)),
    ...(await findCostlyFilters(client)),
  ])
  if (json) {
    const named = notices.length > 0 && { notices }
    return print(`${JSON.stringify({ applied, ...(optional && { optional }), ...named })}\n`)
  }
  print(applied.map((name) => `applied ${name}\n`).join('') || 'the database is up to date\n')
  if (optional) print(rolesText(optional))
  print(notices.map((line) => `notice: ${line}\n`).join(''))
}

async function copyNotice(client: Queryable, environment: string | undefined): Promise<string[]> {
  const reason = await findUnadopted(client, environment)
  return reason === null ? [] : [`nothing is sent: ${reason}; see postrider adopt`]
}

async function planOf(databaseUrl: string, json?: true): Promise<string> {
  const plan = await migrationPlan(databaseUrl)
  if (json) return `${JSON.stringify({ plan })}\n`
  return plan.map(({ file, sql }) => `-- ${file}\n${sql}\n`).join('') || '-- nothing to do\n'
}

function rolesText(optional: readonly string[]): string {
  return [
    `granted to ${GROUP_ROLES.join(', ')}\n`,
    'let each process log in as a member, such as: create role my_runner login in role postrider_runner;\n',
    ...optional.map((line) => `an administrator can add: ${line}\n`),
  ].join('')
}
