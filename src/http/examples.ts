import type { OpenAPIHono } from '@hono/zod-openapi'
import { type FieldError, Problem, type ProblemCode, problemBody } from '../problem.ts'

export type Document = ReturnType<OpenAPIHono['getOpenAPI31Document']>
export type PathItem = NonNullable<Document['paths']>[string]
export type Operation = NonNullable<PathItem['get']>

/** A JSON Schema, or a reference to one. */
// biome-ignore lint/suspicious/noExplicitAny: a schema is any JSON
export type Schema = Record<string, any>
type Schemas = Record<string, Schema>

const ID = '019c5c2e-7a4b-7c3d-8e2f-5a6b7c8d9e0f'
const TIME = '2026-01-31T12:00:00.000Z'
/**
 * A value that the schema accepts: its own example where it has one, as fields of nouns do, otherwise one made of
 * its parts.
 */
export function exampleOf(schema: Schema, schemas: Schemas): unknown {
  if ('example' in schema) return schema['example']
  if ('$ref' in schema) return exampleOf(schemas[nameOf(schema)] ?? {}, schemas)
  if ('const' in schema) return schema['const']
  if ('enum' in schema) return schema['enum'][0]
  if ('default' in schema) return schema['default']
  const parts: Schema[] = schema['allOf'] ?? []
  if (parts.length > 0) return Object.assign({}, ...parts.map((part) => exampleOf(part, schemas)))
  const [first] = schema['anyOf'] ?? schema['oneOf'] ?? []
  return first ? exampleOf(first, schemas) : ofType(schema, schemas)
}

function ofType(schema: Schema, schemas: Schemas): unknown {
  const [type] = [schema['type']].flat()
  switch (type) {
    case 'object':
      return ofObject(schema, schemas)
    case 'array':
      return [exampleOf(schema['items'] ?? {}, schemas)]
    case 'string':
      return ofString(schema)
    case 'integer':
    case 'number':
      return schema['minimum'] ?? 1
    case 'boolean':
      return true
    default:
      return { id: 1 }
  }
}

function ofObject({ properties = {} }: Schema, schemas: Schemas): unknown {
  const members = Object.entries(properties as Schemas)
  return Object.fromEntries(members.map(([name, schema]) => [name, exampleOf(schema, schemas)]))
}

function ofString({ format }: Schema): string {
  if (format === 'uuid') return ID
  if (format === 'date-time') return TIME
  return format === 'uri' || format === 'iri' ? 'https://example.com/webhooks' : 'text'
}

export const nameOf = (schema: Schema): string => schema['$ref'].split('/').at(-1)

const CODE_BY_STATUS: Record<string, ProblemCode> = {
  400: 'json_invalid',
  401: 'unauthenticated',
  403: 'scope_missing',
  404: 'tenant_not_found',
  409: 'state_conflict',
  413: 'body_too_large',
  415: 'content_type_unsupported',
  422: 'request_invalid',
  429: 'rate_limited',
  500: 'internal_error',
  503: 'database_unavailable',
}

const ERRORS_BY_CODE: Partial<Record<ProblemCode, FieldError[]>> = {
  json_invalid: [{ field: 'body', message: 'Unexpected end of JSON input' }],
  request_invalid: [{ field: 'type', message: 'is required' }],
}

/** The problem that comes with a status most often. */
export function problemExample(status: string): unknown {
  const code = CODE_BY_STATUS[status]
  if (!code) return undefined
  return problemBody(new Problem(code, { errors: ERRORS_BY_CODE[code] ?? [] }))
}
