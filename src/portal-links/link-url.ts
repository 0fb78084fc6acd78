import type { Context } from 'hono'
import type { Client } from '../access/client-address.ts'
import { Problem } from '../problem.ts'
import { refuseReserved } from '../tenants/tenants.ts'

/** Where a link leads; the portal opens it. */
const OPEN_PATH = '/portal/open'

export interface LinkUrlOptions {
  /** Where people reach this service; undefined = where the request did. */
  publicUrl: string | undefined
  /** Whether it has to be known. */
  needsPublicUrl?: boolean
}

/** Where a link will lead that is about to be made. @throws TenantReserved, Problem public_url_missing */
export function linkUrl<E extends { Variables: { client: Client } }>(
  c: Context<E>,
  { publicUrl, needsPublicUrl }: LinkUrlOptions,
  tenantKey: string,
) {
  refuseReserved(tenantKey)
  if (needsPublicUrl && publicUrl === undefined) throw noPublicUrl()
  const origin = publicUrl ?? originOf(c)
  return { urlOf: (token: string) => `${origin}${OPEN_PATH}?token=${token}` }
}

/** Also behind a proxy that ends TLS; only who asks for the link is told. */
function originOf<E extends { Variables: { client: Client } }>(c: Context<E>): string {
  const { protocol, host } = new URL(c.req.url)
  const isHttps = c.get('client').isHttps || protocol === 'https:'
  return `${isHttps ? 'https' : 'http'}://${host}`
}

/** The address that a request came to is whatever its sender, or a proxy, wrote there. */
function noPublicUrl(): Problem {
  return new Problem('public_url_missing', {
    detail: 'Set PUBLIC_URL to where people reach the service, such as https://hooks.example.com.',
  })
}
