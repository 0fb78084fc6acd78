import { z } from '@hono/zod-openapi'
import type { Range } from '../postgres/list-query.ts'
import { SvixInvalid } from './svix-error.ts'
import { type SvixPrefix, svixId, uuidOf } from './svix-id.ts'

const LIMIT_DEFAULT = 50
const LIMIT_MAX = 250

export type SvixOrder = 'ascending' | 'descending'

/** What every list takes; `order` is how it is sorted where nothing is said. */
export const svixPageQuery = ({ order }: { order: SvixOrder }) =>
  z.object({
    limit: z
      .string()
      .regex(/^\d{1,9}$/, 'is not a number')
      .transform(Number)
      .refine((limit) => limit >= 1, 'is not 1 or more')
      // More than that many are not refused, but not given either.
      .transform((limit) => Math.min(limit, LIMIT_MAX))
      .default(LIMIT_DEFAULT)
      .openapi({
        ...{ type: 'integer', minimum: 1, maximum: LIMIT_MAX, default: LIMIT_DEFAULT },
        description: 'How many at most.',
      }),
    iterator: z.string().nullish().openapi({
      type: 'string',
      description: '`iterator` of the previous page, or `prevIterator` of the next page.',
    }),
    order: z.enum(['ascending', 'descending']).default(order),
  })

export type SvixPageQuery = z.output<ReturnType<typeof svixPageQuery>>

export const svixPageSchema = <Item extends z.ZodType>(item: Item) =>
  z.object({
    data: z.array(item),
    iterator: z.string().nullable(),
    prevIterator: z.string().nullable().optional(),
    done: z.boolean(),
  })

export interface SvixPage<Item> {
  data: Item[]
  iterator: string | null
  prevIterator?: string
  done: boolean
}

/** What is read for a page: in which direction, from behind which row on. Fits the lists of the services. */
export interface SvixRange<Id extends string> {
  /** One more than are shown. */
  limit: number
  /** The row that the range begins behind, in its direction; null = it begins at the end. */
  before: Id | null
  isOldestFirst: boolean
}

/** A page of a list that is ordered by id. */
export async function readSvixPage<Row extends { id: string }, Item, Id extends string = string>(
  prefix: SvixPrefix,
  { limit, iterator, order }: Pick<SvixPageQuery, 'limit' | 'iterator' | 'order'>,
  read: (range: SvixRange<Id>) => Promise<Row[]>,
  present: (row: Row) => Item | Promise<Item>,
): Promise<SvixPage<Item>> {
  const isBackward = iterator?.startsWith('-') ?? false
  const isOldestFirst = (order === 'ascending') !== isBackward
  const before = iterator ? (idOf(prefix, iterator) as Id) : null
  const rows = await read({ limit: limit + 1, before, isOldestFirst })
  const iteratorOf = ({ id }: Row) => svixId(prefix, id)
  return await svixPage(rows, { limit, isBackward, iteratorOf, present })
}

interface PageOf<Row, Item> {
  limit: number
  /** Whether the rows come in the opposite order of the list. */
  isBackward: boolean
  iteratorOf: (row: Row) => string
  present: (row: Row) => Item | Promise<Item>
}

/** Makes a page of rows of which one more than the limit was read. */
export async function svixPage<Row, Item>(
  rows: readonly Row[],
  { limit, isBackward, iteratorOf, present }: PageOf<Row, Item>,
): Promise<SvixPage<Item>> {
  const shown = rows.slice(0, limit)
  if (isBackward) shown.reverse()
  const [first, last] = [shown.at(0), shown.at(-1)]
  return {
    data: await Promise.all(shown.map(present)),
    iterator: last === undefined ? null : iteratorOf(last),
    ...(first !== undefined && { prevIterator: `-${iteratorOf(first)}` }),
    done: rows.length <= limit,
  }
}

const time = z.iso
  .datetime({ offset: true })
  .transform((text) => new Date(text))
  .nullish()

/** What lists by time take, the newest first. */
export const svixTimeQuery = svixPageQuery({ order: 'descending' })
  .omit({ order: true })
  .extend({
    before: time.openapi({ type: 'string', format: 'date-time' }),
    after: time.openapi({ type: 'string', format: 'date-time' }),
  })

export type SvixTimeQuery = z.output<typeof svixTimeQuery>

/** Rows of a bounded search: with `next`, it goes on behind that id, perhaps before the page was full. */
interface Searched<Row> {
  rows: Row[]
  next: string | null
}

/** A page of a list by time. Nothing but `after` is said: the rows that follow it. */
export async function readSvixTimePage<Row extends { id: string }, Item, Id extends string>(
  prefix: SvixPrefix,
  { limit, iterator, before: until, after: since }: SvixTimeQuery,
  read: (range: Range<Id>) => Promise<Searched<Row>>,
  present: (row: Row) => Item,
): Promise<SvixPage<Item>> {
  const isBackward = iterator ? iterator.startsWith('-') : Boolean(since && !until)
  const before = iterator ? (idOf(prefix, iterator) as Id) : null
  const range = { limit, before, isOldestFirst: isBackward }
  const bounds = { since: since ?? undefined, until: until ?? undefined }
  const { rows, next } = await read({ ...range, ...bounds })
  const shown = isBackward ? rows.toReversed() : rows
  const ends = [shown.at(0)?.id, shown.at(-1)?.id] as const
  // The next page goes on where the search has ended.
  const first = (isBackward && next) || ends[0]
  const last = (!isBackward && next) || ends[1]
  return {
    data: shown.map(present),
    iterator: last ? svixId(prefix, last) : null,
    ...(first && { prevIterator: `-${svixId(prefix, first)}` }),
    done: next === null,
  }
}

/** The page with items that are JSON text already. */
export const svixPageText = ({ data, ...page }: SvixPage<string>): string =>
  `{"data":[${data.join(',')}],${JSON.stringify(page).slice(1)}`

function idOf(prefix: SvixPrefix, iterator: string): string {
  const id = uuidOf(prefix, iterator.replace(/^-/, ''))
  if (id !== null) return id
  const msg = 'is not an iterator of this list'
  throw new SvixInvalid([{ loc: ['query', 'iterator'], msg, type: 'value_error' }])
}
