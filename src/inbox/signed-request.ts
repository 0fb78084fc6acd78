/** Of `Request`, of Node's `http`, or of a framework; names are in any case. */
export type RequestHeaders =
  | { get(name: string): string | null }
  | Readonly<Record<string, string | readonly string[] | undefined>>

/** A request as it came. */
export interface SignedRequest {
  headers: RequestHeaders
  /** The raw body: what a parser made of it and prints again has another signature. */
  body: string | Uint8Array
}

/** The request is not from the sender, is too old, or was changed on its way. Answer 401. */
export class InvalidSignature extends Error {
  override readonly name = 'InvalidSignature'
  readonly code = 'signature_invalid'
}

/** @throws InvalidSignature */
export function headerOf(headers: RequestHeaders, name: string): string {
  const value = isHeaders(headers) ? headers.get(name) : memberOf(headers, name)
  if (typeof value === 'string' && value !== '') return value
  throw new InvalidSignature(`the header ${name} is missing`)
}

const isHeaders = (headers: RequestHeaders): headers is { get(name: string): string | null } =>
  typeof headers['get'] === 'function'

function memberOf(
  headers: Exclude<RequestHeaders, { get(name: string): string | null }>,
  name: string,
) {
  const key = Object.keys(headers).find((each) => each.toLowerCase() === name)
  const value = key === undefined ? undefined : headers[key]
  return Array.isArray(value) && value.length === 1 ? value[0] : value
}
