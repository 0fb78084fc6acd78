import { CommanderError } from 'commander'
import { PostriderError } from '../client/client.ts'
import { ConfigError } from '../config/config.ts'
import { isOutage } from '../postgres/outage.ts'
import { ApiRefused, ApiUnreachable } from './api-client.ts'
import { EndedUnasked, EXIT, type ExitCode, UsageError } from './exit-code.ts'

/** Refused because of what DATABASE_URL says: password, role, database, servers that do not belong together. */
const DATABASE_URL_CODES = new Set(['28P01', '28000', '3D000', 'several_clusters'])

/** How a command that failed ends: its exit code and what people read. */
export function verdict(error: unknown): { exitCode: ExitCode; message: string } {
  if (error instanceof CommanderError) {
    // Commander has printed its message, or the help that was asked for.
    return { exitCode: error.exitCode === 0 ? EXIT.ok : EXIT.usage, message: '' }
  }
  if (error instanceof UsageError) return { exitCode: EXIT.usage, message: error.message }
  if (error instanceof ConfigError) return { exitCode: EXIT.config, message: error.message }
  if (error instanceof ApiRefused) return { exitCode: EXIT.failed, message: error.message }
  if (error instanceof ApiUnreachable) return { exitCode: EXIT.unavailable, message: error.message }
  if (error instanceof PostriderError) {
    const exitCode = error.status === null ? EXIT.unavailable : EXIT.failed
    return { exitCode, message: textOf(error) }
  }
  if (error instanceof EndedUnasked) return { exitCode: EXIT.temporary, message: textOf(error) }
  return verdictOfOthers(error)
}

function verdictOfOthers(error: unknown): { exitCode: ExitCode; message: string } {
  const code = error instanceof Error && 'code' in error ? String(error.code) : ''
  if (isConnectDenied(error)) {
    const message = `DATABASE_URL is refused: ${textOf(error)}. Have the owner of the database run: grant connect on database … to the role, or make it a member of one of the group roles that \`postrider migrate --roles\` creates.`
    return { exitCode: EXIT.config, message }
  }
  if (DATABASE_URL_CODES.has(code)) {
    return { exitCode: EXIT.config, message: `DATABASE_URL is refused: ${textOf(error)}` }
  }
  if (isOutage(error)) {
    return { exitCode: EXIT.temporary, message: `the database is not available: ${textOf(error)}` }
  }
  // Our own errors have codes like `schema_missing`; those of Node and Postgres do not.
  if (/^[a-z]+(_[a-z]+)+$/.test(code)) return { exitCode: EXIT.failed, message: textOf(error) }
  const stack = error instanceof Error ? (error.stack ?? error.message) : String(error)
  return { exitCode: EXIT.internal, message: stack }
}

/** A missing right of a statement has the same code; what ends the log-in is FATAL. */
function isConnectDenied(error: unknown): boolean {
  const { code, severity } = error as { code?: unknown; severity?: unknown }
  return code === '42501' && severity === 'FATAL'
}

/** The message and those of its causes: the last one is often the one that helps. */
function textOf(error: unknown): string {
  const messages: string[] = []
  for (let at = error; at instanceof Error; at = at.cause) {
    const inner =
      at instanceof AggregateError ? at.errors.map((part) => textOf(part)).join('; ') : ''
    const message = at.message || inner
    if (message !== '' && messages.at(-1) !== message) messages.push(message)
  }
  return messages.join(': ') || String(error)
}
