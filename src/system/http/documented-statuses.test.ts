/**
 * Provokes every status that the document promises, of every operation. What all routes have in common
 * (no key, a body that is no JSON, a database that is away) is provoked alike everywhere; a success by the
 * example that the document shows; what is left has a recipe in src/testing/data/recipes.ts.
 *
 * That each answer is as documented is held by the request helper.
 */
import t, { type Test } from 'tap'
import { createRequestLimiter } from '../../limits/request-limiter.ts'
import { connectRedis } from '../../redis/redis.ts'
import type { ApiOptions } from '../../service/api-app.ts'
import { RECIPES, type Recipe } from '../../testing/data/recipes.ts'
import { bodyIn, createWorld, pathIn, type World } from '../../testing/data/world.ts'
import { captureLog } from '../../testing/log-lines.ts'
import { createTestApi, type RequestOptions, type TestApi } from '../../testing/wiring/api.ts'
import { createTestDatabase } from '../../testing/wiring/database.ts'
import type { Document, Operation } from '../../testing/wiring/openapi-check.ts'

const { pool, url: databaseUrl } = await createTestDatabase(t)
const plain = createTestApi(pool)
const { request, apiKeys } = plain
const document = (await request('GET', '/openapi.json')).json as Document
const reader = await apiKeys.issue({ name: 'reads', scopes: ['read'] }, 'test')
const publisher = await apiKeys.issue({ name: 'publishes', scopes: ['publish'] }, 'test')
const redis = await connectRedis({ url: undefined, log: captureLog().log })
/** For refusals, which change nothing. */
const shared = await createWorld(pool)

const UNKNOWN = {
  tenant: 'nobody',
  id: '00000000-0000-7000-8000-000000000000',
  name: 'no.such.type',
}
/** For all routes but that of batches. */
const TOO_LARGE = JSON.stringify('x'.repeat(1_000_000))
const FAR_TOO_LARGE = JSON.stringify('x'.repeat(10_000_000))

interface Provocation {
  options?: RequestOptions
  path?: Record<string, string>
  query?: string
  overrides?: Partial<ApiOptions>
}

const failing = (error: Error) => ({ apiKeys: { ...apiKeys, verify: () => Promise.reject(error) } })

/** In turn, until one leads to the status. */
const COMMON: Record<string, Provocation[]> = {
  400: [{ options: { body: '{' } }],
  401: [{ options: { key: null } }],
  403: [{ options: { key: reader.key } }, { options: { key: publisher.key } }],
  404: [{ path: UNKNOWN }, { path: { tenant: UNKNOWN.tenant } }],
  413: [{ options: { body: TOO_LARGE } }, { options: { body: FAR_TOO_LARGE } }],
  415: [{ options: { body: '{}', headers: { 'content-type': 'text/plain' } } }],
  429: [
    { overrides: { requestLimiter: createRequestLimiter({ redis, limit: 0, windowSeconds: 60 }) } },
  ],
  500: [{ overrides: failing(new Error('a fault of ours')) }],
  503: [{ overrides: failing(Object.assign(new Error('away'), { code: 'ECONNREFUSED' })) }],
}

interface Case {
  method: string
  template: string
  operation: Operation & { operationId: string }
  status: string
}

for (const [template, item] of Object.entries(document.paths)) {
  for (const [method, operation] of Object.entries(item)) {
    const { operationId = '' } = operation
    t.test(`${method.toUpperCase()} ${template}`, async (t) => {
      for (const status of Object.keys(operation.responses)) {
        await provoke(t, { method, template, operation: { ...operation, operationId }, status })
      }
    })
  }
}

t.test('no recipe is left over', async (t) => {
  const documented = Object.values(document.paths).flatMap((item) =>
    Object.values(item).flatMap(({ operationId, responses }) =>
      Object.keys(responses).map((status) => `${operationId} ${status}`),
    ),
  )
  t.strictSame(
    Object.keys(RECIPES).filter((name) => !documented.includes(name)),
    [],
  )
})

async function provoke(t: Test, { method, template, operation, status }: Case): Promise<void> {
  const recipe = RECIPES[`${operation.operationId} ${status}`]
  const seen =
    recipe || status < '300'
      ? await follow(t, recipe ?? {}, { method, template, operation, status })
      : await tryAll(commonOf(operation, status), { method, template, operation, status })
  const hint = 'give it a recipe in src/testing/data/recipes.ts, or take it out of the document'
  t.ok(seen.includes(Number(status)), `${status}; if not: ${hint}. Came: ${seen}`)
}

function commonOf({ requestBody }: Operation, status: string): Provocation[] {
  if (status !== '422') return COMMON[status] ?? []
  return [requestBody ? { options: { body: { never: 'heard of' } } } : { query: '?limit=-1' }]
}

/** One for each of those above. */
const apis = new Map<Partial<ApiOptions>, TestApi>()

function apiWith(overrides: Partial<ApiOptions>): TestApi {
  const api = apis.get(overrides) ?? createTestApi(pool, overrides)
  apis.set(overrides, api)
  return api
}

async function tryAll(provocations: Provocation[], one: Case): Promise<number[]> {
  const seen: number[] = []
  for (const { options = {}, path, query = '', overrides } of provocations) {
    const { request } = overrides ? apiWith(overrides) : plain
    const body = 'body' in options ? options.body : bodyIn(shared, one.operation)
    const target = `${pathIn(shared, one.template, path)}${query}`
    const answer = await request(one.method.toUpperCase(), target, { ...options, body })
    seen.push(answer.status)
    if (answer.status === Number(one.status)) break
  }
  return seen
}

/** In its own world, since it may change it. */
async function follow(t: Test, recipe: Recipe, one: Case): Promise<number[]> {
  const world: World = await createWorld(pool)
  const context = { pool, databaseUrl, world, t }
  const { request } = recipe.overrides ? createTestApi(pool, recipe.overrides(context)) : plain
  const undo = await recipe.prepare?.(context)
  const options = {
    body: bodyIn(world, one.operation),
    ...(await recipe.request?.(world, context)),
  }
  const seen: number[] = []
  const before = await acts()
  for (let n = 0; n < (recipe.times ?? 1) && !seen.includes(Number(one.status)); n += 1) {
    const path = pathIn(world, one.template, recipe.path) + (recipe.query ?? '')
    seen.push((await request(one.method.toUpperCase(), path, options)).status)
  }
  if (one.status < '300' && leavesRow(one, options)) {
    t.ok((await acts()) > before, `${one.status} leaves a row in the audit log`)
  }
  await undo?.()
  return seen
}

const acts = async (): Promise<number> =>
  (await pool.query('select count(*)::int from postrider.audit_log')).rows[0].count

/** Of what is sent, and of what had nothing to change in the world. */
const UNAUDITED =
  /^(publishEvents? |match\w* |testEndpoint |(resume(Tenant|Endpoint)|enableEndpoint) 200|deleteEndpointClientCertificate )/

/** Each request that changes something, or shows a secret, leaves a row. */
function leavesRow(one: Case, { body }: RequestOptions): boolean {
  const { method, status, operation } = one
  const { operationId } = operation
  if (operationId === 'getEndpointSecret') return true
  const isPreview = (body as { preview?: boolean } | undefined)?.preview === true
  return method !== 'get' && !isPreview && !UNAUDITED.test(`${operationId} ${status}`)
}
