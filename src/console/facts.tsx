import { isDeepStrictEqual } from 'node:util'
import type { Child } from 'hono/jsx'
import type { Fields } from '../fields.ts'

/** What a page shows of the fields that people may look at, for `Facts`. */
export function factsOf(fields: Fields, shown: object): (readonly [string, Child])[] {
  return Object.entries(fields).flatMap(([name, { fact }]) => {
    if (!fact) return []
    const { label, none = '–', isCode = false } = fact
    const words = fact.words ?? String
    const value = (shown as Record<string, unknown>)[name]
    if (isEmpty(value)) return [[label, none] as const]
    const text = words(value as never)
    return [[label, isCode ? <code>{text}</code> : text] as const]
  })
}

/** An empty list means something: a schedule without retries. */
const isEmpty = (value: unknown): boolean =>
  value === null || value === '' || isDeepStrictEqual(value, {})
