import type { Context } from 'hono'
import { HTTPException } from 'hono/http-exception'
import type { ContentfulStatusCode } from 'hono/utils/http-status'
import { isPassing } from './postgres/outage.ts'

/** Every code that a request can be refused with: its status and title. Codes never change. */
export const PROBLEMS = {
  json_invalid: [400, 'The body is not JSON'],
  json_too_deep: [400, 'The body is nested too deeply'],
  utf8_invalid: [400, 'The body is not UTF-8'],
  request_malformed: [400, 'The request cannot be read'],
  unauthenticated: [401, 'A valid API key is required'],
  scope_missing: [403, 'The API key lacks a scope'],
  key_of_one_tenant: [403, 'A key of one tenant cannot do this'],
  tenant_suspended: [403, 'The tenant is suspended'],
  tenant_reserved: [403, 'The tenant is reserved'],
  route_not_found: [404, 'Nothing found at this path'],
  tenant_not_found: [404, 'Tenant not found'],
  api_key_not_found: [404, 'API key not found'],
  endpoint_not_found: [404, 'Endpoint not found'],
  client_certificate_not_found: [404, 'The endpoint has no client certificate'],
  event_not_found: [404, 'Event not found'],
  delivery_not_found: [404, 'Delivery not found'],
  replay_not_found: [404, 'Replay not found'],
  incident_not_found: [404, 'Incident not found'],
  ordering_key_not_found: [404, 'Nothing of the ordering key is waiting'],
  event_type_not_found: [404, 'Event type not found'],
  method_not_allowed: [405, 'The method is not allowed at this path'],
  tenant_deleting: [409, 'The tenant is being deleted'],
  idempotency_key_busy: [409, 'The idempotency key is in use by another request'],
  ordering_key_busy: [409, 'Another transaction is publishing with the ordering key'],
  in_flight: [409, 'An attempt is in progress'],
  public_url_missing: [409, 'PUBLIC_URL is not set'],
  state_conflict: [409, 'The current state does not allow this'],
  too_many_endpoints: [409, 'The tenant has too many endpoints'],
  too_many_event_types: [409, 'Too many event types'],
  too_many_secrets: [409, 'Too many active secrets'],
  secret_unreadable: [409, 'No key opens the secret'],
  body_too_large: [413, 'The body is too large'],
  content_type_unsupported: [415, 'The content type is not supported'],
  request_invalid: [422, 'The request has invalid fields'],
  event_type_unknown: [422, 'Unknown event type'],
  data_invalid: [422, 'The data does not match the schema of its event type'],
  example_not_found: [422, 'No example matches the schema; add examples to it'],
  search_too_slow: [422, 'The list took too long'],
  publish_refused: [422, 'The event was rejected'],
  too_many_replays: [429, 'Too many running replays'],
  too_many_streams: [429, 'The tenant has too many open streams'],
  rate_limited: [429, 'Too many requests with this API key'],
  too_many_at_once: [429, 'Too many requests of this kind at once'],
  too_many_wrong_keys: [429, 'Too many wrong keys'],
  internal_error: [500, 'Internal error'],
  batch_too_slow: [503, 'The batch took too long'],
  no_stream_free: [503, 'Too many open streams'],
  database_unavailable: [503, 'The database is not available'],
  copy_not_adopted: [503, 'The database is a copy'],
} as const satisfies Record<string, readonly [ContentfulStatusCode, string]>

export type ProblemCode = keyof typeof PROBLEMS

/** All of them, for the documentation. */
export const problemList = Object.entries(PROBLEMS).map(([code, [status, title]]) => {
  return { code, status, title }
})

/** Long enough for a failover to be noticed, short enough that nobody gives up. */
const RETRY_AFTER_SECONDS = 1
/** Anyone who has more mistakes than this has one in their program, and knows it by then. */
export const ERRORS_MAX = 100

export interface FieldError {
  /** Path of the member in the body (`eventTypes[0]`), or the name of a parameter or header. */
  field: string
  message: string
}

/** What an error of the domain that is about fields is answered with: its member `refusal`. */
export interface Refusal {
  of: ProblemCode
  /** Differs from `of` for codes that come from SQL. */
  code?: string
  /** Left out: the title of `of`. */
  detail?: string
  errors: readonly FieldError[]
  /** The same request is likely to succeed in a moment. */
  isBusy?: boolean
}

/** A refusal that the HTTP layer itself makes; those of the domain carry their code as well. */
export class Problem extends Error {
  override readonly name = 'Problem'
  readonly code: ProblemCode
  readonly errors: FieldError[]
  readonly headers: Record<string, string>
  constructor(
    code: ProblemCode,
    options: {
      detail?: string
      errors?: FieldError[]
      headers?: Record<string, string>
      cause?: unknown
    } = {},
  ) {
    super(options.detail ?? PROBLEMS[code][1], { cause: options.cause })
    this.code = code
    this.errors = options.errors ?? []
    this.headers = options.headers ?? {}
  }
}

/** An RFC 9457 document with the status and headers it goes out with. */
interface Answer {
  /** Selects status and title. */
  of: ProblemCode
  /** Differs from `of` for codes that come from SQL. */
  code: string
  detail: string
  errors: FieldError[]
  headers: Record<string, string>
}

/** Answers an error; `isOurFault` says that it is to be logged. */
export function answerError(c: Context, error: Error): { response: Response; isOurFault: boolean } {
  const { headers, ...answer } = describe(error)
  const body = bodyOf(answer)
  const response = c.body(JSON.stringify(body), body.status, {
    ...headers,
    'content-type': 'application/problem+json',
  })
  return { response, isOurFault: body.status >= 500 }
}

/** The document that an error is answered with. */
export function problemBody(error: Error) {
  return bodyOf(describe(error))
}

/** The headers that an error is answered with, in small letters, such as retry-after. */
export function problemHeaders(error: Error): Record<string, string> {
  return describe(error).headers
}

function bodyOf({ of, code, detail, errors }: Omit<Answer, 'headers'>) {
  const [status, title] = PROBLEMS[of]
  return { type: `urn:postrider:problem:${code}`, title, status, code, detail, errors }
}

function describe(error: Error): Answer {
  if (error instanceof Problem) return answer(error.code, error.message, error)
  if (isRefusal(error)) return refusal(error.refusal)
  if (error instanceof HTTPException) return answer(codeOfStatus(error.status), error.message)
  if (isPassing(error) || codeOf(error) === 'database_unavailable') {
    const headers = { 'retry-after': String(RETRY_AFTER_SECONDS) }
    return answer('database_unavailable', 'Try again; nothing is lost.', { headers })
  }
  const code = codeOf(error)
  // Never the message: it may hold SQL, paths or secrets.
  if (!isDomainCode(code)) return answer('internal_error', 'Quote the request ID.')
  const seconds = 'retryAfterSeconds' in error ? error.retryAfterSeconds : undefined
  const headers = seconds === undefined ? {} : { 'retry-after': String(seconds) }
  return answer(code, error.message, { headers })
}

function answer(
  code: ProblemCode,
  detail: string,
  { errors = [], headers = {} }: { errors?: FieldError[]; headers?: Record<string, string> } = {},
): Answer {
  return { of: code, code, detail, errors, headers }
}

const isRefusal = (error: Error): error is Error & { refusal: Refusal } => 'refusal' in error

function refusal({ of, code = of, detail, errors, isBusy = false }: Refusal): Answer {
  const headers: Record<string, string> = isBusy
    ? { 'retry-after': String(RETRY_AFTER_SECONDS) }
    : {}
  const shown = errors.slice(0, ERRORS_MAX)
  return { of, code, detail: detail ?? PROBLEMS[of][1], errors: shown, headers }
}

function codeOfStatus(status: number): ProblemCode {
  if (status === 413) return 'body_too_large'
  if (status === 415) return 'content_type_unsupported'
  return status < 500 ? 'request_malformed' : 'internal_error'
}

const codeOf = (error: Error): unknown => ('code' in error ? error.code : undefined)

/** Only refusals of the domain; an error of Node or Postgres has other codes. */
function isDomainCode(code: unknown): code is ProblemCode {
  return typeof code === 'string' && Object.hasOwn(PROBLEMS, code)
}
