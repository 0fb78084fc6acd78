import { showHidden } from '../hidden-characters.ts'
import { type Paint, plain } from './paint.ts'

const GAP = '  '

/** A table with aligned columns and a head; what is missing shows as `-`. */
export function renderTable(
  columns: readonly string[],
  rows: readonly Record<string, unknown>[],
  paint: Paint = plain,
): string {
  const cells = rows.map((row) => columns.map((column) => cellOf(row[column])))
  const widths = columns.map((column, at) =>
    Math.max(column.length, ...cells.map((row) => row[at]?.length ?? 0)),
  )
  const lineOf = (row: string[], isHead: boolean) =>
    row
      .map((cell, at) => {
        const padding = at === row.length - 1 ? '' : ' '.repeat((widths[at] ?? 0) - cell.length)
        return (isHead ? cell : paint(columns[at] ?? '', cell, cell)) + padding
      })
      .join(GAP)
      .trimEnd()
  return [[...columns], ...cells].map((row, at) => `${lineOf(row, at === 0)}\n`).join('')
}

/** One member a line, names aligned. */
export function renderRecord(record: Record<string, unknown>, paint: Paint = plain): string {
  const width = Math.max(...Object.keys(record).map((name) => name.length))
  return Object.entries(record)
    .map(([name, value]) => `${name.padEnd(width)}${GAP}${paint(name, value, cellOf(value))}\n`)
    .join('')
}

/** Control characters would let a stored text steer the terminal; others would let it pass for another. */
export function cellOf(value: unknown): string {
  if (value === null || value === undefined || value === '') return '-'
  const text = typeof value === 'object' ? JSON.stringify(value) : String(value)
  return showHidden(text).replace(/\p{Cc}/gu, '�')
}

/** A page of a list, and how to get the next one. */
export function renderPage(
  columns: readonly string[],
  page: { data: Record<string, unknown>[]; nextCursor: string | null },
  paint: Paint = plain,
): string {
  const table = renderTable(columns, page.data, paint)
  return page.nextCursor === null ? table : `${table}more: --cursor ${cellOf(page.nextCursor)}\n`
}
