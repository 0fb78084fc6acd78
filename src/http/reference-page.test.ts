import { gunzipSync } from 'node:zlib'
import { parseSync } from 'oxc-parser'
import t from 'tap'
import { createTestApi } from '../testing/wiring/api.ts'
import { createTestDatabase } from '../testing/wiring/database.ts'

const { pool } = await createTestDatabase(t)
const { app, request } = createTestApi(pool)
const page = await request('GET', '/docs', { key: null })
const { json: document } = await request('GET', '/openapi.json', { key: null })
interface Described {
  summary: string
  'x-codeSamples': { lang: string; source: string }[]
}
const operations = Object.entries<Record<string, Described>>(document.paths).flatMap(
  ([path, item]) =>
    Object.entries(item).map(([method, operation]) => ({
      name: `${method.toUpperCase()} ${path}`,
      operation,
    })),
)

t.test('needs no key, and without scripts lists every operation', async (t) => {
  t.equal(page.status, 200)
  t.equal(page.headers.get('content-type'), 'text/html; charset=UTF-8')
  for (const { name, operation } of operations) {
    t.ok(page.text.includes(`<li>${operation.summary}: <code>${name}</code></li>`), name)
  }
})

t.test('loads four files of this server, under a policy that allows nothing inline', async (t) => {
  const policy = page.headers.get('content-security-policy') ?? ''
  t.match(policy, "default-src 'none'")
  t.notMatch(policy, /unsafe|http|data:/)
  t.notOk(/<style| style=| on\w+="|javascript:|<script>/.test(page.text))
  const loaded = [...page.text.matchAll(/(?:src|<link[^>]*href)="([^"]+)"/g)].map(([, url]) => url)
  t.strictSame(loaded, ['/docs/viewer.css', '/docs/page.css', '/docs/viewer.js', '/docs/start.js'])
})

t.test('files are the same with and without compression, and may be kept', async (t) => {
  for (const [name, type] of [
    ['viewer.css', 'text/css; charset=utf-8'],
    ['start.js', 'text/javascript; charset=utf-8'],
  ]) {
    const plain = await app.request(`/docs/${name}`)
    const compressed = await app.request(`/docs/${name}`, {
      headers: { 'accept-encoding': 'br, gzip' },
    })
    t.equal(plain.headers.get('content-type'), type)
    t.match(plain.headers.get('cache-control'), /max-age=\d+/)
    t.equal(plain.headers.get('content-encoding'), null)
    t.equal(compressed.headers.get('content-encoding'), 'gzip')
    const bytes = Buffer.from(await compressed.arrayBuffer())
    t.equal(gunzipSync(bytes).toString(), await plain.text())
  }
})

t.test('every operation has samples for curl, TypeScript, Python and Go', async (t) => {
  for (const { name, operation } of operations) {
    const samples = operation['x-codeSamples']
    t.strictSame(
      samples.map(({ lang }) => lang),
      ['shell', 'typescript', 'python', 'go'],
      name,
    )
    for (const { source } of samples) t.notMatch(source, /\{(tenant|id|name)\}"|undefined/, name)
    const [, typescript] = samples
    t.strictSame(parseSync('sample.ts', typescript?.source ?? '').errors, [], name)
  }
})

t.test('what receivers get is described under webhooks', async (t) => {
  const { post } = document.webhooks.event
  t.strictSame(
    post.parameters.map(({ name }: { name: string }) => name),
    ['webhook-id', 'webhook-timestamp', 'webhook-signature', 'user-agent', 'traceparent'],
  )
  const body = post.requestBody.content['application/json'].schema
  t.strictSame(Object.keys(body.properties), ['type', 'timestamp', 'data'])

  const { batch } = document.webhooks
  const { properties } = batch.post.requestBody.content['application/json'].schema
  t.strictSame(properties.events.items.required, ['id', 'type', 'timestamp', 'data'])
  const taken = batch.post.responses['2XX'].content['application/json'].schema
  t.strictSame(Object.keys(taken.properties), ['failed'])
})

t.test('a refusal that many operations share stands in the document once', async (t) => {
  const text = JSON.stringify(document)
  t.equal(text.split('No valid API key.').length - 1, 1)
  const referred = [...text.matchAll(/"#\/components\/responses\/(\w+)"/g)].map(([, name]) => name)
  t.strictSame([...new Set(referred)].sort(), Object.keys(document.components.responses).sort())
  t.match(document.info.description, /\| `event_not_found` \| 404: /)
})
