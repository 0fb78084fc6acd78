import { Validator } from '@seriousme/openapi-schema-validator'
import t from 'tap'
import { createTestApi } from '../testing/wiring/api.ts'
import { createTestDatabase } from '../testing/wiring/database.ts'
import { createSchemaCheck, responseOf } from '../testing/wiring/openapi-check.ts'

const { pool } = await createTestDatabase(t)
const { app, request } = createTestApi(pool)
const { json: document } = await request('GET', '/openapi.json', { key: null })
/** Pages and the document itself are for reading, and the link of a thin event is followed as it is: no part of the API. */
const isPage = (path: string) => /^\/(openapi\.json$|docs|thin\/)/.test(path)

const operations = Object.entries<Record<string, object>>(document.paths).flatMap(([path, item]) =>
  // biome-ignore lint/suspicious/noExplicitAny: tests look into it
  Object.entries(item).map(([method, operation]): [string, any] => [
    `${method.toUpperCase()} ${path}`,
    operation,
  ]),
)

t.test('OpenAPI 3.1 of every route', async (t) => {
  t.match(await new Validator().validate(structuredClone(document)), { valid: true })
  t.equal(document.openapi, '3.1.0')
  const routed = app.routes
    .filter(({ method, path }) => method !== 'ALL' && !isPage(path))
    .map(({ method, path }) => `${method} ${path.replace(/:(\w+)/g, '{$1}')}`)
  t.strictSame(operations.map(([name]) => name).sort(), [...new Set(routed)].sort())
})

t.test('every operation has its own name, a summary, and a tag that is explained', async (t) => {
  const tags = document.tags.map(({ name }: { name: string }) => name)
  for (const [name, { operationId, summary, tags: own }] of operations) {
    t.match({ operationId, summary }, { operationId: /^[a-z]+[A-Z]\w+$/, summary: /\w/ }, name)
    t.strictSame(
      own.map((tag: string) => tags.includes(tag)),
      [true],
      name,
    )
  }
  t.equal(new Set(operations.map(([, { operationId }]) => operationId)).size, operations.length)
})

t.test('whatever needs a key says so, and how it is refused', async (t) => {
  t.match(document.components.securitySchemes.apiKey, { type: 'http', scheme: 'bearer' })
  t.strictSame(document.security, [{ apiKey: [] }])
  for (const [name, { security, responses }] of operations) {
    if (!name.includes(' /api/')) t.strictSame(security, [], name)
    else
      for (const status of [401, 403, 429, 500, 503]) t.ok(responses[status], `${name} ${status}`)
  }
})

t.test('every body has an example that its schema accepts', async (t) => {
  const check = createSchemaCheck(document)
  for (const [name, { requestBody, responses }] of operations) {
    const contents = [['body', requestBody], ...Object.entries(responses)] as const
    for (const [what, described] of contents) {
      const { content = {} } = responseOf(document, described) ?? {}
      // biome-ignore lint/suspicious/noExplicitAny: tests look into it
      for (const { schema, example } of Object.values<any>(content)) {
        t.equal(check(schema, example), null, `${name} ${what}`)
      }
    }
  }
})

t.test('every parameter of a path is described, and no other', async (t) => {
  for (const [name, { parameters = [] }] of operations) {
    const described = parameters
      .filter((parameter: { in: string }) => parameter.in === 'path')
      .map((parameter: { name: string }) => parameter.name)
    t.strictSame(
      described,
      [...name.matchAll(/\{(\w+)\}/g)].map(([, found]) => found),
      name,
    )
  }
})

t.test('no component is left over, and no reference leads nowhere', async (t) => {
  const text = JSON.stringify(document)
  const referred = [...text.matchAll(/"#\/components\/schemas\/(\w+)"/g)].map(([, name]) => name)
  t.strictSame([...new Set(referred)].sort(), Object.keys(document.components.schemas).sort())
})
