import { LRUCache } from 'lru-cache'
import { hmacsOf } from './signature.ts'

/**
 * Headers in the form of other schemes, for receivers that were written for those.
 *
 *   t={timestamp}[,v1={hmac_hex}] over {timestamp}.{body}
 *
 * What stands before ` over ` is the value, with `{id}`, `{timestamp}`, `{hmac_hex}` and `{hmac_base64}`; behind it is
 * what is signed, with `{id}`, `{timestamp}` and `{body}`. What is in brackets is there once for each live secret, the
 * newest first, except ed25519 keys; without brackets the newest signs. A value without an HMAC needs no ` over `.
 */

const OVER = ' over '
const VALUE_PLACE = /\{([^{}]*)\}/g
const BRACE = /[{}]/
const HMAC = /\{hmac_(?:hex|base64)\}/
const VALUE_NAMES = new Set(['id', 'timestamp', 'hmac_hex', 'hmac_base64'])
const CONTENT_NAMES = new Set(['id', 'timestamp', 'body'])
/** Visible ASCII with blanks between. */
const VISIBLE = /^[!-~](?:[ -~]*[!-~])?$/
/** Live secrets that sign such a header, however many are kept. */
const SECRETS_MAX = 5

interface Template {
  before: string
  /** Once for each secret; null = no brackets. */
  each: string | null
  after: string
  /** Null where nothing is signed. */
  content: string | null
}

/** What is signed, and with what. */
export interface SignedRequest {
  id: string
  timestampSeconds: number
  body: string
  /** In their stored form, the newest first. */
  secrets: readonly string[]
}

/** What is wrong with a template, in words; null = nothing. */
export function mistakeInTemplate(text: string): string | null {
  if (!VISIBLE.test(text)) return 'is not visible ASCII'
  const { before, each, after, content } = read(text)
  const parts = [before, each ?? '', after]
  if (parts.some((part) => /[[\]]/.test(part))) return 'has brackets other than one pair'
  const mistake = parts.map((part) => mistakeInPart(part, VALUE_NAMES)).find(Boolean)
  if (mistake) return mistake
  const signs = parts.some((part) => HMAC.test(part))
  if (signs !== (content !== null)) {
    return signs
      ? 'does not say what is signed: add “ over {timestamp}.{body}” or the like'
      : 'signs something, and has no {hmac_hex} or {hmac_base64}'
  }
  if (each !== null && !HMAC.test(each)) return 'has brackets without an HMAC in them'
  if (content === null) return null
  const inContent = mistakeInPart(content, CONTENT_NAMES)
  return inContent ?? (content.includes('{body}') ? null : 'signs something without {body}')
}

/** Whether any of the headers has an HMAC in it. */
export const anySigns = (templates: Readonly<Record<string, string>>): boolean =>
  Object.values(templates).some((text) => read(text).content !== null)

/** How the signature in a header of this template is made, for people who verify one; null where it signs nothing. */
export function formOf(text: string): { over: string; written: 'hex' | 'base64' } | null {
  const { content } = read(text)
  if (content === null) return null
  return { over: content, written: text.includes('{hmac_hex}') ? 'hex' : 'base64' }
}

function mistakeInPart(text: string, names: ReadonlySet<string>): string | null {
  const unknown = [...text.matchAll(VALUE_PLACE)].find(([, name = '']) => !names.has(name))
  if (unknown) return `has ${unknown[0]}, which stands for nothing`
  const rest = BRACE.exec(text.replace(VALUE_PLACE, ' '))
  return rest && `has a ${rest[0]} alone: write what is to be replaced as in {timestamp}`
}

/**
 * The headers of a request, by template.
 *
 * @throws InvalidSecret when there is no secret that makes an HMAC
 */
export function signatureHeaders(
  templates: Readonly<Record<string, string>>,
  request: SignedRequest,
): Record<string, string> {
  const entries = Object.entries(templates).map(([name, text]) => [
    name.toLowerCase(),
    headerValue(compiled(text), request),
  ])
  return Object.fromEntries(entries)
}

function headerValue({ before, each, after, content }: Template, request: SignedRequest): string {
  const { id, timestampSeconds, body } = request
  const known = { id, timestamp: String(timestampSeconds), body }
  if (content === null) return filled(before + after, known)
  const signed = Buffer.from(filled(content, known))
  const secrets = each === null ? request.secrets.slice(0, 1) : request.secrets
  const hmacs = hmacsOf(secrets, signed).slice(0, SECRETS_MAX)
  const [newest, ...others] = hmacs.map((hmac) => ({
    ...known,
    ...{ hmac_hex: hmac.toString('hex'), hmac_base64: hmac.toString('base64') },
  }))
  const all = newest ? [newest, ...others] : []
  const repeated = each === null ? '' : all.map((values) => filled(each, values)).join('')
  return (filled(before, newest ?? known) + repeated + filled(after, newest ?? known)).trim()
}

/** In one go, so that nothing within a value is taken for a place. */
const filled = (text: string, values: Readonly<Record<string, string>>): string =>
  text.replace(VALUE_PLACE, (place, name: string) => values[name] ?? place)

const templates = new LRUCache<string, Template>({ max: 1_000 })

/** Remembers a pure function's results. */
function compiled(text: string): Template {
  let template = templates.get(text)
  if (!template) {
    template = read(text)
    templates.set(text, template)
  }
  return template
}

function read(text: string): Template {
  const at = text.lastIndexOf(OVER)
  const value = at === -1 ? text : text.slice(0, at)
  const content = at === -1 ? null : text.slice(at + OVER.length)
  const [, before = value, each = null, after = ''] =
    /^([^[\]]*)\[([^[\]]*)\]([^[\]]*)$/.exec(value) ?? []
  return { before, each, after, content }
}
