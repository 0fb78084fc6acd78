import type { Child } from 'hono/jsx'
import { Icon } from './icons.tsx'
import { say, sayAny } from './language.ts'

export interface Column<Row> {
  /** Under which the browser remembers whether it is shown. */
  name: string
  label: string
  cell(row: Row): Child
  /**
   * `main` leads where the row leads, and is the title of its card on a phone; it and a `name` give way where there is
   * less room, with the whole of it at hand. `text` is shown in whole, on several lines; anything else on one.
   */
  kind?: 'main' | 'name' | 'number' | 'text'
  /** Shown only after somebody has chosen it. */
  isExtra?: boolean
  /** The first to go where there is less room. */
  isMinor?: boolean
}

/** Where a click on the head of a column leads, and how the rows are sorted by it now. */
export interface Sort {
  href: string
  /** Undefined where they are sorted by another column. */
  now: 'ascending' | 'descending' | undefined
}

interface DataTableProps<Row> {
  /** Under which the browser remembers the choice of columns. */
  name: string
  label: string
  columns: readonly Column<Row>[]
  rows: readonly Row[]
  hrefOf(row: Row): string
  /** By the name of the column. */
  sorts?: Readonly<Record<string, Sort>>
  id?: string
  /** Where a script finds more rows. */
  source?: string
}

/**
 * A list: a line a row that leads somewhere as a whole, and a card a row on a phone. The columns can be chosen by
 * a `ColumnMenu` of the same name.
 */
export function DataTable<Row>(props: DataTableProps<Row>) {
  const { name, label, columns, rows, hrefOf, sorts = {}, id, source } = props
  return (
    <section class="scroll" tabindex={0} aria-label={sayAny(label)}>
      <table class="list" id={id} data-columns={name} data-source={source}>
        <Heads columns={columns} sorts={sorts} />
        <tbody>
          {rows.map((row) => (
            <DataRow row={row} columns={columns} href={hrefOf(row)} />
          ))}
        </tbody>
      </table>
    </section>
  )
}

function Heads<Row>({ columns, sorts }: Required<Pick<DataTableProps<Row>, 'columns' | 'sorts'>>) {
  return (
    <thead>
      <tr>
        {columns.map((column) => (
          <Head column={column} sort={sorts[column.name]} />
        ))}
      </tr>
    </thead>
  )
}

function Head<Row>({ column, sort }: { column: Column<Row>; sort: Sort | undefined }) {
  const { name, label, isExtra = false } = column
  return (
    <th
      scope="col"
      class={classOf(column)}
      data-column={name}
      hidden={isExtra}
      aria-sort={sort?.now}
    >
      {sort ? (
        <a href={sort.href}>
          {sayAny(label)} <span aria-hidden="true">{ARROWS[sort.now ?? 'none']}</span>
        </a>
      ) : (
        sayAny(label)
      )}
    </th>
  )
}

const ARROWS = { ascending: '↑', descending: '↓', none: '↕' } as const

/** One of its rows; a stream sends them one by one. */
export function DataRow<Row>(props: {
  row: Row
  columns: readonly Column<Row>[]
  href: string
  isFresh?: boolean
}) {
  const { row, columns, href, isFresh = false } = props
  return (
    <tr class={isFresh ? 'fresh' : undefined}>
      {columns.map((column) => (
        <td
          class={classOf(column)}
          data-column={column.name}
          data-label={column.kind === 'main' ? undefined : sayAny(column.label)}
          hidden={column.isExtra}
        >
          <Cell column={column} row={row} href={href} />
        </td>
      ))}
    </tr>
  )
}

/** A cell is never smaller than its text; elements within it can be. */
function Cell<Row>({ column, row, href }: { column: Column<Row>; row: Row; href: string }) {
  const { kind, cell } = column
  const content = cell(row)
  if (kind !== 'main' && kind !== 'name') return <>{content}</>
  return (
    <div class="gives">
      <div title={typeof content === 'string' && content !== '' ? content : undefined}>
        {kind === 'main' ? (
          <a class="lead" href={href}>
            {content}
          </a>
        ) : (
          content
        )}
      </div>
    </div>
  )
}

const classOf = <Row,>({ kind, isMinor = false }: Column<Row>): string | undefined =>
  [kind !== 'name' && kind, isMinor && 'minor'].filter(Boolean).join(' ') || undefined

/** Which columns a list shows; by script, which remembers it. */
export function ColumnMenu<Row>({
  name,
  columns,
}: {
  name: string
  columns: readonly Column<Row>[]
}) {
  const id = `columns-${name}`
  return (
    <>
      <button type="button" class="quiet" popovertarget={id} title={say('Columns')}>
        <Icon of="columns" />
        <span class="hidden">{say('Columns')}</span>
      </button>
      <div id={id} class="popover below" popover="auto">
        <h2>{say('Columns')}</h2>
        {columns
          .filter(({ kind }) => kind !== 'main')
          .map((column) => (
            <label class="check">
              <input
                type="checkbox"
                data-list={name}
                data-shows={column.name}
                checked={!column.isExtra}
              />
              {sayAny(column.label)}
            </label>
          ))}
      </div>
    </>
  )
}
