import type { Command } from 'commander'
import { describeVariables, readConfig, renderConfigTable, type VariableName } from '../config.ts'
import type { CommandContext } from './context.ts'
import { renderTable } from './output.ts'

/** Shown as `(set)`: what may hold a password or is one. */
const SECRET_VARIABLES = new Set<VariableName>([
  'DATABASE_URL',
  'REDIS_URL',
  'POSTRIDER_ADMIN_KEY',
  'SECRET_ENCRYPTION_KEY',
  'EGRESS_PROXY',
  'POSTRIDER_API_KEY',
])

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
      const rows = describeVariables().map((variable) => ({
        ...variable,
        value: shown(variable.name, env[variable.name]),
      }))
      if (json) return print(`${JSON.stringify({ data: rows })}\n`)
      print(renderTable(['name', 'value', 'default', 'unit', 'meaning'], rows))
    })
}

function shown(name: VariableName, value: string | undefined): string | null {
  if (value === undefined || value === '') return null
  return SECRET_VARIABLES.has(name) ? '(set)' : value
}
