import { z } from '@hono/zod-openapi'
import type { ZodError } from 'zod'
import '../field-messages.ts'
import { hiddenIn, type TextKind } from '../hidden-characters.ts'
import { type FieldError, Problem } from '../problem.ts'

type Issue = ZodError['issues'][number]

/** Every mistake as a field and a message. */
export function fieldErrors(error: ZodError, whole = 'body'): FieldError[] {
  return error.issues.flatMap((issue) => errorsOf(issue, whole))
}

/** Reads the id of a path. What is no id at all names nothing either. */
export const idOfPath =
  <Id>(schema: z.ZodType<Id>, NotFound: new () => Error) =>
  ({ id }: { id: string }): Id => {
    const { data } = schema.safeParse(id)
    if (data === undefined) throw new NotFound()
    return data
  }

/** The hook of every validated route. */
export function refuseInvalid(
  result: { target: string } & ({ success: true } | { success: false; error: ZodError }),
): void {
  if (result.success) return
  const whole = result.target === 'json' ? 'body' : result.target
  throw new Problem('request_invalid', { errors: fieldErrors(result.error, whole) })
}

function errorsOf(issue: Issue, whole: string): FieldError[] {
  if (issue.code === 'unrecognized_keys') {
    const message = 'is not known here'
    return issue.keys.map((key) => ({ field: fieldOf([...issue.path, key], whole), message }))
  }
  if (issue.code === 'invalid_key') {
    const field = fieldOf(issue.path, whole)
    return issue.issues.map(({ message }) => ({ field, message }))
  }
  return [{ field: fieldOf(issue.path, whole), message: issue.message }]
}

/** `['headers', 'x-a']` → `headers.x-a`, `['eventTypes', 0]` → `eventTypes[0]` */
function fieldOf(path: readonly PropertyKey[], whole: string): string {
  return path.reduce<string>(fieldIn, '') || whole
}

/** The name of a member or element of a field. */
export function fieldIn(field: string, part: PropertyKey): string {
  if (typeof part === 'number') return `${field}[${part}]`
  return field === '' ? String(part) : `${field}.${String(part)}`
}

/** Text that a `text` column can hold: no NUL, no lone surrogate (it would be stored as U+FFFD). */
export function storableText(lengthMax: number) {
  return z
    .string()
    .max(lengthMax)
    .refine((text) => !text.includes('\0'), 'contains a NUL character')
    .refine((text) => text.isWellFormed(), 'contains a lone surrogate')
}

/**
 * Text that people read: nothing in it that they cannot see, or that makes it look like another.
 *
 * @param kind a name stands on one line, with ordinary blanks between its words; prose may have line breaks
 */
export function visibleText(lengthMax: number, kind: 'name' | 'prose') {
  return z.string().max(lengthMax).superRefine(refuseHidden(kind))
}

/** A check that names the first character that has no place in the text. */
function refuseHidden(kind: TextKind) {
  return (text: string, context: { addIssue(message: string): void }): void => {
    const message = hiddenIn(text, kind)
    if (message !== null) context.addIssue(message)
  }
}

/** The message for a text that does not fit a pattern; what cannot be seen in it is named. */
export const unfit = (message: string) => ({
  error: ({ input }: { input?: unknown }) => withHidden(message, String(input)),
})

/** The message, and what cannot be seen in the text. */
export function withHidden(message: string, text: string, kind: TextKind = 'code'): string {
  const hidden = hiddenIn(text, kind)
  return hidden === null ? message : `${message}; it ${hidden}`
}
