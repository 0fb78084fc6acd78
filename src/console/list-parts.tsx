import type { Child } from 'hono/jsx'
import type { Column, Sort } from './data-table.tsx'
import { EMPTY_FORM, type FormState } from './fields.tsx'
import { urlWith } from './forms.ts'
import { Icon } from './icons.tsx'
import { say, sayAny, sayMistake } from './language.ts'
import { CopyButton } from './parts.tsx'

/** Rows of a page: enough to scroll through, few enough for a phone. */
export const PAGE_ROWS = 50

/**
 * The rows of a page, of which one more was asked for, and the place behind which the next page begins.
 *
 * @param placeOf what the rows are ordered by; their id where it is left out
 */
export function pageOf<Row extends { id: string }>(
  rows: readonly Row[],
  placeOf: (row: Row) => string = ({ id }) => id,
) {
  const shown = rows.slice(0, PAGE_ROWS)
  const last = shown.at(-1)
  return { shown, next: last && rows.length > PAGE_ROWS ? placeOf(last) : null }
}

export const ID_COLUMN: Column<{ id: string }> = {
  name: 'id',
  label: 'ID',
  isMinor: true,
  cell: ({ id }) => <CopyButton text={id} what={`ID …${id.slice(-6)}`} />,
}

/** What an address says of how a list is shown; everything else in it says which rows. */
const SHOWING = new Set(['before', 'newer', 'after', 'sort', 'columns', 'timeline', 'said'])
const PAGING = new Set(['before', 'newer', 'after'])

const without = (values: FormState['values'], names: ReadonlySet<string>) =>
  Object.fromEntries(Object.entries(values).filter(([name]) => !names.has(name)))

/** Whether the list leaves out rows that somebody may be looking for. */
export const isFiltered = ({ values }: FormState): boolean =>
  Object.keys(without(values, SHOWING)).length > 0

/** A head that turns the order by time round, on the first page. */
export function sortByTime(path: string, { values }: FormState): Sort {
  const { sort: order = 'newest' } = values
  const now = ORDERS_BY_TIME[order]
  const sort = now === 'descending' ? 'oldest' : undefined
  return { href: urlWith(path, { ...without(values, PAGING), sort }), now }
}

const ORDERS_BY_TIME: Record<string, Sort['now']> = { newest: 'descending', oldest: 'ascending' }

/** The same by what the column is called in the address, with the smallest first. */
export function sortBy(name: string, path: string, { values }: FormState): Sort {
  const [up, down] = [name, `-${name}`]
  const { sort: order } = values
  const now = order === up ? 'ascending' : order === down ? 'descending' : undefined
  const sort = now === 'ascending' ? down : up
  return { href: urlWith(path, { ...without(values, PAGING), sort }), now }
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
    <form method="get" action={action} class="filters" aria-label={say('Filter')}>
      {children}
      {more && (
        <details class="more" open={isWrong}>
          <summary class="button">
            <Icon of="filter" /> {say('Filters')}
            {used > 0 && ` (${used})`}
          </summary>
          <div class="fields">
            {more}
            <div class="actions">
              <button type="submit" class="primary">
                {say('Apply filters')}
              </button>
            </div>
          </div>
        </details>
      )}
      <button type="submit">{say('Search')}</button>
      {KEPT.map((name) => {
        const value = form.values[name]
        return value && <input type="hidden" name={name} value={value} />
      })}
      {isFiltered(form) && (
        <a class="button quiet" href={action}>
          {say('Clear')}
        </a>
      )}
      <PlaceMistake form={form} />
    </form>
  )
}

/** What is wrong with an address in what no field shows. */
export function PlaceMistake({ form: { mistakes } }: { form: FormState }) {
  const said = ['sort', 'before', 'newer', 'after'].flatMap((name) => mistakes[name] ?? [])
  return said.length === 0 ? null : <p class="mistake">{said.map(sayMistake).join(' ')}</p>
}

/** How a list is shown does not change with its filters. */
const KEPT = ['sort', 'columns']

interface OlderProps {
  path: string
  form: FormState
  next: string | null
  isCutShort: boolean
}

/** The way to the next rows; where a page was cut short it says that, since it may be empty. */
export function Older({ path, form, next, isCutShort }: OlderProps) {
  if (next === null) return null
  const values = without(form.values, PAGING)
  const words = WORDS[values['sort'] ?? 'newest'] ?? IN_ORDER
  const isFirst = form.values[words.cursor] === undefined
  return (
    <p class="pager">
      {isCutShort && `${say(words.cutShort)} `}
      {!isFirst && (
        <a class="button" href={urlWith(path, values)}>
          {say(words.back)}
        </a>
      )}
      <a class="button" href={urlWith(path, { ...values, [words.cursor]: next })} rel="next">
        {say(isCutShort ? words.search : words.next)}
      </a>
    </p>
  )
}

const FROM_THE_NEWEST = {
  cursor: 'before',
  cutShort: 'Searched the latest rows only.',
  back: 'Newest',
  next: 'Older',
  search: 'Search older',
} as const
const FROM_THE_OLDEST = {
  cursor: 'newer',
  cutShort: 'Searched the oldest rows only.',
  back: 'Oldest',
  next: 'Newer',
  search: 'Search newer',
} as const
const IN_ORDER = {
  cursor: 'after',
  cutShort: 'Searched the first rows only.',
  back: 'First page',
  next: 'Next page',
  search: 'Search further',
} as const
type PagerWords = typeof FROM_THE_NEWEST | typeof FROM_THE_OLDEST | typeof IN_ORDER
const WORDS: Record<string, PagerWords> = { newest: FROM_THE_NEWEST, oldest: FROM_THE_OLDEST }

/** Filters that are often asked for, by what people call them. */
export type Views = readonly (readonly [label: string, query: Readonly<Record<string, string>>])[]

/**
 * Links to them, and by script to those that somebody has saved in this browser: filters, order and columns of a
 * list under a name.
 */
export function SavedViews(props: { name: string; path: string; form: FormState; views: Views }) {
  const { name, path, form, views } = props
  const now = urlWith('', inOrder(without(form.values, SHOWING)))
  const [menu, dialog] = [`views-${name}`, `save-${name}`]
  return (
    <>
      <button type="button" class="quiet" popovertarget={menu} title={say('Views')}>
        <Icon of="views" />
        <span class="hidden">{say('Views')}</span>
      </button>
      <nav id={menu} class="popover below" popover="auto" aria-label={say('Views')}>
        <h2>{say('Views')}</h2>
        <ul class="chips" data-views={name}>
          {views.map(([label, query]) => (
            <li>
              <a
                class="chip"
                href={urlWith(path, query)}
                aria-current={
                  urlWith('', inOrder(without(query, SHOWING))) === now ? 'true' : undefined
                }
              >
                {sayAny(label)}
              </a>
            </li>
          ))}
          <li>
            <button type="button" class="chip" command="show-modal" commandfor={dialog}>
              {say('Save view')}
            </button>
          </li>
        </ul>
      </nav>
      <dialog id={dialog} aria-labelledby={`${dialog}-title`} closedby="any">
        <h2 id={`${dialog}-title`}>{say('Save view')}</h2>
        <form method="dialog" data-saves={name}>
          <div class="field">
            <label for={`${dialog}-name`}>{say('Name')}</label>
            <input id={`${dialog}-name`} name="name" required maxlength={40} autocomplete="off" />
            <p class="hint">
              {say('Keeps the filters, the order and the columns in this browser.')}
            </p>
          </div>
          <div class="actions">
            <button type="button" command="close" commandfor={dialog}>
              {say('Go back')}
            </button>
            <button type="submit" class="primary">
              {say('Save view')}
            </button>
          </div>
        </form>
      </dialog>
    </>
  )
}

const inOrder = (query: Readonly<Record<string, string>>) =>
  Object.fromEntries(Object.entries(query).sort(([one], [other]) => one.localeCompare(other)))
