import { existsSync, globSync, readFileSync } from 'node:fs'
import { basename, dirname, join, normalize } from 'node:path'
import t from 'tap'

/**
 * Who may import whom: units of rows further down, never of the own row or above; docs/explanation/architecture.md shows it. A unit
 * is a folder or a file directly below `src`. What a noun shows to the outside (its routes, pages and commands) is the
 * unit `edges`: a page shows several nouns, while their services never form a circle. `testing` and `system` are for
 * tests only and stand outside.
 */
const LAYERS = [
  ['cli'],
  ['commands'],
  ['service'],
  ['runner', 'sandbox', 'svix'],
  ['edges'],
  [
    ...['tenants', 'api-keys', 'portal-links', 'sessions', 'audit-log', 'secrets', 'endpoints'],
    ...[
      'event-types',
      'events',
      'deliveries',
      'attempts',
      'replays',
      'incidents',
      'search',
      'ordering',
      'attached-tables',
      'operations',
      'duties',
    ],
  ],
  ['http', 'console', 'terminal', 'inbox'],
  ['access', 'sending', 'problem'],
  ['limits', 'queue'],
  ['redis', 'postgres'],
  [
    ...['config', 'tracing', 'log', 'metrics', 'clock', 'ids', 'ksuid', 'not-found'],
    ...['hidden-characters', 'fields'],
  ],
  ['field-messages'],
  ['client', 'outbox'], // what producers import: nothing of ours may come along, but for
  ['sql-in-transaction'],
]
/** The services of nouns may import one another, without a cycle. */
const NOUNS = LAYERS[5] ?? []

const EDGE = /\.(routes|command|form)\.ts$|\.tsx$/

const root = join(import.meta.dirname, '..', '..')
const files = globSync('src/**/*.{ts,tsx}', { cwd: root }).filter(
  (file) => !/\.test\.tsx?$/.test(file) && !['testing', 'system'].includes(unitOf(file)),
)

/** `src/http/problem.ts` belongs to `http`, `src/clock.ts` to `clock`, `src/events/event.routes.ts` to `edges`. */
function unitOf(file: string): string {
  const unit = file.replace(/^src\//, '').split(/[/.]/)[0] ?? ''
  return NOUNS.includes(unit) && EDGE.test(file) ? 'edges' : unit
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
  return upper < lower || (upper === lower && LAYERS[upper] === NOUNS)
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
  t.strictSame(of('src/sending/send.ts', '../http/problem.ts'), [
    'src/sending/send.ts imports src/http/problem.ts',
  ])
  t.equal(of('src/runner/runner.ts', '../sandbox/sandbox-page.ts').length, 1)
  t.equal(of('src/http/problem.ts', '../console/forms.ts').length, 1)
  t.equal(of('src/http/problem.ts', '../testing/servers/receiver.ts').length, 1)
  t.equal(of('src/events/events.ts', './event.routes.ts').length, 1)
  t.equal(violationsIn('src/config/config.ts', "export type { A } from '../clock.ts'").length, 1)
  t.equal(
    violationsIn('src/clock.ts', "const a = await import('./service/start-api.ts')").length,
    1,
  )
  t.strictSame(of('src/events/event.routes.ts', '../http/problem.ts'), [])
  t.strictSame(of('src/events/events.ts', '../tenants/tenants.ts'), [])
})

/** What is left of a graph once everything is taken away that imports nothing that is left: its cycles. */
function cyclesOf(edges: Map<string, Set<string>>): string[] {
  for (let removed = true; removed; ) {
    const free = [...edges].find(([, targets]) => ![...targets].some((unit) => edges.has(unit)))
    removed = free !== undefined && edges.delete(free[0])
  }
  return [...edges.keys()]
}

t.test('the services of nouns import one another without cycles', async (t) => {
  const edges = new Map(NOUNS.map((unit) => [unit, new Set<string>()]))
  for (const file of files) {
    for (const target of importsOf(file, readFileSync(join(root, file), 'utf8'))) {
      const unit = unitOf(target)
      if (unit !== unitOf(file) && NOUNS.includes(unit)) edges.get(unitOf(file))?.add(unit)
    }
  }
  t.strictSame(cyclesOf(edges), [])
})

t.test('no files import one another in a circle, types included', async (t) => {
  const edges = new Map(
    files.map((file) => [file, new Set(importsOf(file, readFileSync(join(root, file), 'utf8')))]),
  )
  t.strictSame(cyclesOf(edges), [])
  t.strictSame(
    cyclesOf(
      new Map([
        ['a', new Set(['b'])],
        ['b', new Set(['a'])],
      ]),
    ),
    ['a', 'b'],
  )
})

t.test('the environment is read at the edge only', async (t) => {
  // .biome.json refuses process.env; this holds what it lets pass.
  const readers = files.filter((file) =>
    /\bprocess\.env\b/.test(readFileSync(join(root, file), 'utf8')),
  )
  t.strictSame(
    readers.filter((file) => !['cli', 'commands', 'terminal'].includes(unitOf(file))),
    [
      'src/postgres/embedded/embedded-cluster.ts', // hands it on to Postgres, without what steers libpq
      'src/http/code-samples.ts', // says it in the text of a sample
    ],
  )
})

t.test('the page about the architecture shows this table', async (t) => {
  const page = readFileSync(join(root, 'docs/explanation/architecture.md'), 'utf8')
  const [, table = ''] = page.split('| row | units |\n')
  const rows = table.slice(0, table.indexOf('\n\n')).split('\n').slice(1)
  t.strictSame(
    rows.map((row) => [...row.matchAll(/`([^`]+)`/g)].map(([, unit]) => unit)),
    LAYERS,
  )
})

/** A folder above this is looked through, not looked at. */
const FILES_OF_A_FOLDER_MAX = 25
/** Files of fewer lines, and why each stands alone. */
const SHORT_LINES = 20
const SHORT: Record<string, string> = {
  'src/commands/api.command.ts': 'one command each',
  'src/commands/doctor.command.ts': 'one command each',
  'src/commands/inbox.command.ts': 'one command each',
  'src/commands/runner.command.ts': 'one command each',
  'src/console/console-path.ts': 'the API knows it without loading pages',
  'src/duties/fairness.ts': 'one duty each',
  'src/duties/incident-keeper.ts': 'one duty each',
  'src/duties/queue-statistics.ts': 'one duty each',
  'src/duties/timeline.ts': 'one duty each',
  'src/portal-links/portal-path.ts': 'the API knows it without loading pages',
  'src/sending/trust.ts': 'changes the whole process, so it is called by name and once',
  'src/terminal/bar.ts': 'commands load the package only when they draw a bar',
  'src/terminal/context.ts': 'all that commands may touch; types only',
}

t.test('a folder holds at most 25 production files', async (t) => {
  const folders = Object.entries(Object.groupBy(files, dirname))
  t.strictSame(
    folders.filter(([, inside]) => (inside?.length ?? 0) > FILES_OF_A_FOLDER_MAX),
    [],
  )
})

t.test('a name of a file is used once, and no folder next to it has it', async (t) => {
  const names = Object.entries(Object.groupBy(files, (file) => basename(file)))
  t.strictSame(
    names.filter(([, all]) => (all?.length ?? 0) > 1),
    [],
  )
  const twins = files.filter((file) => existsSync(join(root, file.replace(/\.\w+$/, ''))))
  t.strictSame(twins, [])
})

t.test('a file of fewer than 20 lines has a reason to stand alone', async (t) => {
  const linesOf = (file: string) => readFileSync(join(root, file), 'utf8').split('\n').length - 1
  const short = files.filter((file) => linesOf(file) < SHORT_LINES)
  t.strictSame(short.toSorted(), Object.keys(SHORT))
})
