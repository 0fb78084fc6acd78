/**
 * Sends a statement in a transaction of pg, Kysely, Drizzle or Prisma.
 *
 * Nothing of a database library is imported; each is recognized by the method that sends a statement with
 * its values.
 */

/** A client of `pg` on which `begin` was sent. */
export interface PgTransaction {
  query(text: string, values: unknown[]): PromiseLike<unknown>
}
/** What Kysely's `transaction().execute(…)` hands in. */
export interface KyselyTransaction {
  executeQuery(query: never): PromiseLike<unknown>
}
/** What Drizzle's `transaction(…)` hands in, for any driver of Postgres. */
export interface DrizzleTransaction {
  execute(query: never): PromiseLike<unknown>
}
/** What Prisma's `$transaction(…)` hands in. */
export interface PrismaTransaction {
  $queryRawUnsafe(text: string, ...values: unknown[]): PromiseLike<unknown>
}
export type Transaction = PgTransaction | KyselyTransaction | DrizzleTransaction | PrismaTransaction

/**
 * Returns the rows of a statement.
 *
 * @param text casts its parameters through text: some drivers would otherwise send what they take the type of a
 *   parameter for
 */
export async function queryIn(
  tx: Transaction,
  text: string,
  values: (string | null)[],
): Promise<unknown[]> {
  const answer = await send(tx, text, values)
  return Array.isArray(answer) ? answer : (answer as { rows: unknown[] }).rows
}

function send(tx: Transaction, text: string, values: (string | null)[]): PromiseLike<unknown> {
  if ('$queryRawUnsafe' in tx) return tx.$queryRawUnsafe(text, ...values)
  if ('executeQuery' in tx) return tx.executeQuery(compiledQuery(text, values) as never)
  if ('execute' in tx) return tx.execute(sqlWrapper(text, values) as never)
  if ('query' in tx) return tx.query(text, values)
  throw new TypeError('the transaction is none of pg, Kysely, Drizzle or Prisma')
}

/** What Kysely's `CompiledQuery.raw` makes. */
function compiledQuery(sql: string, parameters: readonly unknown[]) {
  return {
    sql,
    parameters,
    query: { kind: 'RawNode', sqlFragments: [sql], parameters: [] },
    queryId: { queryId: 'postrider' },
  }
}

/** Drizzle's `SQLWrapper`, already rendered. */
function sqlWrapper(sql: string, params: readonly unknown[]) {
  const rendered = { toQuery: () => ({ sql, params }), getSQL: () => rendered }
  return rendered
}
