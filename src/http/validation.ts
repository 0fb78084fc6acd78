import { z } from '@hono/zod-openapi'
import type { ZodError } from 'zod'
import { type FieldError, Problem } from './problem.ts'

type Issue = ZodError['issues'][number]

/** Every mistake as a field and a message. */
export function fieldErrors(error: ZodError, whole = 'body'): FieldError[] {
  return error.issues.flatMap((issue) => errorsOf(issue, whole))
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
  const isMissing = issue.code === 'invalid_type' && issue.message.endsWith('received undefined')
  return [
    {
      field: fieldOf(issue.path, whole),
      message: isMissing && issue.path.length > 0 ? 'is required' : issue.message,
    },
  ]
}

/** `['headers', 'x-a']` → `headers.x-a`, `['eventTypes', 0]` → `eventTypes[0]` */
function fieldOf(path: readonly PropertyKey[], whole: string): string {
  return (
    path.reduce<string>((field, part) => {
      if (typeof part === 'number') return `${field}[${part}]`
      return field === '' ? String(part) : `${field}.${String(part)}`
    }, '') || whole
  )
}

/** Text that a `text` column can hold: no NUL, no lone surrogate (it would be stored as U+FFFD). */
export function storableText(lengthMax: number) {
  return z
    .string()
    .max(lengthMax)
    .refine((text) => !text.includes('\0'), 'contains a NUL character')
    .refine((text) => text.isWellFormed(), 'contains a lone surrogate')
}
