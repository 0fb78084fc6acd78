import { quoted } from '../secrets/verify-command.ts'

/** What curl writes itself. */
const OF_CURL = new Set(['host', 'connection', 'content-length', 'transfer-encoding'])

interface Request {
  url: string
  headers: Readonly<Record<string, string>>
  body: string
}

/** The request as a command for a POSIX shell, with the signature that it had. */
export function asCurl({ url, headers, body }: Request): string {
  const lines = [
    `curl -i ${quoted(url)}`,
    ...Object.entries(headers)
      .filter(([name]) => !OF_CURL.has(name.toLowerCase()))
      .map(([name, value]) => `-H ${quoted(`${name}: ${value}`)}`),
    `--data-binary ${quoted(body)}`,
  ]
  return lines.join(' \\\n  ')
}
