import { globSync, readFileSync } from 'node:fs'
import { join, normalize } from 'node:path'
import t from 'tap'

/**
 * Who may import whom: units of rows further down, never of the own row or above. README shows the
 * same table. `testing` is for tests only and stands outside.
 */
const LAYERS = [
  ['cli', 'commands', 'app'],
  ['http', 'console', 'runner', 'sandbox'],
  ['delivery', 'recovery', 'housekeeping'],
  ['attempts', 'events', 'endpoints', 'tenants'],
  ['database', 'limits'],
  ['config', 'log', 'metrics', 'tracing', 'clock', 'ids', 'hidden-characters'],
  ['client', 'outbox'], // what producers import: nothing of ours may come along
]
/** Rows whose units may import one another: the top wires everything, and row 2 is one domain. */
const IMPORT_WITHIN_ROW = [LAYERS[0], LAYERS[3]]

const root = join(import.meta.dirname, '..')
const files = globSync('src/**/*.{ts,tsx}', { cwd: root }).filter(
  (file) => !/\.test\.tsx?$/.test(file) && unitOf(file) !== 'testing',
)

/** `src/http/server.ts` belongs to `http`, `src/clock.ts` to `clock`. */
function unitOf(file: string): string {
  return file.replace(/^src\//, '').split(/[/.]/)[0] ?? ''
}

function rowOf(unit: string): number {
  return LAYERS.findIndex((row) => row.includes(unit))
}

/** Files of ours that a file imports, types included: a type is knowledge too. */
function importsOf(file: string, text: string): string[] {
  const specifiers = text.matchAll(/(?:from\s*|import\s*\(?\s*)(['"])(\.{1,2}\/[^'"]+)\1/g)
  return [...specifiers].map(([, , path = '']) => normalize(join(file, '..', path)))
}

function isAllowed(from: string, to: string): boolean {
  if (from === to) return true
  const [upper, lower] = [rowOf(from), rowOf(to)]
  return upper < lower || (upper === lower && IMPORT_WITHIN_ROW.includes(LAYERS[upper]))
}

function violationsIn(file: string, text: string): string[] {
  return importsOf(file, text)
    .filter((target) => target.startsWith('src/') && !isAllowed(unitOf(file), unitOf(target)))
    .map((target) => `${file} imports ${target}`)
}

t.test('every unit has a row', async (t) => {
  const units = [...new Set(files.map(unitOf))]
  t.strictSame(
    units.filter((unit) => rowOf(unit) === -1),
    [],
  )
})

// Issue 14: a unit that nobody had written stood in the table.
t.test('every unit of the table exists', async (t) => {
  const units = new Set(files.map(unitOf))
  t.strictSame(
    LAYERS.flat().filter((unit) => !units.has(unit)),
    [],
  )
})

t.test('imports point downwards only', async (t) => {
  const violations = files.flatMap((file) =>
    violationsIn(file, readFileSync(join(root, file), 'utf8')),
  )
  t.strictSame(violations, [])
})

t.test('an import upwards, sideways or of a test helper would be noticed', async (t) => {
  const of = (file: string, target: string) => violationsIn(file, `import { a } from '${target}'`)
  t.strictSame(of('src/delivery/send.ts', '../http/server.ts'), [
    'src/delivery/send.ts imports src/http/server.ts',
  ])
  t.equal(of('src/runner/runner.ts', '../http/server.ts').length, 1)
  t.equal(of('src/http/server.ts', '../testing/receiver.ts').length, 1)
  t.equal(violationsIn('src/config.ts', "export type { A } from './app.ts'").length, 1)
  t.equal(violationsIn('src/config.ts', "const a = await import('./app.ts')").length, 1)
  t.strictSame(of('src/http/server.ts', '../delivery/send.ts'), [])
  t.strictSame(of('src/events/events.ts', '../tenants/tenants.ts'), [])
})

t.test('row 2 imports one another without cycles', async (t) => {
  const row = LAYERS[3] ?? []
  const edges = new Map(row.map((unit) => [unit, new Set<string>()]))
  for (const file of files) {
    for (const target of importsOf(file, readFileSync(join(root, file), 'utf8'))) {
      const unit = unitOf(target)
      if (unit !== unitOf(file) && row.includes(unit)) edges.get(unitOf(file))?.add(unit)
    }
  }
  // Takes away what imports nothing that is left; a cycle never gets there.
  for (let removed = true; removed; ) {
    const free = [...edges].find(([, targets]) => ![...targets].some((unit) => edges.has(unit)))
    removed = free !== undefined && edges.delete(free[0])
  }
  t.strictSame([...edges.keys()], [])
})

t.test('the environment is read at the edge only', async (t) => {
  // .biome.json refuses process.env; this holds what it lets pass.
  const readers = files.filter((file) =>
    /\bprocess\.env\b/.test(readFileSync(join(root, file), 'utf8')),
  )
  t.strictSame(
    readers.filter((file) => !['cli', 'commands'].includes(unitOf(file))),
    ['src/database/embedded-cluster.ts'], // hands it on to Postgres, without what steers libpq
  )
})

t.test('README shows this table', async (t) => {
  const readme = readFileSync(join(root, 'README.md'), 'utf8')
  const [, table = ''] = readme.split('| row | units |\n')
  const rows = table.slice(0, table.indexOf('\n\n')).split('\n').slice(1)
  t.strictSame(
    rows.map((row) => [...row.matchAll(/`([^`]+)`/g)].map(([, unit]) => unit)),
    LAYERS,
  )
})
