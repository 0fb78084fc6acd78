import { emptyOf, type Field, type Fields, givenOf, kindOf } from '../fields.ts'
import { Problem } from '../problem.ts'
import { shownText } from './shown-text.ts'

/** Fields as a form has them, each as text. */
export function formValuesOf(fields: Fields, shown: object): Record<string, string> {
  const values = shown as Record<string, unknown>
  return Object.assign(
    {},
    ...formFieldsOf(fields).map(([name, field]) => textsOf(name, field, values[name] ?? '')),
  )
}

/**
 * What a form says, as the API takes it; what cannot be read goes along as it is, and the API says what is wrong
 * with it.
 *
 * @throws Problem where JSON cannot be parsed, or a pair has no colon
 */
export function bodyOfForm(
  fields: Fields,
  values: Readonly<Record<string, string>>,
): Record<string, unknown> {
  const entries = formFieldsOf(fields).map(([name, field]) => [
    name,
    hasBoxes(field) ? checkedOf(name, field, values) : valueFrom(name, field, values),
  ])
  return Object.fromEntries(entries)
}

type FormField = Field & Required<Pick<Field, 'input' | 'form'>>

/** Those that a form asks for. */
export const formFieldsOf = (fields: Fields): [name: string, FormField][] =>
  Object.entries(fields).filter(
    (entry): entry is [string, FormField] => !!entry[1].input && !!entry[1].form,
  )

/** Whether each choice has a separate box, named `field.choice`. */
export const hasBoxes = ({ input, form }: Pick<Field, 'input' | 'form'>): boolean =>
  form?.choices !== undefined && input !== undefined && kindOf(input) === 'texts'

function checkedOf(
  name: string,
  { form: { choices = [] } }: FormField,
  values: Readonly<Record<string, string>>,
): string[] {
  return choices.map(([choice]) => choice).filter((choice) => values[`${name}.${choice}`])
}

function textsOf(name: string, field: FormField, value: unknown): Record<string, string> {
  const { parts } = field.form
  if (parts) {
    return Object.fromEntries(
      Object.keys(parts).map((part) => [`${name}.${part}`, String(Object(value)[part] ?? '')]),
    )
  }
  if (!hasBoxes(field)) return { [name]: textOf(field, value) }
  const chosen = Array.isArray(value) ? value : []
  return Object.fromEntries(chosen.map((choice) => [`${name}.${choice}`, 'yes']))
}

function textOf({ input, form, member }: FormField, value: unknown): string {
  if (member !== undefined) return String(Object(value)[member] ?? '')
  if (form.isJson) return value === '' ? '' : shownText(JSON.stringify(value)).text
  if (kindOf(input) === 'pairs') {
    return Object.entries(Object(value))
      .map(([key, one]) => `${key}: ${one}`)
      .join('\n')
  }
  return Array.isArray(value) ? value.join(form.rows ? '\n' : ', ') : String(value)
}

function valueFrom(
  name: string,
  { input, form, member }: FormField,
  values: Readonly<Record<string, string>>,
): unknown {
  if (form.parts) return partsFrom(name, form.parts, values)
  const text = values[name]?.trim() ?? ''
  if (text !== '' && member !== undefined) {
    return { [member]: valueFrom(name, { input: givenOf({ input, member }), form }, values) }
  }
  const kind = kindOf(input)
  const parts = text.split(/[\s,]+/).filter(Boolean)
  if (text === '' || (kind === 'texts' && parts.length === 0)) {
    return 'empty' in form ? form.empty : emptyOf(input)
  }
  if (form.isJson) return jsonFrom(name, text)
  if (form.isTime) return utcFrom(text)
  if (kind === 'number') return asNumber(text)
  if (kind === 'pairs') return pairsOf(name, text)
  if (kind === 'numbers') return parts.map(asNumber)
  return kind === 'texts' ? parts : text
}

function partsFrom(
  name: string,
  parts: object,
  values: Readonly<Record<string, string>>,
): Record<string, unknown> | null {
  const given = Object.keys(parts).flatMap((part) => {
    const text = values[`${name}.${part}`]?.trim() ?? ''
    return text === '' ? [] : [[part, asNumber(text)]]
  })
  return given.length > 0 ? Object.fromEntries(given) : null
}

function jsonFrom(field: string, text: string): unknown {
  try {
    return JSON.parse(text)
  } catch (cause) {
    const message = `This is not JSON: ${(cause as SyntaxError).message}`
    throw new Problem('request_invalid', { errors: [{ field, message }], cause })
  }
}

/** Browsers leave out seconds that are zero; ISO 8601 with a time zone has them. */
const utcFrom = (text: string): string => (/T\d\d:\d\d$/.test(text) ? `${text}:00Z` : `${text}Z`)

/** `Name: value`, one a line. @throws Problem where one has no colon */
function pairsOf(field: string, text: string): Record<string, string> {
  const lines = text.split('\n').filter((line) => line.trim() !== '')
  if (lines.some((line) => !line.includes(':'))) {
    const message = 'has a line without a colon: write a name, a colon and a value'
    throw new Problem('request_invalid', { errors: [{ field, message }] })
  }
  return Object.fromEntries(
    lines.map((line) => {
      const [name = '', ...rest] = line.split(':')
      return [name.trim(), rest.join(':').trim()]
    }),
  )
}

/** What is no number stays text, which the API refuses; NaN and Infinity would reach it as null, and mean no limit. */
export function asNumber(text: string): number {
  const number = Number(text)
  return Number.isFinite(number) ? number : (text as unknown as number)
}
