import type { IncomingMessage } from 'node:http'

/**
 * Whether a request says once, and with one voice, which host it is for. Of two headers, or of an address in full
 * next to another header, a proxy may have looked at the other one: RFC 9112, 3.2 has such requests refused.
 */
export function hasOneHost({ rawHeaders, headers, url = '/' }: IncomingMessage): boolean {
  let count = 0
  for (let at = 0; at < rawHeaders.length; at += 2) {
    if (rawHeaders[at]?.length === 4 && rawHeaders[at]?.toLowerCase() === 'host') count += 1
  }
  if (count > 1) return false
  if (count === 0 || url.startsWith('/') || url === '*') return true
  const target = URL.parse(url)
  return target !== null && target.host === URL.parse(`${target.protocol}//${headers.host}`)?.host
}
