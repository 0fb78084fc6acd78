/** Larger bodies make a command that no shell takes; it then reads the body from a file. */
export const VERIFIED_CHARACTERS_MAX = 4_000

/** What has to be known of a request to verify it by hand. */
export interface SignedRequest {
  id: string
  timestamp: string
  body: string
}

/** What is signed, and how the signature is written. */
export interface SignatureForm {
  /** With the places `{id}`, `{timestamp}` and `{body}`. */
  over: string
  written: 'v1' | 'hex' | 'base64'
}

const STANDARD: SignatureForm = { over: '{id}.{timestamp}.{body}', written: 'v1' }

const WRITE: Record<SignatureForm['written'], string> = {
  v1: '-binary | openssl base64 | sed "s/^/v1,/"',
  base64: '-binary | openssl base64',
  hex: "-hex | sed 's/^.* //'",
}

/**
 * A command for a POSIX shell that computes the signature, with openssl and nothing of ours. Without a form it is that of
 * Standard Webhooks: what it prints has to stand in the header `webhook-signature`.
 */
export function verifyCommand(request: SignedRequest, form: SignatureForm = STANDARD): string {
  return [
    "SECRET='whsec_…'   # the endpoint's secret",
    'READ=base64        # how it is read: base64, hex or text',
    "bytes() { od -An -v -tx1 | tr -d ' \\n'; }",
    'case $READ in',
    `  hex) KEY=\${SECRET#whsec_} ;;`,
    `  text) KEY=$(printf '%s' "$SECRET" | bytes) ;;`,
    `  *) KEY=$(printf '%s' "\${SECRET#whsec_}" | openssl base64 -d -A | bytes) ;;`,
    'esac',
    `${signedOf(request, form)} |`,
    `  openssl dgst -sha256 -mac HMAC -macopt "hexkey:$KEY" ${WRITE[form.written]}`,
  ].join('\n')
}

function signedOf({ id, timestamp, body }: SignedRequest, { over }: SignatureForm): string {
  const [before = '', ...behind] = over
    .replaceAll('{id}', id)
    .replaceAll('{timestamp}', timestamp)
    .split('{body}')
  if (body.length <= VERIFIED_CHARACTERS_MAX) {
    return `printf '%s' ${quoted([before, ...behind].join(body))}`
  }
  const printed = (text: string) => (text === '' ? '' : `printf '%s' ${quoted(text)}; `)
  return `{ ${printed(before)}${behind.map((text) => `cat body.json; ${printed(text)}`).join('')}}`
}

/** As a word of a POSIX shell: nothing within single quotes has a meaning to it. */
export const quoted = (text: string): string => `'${text.replaceAll("'", `'\\''`)}'`
