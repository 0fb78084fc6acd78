import { type Kysely, type Selectable, type SqlBool, sql } from 'kysely'
import type { AttemptId, DeliveryId } from '../ids.ts'
import type { AttemptTable, Database } from '../postgres/schema.ts'

export type Attempt = Selectable<AttemptTable> & { id: AttemptId }

/** More than the longest schedule and many retries by hand; each may hold 16 KiB of an answer. */
const ATTEMPTS_SHOWN_MAX = 200

/** All but headers and answers, which are what takes room. */
const BRIEFLY = [
  ...(['id', 'tenant_id', 'delivery_id', 'endpoint_id', 'number', 'trigger'] as const),
  ...(['outcome', 'status_code', 'reason', 'error', 'error_detail'] as const),
  ...(['started_at', 'finished_at'] as const),
  ...(['duration_ms', 'dns_ms', 'connect_ms', 'tls_ms', 'first_byte_ms'] as const),
  'runner',
] as const satisfies readonly (keyof AttemptTable)[]
export const WITHOUT_ANSWER = [...BRIEFLY, 'request_headers', 'batch_id', 'url'] as const
export const NO_ANSWER = { response_headers: null, response_body: null } as const

export interface AnswerOptions {
  /** Whether the answers are read as well, up to 16 KiB each and their headers. */
  withAnswers?: boolean | undefined
}

export interface Attempts {
  /** The attempts of a delivery in the order of their numbers; the latest 200 when there are more. */
  listOf(deliveryId: DeliveryId, options?: AnswerOptions): Promise<Attempt[]>
  /**
   * The same for pages, which ask again and again: without headers and answers, but for those of the latest,
   * and for headers and URL of the latest request that was sent.
   */
  outlineOf(deliveryId: DeliveryId): Promise<Attempt[]>
  get(deliveryId: DeliveryId, number: number): Promise<Attempt | undefined>
}

export function createAttempts({ database }: { database: Kysely<Database> }): Attempts {
  return {
    async listOf(deliveryId, { withAnswers = true } = {}) {
      const latest = latestFirst(database, deliveryId)
      const attempts = withAnswers
        ? await latest.selectAll().$castTo<Attempt>().execute()
        : await latest.select(WITHOUT_ANSWER).execute()
      return attempts.map((attempt) => ({ ...NO_ANSWER, ...attempt }) as Attempt).reverse()
    },
    outlineOf: (deliveryId) => outlineOf(latestFirst(database, deliveryId)),
    get: (deliveryId, number) =>
      latestFirst(database, deliveryId)
        .selectAll()
        .where('number', '=', number)
        .$castTo<Attempt>()
        .executeTakeFirst(),
  }
}

const latestFirst = (database: Kysely<Database>, deliveryId: DeliveryId) =>
  database
    .selectFrom('attempt')
    .where('delivery_id', '=', deliveryId)
    .where(sql<SqlBool>`id >= postrider.id_floor(${deliveryId})`)
    .orderBy('number', 'desc')
    .limit(ATTEMPTS_SHOWN_MAX)

async function outlineOf(attempts: ReturnType<typeof latestFirst>): Promise<Attempt[]> {
  const latestSent = attempts.where('request_headers', 'is not', null)
  const [brief, [latest], [sent]] = await Promise.all([
    attempts.select(BRIEFLY).execute(),
    attempts.selectAll().limit(1).$castTo<Attempt>().execute(),
    latestSent.select(WITHOUT_ANSWER).limit(1).execute(),
  ])
  const headers = { request_headers: null, url: null }
  return brief
    .map((attempt) => ({ ...NO_ANSWER, ...headers, ...attempt }) as Attempt)
    .map((attempt) => (attempt.id === sent?.id ? { ...attempt, ...sent } : attempt) as Attempt)
    .map((attempt) => (attempt.id === latest?.id ? latest : attempt))
    .reverse()
}

/** The last of them that had a request. */
export const lastSent = (attempts: readonly Attempt[]): Attempt | undefined =>
  attempts.findLast(({ request_headers: headers }) => headers !== null)

/** As they were sent; none where nothing was. */
export const headersOf = (attempt: Attempt | undefined): Record<string, string> =>
  JSON.parse(attempt?.request_headers ?? '{}')
