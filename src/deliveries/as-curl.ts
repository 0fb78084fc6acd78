import { quoted } from '../secrets/verify-command.ts'
import { MASK } from '../sending/request-headers.ts'

/** What curl writes itself. */
const OF_CURL = new Set(['host', 'connection', 'content-length', 'transfer-encoding'])

/** Linux takes 128 KiB as one argument of a command, and no more. */
const BODY_BYTES_MAX = 100_000

/** Whether a shell can give curl such a body as an argument. */
export const fitsCurl = (body: string): boolean => Buffer.byteLength(body) <= BODY_BYTES_MAX

interface Request {
  url: string
  headers: Readonly<Record<string, string>>
  body: string
}

/**
 * The request as a command for a POSIX shell, with the signature that it had, and without the credentials that the log
 * has masked.
 */
export function asCurl({ url, headers, body }: Request): string {
  const lines = [
    `curl -g -i ${quoted(url)}`,
    ...Object.entries(headers)
      .filter(([name, value]) => !OF_CURL.has(name.toLowerCase()) && value !== MASK)
      .map(([name, value]) => `-H ${quoted(headerOf(name, value))}`),
    `--data-binary ${quoted(body)}`,
  ]
  return lines.join(' \\\n  ')
}

/** What has nothing behind its colon, curl leaves out. */
const headerOf = (name: string, value: string): string =>
  value.trim() === '' ? `${name};` : `${name}: ${value}`
