import { z } from '@hono/zod-openapi'
import type { Context, TypedResponse } from 'hono'

const problemSchema = z
  .object({
    type: z.string(),
    title: z.string(),
    status: z.int(),
    code: z.string().openapi({ description: 'Stable, for programs.' }),
    detail: z.string(),
    errors: z.array(z.object({ field: z.string(), message: z.string() })),
  })
  .openapi('Problem')

const PROBLEM = { 'application/problem+json': { schema: problemSchema } }
const DESCRIPTIONS = {
  400: 'The body cannot be read.',
  401: 'No valid API key.',
  403: 'The API key does not allow this.',
  404: 'Not found, or not visible to this key.',
  409: 'In conflict with the current state.',
  413: 'The body is too large.',
  415: 'The content type is not JSON.',
  422: 'Fields are invalid; each is listed.',
  429: 'Too many requests with this API key, or too many wrong keys; try again after `Retry-After`.',
  500: 'Internal error. Quote the request ID.',
  503: 'The database is not available; try again.',
} as const

type ProblemStatus = keyof typeof DESCRIPTIONS

/** What every route can answer besides its own. */
const ALWAYS = [401, 403, 429, 500, 503] as const
/** What a route with a body can answer besides. */
export const OF_BODY = [400, 413, 415, 422] as const

/** The refusals of a route, for its documentation. */
export function problems(...statuses: ProblemStatus[]) {
  const all = [...statuses, ...ALWAYS].sort()
  return Object.fromEntries(
    all.map((status) => [status, { description: DESCRIPTIONS[status], content: PROBLEM }]),
  ) as Record<never, never>
}

/** 409 of a route that publishes. */
export const KEY_BUSY = {
  409: {
    description:
      'Somebody is publishing with the same idempotency key, and has not ended within 2 s; try again after `Retry-After`.',
    content: PROBLEM,
    headers: { 'Retry-After': { $ref: '#/components/headers/Retry-After' } },
  },
} as Record<never, never>

/** A body of JSON; the document says `required` where a route cannot do without. */
export const jsonBody = <Schema extends z.ZodType>(schema: Schema) => ({
  content: { 'application/json': { schema } },
})

export function json<Schema extends z.ZodType>(schema: Schema, description: string) {
  return { description, content: { 'application/json': { schema } } }
}

/** Answers JSON text that is spliced together, as if it were a value of type `T`. */
export function jsonText<T, Status extends 200>(
  c: Context,
  text: string,
  status: Status,
): Response & TypedResponse<T, Status, 'json'> {
  const response = c.body(text, status, { 'content-type': 'application/json' })
  return response as Response as Response & TypedResponse<T, Status, 'json'>
}
