import type { FollowedAttempt } from '../client/client.ts'
import { asSvix, RESERVED_HEADER_NAMES } from '../sending/request-headers.ts'
import { sign } from '../sending/signature.ts'
import { signatureHeaders } from '../sending/signature-headers.ts'

/** As long as an endpoint may take at most. */
const FORWARD_MS_MAX = 60_000
/** Ours, which are reserved, and still go out as they were. */
const OWN = new Set([
  'content-type',
  'user-agent',
  'webhook-id',
  'webhook-signature',
  'webhook-timestamp',
])
/** What the log holds instead of a credential. */
const MASKED = '***'

export interface Forwarded {
  /** Null when there was no answer. */
  statusCode: number | null
  error: string | null
  durationMs: number
}

interface Signing {
  secret: string
  /** Those of the endpoint, by template. */
  signatureHeaders: Record<string, string>
}

interface ForwardOptions {
  signing: Signing | null
  signal: AbortSignal
}

/**
 * Sends what an endpoint was sent to another URL, with the same headers and the same bytes. Headers whose values
 * the log masks are left out.
 *
 * @param signing signs again, as of now, in every scheme of the endpoint; without it the signatures are those of the endpoint, which
 *   verify for five minutes
 */
export async function forward(
  url: string,
  followed: FollowedAttempt,
  options: ForwardOptions,
): Promise<Forwarded> {
  const begin = performance.now()
  const outcome = await send(url, followed, options)
  return { ...outcome, durationMs: Math.round((performance.now() - begin) * 10) / 10 }
}

async function send(
  url: string,
  followed: FollowedAttempt,
  { signing, signal }: ForwardOptions,
): Promise<Omit<Forwarded, 'durationMs'>> {
  const body = followed.request?.body ?? ''
  const headers = sentHeaders(followed)
  try {
    const response = await fetch(url, {
      method: 'POST',
      headers: { ...headers, ...(signing && signature(signing, followed, headers, body)) },
      body,
      redirect: 'manual', // as deliveries do
      signal: AbortSignal.any([signal, AbortSignal.timeout(FORWARD_MS_MAX)]),
    })
    await response.body?.cancel()
    return { statusCode: response.status, error: null }
  } catch (error) {
    const reason = (error as Error).cause ?? error
    return { statusCode: null, error: String((reason as Error).message || reason) }
  }
}

/** Of a batch each event is forwarded by itself, under its own id; the signature was that of the whole. */
function sentHeaders({ attempt, delivery }: FollowedAttempt): Record<string, string> {
  const sent = Object.entries(attempt.requestHeaders ?? {}).filter(
    (entry): entry is [string, string] =>
      entry[1] !== MASKED && (OWN.has(entry[0]) || !RESERVED_HEADER_NAMES.has(entry[0])),
  )
  const headers: Record<string, string> = {
    'content-type': 'application/json',
    'webhook-id': delivery.eventId,
    ...Object.fromEntries(sent),
  }
  if (attempt.batchId === null) return headers
  const { 'webhook-signature': _, ...unsigned } = headers
  return { ...unsigned, 'webhook-id': delivery.eventId }
}

function signature(
  { secret, signatureHeaders: templates }: Signing,
  { attempt }: FollowedAttempt,
  headers: Record<string, string>,
  body: string,
) {
  const id = headers['webhook-id'] ?? ''
  const timestampSeconds = Math.floor(Date.now() / 1000)
  const message = { id, timestampSeconds, body, secrets: [secret] }
  const signed = {
    'webhook-timestamp': String(timestampSeconds),
    ...(!isUnsigned(attempt) && { 'webhook-signature': sign(message) }),
  }
  return {
    ...signed,
    ...('svix-id' in headers && asSvix(signed)),
    ...signatureHeaders(templates, message),
  }
}

/** It went out without `webhook-signature`; of a batch nobody knows. */
function isUnsigned({ requestHeaders: sent, batchId }: FollowedAttempt['attempt']): boolean {
  return sent !== null && batchId === null && !('webhook-signature' in sent)
}
