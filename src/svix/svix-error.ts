import type { Context } from 'hono'
import type { ContentfulStatusCode } from 'hono/utils/http-status'
import type { ZodError } from 'zod'
import { problemBody, problemHeaders } from '../problem.ts'

/** A refusal as SDKs of Svix read it: `{code, detail}`. */
export class SvixError extends Error {
  override readonly name = 'SvixError'
  readonly status: ContentfulStatusCode
  readonly code: string
  constructor(status: ContentfulStatusCode, code: string, detail: string, options?: ErrorOptions) {
    super(detail, options)
    this.status = status
    this.code = code
  }
}

/** One field that is wrong; `loc` leads to it: `['body', 'url']`. */
export interface SvixMistake {
  /** Of texts, also where it is a place in an array: SDKs parse a list of them. */
  loc: string[]
  msg: string
  type: string
}

/** 422, with every field that is wrong. */
export class SvixInvalid extends Error {
  override readonly name = 'SvixInvalid'
  readonly mistakes: readonly SvixMistake[]
  constructor(mistakes: readonly SvixMistake[]) {
    super('fields are invalid')
    this.mistakes = mistakes
  }
}

export const svixNotFound = (cause?: unknown): SvixError =>
  new SvixError(404, 'not_found', 'Entity not found', { cause })

/** For what Svix has and Postrider does not. Never 501, which SDKs would try again. */
export const svixNotSupported = (what: string): SvixError =>
  new SvixError(400, 'not_supported', `Postrider does not support ${what}.`)

/** A mistake in one member of the body. */
export const svixMistake = (field: string, msg: string, type = 'value_error'): SvixInvalid =>
  new SvixInvalid([{ loc: ['body', ...partsOf(field)], msg, type }])

const PLACES: Record<string, string> = { json: 'body', param: 'path', header: 'header' }

/** The hook of every validated route. */
export function refuseSvixInvalid(
  result: { target: string } & ({ success: true } | { success: false; error: ZodError }),
): void {
  if (result.success) return
  const place = PLACES[result.target] ?? result.target
  throw new SvixInvalid(
    result.error.issues.map(({ path, message, code }) => ({
      loc: [place, ...path.map(String)],
      msg: message,
      type: code,
    })),
  )
}

/**
 * Answers what is the caller's fault; the rest goes on to who writes the log.
 *
 * @throws what is ours
 */
export function answerSvixError(error: Error, c: Context): Response {
  if (error instanceof SvixInvalid) return c.json({ detail: error.mistakes }, 422)
  if (error instanceof SvixError) {
    return c.json({ code: error.code, detail: error.message }, error.status)
  }
  const { status, code, detail, errors } = problemBody(error)
  if (status >= 500) throw error
  for (const [name, value] of Object.entries(problemHeaders(error))) c.header(name, value)
  if (status === 404) return c.json({ code: 'not_found', detail: 'Entity not found' }, 404)
  if (status === 401) return c.json({ code: 'authentication_failed', detail }, 401)
  // SDKs take the detail of a 422 for a list, and break on a text.
  if (errors.length === 0) return c.json({ code, detail }, status === 422 ? 400 : status)
  if (status !== 422) return c.json({ code, detail }, status)
  const mistakes = errors.map(({ field, message: msg }) => ({
    ...{ loc: ['body', ...partsOf(field)], msg, type: code },
  }))
  return c.json({ detail: mistakes }, 422)
}

/** `headers.x-a` → `['headers', 'x-a']`, `eventTypes[0]` → `['eventTypes', '0']` */
function partsOf(field: string): string[] {
  return (field.match(/[^.[\]]+/g) ?? []).filter((part) => part !== 'body')
}
