import { existsSync, globSync, readFileSync, writeFileSync } from 'node:fs'
import type { AddressInfo } from 'node:net'
import { basename, join } from 'node:path'
import { pathToFileURL } from 'node:url'
import t, { type Test } from 'tap'
import { PROBLEMS } from '../problem.ts'
import { generateSecret, sign } from '../sending/signature.ts'

const root = join(import.meta.dirname, '..', '..')
const documents = [
  'README.md',
  'CONTRIBUTING.md',
  'SECURITY.md',
  'CHANGELOG.md',
  'GLOSSARY.md',
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

t.test('every SQL function that the architecture names exists', async (t) => {
  const sql = globSync('sql/**/*.sql', { cwd: root }).map(read).join('\n')
  const page = read('docs/explanation/architecture.md')
  const names = [...page.matchAll(/`([a-z]+(?:_[a-z]+)+)(?:\(\))?`/g)].map(([, name]) => name)
  t.ok(names.length > 7)
  t.strictSame(
    names.filter((name) => !sql.includes(`function postrider.${name}(`)),
    [],
  )
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

t.test('the page of errors has every code with its status and title', async (t) => {
  const rows = [...read('docs/reference/errors.md').matchAll(/^\| `(\w+)` \| (\d+) \| (.*) \|$/gm)]
  t.strictSame(
    Object.fromEntries(rows.map(([, code, status, title]) => [code, [Number(status), title]])),
    PROBLEMS,
  )
})

t.test('the glossary has every noun of the product, each once', async (t) => {
  const words = [...read('GLOSSARY.md').matchAll(/^\| ([\w -]+) \|/gm)].map(([, word = '']) => word)
  t.strictSame(words.toSorted(), [...new Set(words)].toSorted())
  const ofNoNoun = ['commands', 'operations', 'search', 'svix']
  const folders = globSync('src/*/*.{routes,pages,command,fields}.{ts,tsx}', { cwd: root }).map(
    (file) => basename(join(file, '..')),
  )
  const nouns = [...new Set(folders)]
    .filter((folder) => !ofNoNoun.includes(folder))
    .map((folder) => folder.replaceAll('-', ' ').replace(/ies$/, 'y').replace(/s$/, ''))
  t.ok(nouns.length > 10)
  t.strictSame(
    nouns.filter((noun) => !words.some((word) => word.toLowerCase().includes(noun))),
    [],
  )
})

// Issue 18: it had grown past what somebody reads who has just found it.
t.test('the README has at most 120 lines', async (t) => {
  const lines = read('README.md').trimEnd().split('\n')
  t.ok(lines.length <= 120, `${lines.length} lines`)
})

t.test('every page is in the index', async (t) => {
  const index = read('docs/README.md')
  const pages = globSync('docs/*/**/*.md', { cwd: root }).map((page) => page.slice('docs/'.length))
  t.strictSame(
    pages.filter((page) => !index.includes(`](${page})`)),
    [],
  )
})

const SECRET = generateSecret()

/** The programs of a page that receive webhooks, imported from separate files. */
async function programsOf(t: Test, page: string, more = ''): Promise<Record<string, never>[]> {
  const folder = t.testdir({ node_modules: t.fixture('symlink', join(root, 'node_modules')) })
  process.env['WEBHOOK_SECRET'] = SECRET
  t.teardown(() => {
    delete process.env['WEBHOOK_SECRET']
  })
  const blocks = [...read(page).matchAll(/^```js\b[^\n]*\n(.*?)^```$/gms)]
  return Promise.all(
    blocks.map(([, code = ''], index) => {
      const file = join(folder, `${basename(page)}-${index}.mjs`)
      writeFileSync(file, code.replace('listen(3000', 'listen(0') + more)
      return import(pathToFileURL(file).href)
    }),
  )
}

function signedEvent(id: string): { body: string; headers: Record<string, string> } {
  const timestampSeconds = Math.floor(Date.now() / 1000)
  const body = '{"type": "invoice.paid", "data": {"id": 12345678901234567890}}'
  const signature = sign({ id, timestampSeconds, body, secrets: [generateSecret(), SECRET] })
  return {
    body,
    headers: {
      'webhook-id': id,
      'webhook-timestamp': String(timestampSeconds),
      'webhook-signature': signature,
    },
  }
}

t.test('the verifiers of the guide accept what was signed, and nothing else', async (t) => {
  const [library, own] = await programsOf(t, 'docs/how-to/verify-signatures.md')
  const { verify } = library as unknown as { verify(...of: unknown[]): { type: string } }
  const { isAuthentic } = own as unknown as { isAuthentic(...of: unknown[]): boolean }
  const { body, headers } = signedEvent('a')
  t.equal(verify(SECRET, body, headers).type, 'invoice.paid')
  t.equal(isAuthentic(SECRET, body, headers), true)
  for (const [secret, text, sent] of [
    [generateSecret(), body, headers],
    [SECRET, `${body} `, headers],
    [SECRET, body, { ...headers, 'webhook-timestamp': '1700000000' }],
  ] as const) {
    t.throws(() => verify(secret, text, sent))
    t.equal(isAuthentic(secret, text, sent), false)
  }
  t.equal(
    isAuthentic(SECRET, body, {}),
    false,
    'a request of another sender has none of the headers',
  )
})

t.test('the receivers of the tutorials accept what was signed, and nothing else', async (t) => {
  t.capture(console, 'log')
  const post = (headers: Record<string, string>, body: string) => ({
    method: 'POST',
    headers,
    body,
  })
  const [hono] = await programsOf(t, 'docs/tutorials/receive-in-your-framework.md')
  const { app } = hono as unknown as { app: { request(...of: unknown[]): Promise<Response> } }
  const [node] = await programsOf(t, 'docs/tutorials/first-webhook.md', 'export { server }\n')
  const { server } = node as unknown as { server: import('node:http').Server }
  if (!server.listening) await new Promise((resolve) => server.once('listening', resolve))
  t.teardown(() => server.close())
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`
  const { body, headers } = signedEvent('b')
  for (const send of [
    (text: string) => app.request('/webhooks', post(headers, text)),
    (text: string) => fetch(url, post(headers, text)),
  ]) {
    t.equal((await send(body)).status, 204)
    t.equal((await send(`${body} `)).status, 401)
  }
})
