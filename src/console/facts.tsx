import { isDeepStrictEqual } from 'node:util'
import type { Child } from 'hono/jsx'
import type { Fields } from '../fields.ts'
import { say, sayAny } from './language.ts'

/**
 * What a page shows of the fields that people may look at, for `Facts`.
 *
 * @param defaults what holds where nothing is set, by the name of the field
 */
export function factsOf(
  fields: Fields,
  shown: object,
  defaults: object = {},
): (readonly [string, Child])[] {
  return Object.entries(fields).flatMap(([name, { fact, form }]) => {
    if (!fact) return []
    const { label, none = '–', isCode = false } = fact
    const words = fact.words ?? String
    const value = (shown as Record<string, unknown>)[name]
    const fallback = (defaults as Record<string, unknown>)[name]
    if (isEmpty(value) && fallback !== undefined) {
      return [[label, say('{value} (default)', { value: words(fallback as never) })] as const]
    }
    if (isEmpty(value)) return [[label, sayAny(none)] as const]
    // What people write stays as it is.
    const text = form?.choices ? sayAny(words(value as never)) : words(value as never)
    return [[label, isCode ? <code>{text}</code> : text] as const]
  })
}

/** An empty list means something: a schedule without retries. */
const isEmpty = (value: unknown): boolean =>
  value === null || value === '' || isDeepStrictEqual(value, {})
