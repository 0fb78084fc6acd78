import type { Pool } from 'pg'
import { type ChangedSetting, findChangedSettings } from '../audit-log/changed-settings.ts'
import { readConfig } from '../config/config.ts'
import { findCostlyFilters } from '../endpoints/costly-filters.ts'
import { reportServer, type ServerReport } from '../operations/server-report.ts'
import { findViolations, type Repaired, repair, type Violation } from '../operations/violations.ts'
import { findDatabase } from '../terminal/connection.ts'
import type { CommandContext } from '../terminal/context.ts'
import { onDatabase } from '../terminal/database.ts'
import { renderTable } from '../terminal/output.ts'

/** A check reads for seconds on a large database; longer than this means that something else is wrong. */
const STATEMENT_MS_MAX = 300_000
const SESSION = { applicationName: 'postrider doctor', statementTimeoutMs: STATEMENT_MS_MAX }

const SETTING_COLUMNS = ['setting', 'value', 'of', 'matters', 'detail']

export interface DoctorOptions {
  repair?: true
  strict?: true
  json?: true
}

/** Breaches of the promises were found, and not all of them were repaired. */
class ViolationsFound extends Error {
  override readonly name = 'ViolationsFound'
  readonly code = 'violations_found'
}

/** The server keeps less than is promised, and `--strict` was asked for. */
class WarningsFound extends Error {
  override readonly name = 'WarningsFound'
  readonly code = 'warnings_found'
}

/** @throws ViolationsFound when something is wrong and stays so; WarningsFound */
export async function runDoctor(context: CommandContext, options: DoctorOptions): Promise<void> {
  const { databaseUrl } = await findDatabase(context)
  await onDatabase({ databaseUrl, ...SESSION }, (pool) => examine(pool, context, options))
}

async function examine(pool: Pool, context: CommandContext, options: DoctorOptions): Promise<void> {
  const server = await reportServer(pool)
  const repaired = options.repair ? await repair(pool) : []
  const violations = [...(await wrongEnvironment(pool, context)), ...(await findViolations(pool))]
  const noticed = {
    notices: await findCostlyFilters(pool),
    settings: await findChangedSettings(pool),
  }
  context.print(
    options.json
      ? `${JSON.stringify({ violations, repaired, server, ...present(noticed) })}\n`
      : renderServer(server) + renderReport(violations, repaired, server) + renderNotices(noticed),
  )
  if (violations.length > 0) throw new ViolationsFound(summaryOf(violations))
  if (options.strict && server.warnings.length > 0) {
    const { length } = server.warnings
    throw new WarningsFound(length === 1 ? '1 warning' : `${length} warnings`)
  }
}

/** What a runner with this configuration would wait for. That the database is a copy is among the violations. */
async function wrongEnvironment(pool: Pool, { env }: CommandContext): Promise<Violation[]> {
  const { rows } = await pool.query<Violation>(
    `select 'copy_not_adopted' as kind, current_database() as id, null as "tenantId",
       format('%s; nothing is sent until: postrider adopt', postrider.unadopted($1)) as detail
     from postrider.service s
     where postrider.unadopted($1) is not null and postrider.unadopted(s.environment) is null`,
    [readConfig(env, 'client').environment.name ?? null],
  )
  return rows
}

function renderServer({ address, timeline, failovers, warnings }: ServerReport): string {
  const at = timeline === null ? '' : `, timeline ${timeline}`
  return [
    `server ${address}, primary${at}`,
    ...failovers.filter(({ isLossless }) => isLossless).map(({ text }) => text),
    ...warnings.map((text) => `warning: ${text}`),
    '',
  ].join('\n')
}

function renderReport(
  violations: Violation[],
  repaired: Repaired[],
  { failovers }: ServerReport,
): string {
  const healed = repaired.map(({ what, count }) => `repaired ${what}: ${count}\n`).join('')
  if (violations.length === 0) {
    const isKnown = failovers.every(({ isLossless }) => isLossless)
    return `${healed}nothing is lost or stuck${isKnown ? '' : ', as far as can be seen after the failover'}\n`
  }
  const rows = violations.map((violation) => ({ ...violation }))
  return healed + renderTable(['kind', 'id', 'detail'], rows)
}

/** What an operator may want to know, and that is never a reason to end with 1. */
interface Noticed {
  notices: string[]
  settings: ChangedSetting[]
}

function renderNotices({ notices, settings }: Noticed): string {
  const lines = notices.map((line) => `notice: ${line}\n`).join('')
  if (settings.length === 0) return lines
  const rows = settings.map((setting) => ({ ...setting }))
  return `${lines}\nsettings that the database or a role was given:\n${renderTable(SETTING_COLUMNS, rows)}`
}

/** Only the lists that hold something. */
function present(noticed: Noticed): Partial<Noticed> {
  return Object.fromEntries(Object.entries(noticed).filter(([, list]) => list.length > 0))
}

function summaryOf(violations: Violation[]): string {
  const kinds = Map.groupBy(violations, ({ kind }) => kind)
  const counts = [...kinds].map(([kind, found]) => `${kind} ${found.length}`)
  return `${violations.length} found: ${counts.join(', ')}`
}
