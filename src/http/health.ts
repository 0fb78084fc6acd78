import { createRoute, type OpenAPIHono, z } from '@hono/zod-openapi'
import type { HonoRequest } from 'hono'
import { createMiddleware } from 'hono/factory'
import { Problem } from '../problem.ts'
import type { ApiEnv } from './authenticate.ts'
import { json } from './responses.ts'

/** A probe that gets no response within a few seconds counts as failed anyway; this one says why. */
const READY_MS_MAX = 2_000

export interface Readiness {
  /** Whether requests and deliveries can be served. */
  ready: boolean
  /** Part → state in words, such as `{database: 'reachable', schema: 'current'}`. */
  checks: Record<string, string>
}

const tags = ['Health']
const liveSchema = z.object({ status: z.literal('ok') })
const readySchema = z
  .object({ ready: z.boolean(), checks: z.record(z.string(), z.string()) })
  .openapi('Readiness')

/** Probes need no key; they say nothing that a stranger may not know. */
export function addHealthRoutes(
  app: OpenAPIHono<ApiEnv>,
  { ready }: { ready: () => Promise<Readiness> },
): void {
  const live = createRoute({
    method: 'get',
    path: '/live',
    summary: 'Check liveness',
    description: 'Whether the process answers. Restart it when it does not.',
    tags,
    security: [],
    responses: { 200: json(liveSchema, 'It does.') },
  })
  app.openapi(live, (c) => c.json({ status: 'ok' as const }, 200))

  const readyRoute = createRoute({
    method: 'get',
    path: '/ready',
    summary: 'Check readiness',
    description:
      'Whether the database is reachable and its schema current. Send requests only then.',
    tags,
    security: [],
    responses: { 200: json(readySchema, 'It is.'), 503: json(readySchema, 'Not now.') },
  })
  app.openapi(readyRoute, async (c) => {
    const readiness = await withinTime(ready())
    return c.json(readiness, readiness.ready ? 200 : 503)
  })
}

/** A check that hangs or throws is a failed check. */
export async function withinTime(checking: Promise<Readiness>): Promise<Readiness> {
  const { promise: late, resolve } = Promise.withResolvers<Readiness>()
  const timer = setTimeout(
    () => resolve({ ready: false, checks: { database: 'no response in time' } }),
    READY_MS_MAX,
  )
  const failed = () => ({ ready: false, checks: { database: 'unreachable' } })
  try {
    return await Promise.race([checking.catch(failed), late])
  } finally {
    clearTimeout(timer)
  }
}

const SAFE_METHODS = /^(?:GET|HEAD|OPTIONS)$/
/** What is only shown, and writes: a session, or who saw a secret. */
const WRITTEN_WHEN_SHOWN = /^\/portal\/open$|\/secret\/?$/
/** Masked data is shown, which is written down. */
const REVEAL = 'reveal'

const writes = (request: HonoRequest): boolean =>
  !SAFE_METHODS.test(request.method) ||
  WRITTEN_WHEN_SHOWN.test(request.path) ||
  request.query(REVEAL) !== undefined

/**
 * Refuses what would write to a database that is a copy, or another environment's: what is published there could be
 * sent by that one's runners, and nobody means to change it.
 */
export const refuseUnadopted = (whyUnadopted: () => string | null) =>
  createMiddleware(async (c, next) => {
    if (!SAFE_METHODS.test(c.req.method) && whyUnadopted() !== null) {
      throw new Problem('copy_not_adopted', {
        detail:
          'The database is a copy, or belongs to another environment: nothing is accepted or sent until an operator adopts it.',
      })
    }
    await next()
  })

/**
 * Refuses what would write while commits wait for a standby that does not answer. Each would also wait, in a
 * separate session that stays on the server when the request is given up, until no session is left for anybody.
 */
export const refuseWhileCommitsWait = (doCommitsWait: () => boolean) =>
  createMiddleware(async (c, next) => {
    if (doCommitsWait() && writes(c.req)) {
      throw new Problem('database_unavailable', {
        detail: 'Commits wait for a standby that does not answer. Try again; nothing is lost.',
        headers: { 'retry-after': '1' },
      })
    }
    await next()
  })
