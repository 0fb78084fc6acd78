import { createHash } from 'node:crypto'
import { glob, mkdir, readFile, rename, writeFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { FOLDER, INDEX, type PackedIndex } from './place.ts'

const ROOT = new URL('../../../', import.meta.url)
/** Those with many modules; each is one thing for all that import it. */
const IMPORTS = /(?:from|import\() ?'((?:got|kysely|zod|hono|@hono\/[\w-]+)(?:\/[\w/-]+)?)'/g
/** Imported by what JSX is compiled to. */
const BY_JSX = 'hono/jsx/jsx-runtime'
/** A string to the compiler, as it may be missing: it has binaries for fewer machines than Node. */
const PACKER: string = 'esbuild'
/** What they take from packages that are not modules is loaded by `require`, which modules do not have. */
const REQUIRE = `import { createRequire } from 'node:module'; const require = createRequire(import.meta.url);`

/**
 * Makes the files that `load.ts` gives to processes, unless they are there for this state of package-lock.json.
 * Without esbuild nothing is packed.
 */
export async function packPackages(): Promise<void> {
  const names = await importedNames()
  const lock = await readFile(new URL('package-lock.json', ROOT), 'utf8')
  const key = createHash('sha256').update(lock).update(names.join()).digest('hex').slice(0, 12)
  if ((await packedKey()) === key) return
  const packer = await import(PACKER).catch(() => undefined)
  if (!packer) return
  const folder = new URL(`${key}/`, FOLDER)
  await mkdir(folder, { recursive: true })
  await pack(packer, names, fileURLToPath(folder))
  const urls = Object.fromEntries(names.map((name) => [name, new URL(fileOf(name), folder).href]))
  const index = new URL(`index.json.${process.pid}`, FOLDER)
  await writeFile(index, JSON.stringify({ key, urls } satisfies PackedIndex))
  await rename(index, INDEX)
}

async function packedKey(): Promise<string | undefined> {
  const index = await readFile(INDEX, 'utf8').catch(() => '{}')
  return (JSON.parse(index) as Partial<PackedIndex>).key
}

/** All that is imported of them here, so that none is loaded a second time as it is. */
async function importedNames(): Promise<string[]> {
  const names = new Set([BY_JSX])
  for await (const file of glob('{src,scripts}/**/*.{ts,tsx}', { cwd: ROOT })) {
    const text = await readFile(new URL(file, ROOT), 'utf8')
    for (const [, name = ''] of text.matchAll(IMPORTS)) names.add(name)
  }
  return [...names].sort()
}

function fileOf(name: string): string {
  return `${name.replaceAll('/', '+')}.js`
}

interface Packer {
  build(options: object): Promise<unknown>
}

async function pack(packer: Packer, names: string[], folder: string): Promise<void> {
  await packer.build({
    entryPoints: Object.fromEntries(names.map((name) => [fileOf(name).slice(0, -3), name])),
    absWorkingDir: fileURLToPath(ROOT),
    outdir: folder,
    bundle: true,
    splitting: true,
    platform: 'node',
    format: 'esm',
    target: `node${process.versions.node}`,
    banner: { js: REQUIRE },
    logLevel: 'error',
  })
  await writeFile(`${folder}/package.json`, '{"type":"module"}')
}
