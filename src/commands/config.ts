import type { Command } from 'commander'
import { describeSettings, readConfig, renderConfigTable } from '../config.ts'
import type { CommandContext } from './context.ts'
import { renderTable } from './output.ts'

/** Shows the configuration in effect, without secrets; a mistake in it is reported as everywhere. */
export function addConfigCommand(program: Command, { env, print }: CommandContext): void {
  program
    .command('config')
    .description('show every environment variable, its value and its meaning')
    .option('--markdown', 'print the table of the README')
    .option('--json', 'print one JSON document')
    .action(({ markdown, json }: { markdown?: true; json?: true }) => {
      if (markdown) return print(renderConfigTable())
      readConfig(env, 'dev')
      const rows = describeSettings(env).map((setting) => ({ ...setting }))
      if (json) return print(`${JSON.stringify({ data: rows })}\n`)
      print(renderTable(['name', 'value', 'default', 'unit', 'meaning'], rows))
    })
}
