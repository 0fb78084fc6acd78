/** What nobody uses is not there: exports, SQL functions, styles, settings. */
import { globSync, readFileSync } from 'node:fs'
import { join, normalize } from 'node:path'
import { parseSync } from 'oxc-parser'
import t from 'tap'

const root = join(import.meta.dirname, '..', '..')
const read = (file: string) => readFileSync(join(root, file), 'utf8')

const isTest = (file: string) => /\.test\.tsx?$|^src\/testing\/|^src\/system\//.test(file)

/** What a module of ours gives away, and what it takes from which other; `*` is everything. */
interface Module {
  exported: string[]
  imported: Array<{ from: string; name: string }>
}

function parse(file: string, text: string): Module {
  const { staticExports, staticImports, dynamicImports } = parseSync(file, text).module
  const target = (specifier: string) => normalize(join(file, '..', specifier))
  const exports = staticExports.flatMap(({ entries }) => entries)
  const again = exports.flatMap(({ moduleRequest, importName }) =>
    moduleRequest ? [{ from: target(moduleRequest.value), name: importName.name ?? '*' }] : [],
  )
  const once = staticImports.flatMap(({ moduleRequest, entries }) =>
    entries.map(({ importName }) => ({
      from: target(moduleRequest.value),
      name: importName.name ?? '*',
    })),
  )
  const later = dynamicImports.map(({ moduleRequest: { start, end } }) => ({
    from: target(text.slice(start + 1, end - 1)),
    name: '*',
  }))
  return {
    exported: exports
      .filter(({ isType }) => !isType)
      .flatMap(({ exportName }) => exportName.name ?? []),
    imported: [...once, ...again, ...later],
  }
}

/** Values that a module exports and no other imports. Types are left out: they cost nothing, and name what a function takes. */
function unusedExports(files: Map<string, string>, entries: readonly string[]): string[] {
  const modules = [...files].map(([file, text]) => ({ file, ...parse(file, text) }))
  const used = new Set(
    modules.flatMap(({ imported }) => imported.map(({ from, name }) => `${from}: ${name}`)),
  )
  const isUnused = (file: string, name: string) =>
    !used.has(`${file}: ${name}`) && !used.has(`${file}: *`)
  return modules
    .filter(({ file }) => !entries.includes(file))
    .flatMap(({ file, exported }) =>
      exported.filter((name) => isUnused(file, name)).map((name) => `${file}: ${name}`),
    )
}

/** What a file exports for others only, so that it is dead when no production file imports it. */
const isMentionedOnce = (file: string, name: string) =>
  [...read(file).matchAll(new RegExp(`\\b${name}\\b`, 'g'))].length === 1

const ENTRIES = [
  'src/cli.ts',
  ...['client', 'inbox', 'outbox'].map((name) => `src/${name}/${name}.ts`),
  'src/event-types/slow-check-thread.ts',
]
/** Used by tests, for what production leaves to the process's end. */
const FOR_TESTS = ['src/postgres/embedded/embedded-postgres.ts: stopPostgres']

const sources = new Map(
  globSync('{src,scripts}/**/*.{ts,tsx}', { cwd: root }).map((file) => [file, read(file)]),
)

t.test('every exported value is imported somewhere', async (t) => {
  const tests = [...sources.keys()].filter((file) => /^src\/testing\/process\//.test(file))
  t.strictSame(unusedExports(sources, [...ENTRIES, ...tests]), [])
})

t.test('what only tests import, its own file uses too', async (t) => {
  const production = new Map(
    [...sources].filter(([file]) => file.startsWith('src/') && !isTest(file)),
  )
  const dead = unusedExports(production, ENTRIES).filter((found) => {
    const [file = '', name = ''] = found.split(': ')
    return isMentionedOnce(file, name)
  })
  t.strictSame(dead, FOR_TESTS)
})

t.test('an export that nobody imports would be noticed', async (t) => {
  const files = (user: string) =>
    new Map([
      ['src/a.ts', 'export const one = 1; export function two() {}; export type Three = 3'],
      ['src/b/user.ts', user],
    ])
  const unused = (user: string) => unusedExports(files(user), ['src/b/user.ts'])
  t.strictSame(unused(''), ['src/a.ts: one', 'src/a.ts: two'])
  t.strictSame(unused("import { one as first } from '../a.ts'"), ['src/a.ts: two'])
  t.strictSame(unused("export { two } from '../a.ts'"), ['src/a.ts: one'])
  t.strictSame(unused("import * as all from '../a.ts'"), [])
  t.strictSame(unused("const all = await import('../a.ts')"), [])
})

/** SQL without its comments. */
const code = (sql: string) =>
  sql.replace(/--.*$/gm, '').replace(/^(comment|grant|revoke|drop)[^;]*;/gim, '')

t.test('every SQL function is called by SQL or by a program', async (t) => {
  const sql = globSync('sql/{functions,migrations}/**/*.sql', { cwd: root }).map(read).map(code)
  const made = /create (?:or replace )?(?:function|procedure) postrider\.(\w+)/g
  const names = new Set(sql.flatMap((text) => [...text.matchAll(made)].map(([, name]) => name)))
  t.ok(names.size > 300)
  const uses = [
    ...sql.map((text) => text.replace(made, '')),
    ...[...sources].filter(([file]) => !isTest(file)).map(([, text]) => text),
  ].join('\n')
  const used = new Set(uses.match(/\w+/g))
  t.strictSame(
    [...names].filter((name = '') => !used.has(name)),
    [],
  )
})

/** Made by uPlot. */
const MADE_CLASSES = /^u-/

t.test('every class and variable of the style sheet is used', async (t) => {
  const css = read('src/console/assets/console.css').replace(/\/\*[\s\S]*?\*\//g, '')
  const selectors = [...css.matchAll(/([^{}]+)\{/g)].map(([, selector = '']) => selector).join('\n')
  const names = [...selectors.matchAll(/[.#]([a-z][\w-]*)/gi)].map(([, name = '']) => name)
  const markup = globSync('src/**/*.{ts,tsx,js}', { cwd: root })
    .filter((file) => !isTest(file))
    .map(read)
    .join('\n')
  const words = new Set(markup.match(/[\w-]+/g))
  const isUnused = (name: string) => !words.has(name) && !MADE_CLASSES.test(name)
  t.ok(names.length > 100)
  t.strictSame([...new Set(names.filter(isUnused))], [])

  const set = [...css.matchAll(/(--[\w-]+)\s*:/g)].map(([, name = '']) => name)
  const isRead = (name: string) => css.includes(`var(${name}`) || markup.includes(`'${name}'`)
  t.strictSame([...new Set(set.filter((name) => !isRead(name)))], [])
})

t.test('every setting is read by a program', async (t) => {
  const [, table = ''] =
    /function fromVariables\([\s\S]*?return \{([\s\S]*?)\n\}/.exec(read('src/config/config.ts')) ??
    []
  const settings = [...table.matchAll(/^ +(\w+):/gm)].map(([, name = '']) => name)
  const programs = [...sources].filter(
    ([file]) => !isTest(file) && file.startsWith('src/') && file !== 'src/config/config.ts',
  )
  const words = new Set(programs.flatMap(([, text]) => text.match(/\w+/g) ?? []))
  t.ok(settings.length > 40)
  t.strictSame(
    settings.filter((name) => !words.has(name)),
    [],
  )
})
