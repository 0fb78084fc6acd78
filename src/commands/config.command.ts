import type { Command } from 'commander'
import { describeSettings, readConfig, renderConfigTable, type Setting } from '../config/config.ts'
import type { CommandContext } from '../terminal/context.ts'
import { renderTable } from '../terminal/output.ts'

/** Shows the configuration in effect, without secrets; a mistake in it is reported as everywhere. */
export function addConfigCommand(program: Command, { env, print }: CommandContext): void {
  program
    .command('config')
    .description('show every environment variable: its value, source and meaning')
    .option('--markdown', 'print the table as Markdown')
    .option('--json', 'print one JSON document')
    .action(async ({ markdown, json }: { markdown?: true; json?: true }) => {
      if (markdown) return print(renderConfigTable())
      const { databaseUrl, databaseDirectUrl } = readConfig(env, 'dev')
      const settings = describeSettings(env).map(withOrigin)
      const servers = await serversOf([databaseUrl, databaseDirectUrl])
      if (json) return print(`${JSON.stringify({ data: settings, ...(servers && { servers }) })}\n`)
      const rows = settings.map((setting) => ({
        ...setting,
        value: setting.value ?? setting.default,
      }))
      print(renderTable(['name', 'value', 'from', 'unit', 'meaning'], rows))
      for (const { host, is, isInUse } of servers ?? []) {
        print(`database ${host} ${is}${isInUse ? '; in use' : ''}\n`)
      }
    })
}

/** Those of the pooler, and those behind it; undefined where no database is named. */
async function serversOf(given: readonly (string | undefined)[]) {
  const urls = new Set(given.filter((url) => url !== undefined))
  if (urls.size === 0) return undefined
  // Only now: without a database there is nothing to ask.
  const { describeServers } = await import('../postgres/servers.ts')
  return (await Promise.all([...urls].map((url) => describeServers(url)))).flat()
}

function withOrigin(setting: Setting) {
  return { ...setting, from: setting.value === null ? 'default' : 'environment' }
}
