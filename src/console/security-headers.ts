import { createMiddleware } from 'hono/factory'
import { HTTPException } from 'hono/http-exception'
import type { PageEnv } from './viewer.ts'

/**
 * What a page may do: load from this server and nothing else, run no script that stands in the page, be in no
 * frame. A payload that got past the escaping could still do nothing.
 *
 * @param frameAncestors who may show it in a frame; nobody unless given
 * @param pictures another host that it may load pictures from; none unless given
 */
function pageHeaders(frameAncestors = "'none'", pictures?: string): Record<string, string> {
  const policy = [
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self'",
    `img-src 'self'${pictures === undefined ? '' : ` ${pictures}`}`,
    "connect-src 'self'",
    "form-action 'self'",
    "base-uri 'none'",
    `frame-ancestors ${frameAncestors}`,
  ]
  return {
    'content-security-policy': policy.join('; '),
    'referrer-policy': 'same-origin',
    'x-content-type-options': 'nosniff',
    'cross-origin-opener-policy': 'same-origin',
    'cache-control': 'no-store',
  }
}

/** Sets the headers on every answer but those of files, which set their own. @param base such as `/console` */
export function securityHeaders(base: string, frameAncestors?: string) {
  return createMiddleware<PageEnv>(async (c, next) => {
    await next()
    if (c.req.path.startsWith(`${base}/assets/`)) return
    const headers = pageHeaders(frameAncestors, c.get('look')?.logoOrigin)
    for (const [name, value] of Object.entries(headers)) c.res.headers.set(name, value)
  })
}

/** No address and no form means this character, and Postgres has no text with it. */
const NUL = /%00/

/** Refuses it before a page asks for something by it. */
export const refuseNul = createMiddleware(async (c, next) => {
  if (NUL.test(c.req.url)) {
    throw new HTTPException(400, { message: 'The address holds a NUL character (%00).' })
  }
  await next()
})
