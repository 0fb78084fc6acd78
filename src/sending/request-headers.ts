/** Stands for the value of a secret header wherever it is shown. Given back, it means the value that is stored. */
export const MASK = '***'

/** Names of headers that carry credentials; it errs on the side of masking. */
const SECRET_NAME =
  /auth|cookie|token|secret|passw(?:or)?d|passphrase|pwd|credential|signature|session|jwt|(?:api|access)[-_]?key|(?:^|[-_.])key$/i
/** A scheme of HTTP authentication with something behind it, or an address with a password. */
const SECRET_VALUE =
  /^\s*(?:basic|bearer|digest|token|apikey|negotiate|aws4-hmac-sha256)[\s:=]+\S|:\/\/[^/@\s]+@/i

/** Whether the value of a header is a credential, as far as one can tell. */
export const looksSecret = (name: string, value: string): boolean =>
  SECRET_NAME.test(name) || SECRET_VALUE.test(value)

/**
 * Names an endpoint's own headers cannot have: ours, and those that frame the message or belong
 * to the connection, where a second opinion means request smuggling.
 */
export const RESERVED_HEADER_NAMES: ReadonlySet<string> = new Set([
  'connection',
  'content-length',
  'content-type',
  'expect',
  'host',
  'keep-alive',
  'proxy-authorization',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
  'user-agent',
  'webhook-id',
  'webhook-signature',
  'webhook-timestamp',
])

/**
 * Whether an endpoint's own header cannot have this name, in any case. CGI, WSGI and nginx read `_` and `-` alike, so
 * that `webhook_id` would stand in for ours.
 */
export function isReservedHeader(name: string): boolean {
  const canonical = name.toLowerCase().replaceAll('_', '-')
  return RESERVED_HEADER_NAMES.has(canonical) || canonical.startsWith('webhook-')
}

/**
 * Joins ours and the endpoint's headers; reserved names among the latter are left out (they are
 * refused with a message when the endpoint is created).
 */
export function requestHeaders(
  ours: Record<string, string>,
  custom: Record<string, string>,
): Record<string, string> {
  const headers: Record<string, string> = {}
  for (const [name, value] of Object.entries(custom)) {
    if (!isReservedHeader(name)) headers[name.toLowerCase()] = value
  }
  return { ...headers, ...ours }
}

/**
 * The headers as the audit log may hold them: it outlives a credential, and is read by more people than may know it.
 *
 * @param own the endpoint's headers, and the names of those that are secret
 */
export function maskHeaders(
  headers: Record<string, string>,
  own: {
    headers: Readonly<Record<string, string>>
    secretHeaders?: readonly string[] | undefined
  },
): Record<string, string> {
  const secret = new Set(own.secretHeaders?.map((name) => name.toLowerCase()))
  for (const [name, value] of Object.entries(own.headers)) {
    if (looksSecret(name, value)) secret.add(name.toLowerCase())
  }
  if (secret.size === 0) return headers
  return Object.fromEntries(
    Object.entries(headers).map(([name, value]) => [name, secret.has(name) ? MASK : value]),
  )
}
