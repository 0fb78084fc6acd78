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

/** What Postrider asks of a schema beside being one of JSON Schema 2020-12: to stand alone, and to be small. */
export function mistakesInSchema(schema: unknown): Violation[] {
  const bytes = Buffer.byteLength(JSON.stringify(schema))
  if (bytes > SCHEMA_BYTES_MAX)
    return [{ path: '', message: `has more than ${SCHEMA_BYTES_MAX} bytes` }]
  return mistakesBelow(schema, '', 0)
}

function mistakesBelow(value: unknown, path: string, depth: number): Violation[] {
  if (typeof value !== 'object' || value === null) return []
  if (depth > SCHEMA_DEPTH_MAX) {
    return [{ path, message: `is nested deeper than ${SCHEMA_DEPTH_MAX} levels` }]
  }
  return Object.entries(value).flatMap(([name, member]) => {
    const at = joinPath(path, Array.isArray(value) ? Number(name) : name)
    const mistake = typeof member === 'string' ? mistakeInKeyword(name, member, depth) : null
    if (mistake) return [{ path: at, message: mistake }]
    return KEYWORDS_OF_DATA.has(name) ? [] : mistakesBelow(member, at, depth + 1)
  })
}

function mistakeInKeyword(name: string, text: string, depth: number): string | null {
  switch (name) {
    case '$ref':
    case '$dynamicRef':
      return text.startsWith('#') ? null : 'refers to another document; only # and #/… are allowed'
    case '$schema':
      return DIALECT.test(text) ? null : 'is not JSON Schema 2020-12'
    case '$id':
      return depth === 0 ? null : 'is allowed at the top only'
    default:
      return null
  }
}

export function joinPath(path: string, part: string | number): string {
  if (typeof part === 'number') return `${path}[${part}]`
  return path === '' ? part : `${path}.${part}`
}

/** `/items/0/a~1b` → `items[0].a/b` */
export function pathOfPointer(pointer: string): string {
  return pointer
    .split('/')
    .slice(1)
    .map((part) => part.replaceAll('~1', '/').replaceAll('~0', '~'))
    .reduce((path, part) => joinPath(path, /^\d+$/.test(part) ? Number(part) : part), '')
}
