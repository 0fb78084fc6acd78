import { AsyncLocalStorage } from 'node:async_hooks'
import type { Child } from 'hono/jsx'
import { parseAccept } from 'hono/utils/accept'
import { GERMAN, SCRIPT_TEXTS } from './german.ts'
import { REFUSALS } from './german-refusals.ts'

/** Those that pages speak; English is what stands in the code. */
const LANGUAGES = ['en', 'de'] as const
export type Language = (typeof LANGUAGES)[number]

/** Everything that a customer can read: the keys are English, so a text without its translation is no text. */
export type Text = keyof typeof GERMAN

/** A language has every text, or it does not compile. */
const TRANSLATIONS: Record<Exclude<Language, 'en'>, Readonly<Record<Text, string>>> = { de: GERMAN }

const wordsOf = (text: Text): string => {
  const language = currentLanguage()
  return language === 'en' ? text : TRANSLATIONS[language][text]
}

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
export const say = (text: Text, values: Values = {}): string => fill(wordsOf(text), values)

/** With values in place of their names. */
const fill = (words: string, values: Values): string =>
  words.replace(/\{(\w+)\}/g, (whole, name) => String(values[name] ?? whole))

/** A text with parts of a page in it. @example phrase('Widen the filters, or {link}.', { link: <a …>…</a> }) */
export function phrase(text: Text, values: Readonly<Record<string, Child>>): Child[] {
  // Every second part is a name.
  return wordsOf(text)
    .split(/\{(\w+)\}/)
    .map((part, at) => (at % 2 === 0 ? part : values[part]))
}

/** The same for what comes from elsewhere, such as the label of a field: as it is where nobody has translated it. */
export const sayAny = (text: string): string =>
  Object.hasOwn(GERMAN, text) ? say(text as Text) : text

/** What is wrong with a form, a line for each mistake: messages with values in them are found by their form. */
export const sayMistake = (text: string): string => text.split('\n').map(sayOne).join(' ')

function sayOne(text: string): string {
  if (currentLanguage() === 'en') return text
  return known(text) ?? inParts(text) ?? say('This is not accepted: {reason}', { reason: text })
}

function known(text: string): string | undefined {
  if (Object.hasOwn(GERMAN, text)) return say(text as Text)
  for (const [form, pattern] of FORMS) {
    const groups = pattern.exec(text)?.groups
    if (groups) return say(form, translated(groups))
  }
  return undefined
}

const translated = (values: Readonly<Record<string, string>>) =>
  Object.fromEntries(Object.entries(values).map(([name, value]) => [name, known(value) ?? value]))

/** Such as `It is not a URL; it contains U+200B, a zero width space.`: two sentences in other languages. */
const TWO_IN_ONE = /^(?<first>.+); it (?<second>(?:contains U\+|begins or ends ).+)$/s
/** Such as `X-Team is set by Postrider.` or `“a b” is empty.`: the part of a field, where the message has `It`. */
const OF_A_PART = /^(?<part>“[^”]*”|\S+) (?<rest>.+)$/s

function inParts(text: string): string | undefined {
  const two = TWO_IN_ONE.exec(text)?.groups
  if (two) return `${sayOne(`${two['first']}.`)} ${sayOne(`It ${two['second']}`)}`
  const { part = '', rest = '' } = OF_A_PART.exec(text)?.groups ?? {}
  const words = part === 'It' ? undefined : known(`It ${rest}`)
  return words && `${part}: ${words}`
}

const SPECIAL = /[.*+?^$()|[\]\\]/g
const patternOf = (text: string): RegExp =>
  new RegExp(`^${text.replace(SPECIAL, '\\$&').replace(/\{(\w+)\}/g, '(?<$1>.+)')}$`, 's')

/** Refusals with values in them. */
const FORMS = (Object.keys(REFUSALS) as (keyof typeof REFUSALS)[])
  .filter((text) => text.includes('{'))
  .map((text) => [text, patternOf(text)] as const)

/** What the scripts of a page say, for those that are not in English: a language has its texts in one place. */
export function scriptWords(): string | undefined {
  if (currentLanguage() === 'en') return undefined
  return JSON.stringify(Object.fromEntries(SCRIPT_TEXTS.map((text) => [text, wordsOf(text)])))
}

/** A number as people write it. */
export const sayNumber = (value: number): string =>
  new Intl.NumberFormat(currentLanguage()).format(value)

/** The same of what is counted no further than `max`. */
export const atMost = (count: number, max: number): string =>
  count >= max ? `${sayNumber(max)}+` : sayNumber(count)

/** A time in UTC: in English so that nobody takes the month for the day, otherwise as people write it. */
export function sayTime(at: Date): string {
  const language = currentLanguage()
  if (language === 'en') return `${at.toISOString().slice(0, 19).replace('T', ' ')} UTC`
  const format = { dateStyle: 'medium', timeStyle: 'medium', timeZone: 'UTC' } as const
  return `${new Intl.DateTimeFormat(language, format).format(at)} UTC`
}

/** The language that an `Accept-Language` wants most of those that pages speak; null = none of them. */
export function languageOf(header: string | undefined): Language | null {
  const wanted = parseAccept(header ?? '').filter(({ q }) => q > 0)
  const known = wanted.flatMap(({ type }) => {
    const [primary] = type.toLowerCase().split('-')
    return LANGUAGES.filter((one) => one === primary)
  })
  return known[0] ?? null
}
