import { globSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

const docs = join(import.meta.dirname, '../../../docs')

/** Every page of the documentation, one after another. */
export const guide = globSync('*/**/*.md', { cwd: docs })
  .toSorted()
  .map((page) => readFileSync(join(docs, page), 'utf8'))
  .join('\n')

/** Statements of the SQL blocks of the documentation, with the heading they stand under. */
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
