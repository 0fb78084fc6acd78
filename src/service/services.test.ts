import { globSync, readFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import t from 'tap'

const root = join(import.meta.dirname, '..', '..')
const read = (file: string) => readFileSync(join(root, file), 'utf8')

/** The services of nouns that the composition root makes. `createSecretBox` makes none: it keeps nothing, asks nobody. */
function composed(): string[] {
  const made = read('src/service/services.ts').matchAll(/: (create\w+)\(\{|= (create\w+)\(\{/g)
  const names = [...made].map(([, one, other]) => one ?? other ?? '')
  return names.filter((name) => !['createSecretBox', 'createDedupCache'].includes(name))
}

/** Files outside its own room that import what makes a service. */
function makers(name: string, files: readonly string[]): string[] {
  const source = files.find((file) => read(file).includes(`export function ${name}(`)) ?? ''
  const own = [`${source.split('/').slice(0, 2).join('/')}/`, 'src/service/']
  const imports = new RegExp(`\\b${name}\\b[^;'"]*from '[^']*/${basename(source)}'`)
  return files.filter(
    (file) => !own.some((room) => file.startsWith(room)) && imports.test(read(file)),
  )
}

/** Who makes one as well: tests that need other time limits, and a command that needs nothing but the database. */
const others = new Map<string, string[]>([
  ['createPublisher', ['src/testing/data/recipes.ts']],
  ['createBatchPublisher', ['src/testing/data/recipes.ts']],
  ...['createEndpointSecrets', 'createEndpoints', 'createEndpointOperations'].map(
    (name): [string, string[]] => [name, ['src/svix/import/run-svix-import.ts']],
  ),
])

t.test('services are put together here, and tests have them from here', async (t) => {
  const files = globSync('{src,scripts}/**/*.{ts,tsx}', { cwd: root })
  const names = composed()
  t.ok(names.includes('createEndpoints') && names.includes('createTenants'), names.join())
  for (const name of names) t.strictSame(makers(name, files), others.get(name) ?? [], name)
})
