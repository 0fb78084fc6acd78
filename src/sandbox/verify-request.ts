import type { Endpoints } from '../endpoints/endpoints.ts'
import { TenantNotFound } from '../not-found.ts'
import type { EndpointSecrets } from '../secrets/endpoint-secrets.ts'
import { type Verification, verify } from '../sending/signature.ts'
import { storedForm } from '../sending/signing-secret.ts'
import type { Tenants } from '../tenants/tenants.ts'
import { sandboxPathOf } from './sandbox-endpoint.ts'

/** More endpoints of one tenant than anybody points at the sandbox. */
const ENDPOINTS_MAX = 100

export interface SandboxServices {
  tenants: Pick<Tenants, 'find'>
  endpoints: Pick<Endpoints, 'list'>
  secrets: Pick<EndpointSecrets, 'list'>
}

/**
 * Verifies a request as a receiver would: with the secrets of the tenant's endpoints that lead to
 * the sandbox. They are read each time, so that a rotation shows at once.
 */
export async function verifyRequest(
  services: SandboxServices,
  tenantKey: string,
  { headers, body }: { headers: Record<string, string>; body: Buffer },
): Promise<Verification> {
  const {
    'webhook-id': id,
    'webhook-timestamp': timestamp,
    'webhook-signature': signature,
  } = headers
  if (!id || !timestamp || !signature) {
    return { valid: false, reason: 'the headers of Standard Webhooks are missing' }
  }
  const secrets = await secretsOf(services, tenantKey)
  if (secrets.length === 0) {
    return { valid: false, reason: `tenant ${tenantKey} has no endpoint that leads here` }
  }
  return verify({ id, timestampSeconds: Number(timestamp), signature, secrets, body })
}

async function secretsOf(
  { tenants, endpoints, secrets }: SandboxServices,
  tenantKey: string,
): Promise<string[]> {
  try {
    const tenant = await tenants.find(tenantKey)
    const all = await endpoints.list(tenant.id, { limit: ENDPOINTS_MAX, before: null })
    const path = sandboxPathOf(tenantKey)
    const leadingHere = all.filter((endpoint) => URL.parse(endpoint.url)?.pathname === path)
    const live = await Promise.all(leadingHere.map(({ id }) => secrets.list(tenant.id, id)))
    return live.flat().map(storedForm)
  } catch (error) {
    if (error instanceof TenantNotFound) return []
    throw error
  }
}
