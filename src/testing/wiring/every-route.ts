import type { Pool } from 'pg'
import { RECIPES } from '../data/recipes.ts'
import { bodyIn, createWorld, pathIn } from '../data/world.ts'
import type { TestApi } from './api.ts'
import type { Document, Operation } from './openapi-check.ts'
import type { Service } from './service.ts'

/** As `startService` gives it to an API. */
const ADMIN_KEY = 'test-admin-key'

export interface RouteResult {
  /** Method and path. */
  name: string
  expected: number
  status: number
  text: string
}

/** Calls a running API as the admin. */
export function requestsTo({ url }: Pick<Service, 'url'>): Pick<TestApi, 'request'> {
  return {
    async request(method, path, { body, key = ADMIN_KEY, headers = {} } = {}) {
      const response = await fetch(url + path, {
        method,
        headers: {
          authorization: `Bearer ${key}`,
          ...(body !== undefined && { 'content-type': 'application/json' }),
          ...headers,
        },
        ...(body !== undefined && { body: JSON.stringify(body) }),
      })
      const text = await response.text()
      const isJson = /json/.test(response.headers.get('content-type') ?? '')
      const { status } = response
      return {
        status,
        headers: response.headers,
        text,
        json: isJson ? JSON.parse(text) : undefined,
      }
    },
  }
}

/**
 * Calls every route of a running API so that it succeeds, each that changes something in its own world.
 *
 * @param options.pool of the owner, for what only runners and producers in SQL write
 * @param options.runnerUrl what a runner logs in with, where a route waits for one
 * @param options.around sends the request, and what is to be done right before and after it
 */
export async function callEveryRoute(
  t: { teardown(done: () => unknown): void },
  api: Service,
  {
    pool,
    runnerUrl,
    around = (send) => send(),
  }: { pool: Pool; runnerUrl: string; around?: <T>(send: () => Promise<T>) => Promise<T> },
): Promise<RouteResult[]> {
  const { request } = requestsTo(api)
  const document = (await request('GET', '/openapi.json')).json as Document
  const operations = Object.entries(document.paths).flatMap(([template, item]) =>
    Object.entries(item).map(([method, operation]) => ({ template, method, operation })),
  )
  const results: RouteResult[] = []
  const readOnly = await createWorld(pool)
  for (const { template, method, operation } of operations) {
    if (JSON.stringify(operation.responses).includes('text/event-stream')) continue // never ends
    const expected = successOf(operation)
    const recipe = RECIPES[`${operation.operationId} ${expected}`] ?? {}
    const isRead = method === 'get' && !recipe.prepare
    const world = isRead ? readOnly : await createWorld(pool)
    const context = { pool, databaseUrl: runnerUrl, world, t }
    const undo = await recipe.prepare?.(context)
    const body = bodyIn(world, operation)
    const path = pathIn(world, template, recipe.path) + (recipe.query ?? '')
    const options = { body, ...(await recipe.request?.(world, context)) }
    const { status, text } = await around(() => request(method.toUpperCase(), path, options))
    await undo?.()
    results.push({ name: `${method.toUpperCase()} ${template}`, expected, status, text })
  }
  return results
}

function successOf({ responses }: Operation): number {
  return Math.min(
    ...Object.keys(responses)
      .map(Number)
      .filter((status) => status < 300),
  )
}
