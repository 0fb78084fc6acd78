import { createHash, randomBytes } from 'node:crypto'
import { type Kysely, sql } from 'kysely'
import type { Caller } from '../access/caller.ts'
import { type Act, writeAct } from '../audit-log/audit-log.ts'
import type { SessionId } from '../ids.ts'
import { changeAsActor } from '../postgres/actor.ts'
import { retryConflicts } from '../postgres/outage.ts'
import type { Database, SessionTable } from '../postgres/schema.ts'

/** As with API keys: never guessed, so no slow hash is needed. */
const TOKEN_BYTES = 32
/** More than ever end between two sign-ins, and a statement of some milliseconds. */
const SWEPT_MAX = 1_000
/** Of one key or link: nobody has as many browsers, and a link may be opened again and again. */
const PER_KEY_MAX = 1_000
/** Nobody looks through more; the newest are shown. */
const LISTED_MAX = 200

/** Pages that a session opens; one of the portal opens nothing in the console, nor the other way round. */
type Area = SessionTable['area']

interface Session {
  id: SessionId
  createdAt: Date
  expiresAt: Date
}

/** A session of the list, with the key or the portal that opened it; null for the bootstrap admin key. */
export interface ListedSession extends Session {
  area: Area
  keyName: string | null
}

/** Who did it, and the address they did it from. */
interface By {
  who: string
  client: string
}

/** @template Who what those are who have signed in: bearers of keys, or of links */
export interface Sessions<Who extends Caller = Caller> {
  /**
   * Remembers a browser that has shown this key; the oldest of more than 1,000 with it is forgotten.
   *
   * @param keyHash by `hashApiKey` of a key that was verified
   * @param by for the audit log; left out, as for links that are opened again and again, nothing is written there
   * @returns the token for its cookie, which is not stored
   */
  begin(
    area: Area,
    keyHash: Buffer,
    lifeSeconds: number,
    by?: By,
  ): Promise<{ token: string; expiresAt: Date }>
  /** Who has signed in, by what the key is worth now; null when the session or the key is over. */
  find(area: Area, token: string): Promise<{ session: Session; caller: Who } | null>
  /** Those that are not over, newest first. */
  list(): Promise<ListedSession[]>
  /** Takes effect at once, everywhere. Again changes nothing. */
  end(id: SessionId, by?: By & { action: 'sign_out' | 'end_session' }): Promise<void>
}

export function createSessions<Who extends Caller>(options: {
  database: Kysely<Database>
  /** Finds who somebody is by the hash of what they came in with. */
  apiKeys: { verifyHash(hash: Buffer): Promise<Who | null> }
}): Sessions<Who> {
  const { database, apiKeys } = options
  return {
    begin: (area, keyHash, lifeSeconds, by) => begin(database, { area, keyHash, lifeSeconds, by }),
    async find(area, token) {
      const row = await findRow(database, area, token)
      if (!row) return null
      const { key_hash: keyHash, ...session } = row
      const caller = await apiKeys.verifyHash(keyHash)
      return caller && { session: { ...session, id: session.id as SessionId }, caller }
    },
    list: () => list(database),
    end: (id, by) => end(database, id, by),
  }
}

interface Begun {
  area: Area
  keyHash: Buffer
  lifeSeconds: number
  by: By | undefined
}

async function begin(database: Kysely<Database>, session: Begun) {
  await retryConflicts(() => sweep(database))
  await retryConflicts(() => makeRoom(database, session.keyHash))
  const token = randomBytes(TOKEN_BYTES).toString('base64url')
  return { token, expiresAt: await store(database, { ...session, token }) }
}

function store(database: Kysely<Database>, session: Begun & { token: string }): Promise<Date> {
  const { area, token, keyHash, lifeSeconds, by } = session
  return changeAsActor(database, async (on) => {
    const row = await on
      .insertInto('session')
      .values({
        area,
        token_hash: hashOf(token),
        key_hash: keyHash,
        expires_at: sql`now() + make_interval(secs => ${lifeSeconds})`,
      })
      .returning(['id', 'expires_at'])
      .executeTakeFirstOrThrow()
    if (by) await writeAct(on, ofSession(row.id, { ...by, action: 'sign_in' }))
    return row.expires_at
  })
}

const findRow = (database: Kysely<Database>, area: Area, token: string) =>
  database
    .selectFrom('session')
    .select(['id', 'key_hash', 'created_at as createdAt', 'expires_at as expiresAt'])
    .where('token_hash', '=', hashOf(token))
    .where('area', '=', area)
    .where('expires_at', '>', sql<Date>`now()`)
    .executeTakeFirst()

const list = (database: Kysely<Database>): Promise<ListedSession[]> =>
  database
    .selectFrom('session')
    .leftJoin('api_key', 'api_key.hash', 'session.key_hash')
    .leftJoin('portal_link', 'portal_link.token_hash', 'session.key_hash')
    .leftJoin('tenant', 'tenant.id', 'portal_link.tenant_id')
    .select([
      'session.id',
      'session.area',
      'session.created_at as createdAt',
      'session.expires_at as expiresAt',
      sql<string | null>`coalesce(api_key.name, 'link to the portal of ' || tenant.key)`.as(
        'keyName',
      ),
    ])
    .where('session.expires_at', '>', sql<Date>`now()`)
    .where('api_key.revoked_at', 'is', null)
    // Of a link that was taken back, the sessions open nothing any more.
    .where((eb) => eb.or([eb('session.area', '=', 'console'), eb('tenant.id', 'is not', null)]))
    .orderBy('session.id', 'desc')
    .limit(LISTED_MAX)
    .$castTo<ListedSession>()
    .execute()

const end = (database: Kysely<Database>, id: SessionId, by: Parameters<Sessions['end']>[1]) =>
  changeAsActor(database, async (on) => {
    const ended = await on
      .deleteFrom('session')
      .where('id', '=', id)
      .returning('id')
      .executeTakeFirst()
    if (ended && by) await writeAct(on, ofSession(id, by))
  })

/** Who signed in under the session, its first row says. */
const ofSession = (session: string, { who, action, client }: By & { action: string }): Act => ({
  who,
  action,
  targetKind: 'service',
  targetId: null,
  detail: { session, client },
})

const hashOf = (token: string): Buffer => createHash('sha256').update(token).digest()

/** Rows that are over; who signs in takes some along, so that no duty is needed for them. */
async function sweep(database: Kysely<Database>): Promise<void> {
  await sql`delete from postrider.session where id in (
    select id from postrider.session where expires_at <= now() limit ${SWEPT_MAX}
    for update skip locked)`.execute(database)
}

/** For one more. */
async function makeRoom(database: Kysely<Database>, keyHash: Buffer): Promise<void> {
  await sql`delete from postrider.session where id in (
    select id from postrider.session where key_hash = ${keyHash}
    order by id desc offset ${PER_KEY_MAX - 1} limit ${SWEPT_MAX})`.execute(database)
}
