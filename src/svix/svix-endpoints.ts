import { type Kysely, sql } from 'kysely'
import type { Endpoint, EndpointChange } from '../endpoints/endpoint.fields.ts'
import type { EndpointOperations } from '../endpoints/endpoint-operations.ts'
import type { EndpointExtras, Endpoints } from '../endpoints/endpoints.ts'
import type { EndpointId, TenantId } from '../ids.ts'
import { EndpointNotFound } from '../not-found.ts'
import { runList } from '../postgres/run-list.ts'
import type { Database } from '../postgres/schema.ts'
import type {
  SvixEndpointCreate,
  SvixEndpointPatch,
  SvixEndpointReplace,
} from './svix-endpoint.fields.ts'
import { SvixError, svixMistake } from './svix-error.ts'
import { uuidOf } from './svix-id.ts'

interface AttemptCounts {
  delivered: number
  failed: number
  started: number
}

/** Endpoints as Svix calls them. Each throws EndpointNotFound. */
export interface SvixEndpoints {
  /** By its id, its uid or the id that Svix gave it. */
  find(tenantId: TenantId, named: string): Promise<EndpointId>
  /** @throws SvixInvalid for unknown event types, SvixError where the uid is taken, and as Endpoints.create */
  create(tenantId: TenantId, values: SvixEndpointCreate, who: string): Promise<Endpoint>
  /** What is left out is as in a new one; the secret and the headers stay. @throws as create */
  replace(
    tenantId: TenantId,
    id: EndpointId,
    values: SvixEndpointReplace,
    who: string,
  ): Promise<Endpoint>
  /** What is left out stays. @throws as create */
  patch(
    tenantId: TenantId,
    id: EndpointId,
    values: SvixEndpointPatch,
    who: string,
  ): Promise<Endpoint>
  /** Attempts that began within a time. @throws SearchTooSlow */
  countAttempts(
    tenantId: TenantId,
    id: EndpointId,
    time: { since: Date; until: Date },
  ): Promise<AttemptCounts>
}

interface SvixEndpointsOptions {
  database: Kysely<Database>
  endpoints: Pick<Endpoints, 'create' | 'change' | 'get'>
  endpointOperations: EndpointOperations
}

export function createSvixEndpoints(options: SvixEndpointsOptions): SvixEndpoints {
  const { database } = options
  return {
    find: (tenantId, named) => find(database, tenantId, named),
    create: (tenantId, values, who) => create(options, tenantId, { values, who }),
    replace: (tenantId, id, values, who) =>
      change(options, { tenantId, id, who }, { ...AS_NEW, ...given(values) }),
    patch: (tenantId, id, values, who) => change(options, { tenantId, id, who }, values),
    countAttempts: (tenantId, id, time) => countAttempts(database, { tenantId, id, ...time }),
  }
}

/** What a replacement sets where it says nothing. */
const AS_NEW = {
  ...{ uid: null, eventTypes: null, channels: null, throttleRate: null },
  ...{ description: '', version: 1, disabled: false, metadata: {} },
} satisfies SvixEndpointPatch

/** Null is as good as nothing where something new is made. */
const given = <Values extends object>(values: Values) =>
  Object.fromEntries(
    Object.entries(values).filter(([, value]) => value !== null && value !== undefined),
  ) as { [Name in keyof Values]?: NonNullable<Values[Name]> }

async function find(
  database: Kysely<Database>,
  tenantId: TenantId,
  named: string,
): Promise<EndpointId> {
  const id = uuidOf('ep', named)
  const isNamed =
    id === null ? sql<boolean>`(uid = ${named} or svix_id = ${named})` : sql<boolean>`id = ${id}`
  const row = await database
    .selectFrom('endpoint')
    .select('id')
    .where('tenant_id', '=', tenantId)
    .where('deleted_at', 'is', null)
    .where(isNamed)
    .orderBy(sql`svix_id = ${named}`, (order) => order.desc().nullsLast())
    .limit(1)
    .executeTakeFirst()
  if (!row) throw new EndpointNotFound()
  return row.id as EndpointId
}

async function create(
  { database, endpoints }: SvixEndpointsOptions,
  tenantId: TenantId,
  { values, who }: { values: SvixEndpointCreate; who: string },
): Promise<Endpoint> {
  const { secret, url, ...settings } = { ...AS_NEW, ...given(values) }
  await assertDescribed(database, typesOf(settings), null)
  const state = settings.disabled
    ? { state: 'disabled' as const, disabled_reason: `disabled by ${who}`, disabled_at: new Date() }
    : {}
  const columns = { ...columnsOf(settings), ...state }
  const made = await endpoints
    .create(
      tenantId,
      { ...changeOf(settings), url: normal(url ?? ''), shape: 'svix', ...keyOf(secret) },
      { columns },
    )
    .catch(refuseTaken)
  return made.endpoint
}

/** As Svix reads it, which knows nothing but base64. */
const keyOf = (secret: string | undefined) =>
  secret === undefined ? {} : { secret, secretEncoding: 'base64' as const }

interface Which {
  tenantId: TenantId
  id: EndpointId
  who: string
}

async function change(
  options: SvixEndpointsOptions,
  which: Which,
  values: SvixEndpointPatch,
): Promise<Endpoint> {
  const { database, endpoints } = options
  const { tenantId, id } = which
  const { url, disabled } = values
  const before = await endpoints.get(tenantId, id)
  await assertDescribed(database, typesOf(values), before.event_types)
  const settings = { ...changeOf(values), ...(url !== undefined && { url: normal(url) }) }
  await endpoints
    .change(tenantId, id, settings, { columns: columnsOf(values, before.svix) })
    .catch(refuseTaken)
  if (disabled !== undefined) await setDisabled(options, which, { before, disabled })
  return await endpoints.get(tenantId, id)
}

/** A paused endpoint is shown as disabled, and stays paused where that is said of it. */
async function setDisabled(
  { endpointOperations: operations }: SvixEndpointsOptions,
  { tenantId, id, who }: Which,
  { before, disabled }: { before: Pick<Endpoint, 'state'>; disabled: boolean },
): Promise<void> {
  if (disabled === (before.state !== 'active')) return
  if (disabled) await operations.disable(tenantId, id, who)
  else if (before.state === 'paused') await operations.resume(tenantId, id, who)
  else await operations.enable(tenantId, id, who, { deliverHeld: true })
}

type Settings = Pick<
  SvixEndpointPatch,
  'eventTypes' | 'filterTypes' | 'throttleRate' | 'rateLimit' | 'description'
>

/** Of both generations; undefined = not said. */
const typesOf = ({ eventTypes, filterTypes }: Settings) => firstSaid(eventTypes, filterTypes)

function firstSaid<Value>(one: Value, other: Value): Value {
  const isSaid = one !== null && one !== undefined
  return isSaid || other === undefined ? one : other
}

function changeOf(values: Settings): EndpointChange {
  const types = typesOf(values)
  const rate = firstSaid(values.throttleRate, values.rateLimit)
  return {
    ...(types !== undefined && { eventTypes: types ?? ['*'] }),
    ...(rate !== undefined && { ratePerSecond: rate }),
    ...(values.description !== undefined && { description: values.description }),
  }
}

function columnsOf(
  values: Pick<SvixEndpointPatch, 'uid' | 'channels' | 'metadata' | 'version'>,
  before: Record<string, unknown> | null = null,
): NonNullable<EndpointExtras['columns']> {
  const { uid, channels, metadata, version } = values
  return {
    ...(uid !== undefined && { uid }),
    ...(channels !== undefined && { channels }),
    ...(metadata !== undefined && { metadata: JSON.stringify(metadata) }),
    ...(version !== undefined && { svix: JSON.stringify({ ...before, version }) }),
  }
}

/** As Svix stores it: with a path, and its host in lower case. */
const normal = (url: string): string => new URL(url).href

/**
 * Types that are described and in use. A pattern, which our own API knows, or a type that nobody has described is
 * accepted where the endpoint has it already: SDKs give back what they were given.
 *
 * @throws SvixInvalid
 */
async function assertDescribed(
  database: Kysely<Database>,
  types: readonly string[] | null | undefined,
  before: readonly string[] | null,
): Promise<void> {
  if (!types) return
  const rows = await database
    .selectFrom('event_type')
    .select(['name', 'archived_at'])
    .where('name', 'in', types)
    .execute()
  const stateOf = new Map(rows.map((row) => [row.name, row.archived_at === null]))
  const missing = types.filter((name) => !(stateOf.get(name) ?? before?.includes(name) ?? false))
  if (missing.length === 0) return
  throw svixMistake('eventTypes', `no such event types: ${missing.join(', ')}`)
}

const UNIQUE_VIOLATION = '23505'

function refuseTaken(error: Error & { code?: string }): never {
  if (error.code !== UNIQUE_VIOLATION) throw error
  throw new SvixError(409, 'conflict', 'Another endpoint of the application has this uid.', {
    cause: error,
  })
}

/** There is no index on endpoint and time, which every attempt would pay for; the one on tenant and time is read. */
async function countAttempts(
  database: Kysely<Database>,
  { tenantId, id, since, until }: { tenantId: TenantId; id: EndpointId; since: Date; until: Date },
): Promise<AttemptCounts> {
  return await runList(database, { isIndexed: false }, async (on) => {
    const { rows } = await sql<AttemptCounts>`
      select count(*) filter (where outcome = 'delivered')::int as delivered,
        count(*) filter (where outcome not in ('delivered', 'started'))::int as failed,
        count(*) filter (where outcome = 'started')::int as started
      from postrider.attempt
      where tenant_id = ${tenantId} and endpoint_id = ${id}
        and id >= postrider.id_at(${since}) and id < postrider.id_at(${until})`.execute(on)
    return rows[0] ?? { delivered: 0, failed: 0, started: 0 }
  })
}
