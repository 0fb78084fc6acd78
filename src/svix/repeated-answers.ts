import { createHash } from 'node:crypto'
import { createMiddleware } from 'hono/factory'
import { type Kysely, sql } from 'kysely'
import type { Database } from '../postgres/schema.ts'
import type { SvixEnv } from './svix-caller.ts'
import { SvixError } from './svix-error.ts'

/** So long the same answer is given again. */
const KEPT_HOURS = 12
/** A request takes no longer; who was to answer it has died. */
const ANSWERED_SECONDS_MAX = 60
const KEY_LENGTH_MAX = 256

interface KeptAnswer {
  /** Null = it is still being made. */
  status: number | null
  body: string | null
}

/** Answers of requests that had an idempotency key. */
export interface RepeatedAnswers {
  /** Takes the key for the caller to answer: null, or what was answered to the first request with it. */
  take(hash: Buffer): Promise<KeptAnswer | null>
  keep(hash: Buffer, answer: { status: number; body: string }): Promise<void>
  /** The request was refused: the next one with the key is answered as if it were the first. */
  forget(hash: Buffer): Promise<void>
}

export function createRepeatedAnswers({
  database,
}: {
  database: Kysely<Database>
}): RepeatedAnswers {
  return {
    take: (hash) => take(database, hash),
    async keep(hash, answer) {
      const values = {
        ...answer,
        expires_at: sql<Date>`now() + make_interval(hours => ${KEPT_HOURS})`,
      }
      await database.updateTable('svix_answer').set(values).where('hash', '=', hash).execute()
    },
    async forget(hash) {
      await database.deleteFrom('svix_answer').where('hash', '=', hash).execute()
    },
  }
}

async function take(database: Kysely<Database>, hash: Buffer): Promise<KeptAnswer | null> {
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
    .returning('hash')
    .executeTakeFirst()
  if (taken) return null
  const kept = await database
    .selectFrom('svix_answer')
    .select(['status', 'body'])
    .where('hash', '=', hash)
    .executeTakeFirst()
  // Forgotten in between: the next one with the key is the first.
  return kept ?? { status: null, body: null }
}

/**
 * Gives what a request with the same key was answered again, whatever the body is now, as Svix does: per API key,
 * idempotency key and URL.
 */
export const repeatAnswer = (answers: RepeatedAnswers) =>
  createMiddleware<SvixEnv>(async (c, next) => {
    const key = c.req.header('idempotency-key')
    if (key === undefined || key === '') return await next()
    if (key.length > KEY_LENGTH_MAX) {
      throw new SvixError(400, 'invalid_idempotency_key', `At most ${KEY_LENGTH_MAX} characters.`)
    }
    const { pathname, search } = new URL(c.req.url)
    const url = `${pathname.replace(/\/+$/, '')}${search}`
    const hash = createHash('sha256')
      .update(JSON.stringify([c.req.header('authorization'), key, url]))
      .digest()
    const kept = await answers.take(hash)
    if (kept?.status === null) {
      throw new SvixError(409, 'conflict', 'The first request with this key is being answered.')
    }
    if (kept) return repeated(kept)
    return await answered(answers, hash, { next, response: () => c.res })
  })

function repeated({ status, body }: KeptAnswer): Response {
  const headers = body === '' ? {} : { 'content-type': 'application/json' }
  return new Response(body === '' ? null : body, { status: status ?? 200, headers })
}

async function answered(
  answers: RepeatedAnswers,
  hash: Buffer,
  { next, response }: { next: () => Promise<void>; response: () => Response },
): Promise<void> {
  let isKept = false
  try {
    await next()
    const { ok, status } = response()
    if (!ok) return
    await answers.keep(hash, { status, body: await response().clone().text() })
    isKept = true
  } finally {
    if (!isKept) await answers.forget(hash)
  }
}
