import type { Pool } from 'pg'
import { readConfig, type ServiceConfig } from '../../config/config.ts'
import type { App } from '../../http/authenticate.ts'
import { DOCUMENT_PATH } from '../../http/document.ts'
import { createLog } from '../../log.ts'
import { createMetrics } from '../../metrics.ts'
import { createDatabase } from '../../postgres/pool.ts'
import { withoutRedis } from '../../redis/redis.ts'
import { type ApiOptions, createApi } from '../../service/api-app.ts'
import { createServices, createTenantServices, type ServiceParts } from '../../service/services.ts'
import { SVIX_PATH } from '../../svix/svix-route.ts'
import { ENCRYPTION } from '../data/encryption.ts'
import { createOpenApiCheck, type Document, type OpenApiCheck } from './openapi-check.ts'

/** Of the first API of this test file; all of them document the same. */
let check: Promise<OpenApiCheck> | undefined
let svixCheck: typeof check

export const ADMIN_KEY = 'the-admin-key-of-the-tests'

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

/** As of a process that has what it needs and nothing else; the database is the one of the pool that a test gives. */
export function testConfig(env: Record<string, string> = {}): ServiceConfig {
  const needed = {
    DATABASE_URL: 'postgres://a:b@c/d',
    POSTRIDER_ADMIN_KEY: ADMIN_KEY,
    ...ENCRYPTION,
    EGRESS_ALLOW: '127.0.0.0/8',
    API_RATE_LIMIT: '0',
    REPLAYS_PER_KEY: '10000',
    REPLAYS_PER_TENANT: '10000',
  }
  return readConfig({ ...needed, ...env }, 'api')
}

/** What services are made of: one pool for all of them, no Redis, and a log that is kept. */
export function testParts(pool: Pool, now?: () => number) {
  const logged: unknown[] = []
  const write = { value: (line: unknown) => void logged.push(line) }
  const parts: ServiceParts = {
    log: Object.create(createLog('silent'), { error: write, warn: write }),
    redis: withoutRedis,
    metrics: createMetrics({ version: '0.0.0-test' }),
    tracing: null,
    pools: { api: pool, publish: pool, batch: pool, pages: pool },
    stop: () => Promise.resolve(),
    ...(now && { now }),
  }
  return { parts, logged }
}

/** The services of a configuration; those of tenants see every tenant, as nothing is asked of the API. */
export function createTestServices(pool: Pool, env: Record<string, string> = {}) {
  const config = testConfig(env)
  const services = createServices(config, testParts(pool).parts)
  return { ...services, ...createTenantServices(config, createDatabase(pool)) }
}

/** What would stand in the way of many requests from one place. */
const WITHOUT_BOUNDS = { keyGuard: null, heavySemaphore: null, batchSemaphore: null }

/**
 * The whole API on a database, without a port, with `request` to call it as the admin. Whatever is not as
 * documented fails the test.
 */
export function createTestApi(
  pool: Pool,
  overrides: Partial<ApiOptions> = {},
  env: Record<string, string> = {},
) {
  const { parts, logged } = testParts(pool)
  const { app, services } = createApi(testConfig(env), parts, { ...WITHOUT_BOUNDS, ...overrides })
  return { app, services, apiKeys: services.apiKeys, request: requesting(app), logged }
}

/** Calls an API as the admin. */
export function requesting(app: App) {
  return async (
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
    const documented = path.startsWith(`${SVIX_PATH}/`) ? svixDocumentOf(app) : documentOf(app)
    const mistake = (await documented)({ method, path, body: sent, status, contentType, text })
    if (mistake) throw new Error(`${method} ${path} is not as documented: ${mistake}`)
    const isJson = /json/.test(contentType ?? '')
    const json = isJson ? JSON.parse(text) : undefined
    return { status, headers: response.headers, text, json }
  }
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

function svixDocumentOf(app: App): Promise<OpenApiCheck> {
  svixCheck ??= Promise.resolve(app.request(`${SVIX_PATH}/openapi.json`))
    .then((response) => response.json() as Promise<Document>)
    .then(createOpenApiCheck)
  return svixCheck
}

function encode(body: unknown): string | Uint8Array<ArrayBuffer> {
  if (typeof body === 'string') return body
  return body instanceof Uint8Array ? new Uint8Array(body) : JSON.stringify(body)
}
