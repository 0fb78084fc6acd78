import { randomBytes } from 'node:crypto'
import { readConfig } from '../../config/config.ts'
import { listen } from '../../service/listen.ts'
import { createSharedParts } from '../../service/shared-parts.ts'
import { openApi } from '../../service/start-api.ts'
import { addSandbox } from '../../service/start-dev.ts'
import { captureLog } from '../log-lines.ts'
import { signedInAt } from './pages.ts'

const ENCRYPTION_KEY = randomBytes(32)

/**
 * All that takes requests, API, pages and sandbox, put together as by `postrider dev`, on a real port of this
 * process; so a test can look at its parts and at its table of routes.
 *
 * @param env besides what is needed
 */
export async function startEverything(
  t: { teardown(done: () => unknown): void },
  databaseUrl: string,
  env: Record<string, string> = {},
) {
  const adminKey = randomBytes(32).toString('base64url')
  const config = readConfig(
    {
      DATABASE_URL: databaseUrl,
      PORT: '0',
      EGRESS_ALLOW: '127.0.0.0/8',
      POSTRIDER_ADMIN_KEY: adminKey,
      SECRET_ENCRYPTION_KEY: ENCRYPTION_KEY.toString('base64'),
      ...env,
    },
    'api',
  )
  const { log, lines } = captureLog()
  const parts = await createSharedParts(config, log)
  const api = openApi(config, parts)
  addSandbox(config, api)
  const http = await listen(config, api.app)
  t.teardown(async () => {
    api.services.liveAttempts.stop()
    await http.stop()
    await api.stop()
    await parts.stop()
  })
  const { url, port } = http
  const call = (method: string, path: string, body?: unknown, key = adminKey) =>
    fetch(url + path, {
      method,
      headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
      ...(body !== undefined && { body: JSON.stringify(body) }),
    })
  return {
    ...{ config, api, app: api.app, url, port, adminKey, lines, call },
    /** The cookie of a session in the console. */
    signIn: () => signedInAt(url, adminKey),
    /** The cookie of a session in the portal of a tenant. */
    async enter(tenant: string): Promise<string> {
      const made = await call('POST', `/api/tenants/${tenant}/portal-links`)
      const link = (await made.json()) as { url: string }
      const { headers } = await fetch(link.url, { redirect: 'manual' })
      return headers.get('set-cookie')?.split(';')[0] ?? ''
    },
  }
}

export interface Target {
  method: string
  path: string
}

const METHODS = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'PROPFIND']

/**
 * Every route of an app with `x` for each parameter, what only middleware is there for by each method, and a path
 * that leads nowhere.
 */
export function targetsOf({ routes }: { routes: Target[] }): Target[] {
  const found = routes.flatMap(({ method, path }) => {
    const concrete = path.replace(/:\w+(?:\{[^}]*\})?/g, 'x').replaceAll('*', 'nowhere')
    // A GET is answered to a HEAD as well.
    const methods = method === 'ALL' ? METHODS : method === 'GET' ? ['GET', 'HEAD'] : [method]
    return methods.map((one) => ({ method: one, path: concrete }))
  })
  const nowhere = METHODS.map((method) => ({ method, path: '/nowhere' }))
  const all = [...found, ...nowhere]
  return [...new Map(all.map((one) => [`${one.method} ${one.path}`, one])).values()]
}
