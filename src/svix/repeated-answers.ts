import { createHash } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { createMiddleware } from 'hono/factory'
import { type Kysely, type SqlBool, sql } from 'kysely'
import type { Database } from '../postgres/schema.ts'
import type { SvixEnv } from './svix-caller.ts'
import { SvixError } from './svix-error.ts'
import { keyedUrl } from './svix-route.ts'

/** So long the same answer is given again. */
const KEPT_HOURS = 12
/** How often, and at which distance, a repeat asks for the answer of the first before it is refused: SDKs give up at a 409. */
const WAIT = { asks: 25, everyMs: 200 }
/** A request takes no longer; who was to answer it has died. */
const ANSWERED_SECONDS_MAX = 60
const KEY_LENGTH_MAX = 256

interface KeptAnswer {
  /** Null = it is still being made. */
  status: number | null
  body: string | null
}

/** A key that its holder is to answer; of the one who takes it after it has expired, the time is another. */
interface TakenKey {
  hash: Buffer
  /** To the microsecond, as text. */
  expiresAt: string
}

/** Answers of requests that had an idempotency key. */
export interface RepeatedAnswers {
  /** Takes the key for the caller to answer, or tells what was answered to the first request with it. */
  take(hash: Buffer): Promise<{ taken: TakenKey } | { kept: KeptAnswer }>
  /** Does nothing where the key has expired and another request has taken it, as `forget`. */
  keep(taken: TakenKey, answer: { status: number; body: string }): Promise<void>
  /** The request was refused: the next one with the key is answered as if it were the first. */
  forget(taken: TakenKey): Promise<void>
}

export function createRepeatedAnswers({
  database,
}: {
  database: Kysely<Database>
}): RepeatedAnswers {
  return {
    take: (hash) => take(database, hash),
    async keep(taken, answer) {
      const values = {
        ...answer,
        expires_at: sql<Date>`now() + make_interval(hours => ${KEPT_HOURS})`,
      }
      await database.updateTable('svix_answer').set(values).where(isOf(taken)).execute()
    },
    async forget(taken) {
      await database.deleteFrom('svix_answer').where(isOf(taken)).execute()
    },
  }
}

const isOf = ({ hash, expiresAt }: TakenKey) =>
  sql<SqlBool>`hash = ${hash} and expires_at = ${expiresAt}::timestamptz`

async function take(
  database: Kysely<Database>,
  hash: Buffer,
): Promise<{ taken: TakenKey } | { kept: KeptAnswer }> {
  const expires_at = sql<Date>`now() + make_interval(secs => ${ANSWERED_SECONDS_MAX})`
  const taken = await database
    .insertInto('svix_answer')
    .values({ hash, status: null, body: null, expires_at })
    .onConflict((conflict) =>
      conflict
        .column('hash')
        .doUpdateSet({ status: null, body: null, expires_at })
        .where('svix_answer.expires_at', '<', sql<Date>`now()`),
    )
    .returning(sql<string>`expires_at::text`.as('expiresAt'))
    .executeTakeFirst()
  if (taken) return { taken: { hash, ...taken } }
  const kept = await database
    .selectFrom('svix_answer')
    .select(['status', 'body'])
    .where('hash', '=', hash)
    .executeTakeFirst()
  // Forgotten in between: the next one with the key is the first.
  return { kept: kept ?? { status: null, body: null } }
}

/**
 * Gives what a request with the same key was answered again, whatever the body is now, as Svix does: per API key,
 * idempotency key and URL. While the first one is being answered, the others wait.
 */
export const repeatAnswer = (answers: RepeatedAnswers, wait = WAIT) =>
  createMiddleware<SvixEnv>(async (c, next) => {
    const key = c.req.header('idempotency-key')
    if (key === undefined || key === '') return await next()
    if (key.length > KEY_LENGTH_MAX) {
      throw new SvixError(400, 'invalid_idempotency_key', `At most ${KEY_LENGTH_MAX} characters.`)
    }
    const hash = createHash('sha256')
      .update(JSON.stringify([c.req.header('authorization'), key, keyedUrl(c.req.url)]))
      .digest()
    const first = await takeOrWait(answers, hash, wait)
    if ('kept' in first) return repeated(first.kept)
    return await answered(answers, first.taken, { next, response: () => c.res })
  })

async function takeOrWait(answers: RepeatedAnswers, hash: Buffer, { asks, everyMs }: typeof WAIT) {
  for (let asked = 0; ; asked++) {
    const first = await answers.take(hash)
    if ('taken' in first || first.kept.status !== null) return first
    if (asked === asks) {
      throw new SvixError(409, 'conflict', 'The first request with this key is still in progress.')
    }
    await sleep(everyMs)
  }
}

function repeated({ status, body }: KeptAnswer): Response {
  const headers = body === '' ? {} : { 'content-type': 'application/json' }
  return new Response(body === '' ? null : body, { status: status ?? 200, headers })
}

async function answered(
  answers: RepeatedAnswers,
  taken: TakenKey,
  { next, response }: { next: () => Promise<void>; response: () => Response },
): Promise<void> {
  let isDone = false
  try {
    await next()
    isDone = response().ok
  } finally {
    if (!isDone) await answers.forget(taken)
  }
  // Where this fails, the work is done: the key stays taken until it expires, so that a repeat does not do it again.
  if (isDone) {
    await answers.keep(taken, { status: response().status, body: await response().clone().text() })
  }
}
