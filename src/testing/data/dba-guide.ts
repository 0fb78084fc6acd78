import { readFileSync } from 'node:fs'

export const guide = readFileSync(
  new URL('../../../docs/reference/database.md', import.meta.url),
  'utf8',
)

/** Statements of the SQL blocks of docs/reference/database.md, with the heading they stand under. */
export function guideStatements(): { heading: string; sql: string }[] {
  const found: { heading: string; sql: string }[] = []
  let heading = ''
  for (const [, title, block] of guide.matchAll(/^#+ (.+)$|^```sql\n([\s\S]*?)^```$/gm)) {
    heading = title ?? heading
    const sqls = (block ?? '').split(/;\n/).map((sql) => sql.trim())
    found.push(...sqls.filter(Boolean).map((sql) => ({ heading, sql })))
  }
  return found
}
