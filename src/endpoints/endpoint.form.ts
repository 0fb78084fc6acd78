import { isDeepStrictEqual } from 'node:util'
import { z } from 'zod'
import type { EndpointChange, Secrets } from '../client/client.ts'
import type { FormState } from '../console/fields.tsx'
import { bodyOfForm, formValuesOf } from '../console/form-values.ts'
import { type Endpoint, endpointFields, presentEndpoint } from './endpoint.fields.ts'

/** An endpoint as the text fields of a form. */
export const valuesOf = (endpoint: Endpoint): Record<string, string> =>
  formValuesOf(endpointFields, presentEndpoint(endpoint))

/** What the form says, as the API takes it. */
export const bodyOf = (values: Record<string, string>): EndpointChange =>
  bodyOfForm(endpointFields, values)

/** A given secret as it was typed, blanks included, and its encoding; nothing where the fields are empty. */
export function secretOf<Name extends string>(values: Record<string, string>, encoding: Name) {
  const { secret = '', [encoding]: read = '' } = values
  const given = Object.entries({ secret, [encoding]: read }).filter(([, value]) => value !== '')
  return Object.fromEntries(given) as { secret?: string } & Partial<Record<Name, SecretEncoding>>
}

type SecretEncoding = Secrets['encoding']

/** Name of the hidden field with the values that the form began with, as JSON. */
export const BEGAN_WITH = 'beganWith'
const begun = z
  .preprocess(
    (text) => {
      try {
        return JSON.parse(String(text))
      } catch {
        return null
      }
    },
    z.record(z.string(), z.string()),
  )
  .nullable()
  .catch(null)

/**
 * What somebody has changed in the form, and nothing else, so that what others change meanwhile stays. Where
 * both have changed the same, `form` says so and keeps what was typed; it is saved when it is sent once more.
 *
 * @param current the fields as they are now
 */
export function changeOf(
  typed: Record<string, string>,
  current: Record<string, string>,
): { body: EndpointChange } | { form: FormState } {
  const { [BEGAN_WITH]: text, ...values } = typed
  const before = begun.parse(text) ?? current
  const changed = namesThatDiffer(before, values)
  const byOthers = namesThatDiffer(before, current)
  const clashes = changed.filter(
    (name) => byOthers.includes(name) && namesThatDiffer(current, values).includes(name),
  )
  if (clashes.length === 0) {
    const body = Object.entries(bodyOf(values)).filter(([name]) => changed.includes(name))
    return { body: Object.fromEntries(body) }
  }
  const own = Object.fromEntries(changed.flatMap((name) => typedIn(name, values)))
  const mistakes = clashes.map((name) => [
    name,
    `Another person has changed it to “${current[name]}”. Save again to keep your value.`,
  ])
  return { form: { values: { ...current, ...own }, mistakes: Object.fromEntries(mistakes) } }
}

/** A field, and the parts that some have. */
function typedIn(name: string, values: Record<string, string>): [name: string, text: string][] {
  const parts = Object.entries(values).filter(([one]) => one.startsWith(`${name}.`))
  return parts.length > 0 ? parts : [[name, values[name] ?? '']]
}

function namesThatDiffer(one: Record<string, string>, other: Record<string, string>): string[] {
  const [a, b]: Record<string, unknown>[] = [one, other].map(comparable)
  return Object.keys(a ?? {}).filter((name) => !isDeepStrictEqual(a?.[name], b?.[name]))
}

/** Event types are a set: a form with a tree sends them in the order of the tree. */
function comparable(values: Record<string, string>): Record<string, unknown> {
  const body = bodyOf(values)
  return { ...body, eventTypes: body.eventTypes?.toSorted() }
}

/** One a line, or with commas; every type when there is none. */
export const eventTypesOf = (text: string): string[] =>
  bodyOf({ eventTypes: text }).eventTypes ?? []
