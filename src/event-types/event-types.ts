import { type Kysely, type Selectable, sql } from 'kysely'
import { changeAsActor } from '../postgres/actor.ts'
import type { Database, EventTypeTable } from '../postgres/schema.ts'

/** Each API process keeps their names in memory, and reads them again every two seconds. */
const EVENT_TYPES_MAX = 1_000

export type EventType = Omit<Selectable<EventTypeTable>, 'schema'> & { schema: unknown }

export interface EventTypeOutline
  extends Pick<EventType, 'name' | 'description' | 'deprecated_at'> {
  has_schema: boolean
}

/** A schema that a type has had. */
export interface EventTypeVersion {
  version: number
  /** Null = anything goes. */
  schema: unknown
  created_at: Date
}

export class EventTypeNotFound extends Error {
  override readonly name = 'EventTypeNotFound'
  readonly code = 'event_type_not_found'
  constructor() {
    super('no event type has this name')
  }
}

class TooManyEventTypes extends Error {
  override readonly name = 'TooManyEventTypes'
  readonly code = 'too_many_event_types'
  constructor(options?: ErrorOptions) {
    super(`there are ${EVENT_TYPES_MAX} event types already`, options)
  }
}

/** What is left out stays. Values were checked where they came in. */
interface EventTypeChange {
  description?: string | undefined
  /** Null = anything goes. */
  schema?: unknown
  deprecated?: boolean | undefined
  /** Paths in the data. */
  mask?: string[] | undefined
  /** Whether lists of the Svix-compatible API leave it out. */
  archived?: boolean | undefined
  /** What that API was given, and gives back: schemas by version, and what it is listed under. */
  svixSchemas?: Record<string, unknown> | null | undefined
  groupName?: string | null | undefined
}

interface EventTypeRange {
  limit: number
  after: string | null
  isDescending?: boolean
  withoutArchived?: boolean
}

export interface EventTypes {
  /** @throws SchemaInvalid, TooManyEventTypes */
  put(name: string, change: EventTypeChange): Promise<{ eventType: EventType; isNew: boolean }>
  /** Makes it, or takes one that is archived back into use; null = it is in use. @throws TooManyEventTypes */
  create(name: string, values: EventTypeChange): Promise<EventType | null>
  /** @throws SchemaInvalid, EventTypeNotFound */
  change(name: string, change: EventTypeChange): Promise<EventType>
  /** @throws EventTypeNotFound */
  get(name: string): Promise<EventType>
  /** By name, from behind the name `after` on. */
  list(page: EventTypeRange): Promise<EventType[]>
  /** The same without the schemas, up to 64 KiB each. */
  outline(page: { limit: number }): Promise<EventTypeOutline[]>
  /** The schemas that it has had, newest first; up to 20. */
  versions(name: string): Promise<EventTypeVersion[]>
  /** Events of this type stay, and may be published without it. @throws EventTypeNotFound */
  delete(name: string): Promise<void>
}

interface EventTypesOptions {
  database: Kysely<Database>
  /** Throws what is wrong with a schema. */
  checkSchema: (schema: unknown) => void
  /** Called after each change. */
  onChanged: () => void
}

export function createEventTypes(options: EventTypesOptions): EventTypes {
  const { database, checkSchema, onChanged } = options
  const made = async <T>(work: (transaction: Kysely<Database>) => Promise<T>): Promise<T> => {
    const result = await changeAsActor(database, work)
    onChanged()
    return result
  }
  return {
    put: async (name, values) => {
      if (values.schema != null) checkSchema(values.schema)
      return await made((transaction) => put(transaction, name, values))
    },
    create: (name, values) => made((transaction) => create(transaction, name, values)),
    change: async (name, values) => {
      if (values.schema != null) checkSchema(values.schema)
      return await made(
        async (transaction) => (await change(transaction, name, values)) ?? notFound(),
      )
    },
    get: (name) => get(database, name),
    list: (page) => list(database, page),
    outline: ({ limit }) => outline(database, limit),
    versions: (name) => versions(database, name),
    delete: (name) => made((transaction) => remove(transaction, name)),
  }
}

async function put(transaction: Kysely<Database>, name: string, values: EventTypeChange) {
  const isNew = await insert(transaction, name)
  const eventType = await change(transaction, name, values)
  if (!eventType) throw new TooManyEventTypes()
  return { eventType, isNew }
}

async function create(transaction: Kysely<Database>, name: string, values: EventTypeChange) {
  const isNew = await insert(transaction, name)
  const row = await transaction
    .updateTable('event_type')
    .set(toColumns(values))
    .where('name', '=', name)
    .$if(!isNew, (query) => query.where('archived_at', 'is not', null))
    .returningAll()
    .executeTakeFirst()
  if (row) return fromRow(row)
  await get(transaction, name).catch((cause) => {
    throw new TooManyEventTypes({ cause })
  })
  return null
}

async function get(database: Kysely<Database>, name: string): Promise<EventType> {
  const row = await database
    .selectFrom('event_type')
    .selectAll()
    .where('name', '=', name)
    .executeTakeFirst()
  return row ? fromRow(row) : notFound()
}

async function remove(transaction: Kysely<Database>, name: string): Promise<void> {
  const { numDeletedRows } = await transaction
    .deleteFrom('event_type')
    .where('name', '=', name)
    .executeTakeFirst()
  if (numDeletedRows === 0n) notFound()
}

async function change(on: Kysely<Database>, name: string, values: EventTypeChange) {
  const row = await on
    .updateTable('event_type')
    .set(toColumns(values))
    .where('name', '=', name)
    .returningAll()
    .executeTakeFirst()
  return row && fromRow(row)
}

async function list(
  database: Kysely<Database>,
  { limit, after, isDescending = false, withoutArchived = false }: EventTypeRange,
): Promise<EventType[]> {
  const rows = await database
    .selectFrom('event_type')
    .selectAll()
    .$if(after !== null, (query) => query.where('name', isDescending ? '<' : '>', after))
    .$if(withoutArchived, (query) => query.where('archived_at', 'is', null))
    .orderBy('name', isDescending ? 'desc' : 'asc')
    .limit(limit)
    .execute()
  return rows.map(fromRow)
}

const outline = (database: Kysely<Database>, limit: number) =>
  database
    .selectFrom('event_type')
    .select(['name', 'description', 'deprecated_at'])
    .select(sql<boolean>`schema is not null`.as('has_schema'))
    .orderBy('name')
    .limit(limit)
    .execute()

async function versions(database: Kysely<Database>, name: string): Promise<EventTypeVersion[]> {
  const rows = await database
    .selectFrom('event_type_version')
    .select(['version', 'schema', 'created_at'])
    .where('name', '=', name)
    .orderBy('version', 'desc')
    .execute()
  return rows.map(fromRow)
}

function notFound(): never {
  throw new EventTypeNotFound()
}

/** @returns whether it was not there; nothing is inserted beyond the bound */
async function insert(database: Kysely<Database>, name: string): Promise<boolean> {
  const { numAffectedRows } = await sql`
    insert into postrider.event_type (name)
    select ${name} where (select count(*) from postrider.event_type) < ${EVENT_TYPES_MAX}
    on conflict (name) do nothing`.execute(database)
  return numAffectedRows === 1n
}

function toColumns(values: EventTypeChange) {
  const { description, schema, deprecated, mask, archived, svixSchemas, groupName } = values
  return {
    ...(mask !== undefined && { mask }),
    ...(description !== undefined && { description }),
    ...(schema !== undefined && { schema: schema === null ? null : JSON.stringify(schema) }),
    ...(deprecated === true && { deprecated_at: sql<Date>`coalesce(deprecated_at, now())` }),
    ...(deprecated === false && { deprecated_at: null }),
    ...(archived === true && { archived_at: sql<Date>`coalesce(archived_at, now())` }),
    ...(archived === false && { archived_at: null }),
    ...(svixSchemas !== undefined && {
      svix_schemas: svixSchemas === null ? null : JSON.stringify(svixSchemas),
    }),
    ...(groupName !== undefined && { group_name: groupName }),
    updated_at: sql<Date>`clock_timestamp()`,
  }
}

/** `json` arrives as text. */
function fromRow<Row extends { schema: string | null }>(
  row: Row,
): Omit<Row, 'schema'> & { schema: unknown } {
  return { ...row, schema: row.schema === null ? null : JSON.parse(row.schema) }
}
