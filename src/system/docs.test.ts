import { existsSync, globSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'

const root = join(import.meta.dirname, '..', '..')
const documents = [
  'README.md',
  'CONTRIBUTING.md',
  'SECURITY.md',
  ...globSync('docs/*.md', { cwd: root }),
]
const read = (file: string) => readFileSync(join(root, file), 'utf8')

/** Paths of the tree between backticks; a `*` stands for any name. */
const pathsIn = (text: string): string[] =>
  [...text.matchAll(/`((?:src|sql|scripts|deploy|docs)\/[\w.*/-]+)`/g)].map(([, path = '']) => path)

const isThere = (path: string): boolean =>
  path.includes('*') ? globSync(path, { cwd: root }).length > 0 : existsSync(join(root, path))

t.test('every file and folder that the documents name exists', async (t) => {
  for (const document of documents) {
    t.strictSame(
      pathsIn(read(document)).filter((path) => !isThere(path)),
      [],
      document,
    )
  }
  t.ok(pathsIn(read('docs/architecture.md')).length > 30)
})

t.test('every link of the documents to another leads somewhere', async (t) => {
  for (const document of documents) {
    const links = [...read(document).matchAll(/\]\((?!https?:|#|mailto:)([^)#\s]+)/g)]
    const broken = links.filter(([, link = '']) => !existsSync(join(root, document, '..', link)))
    t.strictSame(
      broken.map(([, link]) => link),
      [],
      document,
    )
  }
})
