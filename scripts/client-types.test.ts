import { readFileSync } from 'node:fs'
import t from 'tap'
import { API_FILE, formatted, readDocument, renderTypes } from './client-types.ts'

t.test('the types of the client are those of the OpenAPI document', async (t) => {
  const rendered = formatted(renderTypes(await readDocument()))
  t.equal(readFileSync(API_FILE, 'utf8'), rendered, 'update with: node scripts/client-types.ts')
})

t.test('schemas become the types that a person would write', async (t) => {
  const properties = {
    id: { type: 'string', description: 'Of the thing.' },
    state: { enum: ['on', 'off'] },
    count: { type: ['integer', 'null'] },
    tags: { type: 'array', items: { type: ['string', 'null'] } },
    labels: { type: 'object', additionalProperties: { type: 'string' } },
    any: {},
    'a-b': { $ref: '#/components/schemas/Other' },
  }
  const required = ['id', 'state', 'tags', 'any']
  const document = {
    paths: {
      '/things/{id}': {
        put: {
          summary: 'Set a thing',
          parameters: [
            { name: 'id', in: 'path', required: true, schema: { type: 'string' } },
            { name: 'dry', in: 'query', schema: { type: 'boolean' } },
          ],
          requestBody: { content: { 'application/json': { schema: properties['a-b'] } } },
          responses: {
            200: { content: { 'application/json': { schema: { type: 'number' } } } },
            204: {},
            404: { content: {} },
          },
        },
      },
    },
    components: {
      schemas: {
        Thing: { type: 'object', properties, required },
        Other: { allOf: [{ $ref: '#/components/schemas/Thing' }, { anyOf: [{ const: 1 }, {}] }] },
      },
    },
  }
  t.equal(
    // biome-ignore lint/suspicious/noExplicitAny: a document by hand
    formatted(renderTypes(document as any)),
    `// Made from the OpenAPI document: node scripts/client-types.ts

export type Thing = {
  /** Of the thing. */
  id: string
  state: 'on' | 'off'
  count?: number | null | undefined
  tags: (string | null)[]
  labels?: Record<string, string> | undefined
  any: unknown
  'a-b'?: Other | undefined
}

export type Other = Thing & (1 | unknown)

/** What each operation takes and answers, by method and path. */
export interface Operations {
  /** Set a thing */
  'PUT /things/{id}': {
    path: { id: string }
    query?: { dry?: boolean | undefined }
    body?: Other
    answer: number | undefined
  }
}
`,
  )
})

t.test('what is long and stands in several places is written once', async (t) => {
  const state = { enum: ['a', 'b', 'c', 'd', 'e'] }
  const count = { type: 'integer' }
  const [limit, cursor] = ['limit', 'cursor'].map((name) => ({ name, in: 'query', schema: count }))
  const counts = { a: count, b: count, c: count, d: count, e: count }
  const document = {
    paths: {
      '/things': {
        get: {
          parameters: [limit, cursor, { name: 'state', in: 'query', schema: state }],
          responses: { 204: {} },
        },
      },
    },
    components: {
      schemas: {
        Thing: { type: 'object', properties: { state }, required: ['state'] },
        Changed: { type: 'object', properties: counts },
        Moved: { type: 'object', properties: counts },
        New: { type: 'object', properties: { ...counts, f: count }, required: ['a'] },
      },
    },
  }
  // biome-ignore lint/suspicious/noExplicitAny: a document by hand
  const rendered = formatted(renderTypes(document as any))
  t.match(rendered, "export type Thing = { state: 'a' | 'b' | 'c' | 'd' | 'e' }")
  t.match(rendered, "export type Changed = Change<Omit<New, 'f'>>")
  t.match(rendered, "export type Moved = Change<Omit<New, 'f'>>")
  t.match(rendered, "query?: Paging & { state?: Thing['state'] | undefined }")
  t.match(rendered, 'export type Change<Thing>')
  t.match(rendered, 'export type Paging = {')
})
