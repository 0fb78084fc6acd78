import type { Caller } from '../tenants/api-keys.ts'

/** Who did it, for the audit log. */
export function auditName({ apiKeyId }: Caller): string {
  return apiKeyId === null ? 'admin key' : `api key ${apiKeyId}`
}
