import type { Command } from 'commander'
import { readConfig } from '../config.ts'
import { migrate, migrationPlan } from '../database/migrate.ts'
import type { CommandContext } from './context.ts'

/** Brings the database up to date; many at once do it once. */
export function addMigrateCommand(program: Command, { env, print }: CommandContext): void {
  program
    .command('migrate')
    .description('bring the database up to date; does nothing when it is')
    .option('--dry-run', 'print the SQL that would run, and change nothing')
    .option('--json', 'print one JSON document')
    .action(async ({ dryRun, json }: { dryRun?: true; json?: true }) => {
      const { databaseUrl } = readConfig(env, 'migrate')
      if (dryRun) {
        const plan = await migrationPlan(databaseUrl)
        const sql = plan.map(({ file, sql: text }) => `-- ${file}\n${text}\n`).join('')
        return print(json ? `${JSON.stringify({ plan })}\n` : sql || '-- nothing to do\n')
      }
      const { applied } = await migrate(databaseUrl)
      if (json) return print(`${JSON.stringify({ applied })}\n`)
      print(applied.map((name) => `applied ${name}\n`).join('') || 'the database is up to date\n')
    })
}
