import type { Endpoints } from '../endpoints/endpoints.ts'
import type { Tenants } from '../tenants/tenants.ts'

/** Where `postrider dev` shows what arrived. */
export const SANDBOX_PATH = '/sandbox'
/** The tenant that exists from the first run of `postrider dev`. */
export const SANDBOX_TENANT = 'default'
/** More endpoints than anybody creates for the default tenant by hand. */
const ENDPOINTS_MAX = 100

/** What an endpoint of this tenant has as the path of its URL to deliver to the sandbox. */
export function sandboxPathOf(tenantKey: string): string {
  return `${SANDBOX_PATH}/in/${encodeURIComponent(tenantKey)}`
}

/**
 * Makes sure that the tenant `default` has an endpoint that leads to the sandbox. One of an earlier
 * run gets the address of this one, which may have another port.
 *
 * @param url of the API, without a slash at the end
 */
export async function ensureSandboxEndpoint(
  { tenants, endpoints }: { tenants: Pick<Tenants, 'put'>; endpoints: Endpoints },
  url: string,
): Promise<void> {
  const { tenant } = await tenants.put(SANDBOX_TENANT, {})
  const path = sandboxPathOf(SANDBOX_TENANT)
  const wanted = url + path
  const all = await endpoints.list(tenant.id, { limit: ENDPOINTS_MAX, before: null })
  const existing = all.filter((endpoint) => URL.parse(endpoint.url)?.pathname === path)
  if (existing.length === 0) {
    await endpoints.create(tenant.id, { url: wanted, description: 'The sandbox of postrider dev' })
  }
  for (const endpoint of existing) {
    if (endpoint.url !== wanted) await endpoints.change(tenant.id, endpoint.id, { url: wanted })
  }
}
