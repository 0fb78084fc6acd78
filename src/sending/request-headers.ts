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
  const canonical = canonicalName(name)
  return RESERVED_HEADER_NAMES.has(canonical) || canonical.startsWith('webhook-')
}

const canonicalName = (name: string): string => name.toLowerCase().replaceAll('_', '-')

/**
 * Joins ours and the endpoint's headers; reserved names among the latter are left out (they are
 * refused with a message when the endpoint is created), and so are those that stand in for one of ours: all of
 * `svix-` where the request has that family, which an endpoint may get later, and for a single event.
 */
export function requestHeaders(
  ours: Record<string, string>,
  custom: Record<string, string>,
): Record<string, string> {
  const headers: Record<string, string> = {}
  const taken = new Set(Object.keys(ours).map(canonicalName))
  const isSvix = taken.has('svix-id')
  for (const [name, value] of Object.entries(custom)) {
    const canonical = canonicalName(name)
    const isTaken = taken.has(canonical) || (isSvix && canonical.startsWith('svix-'))
    if (!isTaken && !isReservedHeader(name)) headers[name.toLowerCase()] = value
  }
  return { ...headers, ...ours }
}

/** Receivers that verify with an SDK of Svix take either family; those that verify by hand look for this one. */
export const asSvix = (standard: Readonly<Record<string, string>>): Record<string, string> =>
  Object.fromEntries(
    Object.entries(standard).map(([name, value]) => [name.replace(/^webhook-/, 'svix-'), value]),
  )

/** The endpoint's headers, and the names of those that are secret. */
interface OwnHeaders {
  headers: Readonly<Record<string, string>>
  secretHeaders?: readonly string[] | undefined
}

/** The names of secret headers, in lower case: those that are named, and those that look like it. */
export function secretNames({ headers, secretHeaders }: OwnHeaders): Set<string> {
  const named = secretHeaders?.map((name) => name.toLowerCase())
  const looking = Object.entries(headers).filter(([name, value]) => looksSecret(name, value))
  return new Set([...(named ?? []), ...looking.map(([name]) => name.toLowerCase())])
}

/** The headers as the audit log may hold them: it outlives a credential, and is read by more people than may know it. */
export function maskHeaders(
  headers: Record<string, string>,
  secret: ReadonlySet<string>,
): Record<string, string> {
  if (secret.size === 0) return headers
  return Object.fromEntries(
    Object.entries(headers).map(([name, value]) => [name, secret.has(name) ? MASK : value]),
  )
}

/** A shorter value is a word like others, and stands in answers that repeat nothing. */
const ECHO_LENGTH_MIN = 6
/** `Bearer <credential>`: pages that show a request show the second part alone as well. */
const SCHEME = /^\s*[a-z][\w-]*[\s:=]+/i

/**
 * Makes what replaces the endpoint's credentials in a text of its receiver: one that repeats the request, as pages for
 * debugging do, would show them to everybody who reads attempts.
 *
 * @returns null where there is nothing to replace
 */
export function createEchoMask(
  headers: Readonly<Record<string, string>>,
  secret: ReadonlySet<string>,
): EchoMask | null {
  if (secret.size === 0) return null
  const values = Object.entries(headers)
    .filter(([name]) => secret.has(name.toLowerCase()))
    .flatMap(([, value]) => [value.trim(), value.replace(SCHEME, '').trim()])
    .filter(({ length }) => length >= ECHO_LENGTH_MIN)
    .flatMap((value) => [value, JSON.stringify(value).slice(1, -1), encodeURIComponent(value)])
  if (values.length === 0) return null
  const longestFirst = [...new Set(values)].sort((a, b) => b.length - a.length)
  return (text, { isCut = false } = {}) => {
    const masked = longestFirst.reduce((rest, value) => rest.replaceAll(value, MASK), text)
    return isCut ? withoutBeginning(masked, longestFirst) : masked
  }
}

/** @param options.isCut whether the text may end in the middle of a credential */
export type EchoMask = (text: string, options?: { isCut?: boolean }) => string

/** The text without the first characters of a value at its end. */
function withoutBeginning(text: string, values: readonly string[]): string {
  const beginnings = values.map((value) => {
    const lengths = Array.from({ length: value.length - 1 }, (_, n) => value.length - 1 - n)
    return lengths.find((length) => text.endsWith(value.slice(0, length))) ?? 0
  })
  const longest = Math.max(...beginnings)
  return longest === 0 ? text : text.slice(0, -longest) + MASK
}
