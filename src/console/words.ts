/** What the codes mean that an error of an attempt begins with; `src/delivery/failure.ts` writes them. */
const FAMILIES: Record<string, string> = {
  status: 'The receiver answered',
  timeout: 'The receiver took too long',
  dns: 'The name did not resolve',
  connection: 'No connection',
  tls: 'No secure connection',
  protocol: 'The answer was not HTTP',
  request: 'The request could not be sent',
  proxy: 'The proxy failed',
  blocked: 'The address may not be dialled',
  interrupted: 'Cut off',
  abandoned: 'Cut off',
  stale: 'Too late',
}

/** An error of an attempt as a sentence: `dns: the name did not resolve (ENOTFOUND)`. */
export function inWords(error: string): string {
  const [, code = '', rest = error] = /^(\w+): (.*)$/s.exec(error) ?? []
  const family = FAMILIES[code]
  if (family === undefined) return error
  // Some say the same in both halves.
  if (rest.toLowerCase().startsWith(family.toLowerCase())) {
    return family + rest.slice(family.length)
  }
  return `${family}: ${rest}`
}

/** A time span for people: `1 min 30 s`. */
export function spanOf(ms: number): string {
  if (ms < 1_000) return `${Math.round(ms)} ms`
  const seconds = Math.round(ms / 1_000)
  if (seconds < 60) return `${seconds} s`
  if (seconds < 3_600) return two(seconds, 60, 'min', 's')
  if (seconds < 86_400) return two(Math.round(seconds / 60), 60, 'h', 'min')
  return two(Math.round(seconds / 3_600), 24, 'd', 'h')
}

function two(amount: number, per: number, large: string, small: string): string {
  const rest = amount % per
  return `${Math.floor(amount / per)} ${large}${rest === 0 ? '' : ` ${rest} ${small}`}`
}

/** JSON text with line breaks; numbers stay as they were written, and what is no JSON stays as it is. */
export function prettyJson(text: string): string {
  try {
    const keepNumbers = (_: string, value: unknown, { source }: { source?: string } = {}) =>
      typeof value === 'number' && source !== undefined ? rawJson(source) : value
    return JSON.stringify(
      JSON.parse(text, keepNumbers as (key: string, value: unknown) => unknown),
      null,
      2,
    )
  } catch {
    return text
  }
}

/** Of ES2026, which Node 24 has and its types lack. */
const rawJson = (JSON as unknown as { rawJSON(text: string): unknown }).rawJSON
