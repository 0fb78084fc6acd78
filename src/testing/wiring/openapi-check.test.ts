import t from 'tap'
import { createOpenApiCheck, type Exchange, findOperation } from './openapi-check.ts'

const thing = { type: 'object', properties: { id: { type: 'integer' } }, required: ['id'] }
const answer = (schema: object) => ({ content: { 'application/json': { schema } } })
const ref = (name: string) => ({ $ref: `#/components/schemas/${name}` })
const more = { type: 'object', properties: { more: { type: 'string' } }, required: ['more'] }

const document = {
  paths: {
    '/things/{id}': {
      get: { responses: { 200: answer(ref('ThingWithMore')), 204: {} } },
      put: {
        requestBody: { content: { 'application/json': { schema: { maxProperties: 1 } } } },
        responses: { 200: answer(ref('Thing')), 422: answer({}) },
      },
    },
    '/things/best': { get: { responses: { 200: answer({ const: 1 }) } } },
  },
  components: {
    schemas: {
      Thing: thing,
      ThingWithMore: { allOf: [ref('Thing'), more] },
      Problem: { type: 'object', properties: { code: { type: 'string' } }, required: ['code'] },
    },
  },
}
const check = createOpenApiCheck(document)

const exchange = (values: Partial<Exchange>): Exchange => ({
  method: 'GET',
  path: '/things/1',
  status: 200,
  contentType: 'application/json',
  text: '{"id":1,"more":"a"}',
  ...values,
})

t.test('an answer as documented passes', async (t) => {
  t.equal(check(exchange({})), null)
  t.equal(check(exchange({ path: '/things/1?a=1' })), null)
  t.equal(check(exchange({ path: '/things/best', text: '1' })), null)
  t.equal(check(exchange({ status: 204, contentType: null, text: '' })), null)
})

t.test('a status, type, member or value that is not documented is told', async (t) => {
  t.match(check(exchange({ status: 201 })), 'status 201 is not documented')
  t.match(check(exchange({ contentType: 'text/plain' })), 'text/plain is not documented')
  t.match(check(exchange({ text: '{"id":1}' })), "must have required property 'more'")
  t.match(check(exchange({ text: '{"id":"1","more":"a"}' })), '/id must be integer')
  t.match(check(exchange({ text: '{"id":1,"more":"a","else":1}' })), '"unevaluatedProperty":"else"')
  t.match(check(exchange({ status: 204 })), 'is not documented')
})

t.test('what is accepted has to be acceptable by the document', async (t) => {
  const put = { method: 'PUT', text: '{"id":1}' }
  t.equal(check(exchange({ ...put, body: '{"a":1}' })), null)
  t.match(check(exchange({ ...put, body: '{"a":1,"b":2}' })), 'must NOT have more than 1')
  t.equal(check(exchange({ ...put, body: '{"a":1,"b":2}', status: 422, text: '{}' })), null)
})

t.test('elsewhere only problems are looked at', async (t) => {
  const elsewhere = { path: '/console', contentType: 'text/html', text: '<p>' }
  t.equal(check(exchange(elsewhere)), null)
  const problem = { method: 'DELETE', status: 405, contentType: 'application/problem+json' }
  t.equal(check(exchange({ ...problem, text: '{"code":"a"}' })), null)
  t.match(check(exchange({ ...problem, text: '{}' })), "must have required property 'code'")
})

t.test('a path that is written out goes before one with a parameter', async (t) => {
  t.equal(findOperation(document, 'GET', '/things/best')?.template, '/things/best')
  t.equal(findOperation(document, 'GET', '/things/b')?.template, '/things/{id}')
  t.equal(findOperation(document, 'GET', '/things/b/c'), null)
})
