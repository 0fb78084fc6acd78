import type { Child } from 'hono/jsx'
import { EMPTY_FORM, type FormState } from './fields.tsx'
import { urlWith } from './forms.ts'
import { Icon } from './icons.tsx'

/** Rows of a page: enough to scroll through, few enough for a phone. */
export const PAGE_ROWS = 50

/** The rows of a page, of which one more was asked for, and the id behind which the next page begins. */
export function pageOf<Row extends { id: string }>(rows: readonly Row[]) {
  const shown = rows.slice(0, PAGE_ROWS)
  return { shown, next: rows.length > PAGE_ROWS ? (shown.at(-1)?.id ?? null) : null }
}

interface FilterFormProps {
  action: string
  form?: FormState
  more?: Child
  /** Of the fields in `more`. */
  moreNames?: readonly string[]
  children?: Child
}

/**
 * The form above a list; what it asks for stands in the address.
 *
 * @param props.more fields that are rarely needed, which open below the line
 */
export function FilterForm({
  action,
  form = EMPTY_FORM,
  more,
  moreNames = [],
  children,
}: FilterFormProps) {
  const used = moreNames.filter((name) => form.values[name] !== undefined).length
  const isWrong = moreNames.some((name) => form.mistakes[name] !== undefined)
  return (
    <form method="get" action={action} class="filters" aria-label="Filter">
      {children}
      {more && (
        <details class="more" open={isWrong}>
          <summary class="button">
            <Icon of="filter" /> Filters{used > 0 && ` (${used})`}
          </summary>
          <div class="fields">
            {more}
            <div class="actions">
              <button type="submit" class="primary">
                Apply filters
              </button>
            </div>
          </div>
        </details>
      )}
      <button type="submit">Search</button>
      {Object.keys(form.values).length > 0 && (
        <a class="button quiet" href={action}>
          Clear
        </a>
      )}
    </form>
  )
}

interface OlderProps {
  path: string
  form: FormState
  next: string | null
  isCutShort: boolean
}

/** The way to older rows; where a page was cut short it says that, since it may be empty. */
export function Older({ path, form, next, isCutShort }: OlderProps) {
  if (next === null) return null
  const { before: _, ...values } = form.values
  return (
    <p class="pager">
      {isCutShort && <>Searched the latest rows only. </>}
      {form.values['before'] !== undefined && (
        <a class="button" href={urlWith(path, values)}>
          Newest
        </a>
      )}
      <a class="button" href={urlWith(path, { ...values, before: next })} rel="next">
        {isCutShort ? 'Search older' : 'Older'}
      </a>
    </p>
  )
}
