import type { Command } from 'commander'
import { describeSettings, readConfig, renderConfigTable, type Setting } from '../config/config.ts'
import type { CommandContext } from '../terminal/context.ts'
import { renderTable } from '../terminal/output.ts'

/** Shows the configuration in effect, without secrets; a mistake in it is reported as everywhere. */
export function addConfigCommand(program: Command, { env, print }: CommandContext): void {
  program
    .command('config')
    .description(
      'show every environment variable, its value, where that comes from, and its meaning',
    )
    .option('--markdown', 'print the table of the README')
    .option('--json', 'print one JSON document')
    .action(({ markdown, json }: { markdown?: true; json?: true }) => {
      if (markdown) return print(renderConfigTable())
      readConfig(env, 'dev')
      const settings = describeSettings(env).map(withOrigin)
      if (json) return print(`${JSON.stringify({ data: settings })}\n`)
      const rows = settings.map((setting) => ({
        ...setting,
        value: setting.value ?? setting.default,
      }))
      print(renderTable(['name', 'value', 'from', 'unit', 'meaning'], rows))
    })
}

function withOrigin(setting: Setting) {
  return { ...setting, from: setting.value === null ? 'default' : 'environment' }
}
