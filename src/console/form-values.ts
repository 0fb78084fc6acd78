import { emptyOf, type Field, type Fields, kindOf } from '../fields.ts'

/** Fields as a form has them, each as text. */
export function formValuesOf(fields: Fields, shown: object): Record<string, string> {
  const entries = formFieldsOf(fields).map(([name, field]) => [name, textOf(field, shown, name)])
  return Object.fromEntries(entries)
}

/**
 * What a form says, as the API takes it; what cannot be read goes along as it is, and the API says what is wrong
 * with it.
 */
export function bodyOfForm(fields: Fields, values: Readonly<Record<string, string>>): object {
  const entries = formFieldsOf(fields).map(([name, field]) => [
    name,
    valueFrom(field, values[name]?.trim() ?? ''),
  ])
  return Object.fromEntries(entries)
}

type FormField = Field & Required<Pick<Field, 'input' | 'form'>>

/** Those that a form asks for. */
export const formFieldsOf = (fields: Fields): [name: string, FormField][] =>
  Object.entries(fields).filter(
    (entry): entry is [string, FormField] => !!entry[1].input && !!entry[1].form,
  )

function textOf({ input, form }: FormField, shown: object, name: string): string {
  const value = (shown as Record<string, unknown>)[name] ?? ''
  const kind = kindOf(input)
  if (kind === 'pairs') {
    return Object.entries(value)
      .map(([key, one]) => `${key}: ${one}`)
      .join('\n')
  }
  return Array.isArray(value) ? value.join(form.rows ? '\n' : ', ') : String(value)
}

function valueFrom({ input, form }: FormField, text: string): unknown {
  const kind = kindOf(input)
  const parts = text.split(/[\s,]+/).filter(Boolean)
  if (text === '' || (kind === 'texts' && parts.length === 0)) return form.empty ?? emptyOf(input)
  if (kind === 'number') return asNumber(text)
  if (kind === 'pairs') return pairsOf(text)
  if (kind === 'numbers') return parts.map(asNumber)
  return kind === 'texts' ? parts : text
}

/** `Name: value`, one a line. */
function pairsOf(text: string): Record<string, string> {
  const lines = text.split('\n').filter((line) => line.trim() !== '')
  return Object.fromEntries(
    lines.map((line) => {
      const [name = '', ...rest] = line.split(':')
      return [name.trim(), rest.join(':').trim()]
    }),
  )
}

/** What is no number stays text, which the API refuses; NaN would reach it as null, and mean no limit. */
export function asNumber(text: string): number {
  const number = Number(text)
  return Number.isNaN(number) ? (text as unknown as number) : number
}
