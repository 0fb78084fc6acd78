import { STATUS_CODES } from 'node:http'
import { isDeepStrictEqual } from 'node:util'
import type { OpenAPIHono } from '@hono/zod-openapi'
import { once } from '../clock.ts'
import { problemList } from '../problem.ts'
import type { ApiEnv } from './authenticate.ts'
import { codeSamples } from './code-samples.ts'
import {
  type Document,
  exampleOf,
  nameOf,
  type Operation,
  type PathItem,
  problemExample,
  type Schema,
} from './examples.ts'
import { operationId } from './operation-id.ts'

export const DOCUMENT_PATH = '/openapi.json'

const DESCRIPTION = `Sends webhooks from your Postgres. An event that is accepted is stored, with its deliveries, in one commit.

Errors are \`application/problem+json\` (RFC 9457) with a stable \`code\`; \`errors\` names every invalid field. A path with another method returns 405 with \`Allow\`. Times are ISO 8601 in UTC, ids are UUIDv7. Lists come newest first: \`nextCursor\` of a page is the \`cursor\` of the next one.

## Errors

| \`code\` | status and title |
|---|---|
${problemList.map(({ status, code, title }) => `| \`${code}\` | ${status}: ${title} |`).join('\n')}`

const AUTHENTICATION =
  'Send `Authorization: Bearer <API key>`. The scopes of a key say what it can do: `publish` events, `read`, `manage` endpoints and tenants, or, with `admin`, everything. A key can be bound to one tenant; other tenants do not exist for it. While that tenant is suspended, its keys are read-only: other scopes get 403 with the code `tenant_suspended`.'

const TAGS = {
  Events: 'Publish events and find them again.',
  Deliveries: 'One event on its way to one endpoint, with every attempt.',
  Endpoints: 'URLs that receive the events of a tenant.',
  Ordering: 'Keys whose events an endpoint gets in order: which are blocked, and what goes next.',
  Search: 'Find anything by ID, name, key, URL or data.',
  Incidents: 'Endpoints that keep failing: which, since when, why, and what to do about it.',
  Replays: 'Deliver finished or missed deliveries again.',
  Tenants: 'Customers; each owns endpoints and sees only its own data.',
  'Event types': 'Names of events, with a JSON Schema for their data.',
  Service: 'Pause and resume all deliveries.',
  Keys: 'API keys and their scopes.',
  Health: 'Probes; they need no key.',
  Webhooks: 'What Postrider sends to the URL of an endpoint.',
}

const text = { type: 'string' } as const
const HEADERS = {
  'Retry-After': { description: 'Seconds to wait before trying again.', schema: text },
  'WWW-Authenticate': { description: 'How to authenticate.', schema: text },
  RateLimit: {
    description: 'What the key has left (`r`), and for how many seconds (`t`).',
    schema: { ...text, example: '"default";r=9999;t=1' },
  },
  'RateLimit-Policy': {
    description: 'Max requests of a key (`q`) in a window of seconds (`w`).',
    schema: { ...text, example: '"default";q=10000;w=1' },
  },
}
const HEADERS_OF_STATUS: Record<string, (keyof typeof HEADERS)[]> = {
  401: ['WWW-Authenticate'],
  429: ['Retry-After'],
  503: ['Retry-After'],
}

type ResponseObject = { description: string; content?: Record<string, Schema> }

/**
 * OpenAPI 3.1 from the schemas that validate, for programs. Made when it is first asked for.
 *
 * @param webhooks what receivers get
 */
export function addDocument(
  app: OpenAPIHono<ApiEnv>,
  version: string,
  webhooks: NonNullable<Document['webhooks']>,
): () => Document {
  app.openAPIRegistry.registerComponent('securitySchemes', 'apiKey', {
    type: 'http',
    scheme: 'bearer',
    description: AUTHENTICATION,
  })
  const get = once(() => {
    const document = completed(asSent(app.getOpenAPI31Document(configOf(version))))
    return { ...document, webhooks }
  })
  app.get(DOCUMENT_PATH, (c) => c.json(get()))
  return get
}

function configOf(version: string) {
  return {
    openapi: '3.1.0',
    info: { title: 'Postrider', version, description: DESCRIPTION, license: { name: 'MIT' } },
    servers: [{ url: '/' }],
    tags: Object.entries(TAGS).map(([name, description]) => ({ name, description })),
    security: [{ apiKey: [] }],
  }
}

/** The generator leaves members that are undefined. */
const asSent = (document: Document): Document => JSON.parse(JSON.stringify(document))

/** With what no route has to say by itself: names, headers and examples. */
function completed(document: Document): Document {
  const schemas = (document.components?.schemas ?? {}) as Record<string, Schema>
  for (const [path, item] of Object.entries(document.paths ?? {})) {
    for (const [method, operation] of operationsOf(item)) {
      operation.operationId ??= operationId(method, path, isList(operation))
      addHeaders(operation)
      addExamples(operation, schemas)
      Object.assign(operation, { 'x-codeSamples': codeSamples(method, path, operation) })
    }
  }
  const responses = shareRefusals(document)
  const components = { ...document.components, headers: HEADERS, responses }
  return { ...document, components }
}

/** Refusals that several operations answer with stand in the document once; returns them by name. */
function shareRefusals({ paths = {} }: Document): Record<string, ResponseObject> {
  const shared: Record<string, ResponseObject> = {}
  for (const { responses = {} } of Object.values(paths).flatMap((item) => Object.values(item))) {
    for (const [status, response] of Object.entries<ResponseObject>(responses)) {
      if (status < '400') continue
      const name = (STATUS_CODES[status] ?? status).replace(/\W/g, '')
      shared[name] ??= response
      if (isDeepStrictEqual(shared[name], response)) {
        responses[status] = { $ref: `#/components/responses/${name}` }
      }
    }
  }
  return shared
}

export function operationsOf(item: PathItem): [method: string, Operation][] {
  return Object.entries(item) as [string, Operation][]
}

function isList({ responses }: Operation): boolean {
  return (
    'nextCursor' in (responses?.['200']?.content?.['application/json']?.schema?.properties ?? {})
  )
}

function addHeaders(operation: Operation): void {
  const needsKey = operation.security?.length !== 0
  for (const [status, response] of Object.entries(operation.responses ?? {})) {
    const names = [
      ...(needsKey && status !== '401' ? ['RateLimit', 'RateLimit-Policy'] : []),
      ...(needsKey ? (HEADERS_OF_STATUS[status] ?? []) : []),
    ]
    if (names.length === 0) continue
    const links = names.map((name) => [name, { $ref: `#/components/headers/${name}` }])
    response.headers = { ...Object.fromEntries(links), ...response.headers }
  }
}

function addExamples({ requestBody, responses }: Operation, schemas: Record<string, Schema>): void {
  const body = requestBody && 'content' in requestBody ? requestBody.content : {}
  const contents = [['', body], ...answersOf(responses)] as [string, typeof body][]
  for (const [status, content] of contents) {
    for (const media of Object.values(content)) {
      const schema = media.schema as Schema | undefined
      if (!schema || 'example' in media || 'examples' in media) continue
      const isProblem = '$ref' in schema && nameOf(schema) === 'Problem'
      media.example = (isProblem && problemExample(status)) || exampleOf(schema, schemas)
    }
  }
}

const answersOf = (responses: Operation['responses']) =>
  Object.entries(responses ?? {}).map(([status, { content = {} }]) => [status, content])
