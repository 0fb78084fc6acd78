#!/usr/bin/env node
/**
 * Prints, as JSON, how long functions and files are, and what is too large or named twice: production
 * files of src/ and sql/, without tests and what they stand on, and the programs of scripts/.
 *
 * A function is what has a body in braces: declarations, methods, function expressions and arrow functions. Its length
 * is its lines from the first to the last, those of functions inside it included. That of an SQL function is from
 * `create` to the end of its body.
 *
 * Usage: node scripts/figures.ts [--longest N]
 */
import { globSync, readFileSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { parseArgs } from 'node:util'
import { parseSync, Visitor } from 'oxc-parser'

const ROOT = join(import.meta.dirname, '..')
/** A folder or file above these wants a reason (CONTRIBUTING.md). */
const FILES_OF_A_FOLDER_MAX = 25
const SHORT_FILE_LINES = 20

const { values } = parseArgs({ options: { longest: { type: 'string', default: '10' } } })

const isProduction = (file: string) =>
  !/\.test\.tsx?$/.test(file) && !file.startsWith(join('src', 'testing'))
const filesIn = (folder: string) =>
  globSync(`${folder}/**/*.{ts,tsx}`, { cwd: ROOT }).filter(isProduction).sort()
const sources = filesIn('src')
const scripts = filesIn('scripts')
const linesOf = (file: string) => readFileSync(join(ROOT, file), 'utf8').split('\n').length - 1

interface Measured {
  at: string
  lines: number
}

function functionsOf(file: string): Measured[] {
  const text = readFileSync(join(ROOT, file), 'utf8')
  const lineAt = (offset: number) => text.slice(0, offset).split('\n').length
  const found: Measured[] = []
  const measure = (node: { start: number; end: number; body: { type: string } | null }) => {
    if (!node.body || !/^(BlockStatement|FunctionBody)$/.test(node.body.type)) return
    const first = lineAt(node.start)
    found.push({ at: `${file}:${first}`, lines: lineAt(node.end) - first + 1 })
  }
  const { program } = parseSync(file, text)
  new Visitor({
    FunctionDeclaration: measure,
    FunctionExpression: measure,
    ArrowFunctionExpression: measure,
  }).visit(program)
  return found
}

/** Functions of a file of SQL: a body stands between dollars, after `begin atomic`, or is a single `return`. */
function sqlFunctionsOf(file: string): Measured[] {
  const text = readFileSync(join(ROOT, file), 'utf8')
  const made =
    /^create (?:or replace )?(?:function|procedure)[\s\S]*?(?:^as (\$\w*\$)[\s\S]*?\1;|^begin atomic\n[\s\S]*?^end;|^return\b[\s\S]*?;$)/gm
  return [...text.matchAll(made)].map(({ 0: code, index }) => ({
    at: `${file}:${text.slice(0, index).split('\n').length}`,
    lines: code.split('\n').length,
  }))
}

function quantile(sorted: number[], share: number): number {
  return sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)] ?? 0
}

const countBy = (keys: string[]) =>
  Object.entries(Object.groupBy(keys, (key) => key)).map(
    ([key, all]) => [key, all?.length ?? 0] as const,
  )

/** How long they are, in numbers. */
function summaryOf(functions: Measured[]) {
  const sorted = functions.toSorted((a, b) => b.lines - a.lines)
  const lengths = sorted.map(({ lines }) => lines).reverse()
  return {
    count: sorted.length,
    median: quantile(lengths, 0.5),
    p90: quantile(lengths, 0.9),
    longest: sorted.slice(0, Number(values.longest)),
  }
}

const files = sources.map((file) => ({ file, lines: linesOf(file) }))
const fileLengths = files.map(({ lines }) => lines).sort((a, b) => a - b)
const sql = globSync('sql/**/*.sql', { cwd: ROOT })
const sum = (numbers: number[]) => numbers.reduce((total, one) => total + one, 0)

process.stdout.write(
  `${JSON.stringify(
    {
      lines: {
        src: sum(fileLengths),
        scripts: sum(scripts.map(linesOf)),
        sql: sum(sql.map(linesOf)),
      },
      functions: summaryOf(sources.flatMap(functionsOf)),
      functionsOfScripts: summaryOf(scripts.flatMap(functionsOf)),
      sqlFunctions: summaryOf(sql.flatMap(sqlFunctionsOf)),
      files: {
        count: files.length,
        median: quantile(fileLengths, 0.5),
        short: files.filter(({ lines }) => lines < SHORT_FILE_LINES).map(({ file }) => file),
      },
      fullFolders: countBy(sources.map((file) => dirname(file))).filter(
        ([, count]) => count > FILES_OF_A_FOLDER_MAX,
      ),
      repeatedNames: countBy(sources.map((file) => basename(file))).filter(
        ([, count]) => count > 1,
      ),
    },
    null,
    2,
  )}\n`,
)
