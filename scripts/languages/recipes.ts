import { readFileSync } from 'node:fs'
import { join } from 'node:path'

const DOCS = join(import.meta.dirname, '..', '..', 'docs', 'how-to')

/** Code of a page for a language and one of its libraries: of ```python psycopg, `python psycopg`. */
export type Recipes = Map<string, string>

/** Blocks that name no library are not run. */
function readRecipes(page: string): Recipes {
  const text = readFileSync(join(DOCS, page), 'utf8')
  const blocks = text.matchAll(/^```(\w+ [\w-]+)\n(.*?)^```$/gms)
  return new Map([...blocks].map(([, name = '', code = '']) => [name, code]))
}

export const PRODUCERS = readRecipes('publish-from-any-language.md')
export const RECEIVERS = readRecipes('receive-in-any-language.md')
