import type { Refusal } from '../problem.ts'
import { looksSecret, MASK } from '../sending/request-headers.ts'
import { openedLength, type Purpose, purposeOf } from './secrets.ts'

/** Stays below the 8 KiB of headers that common servers accept. */
export const HEADERS_LENGTH_MAX = 4096
export const HEADERS_MAX = 20
/** An endpoint's own headers, as they are stored. */
export interface StoredHeaders {
  headers: Record<string, string>
  /** Name to encrypted value. */
  secret_headers: Record<string, string>
}

/** As people give them. */
export interface GivenHeaders {
  /** A value that is `MASK` stands for the one that is stored. */
  headers?: Record<string, string> | undefined
  /** Names of those that are kept secret, next to those that look like it; left out: as it is. */
  secretHeaders?: string[] | undefined
}

export interface HeaderMistake {
  field: string
  message: string
}

/** Headers that cannot be stored as they were given. */
export class HeadersInvalid extends Error {
  override readonly name = 'HeadersInvalid'
  readonly mistakes: HeaderMistake[]
  constructor(mistakes: HeaderMistake[]) {
    super(mistakes.map(({ field, message }) => `${field} ${message}`).join('; '))
    this.mistakes = mistakes
  }

  get refusal(): Refusal {
    return { of: 'request_invalid', errors: this.mistakes }
  }
}

/** Encrypts and opens the headers of one endpoint. */
export interface HeaderBox {
  seal(value: string, purpose: Purpose): string
  /** Null where no key opens it. */
  open(sealed: string, purpose: Purpose): string | null
}

/** What people are shown: the value of a secret header never again. */
export function shownHeaders({ headers, secret_headers: sealed }: StoredHeaders) {
  const masked = ([name, value]: [string, string]) => [
    name,
    // SQL may have stored it in plain text.
    looksSecret(name, value) ? MASK : value,
  ]
  const shown: Record<string, string> = Object.fromEntries([
    ...Object.entries(headers).map(masked),
    ...Object.keys(sealed).map((name) => [name, MASK]),
  ])
  const secretHeaders = Object.keys(shown).filter(
    (name) => Object.hasOwn(sealed, name) || shown[name] !== headers[name],
  )
  return { headers: shown, secretHeaders }
}

/**
 * What is to be stored of headers that were given: the values of secret ones encrypted, those that were given back
 * masked as they are stored.
 *
 * @param before as they are stored now
 * @throws HeadersInvalid
 */
export function storedHeaders(
  given: GivenHeaders,
  before: StoredHeaders,
  { seal, open }: HeaderBox,
): StoredHeaders {
  const shown = shownHeaders(before)
  const { headers = shown.headers, secretHeaders: marked } = given
  const marks = new Set((marked ?? shown.secretHeaders).map((name) => name.toLowerCase()))
  const [plain, sealed] = [byLowerName(before.headers), byLowerName(before.secret_headers)]
  const after: StoredHeaders = { headers: {}, secret_headers: {} }
  const mistakes = marked === undefined ? [] : namesWithoutHeader(marked, headers)

  for (const [name, value] of Object.entries(headers)) {
    const lower = name.toLowerCase()
    const isSecret = (text: string) => marks.has(lower) || looksSecret(name, text)
    const stored = sealed.get(lower)
    const isKept =
      stored !== undefined && (value === MASK || open(stored, purposeOf(name)) === value)
    const kept = isKept ? stored : undefined
    const meant = value === MASK ? plain.get(lower) : value
    if (kept !== undefined && isSecret('')) after.secret_headers[name] = kept
    else if (kept !== undefined && value === MASK) mistakes.push(mistake(name, TO_BE_SHOWN))
    else if (meant === undefined) mistakes.push(mistake(name, NOT_STORED))
    else if (isSecret(meant)) after.secret_headers[name] = seal(meant, purposeOf(name))
    else after.headers[name] = meant
  }
  if (given.headers !== undefined && lengthOf(after) > HEADERS_LENGTH_MAX) {
    mistakes.push({ field: 'headers', message: TOO_LONG })
  }
  if (mistakes.length > 0) throw new HeadersInvalid(mistakes)
  return after
}

/**
 * What `storedHeaders` is to be given so that some headers change and the others stay. Names are one header however
 * they are written.
 *
 * @throws HeadersInvalid
 */
export function mergedHeaders(
  before: StoredHeaders,
  changes: Readonly<Record<string, string | null>>,
): Record<string, string> {
  const changed = new Set(Object.keys(changes).map((name) => name.toLowerCase()))
  const stay = Object.entries(shownHeaders(before).headers).filter(
    ([name]) => !changed.has(name.toLowerCase()),
  )
  const set = Object.entries(changes).flatMap(([name, value]) =>
    value === null ? [] : [[name, value] as const],
  )
  const after = [...stay, ...set]
  if (after.length <= HEADERS_MAX) return Object.fromEntries(after)
  throw new HeadersInvalid([{ field: 'headers', message: `are more than ${HEADERS_MAX}` }])
}

const TO_BE_SHOWN = 'is secret; give its value to have it shown'
const NOT_STORED = `is ${MASK}, which stands for a stored value, and none is stored`
export const TOO_LONG = `are longer than ${HEADERS_LENGTH_MAX} characters together`

/** Of names and values; of what is not given again too. */
function lengthOf({ headers, secret_headers: sealed }: StoredHeaders): number {
  const plain = Object.entries(headers).flat()
  const secret = Object.entries(sealed).map(([name, text]) => name.length + openedLength(text))
  return secret.reduce((sum, length) => sum + length, plain.join('').length)
}

const mistake = (name: string, message: string): HeaderMistake => ({
  field: `headers.${name}`,
  message,
})

/** A name that is mistyped would leave a credential in plain text. */
function namesWithoutHeader(
  marked: readonly string[],
  headers: Record<string, string>,
): HeaderMistake[] {
  const known = byLowerName(headers)
  return marked.flatMap((name, at) =>
    known.has(name.toLowerCase())
      ? []
      : [{ field: `secretHeaders[${at}]`, message: 'is the name of none of the headers' }],
  )
}

const byLowerName = (values: Record<string, string>): Map<string, string> =>
  new Map(Object.entries(values).map(([name, value]) => [name.toLowerCase(), value]))
