import type { OpenAPIHono } from '@hono/zod-openapi'
import type { ApiEnv } from './authenticate.ts'

export const DOCUMENT_PATH = '/openapi.json'

const DESCRIPTION = `Sends webhooks from your Postgres. An event that is accepted is stored, with its deliveries, in one commit.

Errors are \`application/problem+json\` (RFC 9457) with a stable \`code\`, and \`errors\` names every invalid field. Times are ISO 8601 in UTC, ids are UUIDv7. Lists come newest first: \`nextCursor\` of a page is the \`cursor\` of the next one.`

const TAGS = [
  ['Events', 'Publish events and find them again.'],
  ['Deliveries', 'One event on its way to one endpoint, with every attempt.'],
  ['Endpoints', 'Where a tenant wants its events sent.'],
  ['Tenants', 'Customers; each owns endpoints and sees only its own data.'],
  ['Event types', 'Names of events, with a JSON Schema for their data.'],
  ['Replays', 'Deliver again what was delivered or has failed.'],
  ['API keys', 'Who may call this API.'],
  ['Health', 'Probes; they need no key.'],
] as const

/** OpenAPI 3.1 from the schemas that validate. */
export function addDocument(app: OpenAPIHono<ApiEnv>, version: string): void {
  app.openAPIRegistry.registerComponent('securitySchemes', 'apiKey', {
    type: 'http',
    scheme: 'bearer',
    description: '`Authorization: Bearer <API key>`; what a key may do depends on its scopes.',
  })
  app.doc31(DOCUMENT_PATH, {
    openapi: '3.1.0',
    info: { title: 'Postrider', version, description: DESCRIPTION, license: { name: 'MIT' } },
    servers: [{ url: '/' }],
    tags: TAGS.map(([name, description]) => ({ name, description })),
    security: [{ apiKey: [] }],
  })
}
