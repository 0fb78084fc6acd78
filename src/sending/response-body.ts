import { inflate } from './inflate.ts'

/** Receivers sometimes answer with whole HTML pages; the audit log keeps enough to recognise one. */
export const RESPONSE_BODY_BYTES_MAX = 16_384

/** The first bytes of an answer's body. */
export interface KeptBody {
  /** Takes the next chunk; returns whether more than the cap has arrived, so reading may stop. */
  add(chunk: Buffer): boolean
  /**
   * Well-formed text without NUL, `null` when no byte came.
   *
   * @param contentEncoding of the answer, which is undone
   */
  text(contentEncoding?: string): Promise<string | null>
}

/**
 * Keeps up to 16 KiB, and of compressed text what becomes of these, again up to 16 KiB: some receivers compress
 * although nobody asked for it. What is not UTF-8 becomes U+FFFD, and so does NUL, which Postgres' `text`
 * refuses. A character that the cap cut in two is left out.
 */
export function keepBody(bytesMax = RESPONSE_BODY_BYTES_MAX): KeptBody {
  const chunks: Buffer[] = []
  let bytes = 0
  let cut = false
  return {
    add(chunk) {
      const room = bytesMax - bytes
      cut ||= chunk.length > room
      if (room > 0) chunks.push(cut ? chunk.subarray(0, room) : chunk)
      bytes += Math.min(chunk.length, room)
      return cut
    },
    async text(contentEncoding) {
      if (bytes === 0) return null
      const kept = Buffer.concat(chunks)
      if (!contentEncoding) return decodeText(kept, cut)
      const inflated = await inflate(kept, contentEncoding, bytesMax)
      if (inflated?.length === 0) return null
      if (inflated) return decodeText(inflated, cut || inflated.length === bytesMax)
      return decodeText(kept, cut)
    },
  }
}

/** As much of a text as fits, without a last character that does not. */
export function firstBytes(text: string, bytesMax: number): string {
  const bytes = Buffer.from(text)
  return bytes.length <= bytesMax ? text : decodeText(bytes.subarray(0, bytesMax), true)
}

/** @param isCut leaves out a last character that is not complete, instead of marking it */
function decodeText(bytes: Buffer, isCut: boolean): string {
  const decoder = new TextDecoder('utf-8', { ignoreBOM: true })
  return decoder.decode(bytes, { stream: isCut }).replaceAll('\0', '\uFFFD')
}
