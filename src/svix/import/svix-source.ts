import got, { HTTPError, RequestError } from 'got'
import { z } from 'zod'

const PAGE_ROWS = 250
/** Ten million rows; a list that is longer does not end. */
const PAGES_MAX = 40_000
/** A minute altogether: 1, 2, 4, 8, 16 and 32 s, or what `retry-after` says. */
const RETRIES_MAX = 6
const RETRY_AFTER_MS_MAX = 60_000
const REQUEST_MS_MAX = 30_000
/** The first status code of those that lead elsewhere. */
const HTTP_REDIRECTION = 300

const texts = z.record(z.string(), z.string())
const applicationAnswer = z.object({
  id: z.string().min(1).max(256),
  uid: z.string().nullish(),
  name: z.string(),
  metadata: texts.default({}),
  // Servers of the first generation know the one name, those of the second the other; some send both.
  throttleRate: z.number().nullish(),
  rateLimit: z.number().nullish(),
})
const endpointAnswer = z.object({
  id: z.string().min(1).max(256),
  uid: z.string().nullish(),
  url: z.string(),
  description: z.string().default(''),
  eventTypes: z.array(z.string()).nullish(),
  filterTypes: z.array(z.string()).nullish(),
  channels: z.array(z.string()).nullish(),
  disabled: z.boolean().nullish(),
  metadata: texts.default({}),
  throttleRate: z.number().nullish(),
  rateLimit: z.number().nullish(),
  version: z.number().nullish(),
})
const eventTypeAnswer = z.object({
  name: z.string(),
  description: z.string().default(''),
  archived: z.boolean().nullish(),
  deprecated: z.boolean().nullish(),
  schemas: z.record(z.string(), z.unknown()).nullish(),
  featureFlag: z.string().nullish(),
  featureFlags: z.array(z.string()).nullish(),
  groupName: z.string().nullish(),
})
const headersAnswer = z.object({ headers: texts, sensitive: z.array(z.string()).default([]) })
const secretAnswer = z.object({ key: z.string() })

export type SourceApplication = z.output<typeof applicationAnswer>
export type SourceEndpoint = z.output<typeof endpointAnswer>
export type SourceEventType = z.output<typeof eventTypeAnswer>
export type SourceHeaders = z.output<typeof headersAnswer>

/** What a Svix server gives out. Each throws SvixSourceFailed. */
export interface SvixSource {
  eventTypes(): AsyncIterable<SourceEventType>
  applications(): AsyncIterable<SourceApplication>
  endpoints(application: string): AsyncIterable<SourceEndpoint>
  /** Null = it was deleted meanwhile. */
  headers(application: string, endpoint: string): Promise<SourceHeaders | null>
  /** The current one; of an asymmetric one its public half. Null = it was deleted meanwhile. */
  secret(application: string, endpoint: string): Promise<string | null>
}

/** The server cannot be read: it refuses, does not answer, or not as Svix does. */
class SvixSourceFailed extends Error {
  override readonly name = 'SvixSourceFailed'
  readonly code = 'svix_source_failed'
}

type Get = <Schema extends z.ZodType>(
  path: string,
  schema: Schema,
  query?: Record<string, string | number | boolean>,
) => Promise<z.output<Schema> | null>

/** Reads a Svix server, hosted or self-hosted, through its API; of either generation. */
export function createSvixSource(options: {
  url: string
  token: string
  signal: AbortSignal
}): SvixSource {
  const get = getterOf(options)
  const endpointPath = (application: string, endpoint: string) =>
    `app/${encodeURIComponent(application)}/endpoint/${encodeURIComponent(endpoint)}`
  return {
    eventTypes: () =>
      pagesOf(get, 'event-type', eventTypeAnswer, { include_archived: true, with_content: true }),
    applications: () => pagesOf(get, 'app', applicationAnswer, { order: 'ascending' }),
    endpoints: (application) =>
      pagesOf(get, `app/${encodeURIComponent(application)}/endpoint`, endpointAnswer, {
        order: 'ascending',
      }),
    headers: (...of) => get(`${endpointPath(...of)}/headers`, headersAnswer),
    secret: async (...of) =>
      (await get(`${endpointPath(...of)}/secret`, secretAnswer))?.key ?? null,
  }
}

/** What is refused for now is asked for again, a bounded number of times; so is what does not answer. */
function getterOf({ url, token, signal }: Parameters<typeof createSvixSource>[0]): Get {
  const client = got.extend({
    prefixUrl: `${url.replace(/\/+$/, '')}/api/v1`,
    headers: {
      accept: 'application/json',
      authorization: `Bearer ${token}`,
      'user-agent': 'postrider import svix',
    },
    // Elsewhere the token is nobody's business.
    followRedirect: false,
    timeout: { request: REQUEST_MS_MAX },
    retry: {
      limit: RETRIES_MAX,
      methods: ['GET'],
      statusCodes: [408, 423, 429, 500, 502, 503, 504],
      maxRetryAfter: RETRY_AFTER_MS_MAX,
    },
    signal,
  })
  return async (path, schema, query = {}) => {
    try {
      const { statusCode, body } = await client.get(path, { searchParams: query })
      if (statusCode >= HTTP_REDIRECTION) throw leadsElsewhere(path, statusCode)
      return schema.parse(JSON.parse(body))
    } catch (error) {
      if (error instanceof HTTPError && error.response.statusCode === 404) return null
      throw failureOf(path, error)
    }
  }
}

async function* pagesOf<Item extends z.ZodType>(
  get: Get,
  path: string,
  item: Item,
  query: Record<string, string | boolean>,
): AsyncGenerator<z.output<Item>> {
  const schema = z.object({
    data: z.array(item),
    done: z.boolean(),
    iterator: z.string().nullish(),
  })
  let behind: string | null = null
  for (let page = 1; page <= PAGES_MAX; page++) {
    const from: { iterator?: string } = behind === null ? {} : { iterator: behind }
    const answer: z.output<typeof schema> | null = await get(path, schema, {
      ...query,
      ...from,
      limit: PAGE_ROWS,
    })
    if (answer === null) {
      // An application that was deleted meanwhile has no endpoints; the other lists are there or it is no Svix.
      if (path.startsWith('app/')) return
      throw new SvixSourceFailed(
        `GET /api/v1/${path} is not found: is it the URL of a Svix server?`,
      )
    }
    yield* answer.data
    if (answer.done) return
    if (!answer.iterator || answer.iterator === behind) break
    behind = answer.iterator
  }
  throw new SvixSourceFailed(`the list GET /api/v1/${path} does not end`)
}

const leadsElsewhere = (path: string, statusCode: number) =>
  new SvixSourceFailed(
    `GET /api/v1/${path} returned ${statusCode}: the redirect is not followed with the token; give the final address as --url`,
  )

function failureOf(path: string, error: unknown): unknown {
  const what = `GET /api/v1/${path}`
  if (error instanceof HTTPError) {
    const { statusCode } = error.response
    const hint = statusCode === 401 || statusCode === 403 ? '; is SVIX_TOKEN right?' : ''
    return new SvixSourceFailed(`${what} returned ${statusCode}${hint}`, { cause: error })
  }
  if (error instanceof z.ZodError) {
    const [issue] = error.issues
    const where = `${issue?.path.join('.')}: ${issue?.message}`
    return new SvixSourceFailed(`${what} returned something else than Svix does (${where})`, {
      cause: error,
    })
  }
  if (error instanceof SyntaxError) {
    const message = `${what} did not return JSON: is it the URL of a Svix server?`
    return new SvixSourceFailed(message)
  }
  if (!(error instanceof RequestError)) return error
  return new SvixSourceFailed(`${what} got no response: ${error.message}`, { cause: error })
}
