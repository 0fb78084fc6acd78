import { z } from 'zod'

type Issue = z.core.$ZodRawIssue

/** What zod says where a schema has no message for it, in words that follow the name of the field. */
function messageOf(issue: Issue): string {
  if (issue.input === undefined) return 'is required'
  switch (issue.code) {
    case 'invalid_type':
      return `is not ${TYPES[issue.expected] ?? `of the type ${issue.expected}`}`
    case 'invalid_value':
      return issue.values.length === 1
        ? `is not ${listOf(issue.values)}`
        : `is not one of ${listOf(issue.values)}`
    case 'too_small':
      return tooSmall(issue)
    case 'too_big':
      return tooBig(issue)
    case 'invalid_format':
      return wrongFormat(issue)
    case 'not_multiple_of':
      return `is not a multiple of ${issue.divisor}`
    case 'unrecognized_keys':
      return `has members that are not known here: ${listOf(issue.keys)}`
    case 'invalid_key':
      return 'has a member with a name that is not allowed'
    case 'invalid_union':
      return ofNoKind(issue)
    default:
      return 'is not valid'
  }
}

const TYPES: Partial<Record<string, string>> = {
  string: 'a string',
  number: 'a number',
  int: 'a whole number',
  boolean: 'true or false',
  array: 'a list',
  object: 'an object',
  record: 'an object',
  null: 'null',
  never: 'allowed here',
}

const FORMATS: Partial<Record<string, string>> = {
  datetime: 'a time like 2026-01-31T12:00:00Z',
  uuid: 'a UUID',
  guid: 'a UUID',
  url: 'a URL like https://app.example.com',
}

/** What is counted of a value that has a size. */
const UNITS: Partial<Record<string, string>> = {
  string: 'characters',
  array: 'items',
}

function tooSmall({
  origin,
  minimum,
  inclusive = true,
  exact,
}: Issue & { code: 'too_small' }): string {
  const unit = UNITS[origin]
  if (unit === undefined) return `is ${inclusive ? 'less' : 'not more'} than ${minimum}`
  if (exact) return `does not have exactly ${minimum} ${unit}`
  return Number(minimum) === 1 ? 'is empty' : `has fewer than ${minimum} ${unit}`
}

function tooBig({ origin, maximum, inclusive = true, exact }: Issue & { code: 'too_big' }): string {
  const unit = UNITS[origin]
  if (unit === undefined) return `is ${inclusive ? 'more' : 'not less'} than ${maximum}`
  return exact ? `does not have exactly ${maximum} ${unit}` : `has more than ${maximum} ${unit}`
}

function wrongFormat(issue: Issue & { code: 'invalid_format' }): string {
  const { format, pattern } = issue
  if (format === 'starts_with') return `does not start with ${listOf([issue['prefix']])}`
  if (format === 'ends_with') return `does not end with ${listOf([issue['suffix']])}`
  if (format === 'includes') return `does not contain ${listOf([issue['includes']])}`
  if (format === 'regex') return `does not match ${pattern}`
  return `is not ${FORMATS[format] ?? `in the format ${format}`}`
}

/** What each of the alternatives says, where all of them speak of the value as a whole. */
function ofNoKind({ errors }: Issue & { code: 'invalid_union' }): string {
  const issues = errors.flat()
  const isWhole = issues.length > 0 && issues.every(({ path }) => path.length === 0)
  const messages = new Set(issues.map(({ message }) => message))
  return isWhole ? [...messages].join(', and ') : 'has none of the forms that are allowed'
}

const listOf = (values: readonly unknown[]): string =>
  values
    .map((value) => (typeof value === 'string' ? JSON.stringify(value) : String(value)))
    .join(', ')

// For all schemas at once: those of the API, of the configuration and of forms.
z.config({ customError: messageOf })
