import { type Kysely, type SqlBool, sql, type Updateable } from 'kysely'
import { columnsOf } from '../fields.ts'
import type { EndpointId, TenantId } from '../ids.ts'
import { EndpointNotFound } from '../not-found.ts'
import { containsText } from '../postgres/contains-text.ts'
import { allOf, type Condition, directionOf, isBehind, type Range } from '../postgres/list-query.ts'
import { transact } from '../postgres/operate.ts'
import type { Database, EndpointState, EndpointTable } from '../postgres/schema.ts'
import type { EndpointSecrets } from '../secrets/endpoint-secrets.ts'
import {
  mergedHeaders,
  type StoredHeaders,
  shownHeaders,
  storedHeaders,
} from '../secrets/secret-headers.ts'
import { isPrivateKey, type SigningSecret } from '../sending/signing-secret.ts'
import { type ListedTenants, ofTenants } from '../tenants/listed-tenants.ts'
import {
  type Endpoint,
  type EndpointChange,
  type EndpointRow,
  endpointFields,
  type NewEndpoint,
} from './endpoint.fields.ts'
import { checkFilter, FilterInvalid } from './filter.ts'
import { assertLinkable, assertMakesHmac, assertShape } from './shape.ts'

/** An endpoint with its tenant and how it fares. */
export interface FoundEndpoint extends Endpoint {
  tenantKey: string
  tenantName: string
  failures: number
  failingSince: Date | null
  /** Attempts since its last success that it answered with a refusal of the event. */
  refusals: number
  refusingSince: Date | null
  circuitOpenedAt: Date | null
  probeAt: Date | null
}

/** So many are counted in some milliseconds, and nobody waits for the exact number. */
export const OPEN_COUNTED_MAX = 10_000

export interface OpenDeliveries {
  pending: number
  delivering: number
  held: number
  /** For an earlier event of their ordering key. */
  waiting: number
}

interface EndpointPage extends Omit<Range<EndpointId>, 'since' | 'until'> {
  state?: EndpointState | undefined
  /** Active ones that have failed since their last success. */
  isFailing?: boolean | undefined
  /** Part of the URL, description or uid, large and small letters alike. */
  search?: string | undefined
}

/** What `ENDPOINTS_PER_TENANT_MAX` is when nobody sets it. */
const ENDPOINTS_MAX = 1_000

/** What only other APIs set: the compatible one of Svix, and who takes over an installation of it. */
export interface EndpointExtras {
  columns?: Pick<Updateable<EndpointTable>, ExtraColumn> | undefined
  /** Headers to change, next to those that stay; null takes one away. */
  mergeHeaders?: Readonly<Record<string, string | null>> | undefined
}

type ExtraColumn =
  | 'uid'
  | 'channels'
  | 'svix_id'
  | 'svix'
  | 'metadata'
  | 'state'
  | 'disabled_reason'
  | 'disabled_at'

export class TooManyEndpoints extends Error {
  override readonly name = 'TooManyEndpoints'
  readonly code = 'too_many_endpoints'
}

/** Small enough that cancelling holds no lock for long; large enough that a round trip is nothing. */
const CANCEL_BATCH = 500

export interface Endpoints {
  /** @returns the endpoint and its secret, given or generated @throws FilterInvalid, HeadersInvalid, InvalidSecret, ShapeInvalid, TooManyEndpoints */
  create(
    tenantId: TenantId,
    values: NewEndpoint,
    extras?: EndpointExtras,
  ): Promise<{ endpoint: Endpoint; secret: SigningSecret }>
  /** @throws EndpointNotFound */
  get(tenantId: TenantId, id: EndpointId): Promise<FoundEndpoint>
  /** Newest first unless the page says otherwise. */
  list(tenants: ListedTenants, page: EndpointPage): Promise<FoundEndpoint[]>
  /** What is open for it, each state counted up to `OPEN_COUNTED_MAX` together. */
  countOpen(tenantId: TenantId, id: EndpointId): Promise<OpenDeliveries>
  /** Changes what is given and leaves the rest. @throws EndpointNotFound, FilterInvalid, HeadersInvalid, ShapeInvalid */
  change(
    tenantId: TenantId,
    id: EndpointId,
    change: EndpointChange,
    extras?: EndpointExtras,
  ): Promise<Endpoint>
  /**
   * Nothing is routed to it from now on, and its open deliveries are cancelled; a request that is
   * on the wire still writes down its outcome.
   *
   * @throws EndpointNotFound
   */
  delete(tenantId: TenantId, id: EndpointId): Promise<void>
}

interface EndpointsOptions {
  database: Kysely<Database>
  secrets: EndpointSecrets
  /** Of one tenant; those that exist stay. */
  endpointsMax?: number
  /** Whether it is known what people reach the service by. */
  hasPublicUrl: boolean
}

export function createEndpoints({
  endpointsMax = ENDPOINTS_MAX,
  ...options
}: EndpointsOptions): Endpoints {
  const { database } = options
  return {
    create: (tenantId, values, extras = {}) =>
      create({ ...options, endpointsMax }, tenantId, values, extras),
    async get(tenantId, id) {
      const one = allOf([sql`e.tenant_id = ${tenantId}`, sql`e.id = ${id}`])
      const { rows } = await select(one).execute(database)
      return present(rows[0] ?? notFound())
    },
    list: (tenants, page) => list(database, tenants, page),
    countOpen: (tenantId, id) => countOpen(database, tenantId, id),
    change: (tenantId, id, values, extras = {}) =>
      change(options, { tenantId, id }, values, extras),
    delete: (tenantId, id) => remove(database, tenantId, id),
  }
}

async function create(
  { database, secrets, endpointsMax, hasPublicUrl }: Required<EndpointsOptions>,
  tenantId: TenantId,
  { secret: given, secretKind: kind, secretEncoding: encoding, ...values }: NewEndpoint,
  { columns }: EndpointExtras,
) {
  assertLinkable(values.shape, hasPublicUrl)
  await assertReadable(database, values.filter)
  return transact(database, async (transaction) => {
    await lockEndpoints(transaction, tenantId)
    await assertRoom(transaction, tenantId, endpointsMax)
    await assertAffordable(transaction, tenantId, values.filter)
    const endpoint = await insert(transaction, tenantId, { ...values, columns }, secrets)
    const secret = await secrets.add(transaction, endpoint, { secret: given, kind, encoding })
    assertMakesHmac(values.signatureHeaders, isPrivateKey(secret))
    return { endpoint: present(endpoint), secret }
  })
}

async function list(
  database: Kysely<Database>,
  tenants: ListedTenants,
  { limit, state, isFailing, search, ...range }: EndpointPage,
): Promise<FoundEndpoint[]> {
  const asked = allOf([
    ofTenants(tenants, 'e.tenant_id'),
    isBehind('e.id', range),
    state && sql`e.state = ${state}`,
    isFailing ? IS_FAILING : undefined,
    search ? containsText(TEXT_OF_ENDPOINT, [search]) : undefined,
  ])
  const page = sql<FoundRow>`${select(asked)} order by e.id ${directionOf(range)} limit ${limit}`
  return (await page.execute(database)).rows.map(present)
}

async function change(
  { database, secrets, hasPublicUrl }: Omit<EndpointsOptions, 'endpointsMax'>,
  { tenantId, id }: { tenantId: TenantId; id: EndpointId },
  change: EndpointChange,
  { columns: extra, mergeHeaders }: EndpointExtras,
): Promise<Endpoint> {
  assertLinkable(change.shape, hasPublicUrl)
  await assertReadable(database, change.filter)
  return await transact(database, async (transaction) => {
    if (typeof change.filter === 'string') {
      await lockEndpoints(transaction, tenantId)
      await assertAffordable(transaction, tenantId, change.filter, id)
    }
    const given = { ...change, mergeHeaders }
    const headers = await changedHeaders(transaction, tenantId, id, given, secrets)
    const own = columnsOf(endpointFields, change)
    const columns = { ...own, ...extra, ...(headers && toJson(headers)) }
    const endpoint = await update(transaction, tenantId, id, columns)
    if (change.signatureHeaders) {
      assertMakesHmac(change.signatureHeaders, await secrets.isPrivateKey(transaction, id))
    }
    return endpoint
  })
}

async function remove(
  database: Kysely<Database>,
  tenantId: TenantId,
  id: EndpointId,
): Promise<void> {
  const { rows } = await transact(database, (transaction) =>
    sql<{ deleted: boolean }>`
      select postrider.delete_endpoint(${tenantId}, ${id}) as deleted`.execute(transaction),
  )
  if (!rows[0]?.deleted) notFound()
  await cancelDeliveries(database, id)
}

async function countOpen(
  database: Kysely<Database>,
  tenantId: TenantId,
  id: EndpointId,
): Promise<OpenDeliveries> {
  const { rows } = await sql<OpenDeliveries>`
    select count(*) filter (where state = 'pending')::int as pending,
      count(*) filter (where state = 'delivering')::int as delivering,
      count(*) filter (where held_reason <> 'order')::int as held,
      count(*) filter (where held_reason = 'order')::int as waiting
    from (
      select d.state, d.held_reason from postrider.delivery d
      where d.endpoint_id = ${id} and d.tenant_id = ${tenantId} and d.finished_at is null
        and d.id >= postrider.id_floor(${id}) and d.id < postrider.id_at(now() + interval '1 hour')
      limit ${OPEN_COUNTED_MAX}
    ) as open`.execute(database)
  return rows[0] ?? { pending: 0, delivering: 0, held: 0, waiting: 0 }
}

/** Its id comes first, since what is encrypted belongs to it. */
async function insert(
  database: Kysely<Database>,
  tenantId: TenantId,
  { columns, ...values }: EndpointChange & { url: string } & Pick<EndpointExtras, 'columns'>,
  secrets: Pick<EndpointSecrets, 'headerBox'>,
): Promise<EndpointRow> {
  const { rows } = await sql<{ id: EndpointId }>`select postrider.uuidv7() as id`.execute(database)
  const id = rows[0]?.id as EndpointId
  const headers = storedHeaders(values, NO_HEADERS, secrets.headerBox(id))
  return await database
    .insertInto('endpoint')
    .values({
      id,
      tenant_id: tenantId,
      ...columnsOf(endpointFields, values),
      ...columns,
      ...toJson(headers),
      url: values.url,
    })
    .returningAll()
    .$castTo<EndpointRow>()
    .executeTakeFirstOrThrow()
    .then(assertShape)
}

/** Null where they are not changed. Locks the row: who changes other headers meanwhile would lose theirs. */
async function changedHeaders(
  transaction: Kysely<Database>,
  tenantId: TenantId,
  id: EndpointId,
  { mergeHeaders, ...change }: EndpointChange & Pick<EndpointExtras, 'mergeHeaders'>,
  secrets: Pick<EndpointSecrets, 'headerBox'>,
): Promise<StoredHeaders | null> {
  const isChanged = change.headers ?? change.secretHeaders ?? mergeHeaders
  if (isChanged === undefined) return null
  const before = await transaction
    .selectFrom('endpoint')
    .select(['headers', 'secret_headers'])
    .where(isExisting(tenantId, id))
    .forNoKeyUpdate()
    .executeTakeFirst()
  const stored = before ?? notFound()
  const given = mergeHeaders ? { headers: mergedHeaders(stored, mergeHeaders) } : change
  return storedHeaders(given, stored, secrets.headerBox(id))
}

async function update(
  database: Kysely<Database>,
  tenantId: TenantId,
  id: EndpointId,
  columns: Updateable<EndpointTable>,
): Promise<Endpoint> {
  const endpoint = await database
    .updateTable('endpoint')
    .set({ ...columns, updated_at: sql`now()` })
    .where(isExisting(tenantId, id))
    .returningAll()
    .$castTo<EndpointRow>()
    .executeTakeFirst()
  return present(assertShape(endpoint ?? notFound()))
}

/** What leaves this file: values of secret headers do not, encrypted or not. */
function present<Row extends EndpointRow>({ headers, secret_headers, ...row }: Row) {
  return { ...row, ...shownHeaders({ headers, secret_headers }) }
}

type FoundRow = EndpointRow & Omit<FoundEndpoint, keyof Endpoint>

/** As `failingSinceOf` says of a row. */
const IS_FAILING = sql`e.state = 'active'
  and coalesce(c.failing_since, c.refusing_since, c.opened_at) is not null`

/** Those that exist, each with its tenant and its circuit. */
const select = (condition: Condition) => sql<FoundRow>`
  select e.*, t.key as "tenantKey", t.name as "tenantName", coalesce(c.failures, 0) as failures, c.failing_since as "failingSince",
    coalesce(c.refusals, 0) as refusals, c.refusing_since as "refusingSince",
    c.opened_at as "circuitOpenedAt", c.probe_at as "probeAt"
  from postrider.endpoint e
  join postrider.tenant t on t.id = e.tenant_id
  left join postrider.circuit c on c.endpoint_id = e.id
  where e.deleted_at is null and ${condition}`

const TEXT_OF_ENDPOINT = sql`(e.url || e'\\n' || e.description || e'\\n' || coalesce(e.uid, ''))`

/** Two who add at once would otherwise both find room for one. */
async function lockEndpoints(database: Kysely<Database>, tenantId: TenantId): Promise<void> {
  await sql`select postrider.lock_endpoints_of(${tenantId})`.execute(database)
}

/** @throws TooManyEndpoints */
async function assertRoom(
  database: Kysely<Database>,
  tenantId: TenantId,
  endpointsMax: number,
): Promise<void> {
  const { rows } = await sql<{ count: number }>`
    select count(*)::int as count from postrider.endpoint
    where tenant_id = ${tenantId} and deleted_at is null`.execute(database)
  if ((rows[0]?.count ?? 0) < endpointsMax) return
  throw new TooManyEndpoints(`a tenant has at most ${endpointsMax} endpoints; delete one first`)
}

/** Postgres has the last word on what it will evaluate; `checkFilter` says where a mistake is. */
export async function assertReadable(
  database: Kysely<Database>,
  filter: string | null | undefined,
): Promise<void> {
  if (filter === null || filter === undefined) return
  checkFilter(filter)
  try {
    await sql`select ${filter}::jsonpath`.execute(database)
  } catch (error) {
    if (!isOfInput(error)) throw error
    throw new FilterInvalid('Postgres cannot read it', { cause: error })
  }
}

/**
 * An array step makes a filter's cost grow with the data (measured: 15 ms a comparison on 250 KB), and an event
 * is held against all filters of its tenant in the transaction that stores it.
 */
const ARRAY_STEPS_OF_TENANT_MAX = 100
/** Steps and operators of different filters, as `postrider.filter_weight` counts them: some ms on small data. */
export const FILTER_WEIGHT_OF_TENANT_MAX = 10_000
/** `[*]`, `[0]` and `.*`, as a regular expression of Postgres. */
const ARRAY_STEP = '\\[|\\.\\*'

/** @throws FilterInvalid when the filters of the tenant together would make publishing slow */
async function assertAffordable(
  database: Kysely<Database>,
  tenantId: TenantId,
  filter: string | null | undefined,
  except?: EndpointId,
): Promise<void> {
  if (filter === null || filter === undefined) return
  await assertLight(database, tenantId, filter, except)
  const { added, others } = await arraySteps(database, tenantId, filter, except)
  if (added > 0 && added + others > ARRAY_STEPS_OF_TENANT_MAX) {
    throw new FilterInvalid(
      `the filters of this tenant have more than ${ARRAY_STEPS_OF_TENANT_MAX} steps into arrays together`,
    )
  }
}

/** How many steps into arrays a filter would add to those of the tenant's others. */
async function arraySteps(
  database: Kysely<Database>,
  tenantId: TenantId,
  filter: string,
  except?: EndpointId,
): Promise<{ added: number; others: number }> {
  const { rows } = await sql<{ added: number; others: number }>`
    select regexp_count(${filter}, ${ARRAY_STEP}) as added,
      coalesce(sum(regexp_count(filter, ${ARRAY_STEP})), 0)::int as others
    from postrider.endpoint
    where tenant_id = ${tenantId} and deleted_at is null and filter is not null
      and id is distinct from ${except ?? null}`.execute(database)
  return rows[0] ?? { added: 0, others: 0 }
}

/** @throws FilterInvalid; equal filters count once, since they are asked once */
async function assertLight(
  database: Kysely<Database>,
  tenantId: TenantId,
  filter: string,
  except?: EndpointId,
): Promise<void> {
  const { rows } = await sql<{ weight: number }>`
    select sum(postrider.filter_weight(filter))::int as weight
    from (
      select filter from postrider.endpoint
      where tenant_id = ${tenantId} and deleted_at is null and filter is not null
        and id is distinct from ${except ?? null}
      union
      select ${filter}
    ) as f`.execute(database)
  if ((rows[0]?.weight ?? 0) <= FILTER_WEIGHT_OF_TENANT_MAX) return
  throw new FilterInvalid(
    `the filters of this tenant have more than ${FILTER_WEIGHT_OF_TENANT_MAX} steps and operators together`,
  )
}

/** Classes 22 (data exception) and 42 (syntax error). */
const isOfInput = (error: unknown): boolean =>
  error instanceof Error && 'code' in error && /^(?:22|42)/.test(String(error.code))

const isExisting = (tenantId: TenantId, id: EndpointId) =>
  sql<SqlBool>`id = ${id} and tenant_id = ${tenantId} and deleted_at is null`

function notFound(): never {
  throw new EndpointNotFound()
}

/** Ends, since nothing new is routed to a deleted endpoint. */
async function cancelDeliveries(database: Kysely<Database>, id: EndpointId): Promise<void> {
  for (let cancelled = CANCEL_BATCH; cancelled === CANCEL_BATCH; ) {
    const { rows } = await transact(database, (transaction) =>
      sql<{ cancelled: number }>`
        select postrider.cancel_deliveries_of(${id}, ${CANCEL_BATCH}) as cancelled`.execute(
        transaction,
      ),
    )
    cancelled = rows[0]?.cancelled ?? 0
  }
}

const NO_HEADERS: StoredHeaders = { headers: {}, secret_headers: {} }

const toJson = ({ headers, secret_headers: sealed }: StoredHeaders) => ({
  headers: JSON.stringify(headers),
  secret_headers: JSON.stringify(sealed),
})
