/** Larger bodies make a command that no shell takes; it then reads the body from a file. */
export const VERIFIED_CHARACTERS_MAX = 4_000

/** What has to be known of a request to verify it by hand. */
export interface SignedRequest {
  id: string
  timestamp: string
  body: string
}

/**
 * A command for a POSIX shell that computes the signature as Standard Webhooks say, with openssl and
 * nothing of ours: what it prints has to stand in the header `webhook-signature`.
 */
export function verifyCommand({ id, timestamp, body }: SignedRequest): string {
  const isInline = body.length <= VERIFIED_CHARACTERS_MAX
  const signed = isInline
    ? `printf '%s' ${quoted(`${id}.${timestamp}.${body}`)}`
    : `{ printf '%s' ${quoted(`${id}.${timestamp}.`)}; cat body.json; }`
  return [
    "SECRET='whsec_…'   # the endpoint's secret",
    'READ=base64        # how it is read: base64, hex or text',
    "bytes() { od -An -v -tx1 | tr -d ' \\n'; }",
    'case $READ in',
    `  hex) KEY=\${SECRET#whsec_} ;;`,
    `  text) KEY=$(printf '%s' "$SECRET" | bytes) ;;`,
    `  *) KEY=$(printf '%s' "\${SECRET#whsec_}" | openssl base64 -d -A | bytes) ;;`,
    'esac',
    `${signed} |`,
    '  openssl dgst -sha256 -mac HMAC -macopt "hexkey:$KEY" -binary | openssl base64 | sed "s/^/v1,/"',
  ].join('\n')
}

/** Nothing within single quotes has a meaning to a shell. */
const quoted = (text: string): string => `'${text.replaceAll("'", `'\\''`)}'`
