import type { Context, Hono } from 'hono'
import { unlessNoTenant } from '../console/forms.ts'
import type { PageEnv } from '../console/viewer.ts'
import { listedBy } from '../tenants/tenant-access.ts'
import type { Tenants } from '../tenants/tenants.ts'
import { SEARCH_LENGTH_MAX } from './search.fields.ts'
import type { Suggestions } from './suggestions.ts'

export interface SuggestionPages {
  tenants: Pick<Tenants, 'get' | 'reservedIds'>
  suggestions: Suggestions
}

/** Of the console and the portal: what the fields of filters offer while somebody types. */
export function addSuggestions(app: Hono<PageEnv>, pages: SuggestionPages): void {
  for (const kind of ['tenants', 'endpoints', 'types'] as const) {
    app.get(`/suggestions/${kind}.json`, (c) => suggest(c, kind, pages))
  }
}

/** Of the tenant that the form names, where it names one. */
async function suggest(
  c: Context<PageEnv>,
  kind: keyof Suggestions,
  { tenants, suggestions }: SuggestionPages,
) {
  const text = (c.req.query('text') ?? '').trim().slice(0, SEARCH_LENGTH_MAX).toWellFormed()
  const key = c.req.query('tenant')?.trim() || undefined
  const { caller } = c.get('viewer')
  const listed = await unlessNoTenant(
    listedBy(caller, tenants, kind === 'tenants' ? undefined : key),
  )
  return c.json(listed === null ? [] : await suggestions[kind](listed, text))
}
