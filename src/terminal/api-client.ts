import { z } from 'zod'
import type { Connection } from './connection.ts'

/** Longer than the API takes to answer anything, even while its database fails over. */
const ANSWER_MS_MAX = 30_000

const problem = z.object({
  title: z.string(),
  status: z.number(),
  code: z.string(),
  detail: z.string().default(''),
  errors: z.array(z.object({ field: z.string(), message: z.string() })).default([]),
})

/** The API refused a request; the message is its problem document in words, field by field. */
export class ApiRefused extends Error {
  override readonly name = 'ApiRefused'
  readonly status: number
  readonly #body: string
  constructor(status: number, body: string, nameOf: NameOf = () => undefined) {
    super(describeProblem(status, body, nameOf))
    this.status = status
    this.#body = body
  }

  /** The same with the fields called as the maker of the request calls them. */
  namingFields(nameOf: NameOf): ApiRefused {
    return new ApiRefused(this.status, this.#body, nameOf)
  }
}

/** What a member of the body or a parameter of the query is called; undefined = as in the API. */
type NameOf = (member: string) => string | undefined

export class ApiUnreachable extends Error {
  override readonly name = 'ApiUnreachable'
  constructor(url: string, { cause }: { cause: unknown }) {
    const reason = cause instanceof Error ? (cause.cause ?? cause) : cause
    const text = reason instanceof Error ? reason.message || String(codeOf(reason)) : String(reason)
    super(`the API at ${url} cannot be reached: ${text}`, { cause })
  }
}

export interface ApiRequest {
  method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE'
  /** Begins with a slash; parts that people chose are encoded with `encodeURIComponent`. */
  path: string
  query?: Record<string, string | undefined>
  /** JSON text, so that a producer's numbers go out as they were written. */
  body?: string
  headers?: Record<string, string>
}

/**
 * Makes one request to the API.
 *
 * @returns the body as text: parsing it would round large numbers in events
 * @throws ApiRefused, ApiUnreachable
 */
export async function callApi({ url, key }: Connection, request: ApiRequest): Promise<string> {
  const target = new URL(url + request.path)
  for (const [name, value] of Object.entries(request.query ?? {})) {
    if (value !== undefined) target.searchParams.set(name, value)
  }
  const { status, text } = await exchange(url, target, {
    method: request.method,
    redirect: 'error', // the key is for this address only
    signal: AbortSignal.timeout(ANSWER_MS_MAX),
    headers: {
      authorization: `Bearer ${key}`,
      ...(request.body !== undefined && { 'content-type': 'application/json' }),
      ...request.headers,
    },
    ...(request.body !== undefined && { body: request.body }),
  })
  if (status < 200 || status > 299) throw new ApiRefused(status, text)
  return text
}

async function exchange(url: string, target: URL, init: RequestInit) {
  try {
    const response = await fetch(target, init)
    return { status: response.status, text: await response.text() }
  } catch (error) {
    throw new ApiUnreachable(url, { cause: error })
  }
}

function describeProblem(status: number, body: string, nameOf: NameOf): string {
  const parsed = problem.safeParse(jsonOf(body))
  if (!parsed.success) return `the API returned ${status}: ${body.slice(0, 500)}`
  const { title, code, detail, errors } = parsed.data
  // Often the detail is the message of the only field, or the title again.
  const isRepeated = detail === title || errors.some(({ message }) => message === detail)
  const head = `${title} (${status} ${code})${detail === '' || isRepeated ? '' : `: ${detail}`}`
  const lines = errors.map(({ field, message }) => `  ${called(field, nameOf)}: ${message}`)
  return [head, ...lines].join('\n')
}

/** `--event-types (eventTypes[0])` where it is a part of what was given. */
function called(field: string, nameOf: NameOf): string {
  const member = field.replace(/[.[].*$/s, '')
  const name = nameOf(member)
  if (name === undefined) return field
  return member === field ? name : `${name} (${field})`
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

function codeOf(error: Error): unknown {
  return 'code' in error ? error.code : error.name
}
