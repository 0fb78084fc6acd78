import type { IncomingHttpHeaders, IncomingMessage } from 'node:http'
import { RESPONSE_BODY_BYTES_MAX } from './response-body.ts'

/** Of a head, next to as much of a body as is kept; of a longer answer the rest is only counted. */
const HEAD_BYTES_MAX = 16_384
/** Of headers that are read in spite of what is wrong with them. */
const HEADERS_CHARACTERS_MAX = 16_384
/** What Go's client or curl reads: any version, any blanks, no reason, a bare LF at the end. */
const STATUS_LINE = /^(?:\r?\n)*HTTP\/\d+(?:\.\d+)?[ \t]+([1-9]\d{2})(?!\d)[^\n]*\n/i
const EMPTY_LINE = /(?:^|\n)\r?\n/
const CHUNK_SIZE = /^([0-9a-f]{1,8})(?![0-9a-f])[^\n]*\n/i
const END_OF_HEAD = '\r\n\r\n'
const END_OF_CHUNKS = Buffer.from(END_OF_HEAD)
/** Of its first digit in `HTTP/1.1 200`; and the digit of those that only announce. */
const STATUS_AT = 9
const ONE = 0x31
const START = 'HTTP/1.'
/** Enough to recognise what speaks there. */
const QUOTED_CHARACTERS_MAX = 40

/** An answer as far as it can be read. */
export interface RawAnswer {
  statusCode: number
  headers: IncomingHttpHeaders
  body: Buffer
  /** The body is there to its end; without a length, nothing is known to be missing where nothing came. */
  isWhole: boolean
}

/**
 * What a receiver said since the request was on its connection, next to the parser of node:http. That one refuses an
 * answer as a whole when any line of it is not as it should be, though its status was there to be read.
 */
export class RawBytes {
  readonly #chunks: Buffer[] = []
  readonly #keptBytesMax: number
  #keptBytes = 0
  #bytes = 0
  /** The last bytes, enough to recognise the end of chunks. */
  #end: Buffer = Buffer.alloc(0)
  /** `Date.now()` of the first byte. */
  firstAt: number | null = null

  /** @param bodyBytesMax so much of the body is kept */
  constructor(bodyBytesMax = RESPONSE_BODY_BYTES_MAX) {
    this.#keptBytesMax = HEAD_BYTES_MAX + bodyBytesMax
  }

  readonly add = (chunk: Buffer): void => {
    this.firstAt ??= Date.now()
    this.#bytes += chunk.length
    this.#end = endOf(this.#end, chunk)
    const room = this.#keptBytesMax - this.#keptBytes
    if (room <= 0) return
    this.#chunks.push(chunk.subarray(0, room))
    this.#keptBytes += Math.min(chunk.length, room)
  }

  /** Of all that came. */
  get length(): number {
    return this.#bytes
  }

  /** The status decides, once its line is complete; headers and body are what can be made of the rest. */
  read(): RawAnswer | null {
    const bytes = Buffer.concat(this.#chunks)
    const text = bytes.toString('latin1')
    const head = findHead(text)
    if (!head) return null
    const headers = readHeaders(text.slice(head.headersAt, head.bodyAt ?? text.lastIndexOf('\n')))
    const body = head.bodyAt === null ? Buffer.alloc(0) : bytes.subarray(head.bodyAt)
    const { statusCode } = head
    const unframed = unframe(body, headers)
    const hasNone = statusCode === 204 || statusCode === 304
    return {
      statusCode,
      headers,
      body: unframed.bytes,
      isWhole: head.bodyAt !== null && (hasNone || unframed.isWhole),
    }
  }

  /** Whether an answer that node:http has read whole was all there was. What lies behind it is no later answer. */
  endsWith({ statusCode, headers }: IncomingMessage): boolean {
    const bodyAt = this.#bodyAt()
    if (bodyAt === null) return false
    if (statusCode === 204 || statusCode === 304) return this.#bytes === bodyAt
    if (headers['transfer-encoding']) return this.#end.equals(END_OF_CHUNKS)
    return this.#bytes === bodyAt + Number(headers['content-length'])
  }

  /** Of a head that node:http has read. Most are in the first chunk, with no announcement (1xx) before them. */
  #bodyAt(): number | null {
    const [first] = this.#chunks
    const end = first?.[STATUS_AT] === ONE ? -1 : (first?.indexOf(END_OF_HEAD) ?? -1)
    if (end >= 0) return end + END_OF_HEAD.length
    return findHead(Buffer.concat(this.#chunks).toString('latin1'))?.bodyAt ?? null
  }

  /** What came, for people, when there is no status in it. */
  describe(): string {
    const bytes = Buffer.concat(this.#chunks)
    const text = bytes.toString('latin1')
    if (isTls(bytes)) return 'the receiver speaks TLS on this port; its URL has to begin with https'
    if (isHttp2(bytes)) return 'the receiver speaks nothing but HTTP/2 on this port'
    if (STATUS_LINE.test(text))
      return 'a response was announced (1xx), but none that can be read arrived'
    if (/^(\r?\n)*HTTP\//i.test(text)) return 'the status line of the response cannot be read'
    const [line = ''] = text.trim().split(/\r?\n/)
    const start = line.slice(0, QUOTED_CHARACTERS_MAX).replace(/[^\x20-\x7e]/g, '\uFFFD')
    return `the response is not HTTP; it begins with "${start}"`
  }
}

/** How many answers that only announce one (1xx) begin here, one right behind the other. */
export function announcementsIn(chunk: Buffer): number {
  const isAnnouncement = (at: number) =>
    chunk[at + STATUS_AT] === ONE && chunk.toString('latin1', at, at + START.length) === START
  let at = isAnnouncement(0) ? 0 : endOfHead(chunk, 0)
  let count = 0
  while (at >= 0 && isAnnouncement(at)) {
    count += 1
    at = endOfHead(chunk, at)
  }
  return count
}

function endOfHead(chunk: Buffer, from: number): number {
  const at = chunk.indexOf(END_OF_HEAD, from)
  return at < 0 ? at : at + END_OF_HEAD.length
}

/** Receivers write the end of chunks in a packet apart, and TLS cuts where it likes. */
function endOf(before: Buffer, chunk: Buffer): Buffer {
  const bytes = chunk.length < END_OF_CHUNKS.length ? Buffer.concat([before, chunk]) : chunk
  return bytes.subarray(-END_OF_CHUNKS.length)
}

interface FoundHead {
  statusCode: number
  headersAt: number
  /** `null` while the head is not complete. */
  bodyAt: number | null
}

/** Passes over the answers that only announce the one that counts (1xx but 101). */
function findHead(text: string): FoundHead | null {
  let at = 0
  for (;;) {
    const line = STATUS_LINE.exec(at === 0 ? text : text.slice(at))
    if (!line) return null
    const statusCode = Number(line[1])
    const headersAt = at + line[0].length
    const end = EMPTY_LINE.exec(text.slice(headersAt))
    const bodyAt = end && headersAt + end.index + end[0].length
    if (statusCode >= 200 || statusCode === 101) return { statusCode, headersAt, bodyAt }
    if (bodyAt === null) return null
    at = bodyAt
  }
}

/**
 * Of headers that may come only once the first counts, as with node:http: two times of Retry-After in one text would be none.
 * Not of a length, as nobody knows which of two is right.
 */
const ONCE: ReadonlySet<string> = new Set([
  ...[
    'age',
    'content-type',
    'etag',
    'expires',
    'last-modified',
    'location',
    'retry-after',
    'server',
  ],
])

/** Lines that are no headers are left out; a name that comes twice has both values, as with node:http. */
function readHeaders(text: string): IncomingHttpHeaders {
  const headers = new Map<string, string[]>()
  // NUL is what Postgres cannot store.
  const lines = text.slice(0, HEADERS_CHARACTERS_MAX).replaceAll('\0', '\uFFFD')
  // A line that begins with a blank goes on with the one before (RFC 9112, 5.2).
  for (const line of lines.replace(/\r?\n[ \t]+/g, ' ').split(/\r?\n/)) {
    const colon = line.indexOf(':')
    const name = line.slice(0, Math.max(colon, 0)).trim().toLowerCase()
    if (name === '') continue
    const value = line.slice(colon + 1).trim()
    const values = headers.get(name)
    if (values) values.push(value)
    else headers.set(name, [value])
  }
  return Object.fromEntries(
    [...headers].map(([name, values]) => [name, ONCE.has(name) ? values[0] : values.join(', ')]),
  )
}

interface Unframed {
  bytes: Buffer
  isWhole: boolean
}

function unframe(body: Buffer, headers: IncomingHttpHeaders): Unframed {
  if (/chunked/i.test(headers['transfer-encoding'] ?? '')) return readChunks(body)
  const text = headers['content-length'] ?? ''
  // The same one twice is one.
  const length = /^(\d+)(?:[ \t]*,[ \t]*\1)*$/.exec(text)?.[1]
  if (length === undefined) return { bytes: body, isWhole: text === '' && body.length === 0 }
  const bytes = body.subarray(0, Number(length))
  return { bytes, isWhole: bytes.length === Number(length) }
}

/** What is in the chunks, up to one that is not complete or has no size. */
function readChunks(body: Buffer): Unframed {
  const text = body.toString('latin1')
  const chunks: Buffer[] = []
  let at = 0
  let isWhole = false
  for (;;) {
    const size = CHUNK_SIZE.exec(text.slice(at, at + 256))
    if (!size?.[1]) break
    const from = at + size[0].length
    const to = from + Number.parseInt(size[1], 16)
    chunks.push(body.subarray(from, to))
    isWhole = to === from
    if (isWhole || to >= body.length) break
    at = to + (text[to] === '\r' ? 2 : 1)
  }
  return { bytes: Buffer.concat(chunks), isWhole }
}

/** The start of a record of SSL 3 or TLS: its kind, then its version. */
function isTls([kind = 0, version]: Buffer): boolean {
  return kind >= 0x14 && kind <= 0x18 && version === 3
}

/** SETTINGS, with which every server begins (RFC 9113, 3.4): three bytes of length, kind 4, flags, stream 0. */
function isHttp2(bytes: Buffer): boolean {
  return (
    bytes.length >= 9 &&
    bytes[3] === 4 &&
    bytes.readUIntBE(0, 3) % 6 === 0 &&
    bytes.readUInt32BE(5) === 0
  )
}
