import type { ValidateFunction } from 'ajv'
import { Ajv2020 } from 'ajv/dist/2020.js'
import addFormats from 'ajv-formats'

/** The parts of an OpenAPI document that are looked at here. */
export interface Document {
  paths: Record<string, Record<string, Operation>>
  components: { schemas: Record<string, Schema>; responses?: Record<string, Response> }
}

export interface Operation {
  operationId?: string
  summary?: string
  parameters?: Parameter[]
  requestBody?: {
    required?: boolean
    content: Record<string, { schema: Schema; example?: unknown }>
  }
  responses: Record<string, Response>
  security?: unknown[]
}

interface Response {
  /** To one that several operations share. */
  $ref?: string
  content?: Record<string, { schema: Schema; example?: unknown }>
}

export interface Parameter {
  name: string
  in: 'path' | 'query' | 'header'
  required?: boolean
  schema: Schema
}

// biome-ignore lint/suspicious/noExplicitAny: a JSON Schema is any JSON
export type Schema = Record<string, any>

export interface Exchange {
  method: string
  path: string
  /** As sent. */
  body?: string | Uint8Array | undefined
  status: number
  contentType: string | null
  text: string
}

/** What says that an exchange is not as documented; `null` where all is well. */
export type OpenApiCheck = (exchange: Exchange) => string | null

const PROBLEM = 'application/problem+json'

/**
 * Holds answers to the document: the status is listed, and the body has every member that is documented
 * and no other. What is accepted has to be documented as acceptable as well.
 */
export function createOpenApiCheck(document: Document): OpenApiCheck {
  const validatorOf = createValidators(document)
  return ({ method, path, body, status, contentType, text }) => {
    const found = findOperation(document, method, path)
    const mediaType = contentType?.split(';')[0] ?? ''
    if (!found) return mediaType === PROBLEM ? mistakes(validatorOf('Problem'), text) : null
    const shown = mediaType.endsWith('json') ? text : JSON.stringify(text)

    const documented = responseOf(document, found.operation.responses[status])
    if (!documented) return `status ${status} is not documented`
    const schema = documented.content?.[mediaType]?.schema
    if (!schema) return documented.content || text !== '' ? `${mediaType} is not documented` : null
    const request = found.operation.requestBody?.content['application/json']?.schema
    return (
      mistakes(validatorOf(schema), shown) ??
      (status < 300 && request && body
        ? mistakes(validatorOf(request, 'open'), String(body))
        : null)
    )
  }
}

/** The response itself where the operation refers to a shared one. */
export function responseOf({ components }: Document, response: Response | undefined) {
  return components.responses?.[response?.$ref?.split('/').at(-1) ?? ''] ?? response
}

/** What says why a value does not fit a schema of the document; `null` where it does. */
export function createSchemaCheck(document: Document) {
  const validatorOf = createValidators(document)
  return (schema: Schema, value: unknown) =>
    mistakes(validatorOf(schema, 'open'), JSON.stringify(value))
}

/** The operation of a request, and what stands for the parameters of its path. */
export function findOperation(
  { paths }: Document,
  method: string,
  path: string,
): { operation: Operation; template: string } | null {
  // As it arrives: `..` is resolved before a request is sent.
  const { pathname } = new URL(path, 'http://api')
  // `/api/events/batch` before `/api/events/{id}`.
  const [template = ''] = templatesOf(paths, pathname).sort(
    (a, b) => a.split('{').length - b.split('{').length,
  )
  const operation = paths[template]?.[method.toLowerCase()]
  return operation ? { operation, template } : null
}

/** The methods that are documented for a path, sorted. */
export function methodsOf({ paths }: Document, path: string): string[] {
  const items = templatesOf(paths, path).map((template) => paths[template] ?? {})
  return items.flatMap((item) => Object.keys(item).map((method) => method.toUpperCase())).sort()
}

const templatesOf = (paths: Document['paths'], pathname: string): string[] =>
  Object.keys(paths).filter((template) => patternOf(template).test(pathname))

/** Each request of a test is held against all of them. */
const patterns = new Map<string, RegExp>()

function patternOf(template: string): RegExp {
  const known = patterns.get(template)
  if (known) return known
  const escaped = template.replace(/[.*+?^$()|[\]\\]/g, '\\$&')
  const pattern = new RegExp(`^${escaped.replace(/\{\w+\}/g, '[^/]+')}$`)
  patterns.set(template, pattern)
  return pattern
}

function mistakes(validate: ValidateFunction, text: string): string | null {
  const value = parsed(text)
  if (validate(value)) return null
  const list = (validate.errors ?? []).map(
    ({ instancePath, message, params }) =>
      `${instancePath || 'the whole'} ${message} ${JSON.stringify(params)}`,
  )
  return `${list.join('; ')} in ${text.slice(0, 500)}`
}

/** JSON, or text that is none, such as that of /metrics. */
function parsed(text: string): unknown {
  if (text === '') return {}
  return /^\s*[[{"\d-]|^(?:true|false|null)$/.test(text) ? JSON.parse(text) : text
}

/** Compiles each schema once. */
function createValidators({ components }: Document) {
  const ajv = new Ajv2020({ strict: false })
  addFormats.default(ajv)
  ajv.addFormat('iri', (text: string) => URL.canParse(text))
  for (const [name, schema] of Object.entries(components.schemas)) {
    ajv.addSchema(relinked(schema, 'open'), `urn:open:${name}`)
    ajv.addSchema(relinked(schema, 'closed'), `urn:closed:${name}`)
  }
  const compiled = new Map<Schema | string, ValidateFunction>()
  return (schema: Schema | string, variant: Variant = 'closed') => {
    const known = compiled.get(schema)
    if (known) return known
    const given = typeof schema === 'string' ? { $ref: `#/components/schemas/${schema}` } : schema
    const validate = ajv.compile(relinked(given, variant))
    compiled.set(schema, validate)
    return validate
  }
}

/** `closed` refuses members that are not documented. */
type Variant = 'open' | 'closed'

/** With references to the variant of the component; parts of an `allOf` are closed as a whole. */
function relinked(schema: Schema, variant: Variant): Schema {
  if (Array.isArray(schema)) return schema.map((part) => relinked(part, variant))
  if (typeof schema !== 'object' || schema === null) return schema
  const { $ref } = schema
  if (typeof $ref === 'string')
    return { $ref: $ref.replace('#/components/schemas/', `urn:${variant}:`) }
  const copy = Object.fromEntries(
    Object.entries(schema).map(([key, value]) => [
      key,
      relinked(value, key === 'allOf' ? 'open' : variant),
    ]),
  )
  const isObject = 'allOf' in schema || typeof schema['properties'] === 'object'
  const isClosed = 'additionalProperties' in schema
  return variant === 'closed' && isObject && !isClosed
    ? { ...copy, unevaluatedProperties: false }
    : copy
}
