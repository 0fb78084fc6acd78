/** A mistake in a schema, or in data that a schema is about. */
export interface Violation {
  /** Path of the member as people write it: `items[0].price`; empty for the whole. */
  path: string
  message: string
}

/** Far more than any event needs; bounds the memory of the compiled form, which is ten times as large. */
export const SCHEMA_BYTES_MAX = 65_536
const SCHEMA_DEPTH_MAX = 64
const DIALECT = /^https:\/\/json-schema\.org\/draft\/2020-12\/schema#?$/
/** Their values are data, in which `$ref` means nothing. */
const KEYWORDS_OF_DATA = new Set(['const', 'enum', 'default', 'examples'])

/** What Postrider asks of a schema besides being one of JSON Schema 2020-12: to stand alone, and to be small. */
export function mistakesInSchema(schema: unknown): Violation[] {
  const bytes = Buffer.byteLength(JSON.stringify(schema))
  if (bytes > SCHEMA_BYTES_MAX)
    return [{ path: '', message: `has more than ${SCHEMA_BYTES_MAX} bytes` }]
  return mistakesBelow(schema, { value: schema, path: '', depth: 0 })
}

function mistakesBelow(root: unknown, { value, path, depth }: Place): Violation[] {
  if (typeof value !== 'object' || value === null) return []
  if (depth > SCHEMA_DEPTH_MAX) {
    return [{ path, message: `is nested deeper than ${SCHEMA_DEPTH_MAX} levels` }]
  }
  return Object.entries(value).flatMap(([name, member]) => {
    const at = joinPath(path, Array.isArray(value) ? Number(name) : name)
    const mistake = mistakeInMember(root, { name, member, depth })
    if (mistake) return [{ path: at, message: mistake }]
    if (KEYWORDS_OF_DATA.has(name)) return []
    return mistakesBelow(root, { value: member, path: at, depth: depth + 1 })
  })
}

interface Place {
  value: unknown
  path: string
  depth: number
}

function mistakeInMember(
  root: unknown,
  { name, member, depth }: { name: string; member: unknown; depth: number },
): string | null {
  if (name === '__proto__') return 'is a name that cannot be checked'
  return typeof member === 'string' ? mistakeInKeyword(root, name, member, depth) : null
}

function mistakeInKeyword(root: unknown, name: string, text: string, depth: number): string | null {
  switch (name) {
    case '$ref':
    case '$dynamicRef':
      if (!text.startsWith('#')) return 'refers to another document; only # and #/… are allowed'
      return isThere(root, text) ? null : 'refers to what is not there'
    case '$schema':
      return DIALECT.test(text) ? null : 'is not JSON Schema 2020-12'
    case '$id':
      return depth === 0 ? null : 'is allowed at the top only'
    default:
      return null
  }
}

/** Whether a pointer into the document leads to something in it; of anchors the compiler knows more. */
function isThere(root: unknown, ref: string): boolean {
  if (!ref.startsWith('#/')) return true
  let at = root
  for (const part of ref.slice(2).split('/')) {
    const name = unescaped(decoded(part))
    if (typeof at !== 'object' || at === null || !Object.hasOwn(at, name)) return false
    at = (at as Record<string, unknown>)[name]
  }
  return true
}

function decoded(part: string): string {
  try {
    return decodeURIComponent(part)
  } catch {
    return part
  }
}

const unescaped = (part: string): string => part.replaceAll('~1', '/').replaceAll('~0', '~')

export function joinPath(path: string, part: string | number): string {
  if (typeof part === 'number') return `${path}[${part}]`
  return path === '' ? part : `${path}.${part}`
}

/** `/items/0/a~1b` → `items[0].a/b` */
export function pathOfPointer(pointer: string): string {
  return pointer
    .split('/')
    .slice(1)
    .map(unescaped)
    .reduce((path, part) => joinPath(path, /^\d+$/.test(part) ? Number(part) : part), '')
}
