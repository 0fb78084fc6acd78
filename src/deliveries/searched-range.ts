import { type Kysely, type RawBuilder, sql } from 'kysely'
import { type EventId, eventId, type TenantId } from '../ids.ts'
import { uuidOfKsuid } from '../ksuid.ts'
import { containsText } from '../postgres/contains-text.ts'
import type { Condition } from '../postgres/list-query.ts'
import type { Database } from '../postgres/schema.ts'

const DAY_MS = 86_400_000
/** Text is looked for in the data itself, for which there is no index. */
const SEARCHED_MS_DEFAULT = DAY_MS
const SEARCHED_MS_MAX = 31 * DAY_MS

/** The time in which text is looked for: a day, or as much as is asked for up to a month. */
export function searchedRange(
  { since, until }: { since?: Date | undefined; until?: Date | undefined },
  now: Date,
): { since: Date; until: Date | undefined } {
  const end = until ?? now
  const earliest = new Date(end.getTime() - SEARCHED_MS_MAX)
  const wanted = since ?? new Date(end.getTime() - SEARCHED_MS_DEFAULT)
  return { since: wanted > earliest ? wanted : earliest, until }
}

const MESSAGE_ID = /^msg_(.+)$/

/** The id that a text is, also as a receiver was sent it that gets events as Svix sends them: `msg_…`. */
export function idIn(text: string): EventId | null {
  const ksuid = MESSAGE_ID.exec(text)?.[1]
  return eventId.safeParse(ksuid === undefined ? text : uuidOfKsuid(ksuid)).data ?? null
}

/**
 * The event that the text names: its id, the id of one of its deliveries, or its idempotency key of the
 * last 7 days. Found by indexes, whenever it was published.
 *
 * @param where.isOurs whether a row is of those who are looked at
 * @param where.ofKey the one tenant whose keys name something; null = none
 */
export async function findNamed(
  database: Kysely<Database>,
  { isOurs, ofKey }: { isOurs: Condition; ofKey: TenantId | null },
  text: string,
): Promise<EventId | null> {
  const id = idIn(text)
  const { rows } = await sql<{ id: EventId }>`
    select id from postrider.event where id = ${id} and ${isOurs}
    union all
    select event_id from postrider.delivery where id = ${id} and ${isOurs}
    union all
    select event_id from postrider.idempotency where tenant_id = ${ofKey} and key = ${text}
    limit 1`.execute(database)
  return rows[0]?.id ?? null
}

/**
 * Whether the text is in the data, as people read it: however letters are written (`containsText`) and escaped.
 * Or whether it is the idempotency key, or the ordering key.
 *
 * jsonb has no escapes but those that it needs. Data without a backslash has none at all, so it is not parsed.
 */
export const isAbout = (text: string): Condition =>
  sql`(${isInText(text, sql`data`)} or ${isKey(text)})`

/** Whether it is one of the keys of the event. */
export const isKey = (text: string): Condition => sql`${text} in (idempotency_key, ordering_key)`

/** The same of JSON that comes from elsewhere, such as from a mask. */
export function isInText(text: string, json: RawBuilder<unknown>): Condition {
  const spellings = [...new Set([text, JSON.stringify(text).slice(1, -1)])]
  return sql`(${containsText(sql`${json}::text`, spellings)}
    or (strpos(${json}::text, ${'\\'}) > 0 and ${containsText(sql`${json}::jsonb::text`, spellings)}))`
}
