import { z } from '@hono/zod-openapi'

const LIMIT_MAX = 100
const LIMIT_DEFAULT = 50
const ID_BYTES = 16
const NO_CURSOR = 'is not a cursor of this list; use `nextCursor` of the previous page'

const limit = z
  .string()
  .regex(/^\d{1,3}$/, `is not a number from 1 to ${LIMIT_MAX}`)
  .transform(Number)
  .refine((limit) => limit >= 1 && limit <= LIMIT_MAX, `is not from 1 to ${LIMIT_MAX}`)
  .default(LIMIT_DEFAULT)
  .openapi({
    type: 'integer',
    minimum: 1,
    maximum: LIMIT_MAX,
    default: LIMIT_DEFAULT,
    description: 'How many at most.',
  })

/** `limit` and `cursor` of a list; unknown parameters are refused, since they are likely typos. */
export function pageQuery<Id extends string>(id: z.ZodType<Id, string>) {
  return z.strictObject({
    limit,
    cursor: z
      .string()
      .transform((cursor, context) => {
        const { success, data } = id.safeParse(decodeCursor(cursor))
        if (success) return data
        context.addIssue(NO_CURSOR)
        return z.NEVER
      })
      .optional()
      .openapi({ type: 'string', description: '`nextCursor` of the page before.' }),
  })
}

const dateTime = z.iso
  .datetime({ offset: true })
  .transform((text) => new Date(text))
  .optional()

/** A time range for `pageQuery(…).extend(…)`. */
export const timeRange = {
  since: dateTime.openapi({
    type: 'string',
    format: 'date-time',
    description: 'Only what was created since then.',
  }),
  until: dateTime.openapi({
    type: 'string',
    format: 'date-time',
    description: 'Only what was created before.',
  }),
}

export function pageSchema<Item extends z.ZodType>(item: Item) {
  return z.object({
    data: z.array(item),
    nextCursor: z.string().nullable().openapi({ example: null }),
  })
}

export interface Page<Item> {
  data: Item[]
  nextCursor: string | null
}

/**
 * One page of a list that is ordered by id, newest first: stable under inserts, because new rows
 * come before every page that was already read.
 *
 * @param list reads from below `before` on; asked for one more to know whether there is a next page
 */
export async function readPage<Row extends { id: string }, Id extends string, Item>(
  { limit, cursor }: { limit: number; cursor?: Id | undefined },
  list: (page: { limit: number; before: Id | null }) => Promise<Row[]>,
  present: (row: Row) => Item,
): Promise<Page<Item>> {
  const rows = await list({ limit: limit + 1, before: cursor ?? null })
  const shown = rows.slice(0, limit)
  const last = rows.length > limit ? shown.at(-1) : undefined
  return { data: shown.map(present), nextCursor: last ? encodeCursor(last.id) : null }
}

function encodeCursor(id: string): string {
  return Buffer.from(id.replaceAll('-', ''), 'hex').toString('base64url')
}

/** The id, or null when it is not a cursor that `encodeCursor` has made. */
function decodeCursor(cursor: string): string | null {
  const bytes = Buffer.from(cursor, 'base64url')
  if (bytes.length !== ID_BYTES || bytes.toString('base64url') !== cursor) return null
  return bytes.toString('hex').replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5')
}

/** `limit` and `cursor` of a list that is ordered by name. */
export const nameQuery = z.strictObject({
  limit,
  cursor: z
    .string()
    .transform((cursor) => Buffer.from(cursor, 'base64url').toString())
    .refine((name) => /^[!-~]{1,255}$/.test(name), NO_CURSOR)
    .optional()
    .openapi({ type: 'string', description: '`nextCursor` of the page before.' }),
})

/** One page of a list that is ordered by name. */
export async function readPageByName<Row extends { name: string }, Item>(
  { limit, cursor }: { limit: number; cursor?: string | undefined },
  list: (page: { limit: number; after: string | null }) => Promise<Row[]>,
  present: (row: Row) => Item,
): Promise<Page<Item>> {
  const rows = await list({ limit: limit + 1, after: cursor ?? null })
  const shown = rows.slice(0, limit)
  const last = rows.length > limit ? shown.at(-1) : undefined
  const nextCursor = last ? Buffer.from(last.name).toString('base64url') : null
  return { data: shown.map(present), nextCursor }
}
