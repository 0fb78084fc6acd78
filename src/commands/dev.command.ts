import { resolve } from 'node:path'
import type { Command } from 'commander'
import { readConfig } from '../config/config.ts'
import { createLog } from '../log.ts'
import { SANDBOX_TENANT } from '../sandbox/sandbox-endpoint.ts'
import { runService, stopMsOf } from '../service/run-service.ts'
import type { RunningDev } from '../service/start-dev.ts'
import type { CommandContext } from '../terminal/context.ts'
import { type DataFolder, openDataFolder } from '../terminal/data-folder.ts'

/** Runs everything in one process, with its own database unless DATABASE_URL is set. */
export function addDevCommand(program: Command, context: CommandContext): void {
  program
    .command('dev')
    .description('run API, runner, sandbox and database in one process')
    .action(async () => {
      const { startDev } = await import('../service/start-dev.ts')
      const config = readConfig(context.env, 'dev')
      const folder = await openDataFolder(resolve(context.cwd, config.dataDir), {
        adminKey: config.adminKey,
        encryptionKeys: config.secretEncryptionKeys,
      })
      try {
        const { adminKey, encryptionKeys: secretEncryptionKeys, path: dataDir } = folder
        // Logs go to stderr: what is printed below can then be read by people and by scripts.
        const log = createLog(config.logLevel, process.stderr)
        const dev = await startDev({ ...config, adminKey, secretEncryptionKeys, dataDir }, log)
        await folder.writeConnection({ url: dev.url, key: adminKey }, dev.databaseUrl)
        context.print(greeting(dev, folder))
        const asked = AbortSignal.any([context.stopSignal, dev.drained])
        await runService(dev, asked, { stopMsMax: stopMsOf(config) })
      } finally {
        await folder.close()
      }
    })
}

const ADOPT = `
To let this environment send from it, choose what becomes of open deliveries:

  postrider adopt --open send    they are sent
  postrider adopt --open hold    all deliveries are paused until: postrider service resume
  postrider adopt --open cancel  they are cancelled`

/** The admin key is shown once; later runs read it from its file within the printed command. */
function greeting(
  dev: Pick<RunningDev, 'url' | 'consoleUrl' | 'sandboxUrl' | 'whyUnadopted'>,
  { adminKey, adminKeyFile, isAdminKeyNew }: DataFolder,
): string {
  const { url, consoleUrl, sandboxUrl, whyUnadopted } = dev
  const event = { tenant: SANDBOX_TENANT, type: 'invoice.paid', data: { id: 1, amount: 100 } }
  const key = isAdminKeyNew ? adminKey : `$(cat ${doubleQuoted(adminKeyFile)})`
  const state =
    whyUnadopted === null ? 'Postrider is ready.' : `Nothing is sent: ${whyUnadopted}.${ADOPT}`
  return `
${state}

  API        ${url}
  console    ${consoleUrl} (sign in with the admin key)
  sandbox    ${sandboxUrl}
  admin key  ${isAdminKeyNew ? `${adminKey} (shown this once)` : 'as before'}, kept in ${adminKeyFile}

Publish an event, then look at the sandbox:

curl -sS ${url}/api/events -H "authorization: Bearer ${key}" -H 'content-type: application/json' -d '${JSON.stringify(event)}'

Stop with Ctrl-C.
`
}

/** For a POSIX shell, within a command substitution. */
function doubleQuoted(text: string): string {
  return `"${text.replace(/[\\"$`]/g, '\\$&')}"`
}
