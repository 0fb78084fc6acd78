import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Command } from 'commander'
import type { CommandContext } from '../terminal/context.ts'

const FILE = join(import.meta.dirname, '..', '..', 'sql', 'inbox.sql')

/** For receivers: what they apply to their own database, which this service never sees. */
export function addInboxCommand(program: Command, context: CommandContext): void {
  program
    .command('inbox')
    .description('for receivers: apply each event once')
    .command('sql')
    .description('print the SQL that installs the inbox in the database of a receiver')
    .action(async () => context.print(await readFile(FILE, 'utf8')))
}
