import { createHmac, timingSafeEqual } from 'node:crypto'

/** Below it stands the token. */
export const THIN_PATH = '/thin'
/** A link ends at midnight (UTC) a week and up to a day after the attempt: attempts of a day have the same bytes. */
const DAY_SECONDS = 86_400
const LINK_DAYS = 8
const ID_BYTES = 16
const CONTENT_BYTES = 3 * ID_BYTES + 4
/** Half of the HMAC: nobody tries 2^128. */
const TAG_BYTES = 16
const PURPOSE = 'postrider thin link'

/** Whose event the link leads to, and to whom it was sent. */
export interface Linked {
  tenantId: string
  endpointId: string
  eventId: string
}

export interface ThinLinks {
  /** @throws PublicUrlMissing */
  linkOf(linked: Linked, timestampSeconds: number): string
  /** Null where it is not ours, or over. */
  open(token: string, nowSeconds: number): Linked | null
}

/** Nobody knows where people reach the service. */
class PublicUrlMissing extends Error {
  override readonly name = 'PublicUrlMissing'
  readonly code = 'public_url_missing'
}

/**
 * Links that a receiver gets the rest of a thin event from. They hold what they lead to, so nothing is stored, and are
 * signed with a key that is made of those that encrypt secrets.
 *
 * @param options.keys the first signs, all verify
 */
export function createThinLinks({
  keys,
  publicUrl,
}: {
  keys: readonly Buffer[]
  publicUrl: string | undefined
}): ThinLinks {
  const ring = keys.map((key) => createHmac('sha256', key).update(PURPOSE).digest())
  return {
    linkOf(linked, timestampSeconds) {
      const [key] = ring
      if (publicUrl === undefined || !key) {
        throw new PublicUrlMissing('thin events have a link: set PUBLIC_URL, for runners too')
      }
      const content = contentOf(linked, endOf(timestampSeconds))
      const token = Buffer.concat([content, tagOf(key, content)]).toString('base64url')
      return `${publicUrl}${THIN_PATH}/${token}`
    },
    open(token, nowSeconds) {
      const bytes = Buffer.from(token, 'base64url')
      if (bytes.length !== CONTENT_BYTES + TAG_BYTES) return null
      // The last character has bits that are not read: one link has one spelling.
      if (bytes.toString('base64url') !== token) return null
      const [content, tag] = [bytes.subarray(0, CONTENT_BYTES), bytes.subarray(CONTENT_BYTES)]
      if (!ring.some((key) => timingSafeEqual(tag, tagOf(key, content)))) return null
      if (content.readUInt32BE(3 * ID_BYTES) <= nowSeconds) return null
      const [tenantId, endpointId, eventId] = [0, 1, 2].map((place) => idAt(content, place))
      return { tenantId, endpointId, eventId } as Linked
    },
  }
}

const endOf = (timestampSeconds: number): number =>
  (Math.floor(timestampSeconds / DAY_SECONDS) + LINK_DAYS) * DAY_SECONDS

function contentOf({ tenantId, endpointId, eventId }: Linked, endSeconds: number): Buffer {
  const ids = [tenantId, endpointId, eventId].map((id) => id.replaceAll('-', '')).join('')
  const content = Buffer.alloc(CONTENT_BYTES)
  content.write(ids, 'hex')
  content.writeUInt32BE(endSeconds, 3 * ID_BYTES)
  return content
}

const tagOf = (key: Buffer, content: Buffer): Buffer =>
  createHmac('sha256', key).update(content).digest().subarray(0, TAG_BYTES)

function idAt(content: Buffer, place: number): string {
  const hex = content.subarray(place * ID_BYTES, (place + 1) * ID_BYTES).toString('hex')
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5')
}

/** The body as it is shown: without the link where nobody knows where people reach the service. */
export function completeBody(
  { shape, body }: { shape: string; body: string | null },
  linked: Linked,
  {
    linkOf,
    timestampSeconds = Math.floor(Date.now() / 1000),
  }: Pick<ThinLinks, 'linkOf'> & { timestampSeconds?: number | undefined },
): string | null {
  if (shape !== 'thin' || body === null) return body
  try {
    return withLink(body, linkOf(linked, timestampSeconds))
  } catch (error) {
    if (error instanceof PublicUrlMissing) return body
    throw error
  }
}

/** The body of a thin event, of which the database has made all but the link. */
export const withLink = (body: string, link: string): string =>
  `${body.slice(0, -1)},"link":${JSON.stringify(link)}}`
