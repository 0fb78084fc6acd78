import t from 'tap'
import { createTestApi } from '../testing/wiring/api.ts'
import { createTestDatabase } from '../testing/wiring/database.ts'

const { pool } = await createTestDatabase(t)
const { request } = createTestApi(pool)
const page = await request('GET', '/docs', { key: null })

t.test('needs no key and shows every operation and schema', async (t) => {
  t.equal(page.status, 200)
  t.ok(page.text.startsWith('<!doctype html>'))
  t.equal(page.headers.get('content-type'), 'text/html; charset=UTF-8')
  const { json } = await request('GET', '/openapi.json', { key: null })
  const operations = Object.values<Record<string, { operationId: string }>>(json.paths)
  const ids = operations.flatMap((item) =>
    Object.values(item).map(({ operationId }) => operationId),
  )
  const anchors = [...page.text.matchAll(/<section id="([^"]+)"/g)].map(([, id]) => id)
  const schemas = Object.keys(json.components.schemas).map((name) => `schema-${name}`)
  t.strictSame([...anchors].sort(), [...ids, ...schemas].sort())
})

t.test('every link within the page leads somewhere', async (t) => {
  const ids = new Set([...page.text.matchAll(/ id="([^"]+)"/g)].map(([, id]) => id))
  for (const [, target = ''] of page.text.matchAll(/href="#([^"]+)"/g))
    t.ok(ids.has(target), target)
})

t.test('works offline, without scripts, under a policy that allows no inline style', async (t) => {
  const policy = page.headers.get('content-security-policy') ?? ''
  t.match(policy, "default-src 'none'")
  t.notMatch(policy, 'unsafe')
  t.notMatch(policy, 'http')
  t.notOk(/<script|<style| style=| on\w+="|javascript:/.test(page.text))
  const loaded = [...page.text.matchAll(/(?:src|<link[^>]*href)="([^"]+)"/g)].map(([, url]) => url)
  t.strictSame(loaded, ['/docs/style.css'])
  const style = await request('GET', '/docs/style.css', { key: null })
  t.match(style, { status: 200, text: /font:/ })
  t.equal(style.headers.get('content-type'), 'text/css; charset=utf-8')
  t.notMatch(style.text, /url\(|@import/)
})

t.test('what stands in the document is text, never markup', async (t) => {
  const tags = new Set([...page.text.matchAll(/<\/?([a-z]\w*)/g)].map(([, tag]) => tag))
  t.strictSame([...tags].sort(), [
    'a', 'body', 'code', 'dd', 'details', 'div', 'dl', 'dt', 'h1', 'h2', 'h3', 'h4', 'head', 'html',
    'li', 'link', 'main', 'meta', 'nav', 'p', 'pre', 'section', 'span', 'summary', 'table', 'tbody',
    'td', 'th', 'thead', 'title', 'tr', 'ul',
  ]) // biome-ignore format: tags read as one list
  t.ok(page.text.includes('&lt;API key&gt;'), 'a description with angle brackets')
  for (const leak of ['[object Object]', 'undefined']) t.notOk(page.text.includes(leak), leak)
})
