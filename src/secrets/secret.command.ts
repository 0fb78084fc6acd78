import type { Command } from 'commander'
import type { Pool } from 'pg'
import { readConfig } from '../config/config.ts'
import { urlOfOne } from '../postgres/servers.ts'
import { createBar } from '../terminal/bar.ts'
import type { CommandContext } from '../terminal/context.ts'
import { onDatabase } from '../terminal/database.ts'
import { renderTable } from '../terminal/output.ts'
import { type ResealReport, resealAll } from './reseal.ts'
import { createSecretBox, type SecretBox } from './secrets.ts'
import { checkSecrets, releaseReadable, type SecretReport } from './unreadable-secrets.ts'

/** Some endpoints have a secret or client key that no key opens. */
class SecretsUnreadable extends Error {
  override readonly name = 'SecretsUnreadable'
  readonly code = 'secrets_unreadable'
}

/** The work was ended before all was encrypted again. */
class RotationUnfinished extends Error {
  override readonly name = 'RotationUnfinished'
  readonly code = 'rotation_unfinished'
}

/** Opens the secrets of endpoints with the keys of the environment, by the database: no process may show them. */
export function addSecretsCommand(program: Command, context: CommandContext): void {
  const secrets = program
    .command('secrets')
    .description('check that SECRET_ENCRYPTION_KEY opens the secrets of endpoints')
  secrets
    .command('check')
    .description('open every secret and client key; exit code 1 if no key opens one')
    .option('--json', 'print one JSON document')
    .action(({ json }: { json?: true }) => check(context, json))
  secrets
    .command('release')
    .description(
      'release deliveries held for secrets that could not be decrypted, if they can be now',
    )
    .option('--json', 'print one JSON document')
    .action(({ json }: { json?: true }) => release(context, json))
}

const check = (context: CommandContext, json: true | undefined) =>
  withSecrets(context, async (pool, box) => {
    const report = await checkSecrets(pool, box)
    context.print(json ? `${JSON.stringify(report)}\n` : renderReport(report))
    refuseUnreadable(report.endpoints)
  })

const release = (context: CommandContext, json: true | undefined) =>
  withSecrets(context, async (pool, box) => {
    const done = await releaseReadable(pool, box, 'postrider secrets release')
    const text = `released ${counted(done.released)}; ${done.held} ${done.held === 1 ? 'stays' : 'stay'} held\n`
    context.print(json ? `${JSON.stringify(done)}\n` : text)
    refuseUnreadable(done.held)
  })

/** Encrypts all that is stored under an older key, so that this can be given up. */
export function addRotateEncryptionCommand(program: Command, context: CommandContext): void {
  program
    .command('rotate-encryption')
    .description('encrypt every secret again with the first key of SECRET_ENCRYPTION_KEY')
    .option('--json', 'print one JSON document')
    .action(({ json }: { json?: true }) =>
      withSecrets(context, async (pool, box) => {
        const report = await rotateEncryption(pool, box, context)
        const text = `${report.resealed} of ${counted(report.endpoints)} encrypted again\n`
        context.print(json ? `${JSON.stringify(report)}\n` : text)
        if (!report.isDone) throw new RotationUnfinished('stopped; run it again to continue')
        refuseUnreadable(report.unreadable)
      }),
    )
}

/** With a bar on the terminal. Being asked to stop ends it between two batches. */
async function rotateEncryption(
  pool: Pool,
  box: SecretBox,
  { isWatched, stopSignal }: CommandContext,
): Promise<ResealReport> {
  const { rows } = await pool.query<{ count: number }>(
    'select count(*)::int as count from postrider.endpoint',
  )
  const bar = createBar()
  if (isWatched) bar.start(rows[0]?.count ?? 0, 0)
  try {
    return await resealAll(pool, box, {
      who: 'postrider rotate-encryption',
      signal: stopSignal,
      onProgress: (endpoints) => bar.update(endpoints),
    })
  } finally {
    bar.stop()
  }
}

async function withSecrets(
  { env }: CommandContext,
  work: (pool: Pool, box: SecretBox) => Promise<void>,
): Promise<void> {
  const config = readConfig(env, 'runner')
  const databaseUrl = await urlOfOne(config.databaseDirectUrl ?? config.databaseUrl)
  await onDatabase({ databaseUrl, applicationName: 'postrider secrets' }, (pool) =>
    work(pool, createSecretBox(config.secretEncryptionKeys)),
  )
}

const counted = (endpoints: number): string =>
  `${endpoints} ${endpoints === 1 ? 'endpoint' : 'endpoints'}`

function renderReport({ checked, unreadable, endpoints, named }: SecretReport): string {
  if (unreadable === 0) return `all ${checked} can be opened\n`
  const rows = named.map((endpoint) => ({ ...endpoint }))
  const more = endpoints > named.length ? `and ${endpoints - named.length} more\n` : ''
  return `${unreadable} of ${checked} cannot be opened:\n${renderTable(['id', 'detail', 'url'], rows)}${more}`
}

/** @throws SecretsUnreadable */
function refuseUnreadable(endpoints: number): void {
  if (endpoints === 0) return
  throw new SecretsUnreadable(
    `${endpoints} ${endpoints === 1 ? 'endpoint has a secret' : 'endpoints have secrets'} that SECRET_ENCRYPTION_KEY does not open; add the key it was stored with, or rotate it without overlap`,
  )
}
