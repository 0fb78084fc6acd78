import { execFile } from 'node:child_process'
import { availableParallelism, cpus, loadavg, totalmem } from 'node:os'
import { promisify } from 'node:util'
import type { Server, ServerFacts } from '../systems/server.ts'
import { CHECKOUT } from '../systems/system.ts'
import { round } from './statistics.ts'

/** One result: figures, and everything that one has to know to judge them. */
export interface Result {
  program: string
  settings: Record<string, unknown>
  commit: string
  node: string
  postgres: ServerFacts
  cores: number
  cpu: string
  memory_gb: number
  /** Of the last minute, before anything was measured. */
  load_before: number
  date: string
  [figure: string]: unknown
}

export type Report = (figures: object, settings: Record<string, unknown>) => Result

/** Makes the function that prints one line of JSON a result on stdout. */
export async function startReport(
  program: string,
  server: Server,
  root = CHECKOUT,
): Promise<Report> {
  const machine = {
    commit: await commitOf(root),
    node: process.version,
    postgres: server.facts,
    cores: availableParallelism(),
    cpu: cpus()[0]?.model.trim() ?? 'unknown',
    memory_gb: round(totalmem() / 1e9, 1),
    load_before: round(loadavg()[0] ?? 0, 1),
  }
  return (figures, settings) => {
    const result = { program, ...figures, settings, ...machine, date: new Date().toISOString() }
    process.stdout.write(`${JSON.stringify(result)}\n`)
    return result
  }
}

/** Short, with `+` when the program's files differ from it. */
export async function commitOf(root: string): Promise<string> {
  const git = (...args: string[]) => promisify(execFile)('git', ['-C', root, ...args])
  try {
    const { stdout: commit } = await git('rev-parse', '--short', 'HEAD')
    const { stdout: changes } = await git('status', '--porcelain', '--', 'src', 'sql')
    return commit.trim() + (changes === '' ? '' : '+')
  } catch {
    return 'unknown'
  }
}

/** Columns are as wide as their widest cell. */
export function renderTable(rows: readonly (readonly string[])[]): string {
  const widths = (rows[0] ?? []).map((_cell, column) =>
    Math.max(...rows.map((row) => row[column]?.length ?? 0)),
  )
  return rows
    .map((row) =>
      row
        .map((cell, column) => cell.padEnd(widths[column] ?? 0))
        .join('  ')
        .trimEnd(),
    )
    .join('\n')
}
