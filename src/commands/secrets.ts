import type { Command } from 'commander'
import type { Pool } from 'pg'
import { readConfig } from '../config.ts'
import { assertSchema } from '../database/migrate.ts'
import { createPool } from '../database/pool.ts'
import { createSecretBox, type SecretBox } from '../endpoints/secrets.ts'
import {
  checkSecrets,
  releaseReadable,
  type SecretReport,
} from '../endpoints/unreadable-secrets.ts'
import type { CommandContext } from './context.ts'
import { renderTable } from './output.ts'

/** Some endpoints have a secret or client key that no key opens. */
export class SecretsUnreadable extends Error {
  override readonly name = 'SecretsUnreadable'
  readonly code = 'secrets_unreadable'
}

/** Opens the secrets of endpoints with the keys of the environment, by the database: no process may show them. */
export function addSecretsCommand(program: Command, context: CommandContext): void {
  const secrets = program
    .command('secrets')
    .description('whether SECRET_ENCRYPTION_KEY opens the secrets of endpoints')

  secrets
    .command('check')
    .description('open every secret and client key; exit code 1 if no key opens one')
    .option('--json', 'print one JSON document')
    .action(({ json }: { json?: true }) =>
      withSecrets(context, async (pool, box) => {
        const report = await checkSecrets(pool, box)
        context.print(json ? `${JSON.stringify(report)}\n` : renderReport(report))
        refuseUnreadable(report.endpoints)
      }),
    )

  secrets
    .command('release')
    .description(
      'deliver what was held for secrets that could not be opened, where they can be now',
    )
    .option('--json', 'print one JSON document')
    .action(({ json }: { json?: true }) =>
      withSecrets(context, async (pool, box) => {
        const done = await releaseReadable(pool, box, 'postrider secrets release')
        const text = `released ${done.released} endpoints; ${done.held} stay held\n`
        context.print(json ? `${JSON.stringify(done)}\n` : text)
        refuseUnreadable(done.held)
      }),
    )
}

async function withSecrets(
  { env }: CommandContext,
  work: (pool: Pool, box: SecretBox) => Promise<void>,
): Promise<void> {
  const config = readConfig(env, 'runner')
  const pool = createPool({
    connectionString: config.databaseDirectUrl ?? config.databaseUrl,
    max: 1,
    applicationName: 'postrider secrets',
  })
  try {
    await assertSchema(pool)
    await work(pool, createSecretBox(config.secretEncryptionKeys))
  } finally {
    await pool.end()
  }
}

function renderReport({ checked, unreadable, endpoints, named }: SecretReport): string {
  if (unreadable === 0) return `all ${checked} can be opened\n`
  const rows = named.map((endpoint) => ({ ...endpoint }))
  const more = endpoints > named.length ? `and ${endpoints - named.length} more endpoints\n` : ''
  return `${unreadable} of ${checked} cannot be opened:\n${renderTable(['id', 'url', 'detail'], rows)}${more}`
}

/** @throws SecretsUnreadable */
function refuseUnreadable(endpoints: number): void {
  if (endpoints === 0) return
  throw new SecretsUnreadable(
    `${endpoints} ${endpoints === 1 ? 'endpoint has a secret' : 'endpoints have secrets'} that SECRET_ENCRYPTION_KEY does not open; list the key it was stored with as well, or rotate it with no overlap`,
  )
}
