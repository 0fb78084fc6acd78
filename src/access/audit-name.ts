import type { Caller } from '../api-keys/api-keys.ts'

/** Who did it, for the audit log. */
export function auditName({ apiKeyId, portalLinkId }: Caller): string {
  if (portalLinkId !== undefined) return `portal link ${portalLinkId}`
  return apiKeyId === null ? 'admin key' : `api key ${apiKeyId}`
}
