import type { SvixApp } from './svix-route.ts'
import { SVIX_PATH } from './svix-route.ts'

const DESCRIPTION = `For SDKs of Svix: the part of its API that Postrider answers. What differs, and what is refused, is in docs/svix.md.

Unknown members are ignored. Errors are \`{code, detail}\`, and 422 names each field. For 12 hours, a POST with a known \`idempotency-key\` returns the response of the first.`

/** The document of this API alone. */
export function addSvixDocument(app: SvixApp, version: string): void {
  app.openAPIRegistry.registerComponent('securitySchemes', 'HTTPBearer', {
    type: 'http',
    scheme: 'bearer',
    description: 'An API key of Postrider.',
  })
  app.get(`${SVIX_PATH}/openapi.json`, (c) =>
    c.json(
      app.getOpenAPI31Document({
        openapi: '3.1.0',
        info: { title: 'Postrider for SDKs of Svix', version, description: DESCRIPTION },
        servers: [{ url: '/' }],
        security: [{ HTTPBearer: [] }],
      }),
    ),
  )
}
