/**
 * Packs the project as `npm publish` would, installs that into an empty folder, and uses it from there, as
 * somebody who has nothing of the checkout. Only a long run has npm install it.
 */
import { spawnSync } from 'node:child_process'
import { cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import t from 'tap'
import { INSTALLS_WITH_NPM, linkPackages } from '../src/testing/packages.ts'
import { processEnvironment } from '../src/testing/wiring/cli.ts'
import { createTestDatabase } from '../src/testing/wiring/database.ts'

const root = join(import.meta.dirname, '..')
const base = mkdtempSync(join(tmpdir(), 'postrider-package-'))
const folder = join(base, 'empty')
/** In a long run npm installs; on a busy machine that takes longer than tests usually may. */
t.setTimeout(900_000)
t.teardown(() => rmSync(base, { recursive: true }))

/** Without the programs of the checkout, and how npm reaches its registry here. */
const environment = {
  ...processEnvironment(),
  PATH: (process.env['PATH'] ?? '')
    .split(delimiter)
    .filter((entry) => !entry.includes('node_modules'))
    .join(delimiter),
  npm_config_prefer_offline: 'true',
}

function run(cwd: string, command: string[], env: Record<string, string> = {}) {
  // By way of `env`: tap loads itself into every Node process that a test starts.
  const { status, stdout, stderr } = spawnSync('env', ['-u', 'NODE_OPTIONS', ...command], {
    cwd,
    env: { ...environment, ...env },
    encoding: 'utf8',
  })
  return { status, stdout, stderr }
}

/** From a copy, since packing makes `dist` again while other tests may be using it. */
function pack(): { filename: string; files: string[] } {
  const copy = join(base, 'checkout')
  mkdirSync(copy)
  const parts = ['src', 'sql', 'scripts', 'docs', 'package.json', 'tsconfig.json', '.npmrc']
  for (const part of [
    ...parts,
    'README.md',
    'LICENSE',
    'CHANGELOG.md',
    'GLOSSARY.md',
    'SECURITY.md',
  ]) {
    cpSync(join(root, part), join(copy, part), { recursive: true })
  }
  symlinkSync(join(root, 'node_modules'), join(copy, 'node_modules'))
  const { status, stdout, stderr } = run(copy, [
    'npm',
    'pack',
    '--json',
    '--pack-destination',
    base,
  ])
  if (status !== 0) throw new Error(`npm pack failed: ${stderr}`)
  const [packed] = Object.values(JSON.parse(stdout)) as {
    filename: string
    files: { path: string }[]
  }[]
  return {
    filename: packed?.filename ?? '',
    files: packed?.files.map(({ path }) => path) ?? [],
  }
}

/** What `npm install` does with it; by hand unless the run is a long one. */
function install(tarball: string) {
  mkdirSync(folder)
  if (INSTALLS_WITH_NPM) {
    return run(folder, ['npm', 'install', '--prefix', '.', '--no-audit', '--no-fund', tarball])
  }
  linkPackages(folder, ['dev'])
  const modules = join(folder, 'node_modules')
  mkdirSync(join(modules, '.bin'))
  mkdirSync(join(modules, 'postrider'))
  symlinkSync('../postrider/dist/bin.js', join(modules, '.bin', 'postrider'))
  return run(modules, ['tar', '-xzf', tarball, '-C', 'postrider', '--strip-components=1'])
}

const { filename, files } = pack()
const installed = install(join(base, filename))

t.test('the package holds the program, its SQL and its documents, and nothing else', async (t) => {
  const unwanted = files.filter((file) =>
    /\.test\.|\/testing\/|(?<!\.d)\.tsx?$|^(src|scripts)\//.test(file),
  )
  t.strictSame(unwanted, [])
  for (const file of [
    'README.md',
    'LICENSE',
    'dist/bin.js',
    'dist/src/cli.js',
    'docs/how-to/publish-from-sql.md',
    'docs/reference/console.md',
    'dist/src/service/console-app.js',
    'dist/src/console/assets/console.css',
  ]) {
    t.ok(files.includes(file), file)
  }
  t.ok(files.some((file) => /^dist\/sql\/migrations\/000001_/.test(file)))
})

t.test('it installs into an empty folder, and `npx postrider` runs there', async (t) => {
  t.equal(installed.status, 0, installed.stderr)
  const help = run(folder, ['npx', '--no-install', 'postrider', '--help'])
  t.match(help, { status: 0, stdout: /^Usage: postrider/ })
  const wrong = run(folder, ['npx', '--no-install', 'postrider', 'fly'])
  t.match(wrong, { status: 2, stderr: /unknown command/ })
  const { url } = await createTestDatabase(t)
  const migrated = run(folder, ['npx', '--no-install', 'postrider', 'migrate'], {
    DATABASE_URL: url,
  })
  t.equal(migrated.status, 0, migrated.stderr)
})

t.test('client, outbox and inbox can be imported by any Node, and nothing else', async (t) => {
  const program = `
    import { Postrider, PostriderError } from 'postrider/client'
    import { publish } from 'postrider/outbox'
    import { receive } from 'postrider/inbox'
    import { readFileSync } from 'node:fs'
    const inbox = readFileSync(new URL(import.meta.resolve('postrider/inbox.sql')), 'utf8')
    const postrider = new Postrider({ url: 'http://127.0.0.1:1', apiKey: 'a', tries: 1 })
    const unreachable = await postrider.publish({ type: 'a', data: 1 }).catch((error) => error)
    const inside = await import('postrider/dist/src/service/start-api.js').catch((error) => error)
    const tx = { query: async (text, values) => ({ rows: [{ id: values[0] }] }) }
    console.log(JSON.stringify([
      unreachable instanceof PostriderError && unreachable.code,
      await publish(tx, { tenant: 'acme', type: 'a', data: 1 }),
      await receive(tx, 'a'),
      inbox.includes('postrider_inbox.receive('),
      inside.code,
    ]))`
  const { stdout, stderr } = run(folder, ['node', '--input-type=module', '--eval', program])
  t.equal(stderr, '')
  t.strictSame(JSON.parse(stdout), [
    'unreachable',
    'acme',
    true,
    true,
    'ERR_PACKAGE_PATH_NOT_EXPORTED',
  ])
})

t.test('TypeScript finds the types, for Node and for browsers', async (t) => {
  const program = `
    import { Postrider, PostriderError, type Endpoint } from 'postrider/client'
    import { publish } from 'postrider/outbox'
    const postrider = new Postrider({ url: 'http://127.0.0.1:1', apiKey: 'a' })
    const path = { tenant: 'acme' }
    for await (const endpoint of postrider.list('GET /api/tenants/{tenant}/endpoints', { path })) {
      const { url }: Endpoint = endpoint
      url satisfies string
    }
    // @ts-expect-error: the path is missing
    await postrider.request('GET /api/tenants/{tenant}')
    // @ts-expect-error: the type is missing
    await postrider.publish({ data: 1 })
    export const error: string = new PostriderError('a', { code: 'b' }).code
    const tx = { query: async (_: string, values: unknown[]) => ({ rows: values }) }
    export const id: string = await publish(tx, { tenant: 'acme', type: 'a', data: 1 })`
  writeFileSync(join(folder, 'consumer.mts'), program)
  const common = [
    '--noEmit',
    '--strict',
    '--exactOptionalPropertyTypes',
    '--target',
    'es2022',
    'consumer.mts',
  ]
  const tsc = join(root, 'node_modules', '.bin', 'tsc')
  const node = [
    '--module',
    'nodenext',
    '--types',
    'node',
    '--typeRoots',
    join(root, 'node_modules/@types'),
  ]
  const browser = [
    '--module',
    'esnext',
    '--moduleResolution',
    'bundler',
    '--lib',
    'es2022,dom,dom.asynciterable',
  ]
  for (const options of [node, [...browser, '--types', '']]) {
    const { status, stdout } = run(folder, [tsc, ...common, ...options])
    t.equal(status, 0, stdout)
  }
  writeFileSync(
    join(folder, 'consumer.mts'),
    `import { createInbox } from 'postrider/inbox'
    interface Tx { insert(text: string): Promise<number> }
    const kysely = {
      executeQuery: null,
      transaction: () => ({ execute: async (_: (tx: Tx) => Promise<unknown>) => null }),
    }
    const inbox = createInbox({ database: kysely, secrets: ['whsec_'] })
    export const { status } = await inbox.receive({ headers: {}, body: '' }, async ({ id }, tx) => {
      const inserted: number = await tx.insert(id)
      return inserted
    })`,
  )
  const { status, stdout } = run(folder, [tsc, ...common, ...node])
  t.equal(status, 0, stdout)
})
