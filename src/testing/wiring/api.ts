import type { Pool } from 'pg'
import { hashApiKey } from '../../access/caller.ts'
import { createApiKeys } from '../../api-keys/api-keys.ts'
import { createAttempts } from '../../attempts/attempts.ts'
import { createEndpointStats } from '../../attempts/endpoint-stats.ts'
import { createLiveAttempts } from '../../attempts/live.ts'
import { writeAct } from '../../audit-log/audit-log.ts'
import { createDeliveries } from '../../deliveries/deliveries.ts'
import { createDeliveryOperations } from '../../deliveries/delivery-operations.ts'
import { createEndpointOperations } from '../../endpoints/endpoint-operations.ts'
import { createEndpoints } from '../../endpoints/endpoints.ts'
import { createEventTypeServices } from '../../event-types/event-type-services.ts'
import { createEvents } from '../../events/events.ts'
import { createPublisher } from '../../events/publish.ts'
import { createBatchPublisher } from '../../events/publish-batch.ts'
import { createRouting } from '../../events/routing.ts'
import { createTestEvents } from '../../events/test-events.ts'
import { DOCUMENT_PATH } from '../../http/document.ts'
import { createMetrics } from '../../metrics.ts'
import { createPortalLinks } from '../../portal-links/portal-links.ts'
import { changeAsActor } from '../../postgres/actor.ts'
import { createDatabase } from '../../postgres/pool.ts'
import { createTenantScope } from '../../postgres/tenant-scope.ts'
import { createReplays } from '../../replays/replays.ts'
import { createClientCertificates } from '../../secrets/client-certificates.ts'
import { createEndpointSecrets } from '../../secrets/endpoint-secrets.ts'
import { createSecretBox } from '../../secrets/secrets.ts'
import { parseCidrs } from '../../sending/egress.ts'
import { generateSecret } from '../../sending/signature.ts'
import { type App, type AppOptions, createApp } from '../../service/api-app.ts'
import { createTenantOperations } from '../../tenants/tenant-operations.ts'
import { createTenants } from '../../tenants/tenants.ts'
import { createOpenApiCheck, type Document, type OpenApiCheck } from './openapi-check.ts'

/** Of the first API of this test file; all of them document the same. */
let check: Promise<OpenApiCheck> | undefined

export const ADMIN_KEY = 'the-admin-key-of-the-tests'
export const ENCRYPTION_KEY = Buffer.alloc(32, 7)

export interface Answer {
  status: number
  headers: Headers
  text: string
  /** Parsed, where it is JSON. */
  // biome-ignore lint/suspicious/noExplicitAny: tests look into it and compare what they find
  json: any
}

export interface RequestOptions {
  /** Sent as JSON unless it is text or bytes already. */
  body?: unknown
  /** Null sends no key. */
  key?: string | null
  headers?: Record<string, string>
}

export type TestApi = ReturnType<typeof createTestApi>

/**
 * The whole API on a database, without a port, with `request` to call it as the admin. Whatever is not as
 * documented fails the test.
 */
export function createTestApi(pool: Pool, overrides: Partial<AppOptions> = {}) {
  const everyTenant = createDatabase(pool)
  const { database, inTenant } = createTenantScope(pool)
  const box = createSecretBox([ENCRYPTION_KEY])
  const secrets = createEndpointSecrets({ database, box, generateSecret })
  const apiKeys = createApiKeys({ database: everyTenant, adminKeyHash: hashApiKey(ADMIN_KEY) })
  const logged: unknown[] = []
  const attempts = createAttempts({ database })
  const app = createApp({
    version: '0.0.0-test',
    log: { error: (line: unknown) => void logged.push(line) },
    metrics: createMetrics({ version: '0.0.0-test' }),
    tracing: null,
    ready: async () => ({ ready: true, checks: { database: 'reachable' } }),
    eventBytesMax: 262_144,
    deliveryTimeoutSeconds: 15,
    egressAllow: parseCidrs('127.0.0.0/8'),
    httpsOnly: false,
    inTenant,
    apiKeys,
    keyGuard: null,
    requestLimiter: null,
    heavyTurns: null,
    batchTurns: null,
    tenants: createTenants({ database: everyTenant }),
    tenantOperations: createTenantOperations({ database: everyTenant }),
    endpoints: createEndpoints({ database, secrets }),
    secrets,
    audit: (act) => changeAsActor(everyTenant, (on) => writeAct(on, act)),
    publisher: createPublisher({ pool }),
    batchPublisher: createBatchPublisher({ pool }),
    events: createEvents({ database }),
    ...createEventTypeServices({ database: everyTenant, isStrict: false }),
    deliveries: createDeliveries({ database, attempts }),
    attempts,
    deliveryOperations: createDeliveryOperations({ database }),
    endpointOperations: createEndpointOperations({ database }),
    endpointStats: createEndpointStats({ database }),
    clientCertificates: createClientCertificates({ database, box }),
    routing: createRouting({ database }),
    testEvents: createTestEvents({ database, pool }),
    replays: createReplays({ database }),
    portalLinks: createPortalLinks({ database: everyTenant }),
    publicUrl: undefined,
    liveAttempts: createLiveAttempts({
      database: everyTenant,
      onError: (error) => void logged.push(error),
    }),
    ...overrides,
  })

  const request = async (
    method: string,
    path: string,
    { body, key = ADMIN_KEY, headers = {} }: RequestOptions = {},
  ): Promise<Answer> => {
    const sent = body === undefined ? undefined : encode(body)
    const response = await app.request(path, {
      method,
      headers: {
        ...(key !== null && { authorization: `Bearer ${key}` }),
        ...(body !== undefined && { 'content-type': 'application/json' }),
        ...headers,
      },
      ...(sent !== undefined && { body: sent }),
    })
    const text = await textOf(response)
    const { status } = response
    const contentType = response.headers.get('content-type')
    const mistake = (await documentOf(app))({ method, path, body: sent, status, contentType, text })
    if (mistake) throw new Error(`${method} ${path} is not as documented: ${mistake}`)
    const isJson = /json/.test(contentType ?? '')
    const json = isJson ? JSON.parse(text) : undefined
    return { status, headers: response.headers, text, json }
  }
  return { app, apiKeys, request, logged }
}

/** Of a stream only how it begins: it has no end. */
async function textOf(response: Response): Promise<string> {
  if (!response.headers.get('content-type')?.startsWith('text/event-stream')) {
    return await response.text()
  }
  const reader = response.body?.getReader()
  const { value } = (await reader?.read()) ?? {}
  await reader?.cancel()
  return new TextDecoder().decode(value)
}

function documentOf(app: App): Promise<OpenApiCheck> {
  check ??= Promise.resolve(app.request(DOCUMENT_PATH))
    .then((response) => response.json() as Promise<Document>)
    .then(createOpenApiCheck)
  return check
}

function encode(body: unknown): string | Uint8Array<ArrayBuffer> {
  if (typeof body === 'string') return body
  return body instanceof Uint8Array ? new Uint8Array(body) : JSON.stringify(body)
}
