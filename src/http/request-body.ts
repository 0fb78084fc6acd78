import type { Context } from 'hono'
import { createMiddleware } from 'hono/factory'
import type { z } from 'zod'
import { ERRORS_MAX, Problem, type ProblemCode } from '../problem.ts'
import { isDeeperThan } from './json-text.ts'
import { fieldIn, refuseInvalid } from './validation.ts'

/**
 * Far above what a webhook needs. Postgres parses recursively and gives up on a few thousand
 * levels; an error there would cost every event of the batch a second try.
 */
export const JSON_DEPTH_MAX = 512
/** Room for every field of an endpoint at its longest; only events may be larger. */
export const SETTINGS_BYTES_MAX = 131_072

const JSON_CONTENT_TYPE =
  /^application\/(?:[\w.-]+\+)?json *(?:;(?! *charset=(?!"?utf-?8"? *(?:;|$)))|$)/i
/** Throws on what is not UTF-8: replacing it would deliver something else than was published. */
const utf8 = new TextDecoder('utf-8', { fatal: true })

export interface JsonBody {
  bytes: Buffer
  /** As received. */
  text: string
  value: unknown
}

/**
 * Reads a JSON body within bounds.
 *
 * @throws Problem 400, 413, 415
 */
export async function readJsonBody(
  c: Context,
  bytesMax: number,
  refuse: () => Problem = () => tooLarge(bytesMax),
): Promise<JsonBody> {
  const bytes = await readBody(c, bytesMax, refuse)
  const contentType = c.req.header('content-type')
  if (bytes.length > 0 && !JSON_CONTENT_TYPE.test(contentType ?? '')) {
    const field = 'content-type'
    throw refusal('content_type_unsupported', 'Send application/json in UTF-8.', { field })
  }
  if (!/^(?:identity)?$/i.test(c.req.header('content-encoding') ?? '')) {
    const field = 'content-encoding'
    throw refusal('content_type_unsupported', 'Send the body without an encoding.', { field })
  }
  refuseTooDeep(bytes)
  const text = decode(bytes)
  return { bytes, text, value: bytes.length === 0 ? undefined : parse(text) }
}

/**
 * Bodies of everything but events: read and checked here, within bounds, and left where the
 * validator of the route looks for them. No body counts as an empty object.
 */
export const settingsBody = createMiddleware(async (c, next) => {
  // Hono calls the handlers of a route twice where a part of the path is `:id` itself.
  if (c.req.bodyCache.text !== undefined) return await next()
  const { bytes, text, value } = await readJsonBody(c, SETTINGS_BYTES_MAX)
  refuseUnusableNames(value)
  // The validator takes '' for no body, which then needs no content type; with one it parses the text.
  const nothing = c.req.header('content-type') === undefined ? '' : '{}'
  c.req.bodyCache.text = Promise.resolve(bytes.length === 0 ? nothing : text) as never
  await next()
})

/**
 * What came another way than as the body of a request, such as the fields of a form: held to the same bounds and the
 * same schema.
 *
 * @throws Problem with every mistake
 */
export function parseSettings<Schema extends z.ZodType>(
  schema: Schema,
  value: unknown,
): z.output<Schema> {
  const text = JSON.stringify(value)
  const bytes = Buffer.from(text)
  if (bytes.length > SETTINGS_BYTES_MAX) throw tooLarge(SETTINGS_BYTES_MAX)
  refuseTooDeep(bytes)
  refuseUnusableNames(value)
  const result = schema.safeParse(JSON.parse(text))
  refuseInvalid({ target: 'json', ...result })
  return result.data as z.output<Schema>
}

/** A member of this name would be taken for the prototype of an object, and be gone without a word. */
const UNUSABLE_NAME = '__proto__'
/** The data of an event may have any name in it; it goes on as text. */
const MEMBER_OF_DATA = 'data'

/** @throws Problem naming each place */
function refuseUnusableNames(body: unknown): void {
  const message = 'is a name that JavaScript has taken; choose another'
  const errors = pathsOfUnusable(body, '').map((field) => ({ field, message }))
  if (errors.length > 0) {
    throw new Problem('request_invalid', { errors: errors.slice(0, ERRORS_MAX) })
  }
}

function pathsOfUnusable(value: unknown, path: string): string[] {
  if (typeof value !== 'object' || value === null) return []
  return Object.entries(value).flatMap(([name, member]) => {
    if (path === '' && name === MEMBER_OF_DATA) return []
    const at = fieldIn(path, Array.isArray(value) ? Number(name) : name)
    return name === UNUSABLE_NAME ? [at] : pathsOfUnusable(member, at)
  })
}

function refuseTooDeep(bytes: Buffer): void {
  if (!isDeeperThan(bytes, JSON_DEPTH_MAX)) return
  throw refusal('json_too_deep', `At most ${JSON_DEPTH_MAX} levels of objects and arrays.`)
}

/** With a length in the header nothing has to be counted, which leaves the fast path of the server. */
async function readBody(c: Context, bytesMax: number, refuse: () => Problem): Promise<Buffer> {
  const length = c.req.header('content-length')
  if (length === undefined) return readCounted(c, bytesMax, refuse)
  if (Number(length) > bytesMax) throw refuse()
  return Buffer.from(await c.req.raw.arrayBuffer().catch(cutOff))
}

async function readCounted(c: Context, bytesMax: number, refuse: () => Problem): Promise<Buffer> {
  const chunks: Uint8Array[] = []
  let length = 0
  const reader = c.req.raw.body?.getReader()
  for (;;) {
    const { done = true, value } = (await reader?.read().catch(cutOff)) ?? {}
    if (done || !value) return Buffer.concat(chunks)
    length += value.length
    if (length > bytesMax) throw refuse()
    chunks.push(value)
  }
}

/** The client went away; nobody reads the answer, but it is no fault of ours to be logged. */
function cutOff(cause: unknown): never {
  throw new Problem('request_malformed', { detail: 'The body ended early.', cause })
}

export function tooLarge(bytesMax: number, field = 'body'): Problem {
  return refusal('body_too_large', `At most ${bytesMax} bytes.`, { field })
}

/** Says the same to people and next to the field. */
function refusal(
  code: ProblemCode,
  detail: string,
  { field = 'body', cause }: { field?: string; cause?: unknown } = {},
): Problem {
  return new Problem(code, { detail, errors: [{ field, message: detail }], cause })
}

function decode(bytes: Buffer): string {
  try {
    return utf8.decode(bytes)
  } catch (cause) {
    throw refusal('utf8_invalid', 'Send UTF-8.', { cause })
  }
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch (cause) {
    throw refusal('json_invalid', (cause as SyntaxError).message, { cause })
  }
}
