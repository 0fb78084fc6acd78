import { type Kysely, sql } from 'kysely'
import { containsText } from '../postgres/contains-text.ts'
import { allOf } from '../postgres/list-query.ts'
import type { Database } from '../postgres/schema.ts'
import { type ListedTenants, ofTenants } from '../tenants/listed-tenants.ts'

/** More nobody reads below a field. */
const SUGGESTED_MAX = 20
/** The newest tenants and endpoints that are looked through: some milliseconds. */
const NAMES_SCANNED_MAX = 10_000

/** What a filter takes, and what people call it. */
interface Suggestion {
  value: string
  label: string
}

/** Suggestions for filters: what contains the text, or the first of all where there is none. */
export interface Suggestions {
  /** By key and name. */
  tenants(listed: ListedTenants, text: string): Promise<Suggestion[]>
  /** By description, URL, uid and id. */
  endpoints(listed: ListedTenants, text: string): Promise<Suggestion[]>
  /** By name. */
  types(listed: ListedTenants, text: string): Promise<Suggestion[]>
}

export function createSuggestions({ database }: { database: Kysely<Database> }): Suggestions {
  return {
    tenants: async (listed, text) => (await tenantsLike(listed, text).execute(database)).rows,
    endpoints: async (listed, text) => (await endpointsLike(listed, text).execute(database)).rows,
    types: async (_, text) => (await typesLike(text).execute(database)).rows,
  }
}

const hasText = (text: string, ...columns: string[]) =>
  text === ''
    ? sql`true`
    : sql`(${sql.join(
        columns.map((column) => containsText(sql.ref(column), [text])),
        sql` or `,
      )})`

const tenantsLike = (listed: ListedTenants, text: string) => sql<Suggestion>`
  select t.key as value, t.name as label
  from (
    select * from postrider.tenant where ${allOf([ofTenants(listed, 'id')])}
    order by id desc limit ${NAMES_SCANNED_MAX}) as t
  where ${hasText(text, 't.key', 't.name')}
  order by lower(t.key) = lower(${text}) desc, t.key
  limit ${SUGGESTED_MAX}`

/** The tenant tells apart what several call the same. */
const endpointsLike = (listed: ListedTenants, text: string) => sql<Suggestion>`
  select e.id::text as value, concat_ws(' · ', nullif(e.description, ''), e.url, t.key) as label
  from (
    select * from postrider.endpoint
    where deleted_at is null and ${allOf([ofTenants(listed)])}
    order by id desc limit ${NAMES_SCANNED_MAX}) as e
  join postrider.tenant t on t.id = e.tenant_id
  where ${hasText(text, 'e.description', 'e.url', 'e.uid')} or e.id::text = lower(${text})
  order by e.description = '', e.description, e.id desc
  limit ${SUGGESTED_MAX}`

const typesLike = (text: string) => sql<Suggestion>`
  select name as value, left(description, 100) as label
  from postrider.event_type
  where ${hasText(text, 'name')}
  order by name
  limit ${SUGGESTED_MAX}`
