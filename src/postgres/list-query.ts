import { type RawBuilder, type SqlBool, sql } from 'kysely'

/** Ids are made in the order of time, so the index on them leads both ways. */
export interface Order {
  /** Otherwise the newest rows come first. */
  isOldestFirst?: boolean | undefined
}

/** A part of a list that is ordered by id: by when rows were made, and from where the page before ended. */
export interface Range<Id extends string> extends Order {
  limit: number
  /** The last row of the page before; null = this is the first page. */
  before: Id | null
  since?: Date | undefined
  until?: Date | undefined
}

/**
 * The bounds on the ids. Rows lie in partitions by the time of their id, so this is also what keeps the
 * other partitions out of the plan, those that are made ahead included.
 */
export function isInRange(range: Omit<Range<string>, 'limit'>): Condition {
  const { before, since, until, isOldestFirst = false } = range
  return allOf([
    before === null || isOldestFirst ? notInTheFuture : undefined,
    isBehind('id', range),
    since && sql`id >= postrider.id_at(${since})`,
    until && sql`id < postrider.id_at(${until})`,
  ])
}

export type Condition = RawBuilder<SqlBool>

/** Leaves out the rows of the pages before, in a list that is ordered by this column, by `directionOf`. */
export function isBehind(
  column: string,
  { before, isOldestFirst = false }: Pick<Range<string>, 'before' | 'isOldestFirst'>,
): Condition | undefined {
  if (before === null) return undefined
  return isOldestFirst ? sql`${sql.ref(column)} > ${before}` : sql`${sql.ref(column)} < ${before}`
}

/** Behind `order by`; ascending where the oldest, or otherwise the smallest, come first. */
export const directionOf = ({ isOldestFirst = false }: Order): RawBuilder<unknown> =>
  isOldestFirst ? sql`asc` : sql`desc`

/** Leaves out the partitions that are made ahead; an hour more, as in `postrider.id_floor`. */
const notInTheFuture: Condition = sql`id < postrider.id_at(now() + interval '1 hour')`

/** What is left out does not restrict. */
export function allOf(conditions: (RawBuilder<unknown> | undefined)[]): Condition {
  const given = conditions.filter((condition) => condition !== undefined)
  return given.length === 0 ? sql`true` : sql`(${sql.join(given, sql` and `)})`
}
