import { type Attack, type Finding, finding } from '../attack.ts'
import type { Field } from '../field.ts'
import { exchangeRaw, type RawAnswer } from '../raw.ts'

/** What the second request would be answered, if somebody took it for one. */
const SECOND = 'GET /live HTTP/1.1\r\nhost: a\r\n\r\n'

/** Heads that two programs read in two ways. After each comes `SECOND`, as a body or as a request. */
const HEADS: [what: string, head: string[]][] = [
  ['a length and chunks', ['content-length: 5', 'transfer-encoding: chunked']],
  ['chunks and a length', ['transfer-encoding: chunked', 'content-length: 5']],
  ['two lengths', ['content-length: 0', `content-length: ${SECOND.length}`]],
  ['two lengths in one', [`content-length: 0, ${SECOND.length}`]],
  ['a length with a sign', [`content-length: +${SECOND.length}`]],
  ['a length below zero', ['content-length: -1']],
  ['a length in hex', ['content-length: 0x10']],
  ['a length with a blank inside', ['content-length: 1 0']],
  ['a length beyond all numbers', ['content-length: 99999999999999999999999']],
  ['chunks before a colon', ['transfer-encoding : chunked']],
  ['chunks that are not quite', ['transfer-encoding: xchunked']],
  ['chunks after something else', ['transfer-encoding: gzip, chunked, identity']],
  ['chunks twice', ['transfer-encoding: chunked', 'transfer-encoding: identity']],
  ['chunks with a vertical tab', ['transfer-encoding:\x0bchunked']],
  ['chunks on a folded line', ['transfer-encoding:', ' chunked']],
  ['chunks with NUL', ['transfer-encoding: chunked\0']],
  ['a length behind a bare line feed', [`x: y\ncontent-length: ${SECOND.length}`]],
  ['a length behind a bare return', [`x: y\rcontent-length: ${SECOND.length}`]],
  ['a header without a colon', ['content-length 5']],
  ['a header without a name', [': 5']],
  ['two hosts', ['host: b']],
]

/** Whole requests that are none. */
const REQUESTS: [what: string, text: string][] = [
  ['a chunk with a size that is none', chunked('5x\r\nhello\r\n0\r\n\r\n')],
  ['a chunk with a sign', chunked('+5\r\nhello\r\n0\r\n\r\n')],
  ['a chunk in hex with 0x', chunked('0x5\r\nhello\r\n0\r\n\r\n')],
  ['a chunk beyond all numbers', chunked('FFFFFFFFFFFFFFFFF\r\nhello\r\n0\r\n\r\n')],
  ['a chunk longer than its size', chunked(`1\r\nhello\r\n0\r\n\r\n`)],
  ['a chunk ended by a bare line feed', chunked(`5\nhello\n0\n\n`)],
  ['an address in full of another host', 'GET http://b/live HTTP/1.1\r\nhost: a\r\n\r\n'],
  ['a version that is none', 'GET /live HTTP/9.9\r\nhost: a\r\n\r\n'],
  ['no version', 'GET /live\r\n\r\n'],
  ['a blank in the path', 'GET /li ve HTTP/1.1\r\nhost: a\r\n\r\n'],
  ['a line feed in the path', 'GET /li\nve HTTP/1.1\r\nhost: a\r\n\r\n'],
  ['no host', 'GET /live HTTP/1.1\r\n\r\n'],
  ['a method that is none', 'G(T /live HTTP/1.1\r\nhost: a\r\n\r\n'],
  ['the preface of HTTP/2', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'],
  ['bytes that are no text', '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03'],
  ['a head of 100 KB', `GET /live HTTP/1.1\r\nhost: a\r\nx: ${'y'.repeat(100_000)}\r\n\r\n`],
  ['10,000 headers', `GET /live HTTP/1.1\r\nhost: a\r\n${'x: y\r\n'.repeat(10_000)}\r\n`],
] // biome-ignore format: a table

function chunked(body: string): string {
  return `POST /live HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n${body}${SECOND}`
}

/** Requests that a proxy in front may read in another way than the service, so that one hides inside another. */
export const smuggling: Attack = {
  name: 'smuggling',
  about: 'requests that are read in two ways: lengths, chunks, hosts, line ends',
  async *run(field) {
    const heads = HEADS.flatMap(([what, head]) =>
      ['GET', 'POST'].map((method): [string, string] => [
        `${method} with ${what}`,
        [`${method} /live HTTP/1.1`, 'host: a', ...head, '', SECOND].join('\r\n'),
      ]),
    )
    const requests = REQUESTS.map(([what, text]): [string, string] => [what, text])
    const all = [...heads, ...requests].map(([what, text]) => tryRequest(field, what, text))
    for (const tried of await Promise.all(all)) yield tried
  },
}

async function tryRequest({ target, signal }: Field, what: string, text: string): Promise<Finding> {
  const answer = await exchangeRaw(target, signal, text)
  return finding(what, isRefused(answer), shown(answer))
}

/**
 * The connection is closed and nothing was served, so what follows is nobody's request. A route that reads no body may
 * have refused the request before its body turned out to be none: then that is said as well.
 */
const isRefused = ({ statuses, closed }: RawAnswer): boolean =>
  closed && statuses.every((status) => status >= 400) && statuses.length <= 2

const shown = ({ statuses, closed }: RawAnswer): string =>
  `${statuses.join(', ') || 'nothing'}, ${closed ? 'closed' : 'left open'}`
