import type { Context } from 'hono'
import { HTTPException } from 'hono/http-exception'
import { PostriderError } from '../client/client.ts'
import { TenantNotFound } from '../tenants/tenants.ts'
import type { FormState } from './fields.tsx'

/** The text fields of a form; a file counts as nothing. Line breaks are those that people mean. */
export async function readForm(c: Context): Promise<Record<string, string>> {
  const fields = await c.req.parseBody()
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

/**
 * The form again, with what the API said about it.
 *
 * @param fieldOf the name of the form's field for the path of a member of the body
 * @throws what is no refusal of what was typed
 */
export function refusedForm(
  values: Record<string, string>,
  error: unknown,
  fieldOf: (path: string) => string = (path) => path.replace(/[.[].*$/, ''),
): FormState {
  if (!(error instanceof PostriderError) || error.status === null) throw error
  if (error.status >= 500 || [401, 403].includes(error.status)) throw error
  const mistakes: Record<string, string> = {}
  for (const { field, message } of error.errors) {
    const name = fieldOf(field)
    const said = name in values ? `It ${message}.` : `${field} ${message}.`
    const key = name in values ? name : ''
    mistakes[key] = mistakes[key] ? `${mistakes[key]} ${said}` : said
  }
  if (error.errors.length === 0) mistakes[''] = error.message.replace(/^\w+: /, '')
  return { values, mistakes }
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

/** The address of a page with these parameters; empty ones are left out. */
export function urlWith(path: string, query: Record<string, string | undefined>): string {
  const given = Object.entries(query).filter(
    (entry): entry is [string, string] => entry[1] !== undefined && entry[1] !== '',
  )
  return given.length === 0 ? path : `${path}?${new URLSearchParams(given)}`
}
