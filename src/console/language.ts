import { AsyncLocalStorage } from 'node:async_hooks'
import { parseAccept } from 'hono/utils/accept'
import { GERMAN } from './german.ts'

/** Those that pages speak; English is what stands in the code. */
export const LANGUAGES = ['en', 'de'] as const
export type Language = (typeof LANGUAGES)[number]

/** Everything that a customer can read: the keys are English, so a text without its translation is no text. */
export type Text = keyof typeof GERMAN

const spoken = new AsyncLocalStorage<Language>()

/** Runs `work`, and whatever it awaits, with pages in this language. */
export const inLanguage = <T>(language: Language, work: () => T): T => spoken.run(language, work)

export const currentLanguage = (): Language => spoken.getStore() ?? 'en'

type Values = Readonly<Record<string, string | number>>

/**
 * A text in the language of the page.
 *
 * @param values what stands for `{name}` in it
 * @example say('{count} of {all} endpoints are healthy', { count: 3, all: 5 })
 */
export function say(text: Text, values: Values = {}): string {
  const words = currentLanguage() === 'de' ? GERMAN[text] : text
  return words.replace(/\{(\w+)\}/g, (whole, name) => String(values[name] ?? whole))
}

/** The same for what comes from elsewhere, such as the label of a field: as it is where nobody has translated it. */
export const sayAny = (text: string): string =>
  Object.hasOwn(GERMAN, text) ? say(text as Text) : text

/** The language that an `Accept-Language` wants most of those that pages speak; null = none of them. */
export function languageOf(header: string | undefined): Language | null {
  const wanted = parseAccept(header ?? '').filter(({ q }) => q > 0)
  const known = wanted.flatMap(({ type }) => {
    const [primary] = type.toLowerCase().split('-')
    return LANGUAGES.filter((one) => one === primary)
  })
  return known[0] ?? null
}
