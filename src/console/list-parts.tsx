import type { Child } from 'hono/jsx'
import { EMPTY_FORM, type FormState } from './fields.tsx'
import { urlWith } from './forms.ts'

/** Rows of a page: enough to scroll through, few enough for a phone. */
export const PAGE_ROWS = 50

/** The rows of a page, of which one more was asked for, and the id behind which the next page begins. */
export function pageOf<Row extends { id: string }>(rows: readonly Row[]) {
  const shown = rows.slice(0, PAGE_ROWS)
  return { shown, next: rows.length > PAGE_ROWS ? (shown.at(-1)?.id ?? null) : null }
}

/** The form above a list; what it asks for stands in the address. */
export function FilterForm({
  action,
  form = EMPTY_FORM,
  children,
}: {
  action: string
  form?: FormState
  children?: Child
}) {
  return (
    <form method="get" action={action} class="filters" aria-label="Filter">
      {children}
      <div class="field actions">
        <button type="submit" class="primary">
          Filter
        </button>
        {Object.keys(form.values).length > 0 && (
          <a class="button" href={action}>
            Clear
          </a>
        )}
      </div>
    </form>
  )
}

/** The way to older rows; where a page was cut short it says that, since it may be empty. */
export function Older({
  path,
  form,
  next,
  isCutShort,
}: {
  path: string
  form: FormState
  next: string | null
  isCutShort: boolean
}) {
  if (next === null) return null
  const { before: _, ...values } = form.values
  return (
    <p class="pager">
      {isCutShort && <>What you are looking for is rare, so this page looked only so far back. </>}
      <a class="button" href={urlWith(path, { ...values, before: next })} rel="next">
        {isCutShort ? 'Look further back' : 'Older'}
      </a>
    </p>
  )
}
