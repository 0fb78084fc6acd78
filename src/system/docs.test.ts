import { existsSync, globSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'

const root = join(import.meta.dirname, '..', '..')
const documents = [
  'README.md',
  'CONTRIBUTING.md',
  'SECURITY.md',
  'CHANGELOG.md',
  ...globSync('{docs,deploy}/**/*.md', { cwd: root }).toSorted(),
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
  t.ok(pathsIn(read('docs/explanation/architecture.md')).length > 30)
})

/** The anchors of a document, as GitHub makes them of its headings. */
function anchorsIn(text: string): string[] {
  const headings = [...text.matchAll(/^#+ (.+)$/gm)].map(([, heading = '']) => heading)
  return headings.map((heading) =>
    heading
      .replace(/\[([^\]]*)\]\([^)]*\)/g, '$1')
      .toLowerCase()
      .replace(/[^\p{L}\p{N} _-]/gu, '')
      .replaceAll(' ', '-'),
  )
}

function isLinkTo(document: string, link: string): boolean {
  const [path = '', anchor] = link.split('#')
  const target = path === '' ? document : join(document, '..', path)
  if (!existsSync(join(root, target))) return false
  return anchor === undefined || anchorsIn(read(target)).includes(anchor)
}

t.test('every link of the documents points to a file and a heading that exist', async (t) => {
  for (const document of documents) {
    const links = [...read(document).matchAll(/\]\((?!https?:|mailto:)([^)\s]+)/g)]
    const broken = links.map(([, link = '']) => link).filter((link) => !isLinkTo(document, link))
    t.strictSame(broken, [], document)
  }
})
