import type { Context } from 'hono'
import { bodyLimit } from 'hono/body-limit'
import { createMiddleware } from 'hono/factory'
import { HTTPException } from 'hono/http-exception'
import { TenantNotFound } from '../not-found.ts'
import { problemBody } from '../problem.ts'
import type { FormState } from './fields.tsx'
import { sayAny } from './language.ts'

/** The largest form is that of an event type: a schema of 128 KiB, in which every byte may be written as three. */
export const FORM_BYTES_MAX = 524_288
/** A key, and a page of ours to go on to with its filters; nobody who sends this is known yet. */
export const SIGN_IN_BYTES_MAX = 16_384
/** Fields of a form; ours have two dozen. Each costs as much as hundreds of bytes. */
const FIELDS_MAX = 1_000

const SAFE_METHODS = /^(?:GET|HEAD|OPTIONS)$/
const FORM_TYPE = /^(?:application\/x-www-form-urlencoded|multipart\/form-data) *(?:;|$)/i

/** Refuses whatever acts and is no form, before anybody looks at it: a page sends forms only. */
export const formsOnly = createMiddleware(async (c, next) => {
  const { 'content-type': type = '', 'content-encoding': encoding = 'identity' } = c.req.header()
  const isForm = FORM_TYPE.test(type) && /^(?:identity)?$/i.test(encoding)
  if (!isForm && !SAFE_METHODS.test(c.req.method)) {
    throw new HTTPException(415, { message: 'Only a form can be sent here.' })
  }
  await next()
})

/** The text fields of a form; a file counts as nothing. Line breaks are those that people mean. */
export async function readForm(
  c: Context,
  { bytesMax = FORM_BYTES_MAX }: { bytesMax?: number } = {},
): Promise<Record<string, string>> {
  const fields = await readWithin(c, bytesMax).catch((cause) => {
    if (cause instanceof HTTPException) throw cause
    // Cut off, or not written as its content type says.
    throw new HTTPException(400, { message: 'The form cannot be read.', cause })
  })
  if (Object.values(fields).some((value) => typeof value === 'string' && value.includes('\0'))) {
    throw new HTTPException(400, {
      message: 'A field holds a NUL character, which cannot be stored.',
    })
  }
  return Object.fromEntries(
    Object.entries(fields)
      .filter((entry): entry is [string, string] => typeof entry[1] === 'string')
      .map(([name, value]) => [name, value.replaceAll('\r\n', '\n')]),
  )
}

async function readWithin(c: Context, bytesMax: number) {
  const refuse = (most: string): never => {
    throw new HTTPException(413, { message: `A form has at most ${most}.` })
  }
  const limit = bodyLimit({ maxSize: bytesMax, onError: () => refuse(`${bytesMax} bytes`) })
  await limit(c, async () => undefined)
  const text = Buffer.from(await c.req.arrayBuffer()).toString('latin1')
  const isInParts = /^multipart/i.test(c.req.header('content-type') ?? '')
  // Each part ends with a boundary; lines of a value that begin alike count as well.
  const fields = isInParts ? countOf(text, /\n--/g) : countOf(text, /&/g) + 1
  if (fields > FIELDS_MAX) refuse(`${FIELDS_MAX} fields`)
  return await c.req.parseBody()
}

const countOf = (text: string, what: RegExp): number => text.match(what)?.length ?? 0

/**
 * The form again, with what was said about it.
 *
 * @param fieldOf the name of the form's field for the path of a member
 * @throws what is no refusal of what was typed
 */
export function refusedForm(
  values: Record<string, string>,
  error: unknown,
  fieldOf: (path: string) => string = (path) => path.replace(/[.[].*$/, ''),
): FormState {
  if (!(error instanceof Error)) throw error
  const { status, detail, errors } = problemBody(error)
  if (status >= 500 || [401, 403].includes(status)) throw error
  const mistakes: Record<string, string> = {}
  for (const { field, message } of errors) {
    const name = Object.hasOwn(values, field) ? field : fieldOf(field)
    const typed = Object.hasOwn(values, name) ? values[name] : undefined
    const part = typed === undefined ? field : partOf(behind(field, name), typed)
    const key = typed === undefined ? '' : name
    mistakes[key] = inLines(mistakes[key], asSentence(message, part))
  }
  if (errors.length === 0) mistakes[''] = sentence(detail)
  return { values, mistakes }
}

/** The path behind the name of a field, which a form can call something else. */
const behind = (path: string, name: string): string =>
  path.startsWith(name) ? path.slice(name.length) : path.replace(/^[^.[]*/, '')

/** What is said of a part often is what is said of the next one too. */
const inLines = (before: string | undefined, said: string): string =>
  [...new Set([...(before?.split('\n') ?? []), said])].join('\n')

const PART_LENGTH_MAX = 40

/**
 * The part of a field that a message is about, as it was typed: one of several in a list, or the name of a pair.
 *
 * @param path behind the name of the field, such as `[1]` or `.X-Team`
 */
function partOf(path: string, typed: string): string | undefined {
  const at = /^\[(\d+)\]/.exec(path)?.[1]
  const all = typed.split(/[\s,]+/).filter(Boolean)
  const part = at === undefined ? path.replace(/^\./, '') : all[Number(at)]
  const isTold = at === undefined ? typed.includes(`${part}:`) : all.length > 1
  if (!part || !isTold) return undefined
  return `“${part.length > PART_LENGTH_MAX ? `${part.slice(0, PART_LENGTH_MAX)}…` : part}”`
}

/** How a message goes on behind the name of its field, and behind those of several. */
const GOES_ON = /^(?:[a-z]+s|may|must|cannot|can) /
const OF_SEVERAL = /^(?:are|have) /

/** @param part that the message is about; left out: all of the field, below which it stands */
function asSentence(message: string, part?: string): string {
  if (part !== undefined) return sentence(`${part} ${message}`, part)
  if (GOES_ON.test(message)) return sentence(`It ${message}`)
  return sentence(OF_SEVERAL.test(message) ? `They ${message}` : message)
}

/** @param start what it begins with that stays as it is, such as the name of a field */
export function sentence(text: string, start = ''): string {
  const first = start === '' ? text.charAt(0).toUpperCase() : text.charAt(0)
  return `${first}${text.slice(1)}${/[.!?]$/.test(text) ? '' : '.'}`
}

/** What was asked for, or null where nobody has heard of the tenant. */
export async function unlessNoTenant<T>(asked: Promise<T>): Promise<T | null> {
  try {
    return await asked
  } catch (error) {
    if (error instanceof TenantNotFound) return null
    throw error
  }
}

/** What the page before has done, in words; only the words that are among these. */
export function saidOf(words: Readonly<Record<string, string>>, c: Context): string | undefined {
  const said = c.req.query('said') ?? ''
  const text = Object.hasOwn(words, said) ? words[said] : undefined
  return text && sayAny(text)
}

/** The address of a page with these parameters; empty ones are left out. */
export function urlWith(path: string, query: Record<string, string | undefined>): string {
  const given = Object.entries(query).filter(
    (entry): entry is [string, string] => entry[1] !== undefined && entry[1] !== '',
  )
  return given.length === 0 ? path : `${path}?${new URLSearchParams(given)}`
}
