import type { Transform } from 'node:stream'
import zlib from 'node:zlib'

/** RFC 9110 sets none; two are seen where a proxy compresses what was compressed. */
const CODINGS_MAX = 3
/** Of 8 MB, which RFC 8878 asks every reader to have; zlib's own bound would let an answer take 128 MB. */
const ZSTD_WINDOW_BITS_MAX = 23

const { Z_SYNC_FLUSH, BROTLI_OPERATION_FLUSH, ZSTD_e_flush, ZSTD_d_windowLogMax } = zlib.constants
const ZSTD_PARAMS = { [ZSTD_d_windowLogMax]: ZSTD_WINDOW_BITS_MAX }

type Input = 'whole' | 'cut'
/** What a decoder has made of the chunk in which it meets a mistake is lost. */
const CHUNK = { chunkSize: 1_024 }
/** Each costs a turn of a thread. */
const PIECES_MAX = 512
/** Without it, a decoder holds back what it has of input that ends in the middle, and then fails. */
const flushing = (kind: Input, finishFlush: number) =>
  kind === 'whole' ? CHUNK : { ...CHUNK, finishFlush }

const DECODERS: Record<string, (kind: Input, input: Buffer) => Transform> = {
  gzip: (kind) => zlib.createGunzip(flushing(kind, Z_SYNC_FLUSH)),
  deflate: (kind, input) =>
    isZlib(input)
      ? zlib.createInflate(flushing(kind, Z_SYNC_FLUSH))
      : // It has neither header nor checksum, so almost anything is the beginning of one.
        zlib.createInflateRaw(CHUNK),
  br: (kind) => zlib.createBrotliDecompress(flushing(kind, BROTLI_OPERATION_FLUSH)),
  zstd: (kind) =>
    zlib.createZstdDecompress({ ...flushing(kind, ZSTD_e_flush), params: ZSTD_PARAMS }),
}
const ALIASES: Record<string, string> = { 'x-gzip': 'gzip' }

/**
 * Undoes a `Content-Encoding` for at most `bytesMax` of output. However much an input would become, no step
 * makes more of it than that and a chunk of the decoder's.
 *
 * @returns `null` when a coding is unknown, or nothing comes out: then the bytes speak for themselves
 */
export async function inflate(
  input: Buffer,
  contentEncoding: string,
  bytesMax: number,
): Promise<Buffer | null> {
  const codings = codingsOf(contentEncoding)
  if (codings.length > CODINGS_MAX) return null
  let bytes = input
  // The one that was applied last comes off first.
  for (const coding of codings.reverse()) {
    const decoded = await decode(bytes, coding, bytesMax)
    if (!decoded) return null
    bytes = decoded
  }
  return bytes
}

function codingsOf(contentEncoding: string): string[] {
  return contentEncoding
    .toLowerCase()
    .split(',')
    .map((coding) => coding.trim())
    .map((coding) => ALIASES[coding] ?? coding)
    .filter((coding) => coding !== '' && coding !== 'identity')
}

async function decode(input: Buffer, coding: string, bytesMax: number): Promise<Buffer | null> {
  const create = Object.hasOwn(DECODERS, coding) ? DECODERS[coding] : undefined
  if (!create) return null
  const cut = await firstBytes(create('cut', input), [input], bytesMax)
  if (cut.bytes.length > 0) return cut.bytes
  // An empty text, or one of which nothing can be read.
  const whole = await firstBytes(create('whole', input), [input], bytesMax)
  if (!whole.isBroken) return whole.bytes
  if (!hasHeader(coding, input)) return null
  const { bytes } = await firstBytes(create('cut', input), piecesOf(input), bytesMax)
  return bytes.length > 0 ? bytes : null
}

/** Of other codings, something comes out of almost anything. */
const hasHeader = (coding: string, input: Buffer): boolean =>
  coding === 'gzip' || (coding === 'deflate' && isZlib(input))

/** A mistake costs no more than the piece that it is in, such as a line break behind a short text. */
function piecesOf(input: Buffer): Buffer[] {
  const length = Math.ceil(input.length / PIECES_MAX)
  const count = Math.ceil(input.length / length)
  return Array.from({ length: count }, (_, n) => input.subarray(n * length, (n + 1) * length))
}

/** `deflate` means zlib's format, but some send the bare one (RFC 9110, 8.4.1.2). */
function isZlib(input: Buffer): boolean {
  const [first = 0, second = 0] = input
  return (first & 0x0f) === 8 && ((first << 8) | second) % 31 === 0
}

/** What comes out before the end, the bound, or a mistake. */
function firstBytes(
  decoder: Transform,
  pieces: Buffer[],
  bytesMax: number,
): Promise<{ bytes: Buffer; isBroken: boolean }> {
  return new Promise((resolve) => {
    const chunks: Buffer[] = []
    let length = 0
    const settle = (isBroken: boolean) => {
      decoder.destroy()
      resolve({ bytes: Buffer.concat(chunks).subarray(0, bytesMax), isBroken })
    }
    decoder.on('data', (chunk: Buffer) => {
      chunks.push(chunk)
      length += chunk.length
      if (length >= bytesMax) settle(false)
    })
    decoder.on('end', () => settle(false))
    decoder.on('error', () => settle(true))
    for (const piece of pieces) decoder.write(piece)
    decoder.end()
  })
}
