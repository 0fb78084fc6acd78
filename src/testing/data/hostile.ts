import fc from 'fast-check'
import type { Operation, Schema } from '../wiring/openapi-check.ts'

/** Written into JSON as text, since no value of JavaScript becomes it. */
const WRITTEN = {
  '#large': '1e400',
  '#too-large': '1e131073',
  '#tiny': '1e-99999',
  '#exact': '12345678901234567890.123456789',
  '#deep': nested(500),
  '#too-deep': nested(600),
  '#far-too-deep': nested(50_000),
}

/** What breaks programs, whatever was asked for. */
const HOSTILE: readonly unknown[] = [
  '\0', 'a\0b', '\ud800', 'a\udfff', '', ' ', '\n', '٣', '🙂', 'x'.repeat(70_000), '../..', "'; --",
  '%00', 'null', 'NaN', '{}', '2026-02-30T00:00:00Z', '-infinity', '9999999-01-01T00:00:00Z',
  -1, -0, 0.5, 1e308, 2 ** 31, 2 ** 53, -(2 ** 63), null, true, [], {}, [[]], [null], { a: '\0' },
  { '\0': 1 }, { '': 1 }, { constructor: 1 }, JSON.parse('{"__proto__": 1}'),
  ...Object.keys(WRITTEN),
] // biome-ignore format: a list of values

const HOSTILE_IN_PATH = [
  '%00', '%', '%ED%A0%80', '%2F', '%2E%2E', '%0A', '-1', 'null', '٣', 'x'.repeat(5_000), "'--",
  '00000000-0000-0000-0000-000000000000', 'ffffffff-ffff-ffff-ffff-ffffffffffff', '{id}', ':id', '*',
] // biome-ignore format: a list of values

/** Values by a schema, in which now and then a part is hostile. */
function anyOf(schema: Schema, schemas: Record<string, Schema>): fc.Arbitrary<unknown> {
  return fc.oneof(
    { weight: 25, arbitrary: fittingOf(schema, schemas) },
    { weight: 1, arbitrary: fc.constantFrom(...HOSTILE) },
  )
}

function fittingOf(schema: Schema, schemas: Record<string, Schema>): fc.Arbitrary<unknown> {
  if ('$ref' in schema) return fittingOf(schemas[schema['$ref'].split('/').at(-1)] ?? {}, schemas)
  if ('enum' in schema) return fc.constantFrom(...schema['enum'])
  const choices: Schema[] | undefined = schema['anyOf'] ?? schema['oneOf']
  if (choices) return fc.oneof(...choices.map((choice) => anyOf(choice, schemas)))
  const types: string[] = [schema['type'] ?? 'any'].flat()
  return fc.oneof(...types.map((type) => fittingType(type, schema, schemas)))
}

function fittingType(type: string, schema: Schema, schemas: Record<string, Schema>) {
  switch (type) {
    case 'object':
      return objectOf(schema, schemas)
    case 'array':
      return fc.array(anyOf(schema['items'] ?? {}, schemas), { maxLength: 4 })
    case 'string':
      return stringOf(schema)
    case 'integer':
      return fc.integer({ min: schema['minimum'] ?? -5, max: schema['maximum'] ?? 1_000 })
    case 'number':
      return fc.double({
        min: schema['minimum'] ?? 0,
        max: schema['maximum'] ?? 1_000,
        noNaN: true,
      })
    case 'boolean':
      return fc.boolean()
    case 'null':
      return fc.constant(null)
    default:
      return fc.jsonValue({ maxDepth: 3 })
  }
}

function objectOf(schema: Schema, schemas: Record<string, Schema>): fc.Arbitrary<unknown> {
  const { properties, additionalProperties, required = [] } = schema
  if (!properties) {
    const value = typeof additionalProperties === 'object' ? additionalProperties : {}
    return fc.dictionary(fc.string(), anyOf(value, schemas), { maxKeys: 4 })
  }
  const members = Object.entries(properties as Record<string, Schema>).map(
    ([name, member]) => [name, anyOf(member, schemas)] as const,
  )
  const known = fc.record(Object.fromEntries(members), { requiredKeys: required })
  const unknown = fc.dictionary(fc.string(), fc.constant(1), { maxKeys: 1 })
  return fc.oneof(
    { weight: 9, arbitrary: known },
    { weight: 1, arbitrary: fc.tuple(known, unknown).map((both) => Object.assign({}, ...both)) },
  )
}

function stringOf({ format, pattern, example }: Schema): fc.Arbitrary<string> {
  if (format === 'uuid') return fc.uuid({ version: 7 })
  if (format === 'date-time')
    return fc.date({ noInvalidDate: true }).map((date) => date.toISOString())
  const given = example === undefined ? [] : [fc.constant(example as string)]
  const matching =
    pattern && !pattern.includes('(?') ? [fc.stringMatching(new RegExp(pattern))] : []
  return fc.oneof(...given, ...matching, fc.string(), fc.string({ unit: 'binary' }))
}

function nested(levels: number): string {
  return '['.repeat(levels) + ']'.repeat(levels)
}

export interface HostileRequest {
  path: string
  body: string | Uint8Array | undefined
  headers: Record<string, string>
}

/** Requests of an operation that are mostly as documented, and now and then nothing like it. */
export function requestOf(
  operation: Operation,
  options: { path: string; pathFor: (change: Record<string, string>) => string; body: unknown },
  schemas: Record<string, Schema>,
): fc.Arbitrary<HostileRequest> {
  return fc.record({
    path: fc
      .tuple(pathOf(operation, options), queryOf(operation, schemas))
      .map(([path, query]) => path + query),
    body: bodyOf(operation, options.body, schemas),
    headers: headersOf(operation),
  })
}

function pathOf(
  { parameters = [] }: Operation,
  { path, pathFor }: { path: string; pathFor: (change: Record<string, string>) => string },
): fc.Arbitrary<string> {
  const names = parameters.filter(({ in: place }) => place === 'path').map(({ name }) => name)
  if (names.length === 0) return fc.constant(path)
  const odd = fc.constantFrom(...HOSTILE_IN_PATH)
  const changed = fc
    .tuple(fc.constantFrom(...names), odd)
    .map(([name, value]) => ({ [name]: value }))
  return fc.oneof(
    { weight: 4, arbitrary: fc.constant(path) },
    { weight: 1, arbitrary: changed.map(pathFor) },
  )
}

/** Up to three at a time, since one that is refused hides what the others would do. */
function queryOf(
  { parameters = [] }: Operation,
  schemas: Record<string, Schema>,
): fc.Arbitrary<string> {
  const pairs = parameters
    .filter(({ in: place }) => place === 'query')
    .map(({ name, schema }) =>
      anyOf(schema, schemas).map((value): [string, string] => [
        name,
        String(value).slice(0, 5_000),
      ]),
    )
  if (pairs.length === 0) return fc.constant('')
  const some = fc.array(fc.oneof(...pairs), { maxLength: 3 })
  return some.map((given) => (given.length === 0 ? '' : `?${new URLSearchParams(given)}`))
}

function bodyOf(
  { requestBody }: Operation,
  example: unknown,
  schemas: Record<string, Schema>,
): fc.Arbitrary<HostileRequest['body']> {
  const schema = requestBody?.content['application/json']?.schema
  if (!schema) return fc.constant(undefined)
  const value = fc.oneof(
    { weight: 2, arbitrary: fc.constant(example) },
    { weight: 8, arbitrary: anyOf(schema, schemas) },
    // Everything right but one part, so that what comes after the first check is reached as well.
    { weight: 8, arbitrary: withOneChanged(example) },
  )
  const text = value.map(toText)
  return fc.oneof(
    { weight: 20, arbitrary: text },
    { weight: 1, arbitrary: text.map((whole) => whole.slice(0, -1)) },
    { weight: 1, arbitrary: fc.uint8Array({ maxLength: 50 }) },
    { weight: 1, arbitrary: fc.constant(undefined) },
  )
}

function withOneChanged(example: unknown): fc.Arbitrary<unknown> {
  const places = placesIn(example)
  return fc
    .tuple(fc.constantFrom(...places), fc.constantFrom(...HOSTILE))
    .map(([place, value]) => replaced(example, place, value))
}

/** The path of every part, the whole included. */
export function placesIn(value: unknown): string[][] {
  if (typeof value !== 'object' || value === null) return [[]]
  const inner = Object.entries(value).flatMap(([name, part]) =>
    placesIn(part).map((place) => [name, ...place]),
  )
  return [[], ...inner]
}

export function replaced(whole: unknown, [name, ...rest]: string[], value: unknown): unknown {
  if (name === undefined) return value
  const copy: Record<string, unknown> = Object.assign(Array.isArray(whole) ? [] : {}, whole)
  copy[name] = replaced(copy[name], rest, value)
  return copy
}

function toText(value: unknown): string {
  let text = JSON.stringify(value) ?? 'null'
  for (const [name, written] of Object.entries(WRITTEN))
    text = text.replaceAll(`"${name}"`, written)
  return text
}

function headersOf({ parameters = [] }: Operation): fc.Arbitrary<Record<string, string>> {
  const own = parameters.filter(({ in: place }) => place === 'header').map(({ name }) => name)
  const value = fc.oneof(
    fc.constantFrom('', 'x'.repeat(300), 'ä', 'a b'),
    fc.stringMatching(/^[!-~]+$/),
  )
  const contentType = fc.oneof(
    { weight: 15, arbitrary: fc.constant('application/json') },
    {
      weight: 1,
      arbitrary: fc.constantFrom('text/plain', 'application/json; charset=utf-16', ','),
    },
  )
  const given = Object.fromEntries(own.map((name) => [name, value]))
  return fc.oneof(
    { weight: 2, arbitrary: fc.record({ 'content-type': contentType }) },
    { weight: 1, arbitrary: fc.record({ 'content-type': contentType, ...given }) },
  )
}
