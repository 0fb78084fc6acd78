import type { Context, Env, MiddlewareHandler } from 'hono'
import { createMiddleware } from 'hono/factory'
import type { TenantId } from '../ids.ts'
import { FairSemaphore, type SemaphoreBounds } from '../limits/fair-semaphore.ts'
import { type Caller, countedAs } from './caller.ts'

/** What one key, and all keys of one tenant, may have under way. */
export interface Shares {
  perKey: number
  perTenant: number
}

/**
 * A semaphore of which no key, and no tenant, ever has all permits: one is left for others, whatever is configured.
 *
 * @param options.atOnce two or more
 */
export function createSharedSemaphore(
  { perKey, perTenant }: Shares,
  { atOnce, ...waiting }: Pick<SemaphoreBounds, 'atOnce' | 'waiting' | 'waitingPerKey' | 'waitMs'>,
): FairSemaphore {
  const most = atOnce - 1
  return new FairSemaphore({
    ...{ atOnce, ...waiting },
    atOncePerKey: Math.min(perKey, most),
    atOncePerTenant: Math.min(perTenant, most),
  })
}

/**
 * Makes a middleware that lets a request go on when it is its turn, and others when it has been answered.
 *
 * @param semaphore null = all at once
 * @param workOf whose request it is, and about which tenant
 */
export function limitConcurrency<E extends Env>(
  semaphore: FairSemaphore | null,
  workOf: (c: Context<E>) => { caller: Caller; tenantId: TenantId | null },
): MiddlewareHandler<E> {
  // Hono calls the middleware of a route twice where a part of the path is `:id` itself.
  const atIt = new WeakSet<Request>()
  return createMiddleware<E>(async (c, next) => {
    if (!semaphore || atIt.has(c.req.raw)) return await next()
    const { caller, tenantId } = workOf(c)
    const release = await semaphore.acquire({ key: countedAs(caller), tenant: tenantId })
    atIt.add(c.req.raw)
    try {
      await next()
    } finally {
      release()
    }
  })
}
