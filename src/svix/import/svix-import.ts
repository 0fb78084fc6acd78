import { type Kysely, sql } from 'kysely'
import { endpointInput, type NewEndpoint } from '../../endpoints/endpoint.fields.ts'
import type { UrlRules } from '../../endpoints/endpoint-input.ts'
import type { EndpointOperations } from '../../endpoints/endpoint-operations.ts'
import type { Endpoints } from '../../endpoints/endpoints.ts'
import type { EndpointId, TenantId } from '../../ids.ts'
import { transact } from '../../postgres/operate.ts'
import type { Database, EndpointState } from '../../postgres/schema.ts'
import type { EndpointSecrets } from '../../secrets/endpoint-secrets.ts'
import { HeadersInvalid, storedHeaders } from '../../secrets/secret-headers.ts'
import { TENANT_KEY } from '../../tenants/tenants.ts'
import type { Finding } from './svix-findings.ts'
import type {
  SourceApplication,
  SourceEndpoint,
  SourceEventType,
  SourceHeaders,
} from './svix-source.ts'

/** Above that the API of Postrider takes no rate either. */
const RATE_MAX = 10_000
const EVENT_TYPE = /^[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*$/
const EVENT_TYPE_LENGTH_MAX = 128
const DESCRIPTION_LENGTH_MAX = 1_000

/**
 * What became of something, or would: `there` is left as it is; `completed` got what it was paused for; `deleted` was
 * deleted here, and stays so.
 */
export type Fate = 'new' | 'there' | 'completed' | 'deleted' | 'refused'

/** What the API of Svix does not give out and somebody has from elsewhere. */
export interface GivenParts {
  secret?: string | undefined
  headers?: Record<string, string> | undefined
}

interface EndpointToImport {
  application: SourceApplication
  endpoint: SourceEndpoint
  headers: SourceHeaders
  key: string
  given: GivenParts
}

/** Each is done in one transaction, and by the ids of Svix only once; without `apply` nothing is written. */
export interface SvixImport {
  eventType(type: SourceEventType): Promise<Fate>
  /** The tenant is null where it would be made, is refused, or was deleted here. */
  application(of: SourceApplication): Promise<{ fate: Fate; tenantId: TenantId | null }>
  endpoint(tenantId: TenantId | null, of: EndpointToImport): Promise<Fate>
}

interface ImportOptions {
  database: Kysely<Database>
  secrets: EndpointSecrets
  endpoints: Pick<Endpoints, 'change'>
  endpointOperations: Pick<EndpointOperations, 'resume'>
  rules: UrlRules
  apply: boolean
  /** Takes over applications again that were deleted here. */
  withDeleted: boolean
  /** Told what is not as it was. */
  onFinding: (finding: Finding) => void
}

export function createSvixImport(options: ImportOptions): SvixImport {
  const { onFinding } = options
  return {
    eventType: (type) =>
      orRefused(
        () => importEventType(options, type),
        (problem) => {
          onFinding({ application: null, of: type.name, problem, advice: MEND })
          return 'refused'
        },
      ),
    application: (of) =>
      orRefused(
        () => importApplication(options, of),
        (problem) => {
          onFinding({ application: of.uid ?? of.id, of: null, problem, advice: MEND })
          return { fate: 'refused', tenantId: null }
        },
      ),
    endpoint: (tenantId, of) =>
      orRefused(
        () => importEndpoint(options, tenantId, of),
        (problem) => {
          findingsOf(options, of)(problem, MEND)
          return 'refused'
        },
      ),
  }
}

const MEND = 'correct it in Svix, or allow it here, and run this again'

/** A value that cannot be stored, such as a NUL in a column, ends nothing but the one that has it. */
async function orRefused<Result>(
  work: () => Promise<Result>,
  refused: (problem: string) => Result,
): Promise<Result> {
  try {
    return await work()
  } catch (error) {
    const { code = '', message } = error as { code?: string; message: string }
    if (!/^2[23]/.test(code) && !(error instanceof HeadersInvalid)) throw error
    return refused(`is not taken over: ${message}`)
  }
}

async function importEventType(options: ImportOptions, type: SourceEventType): Promise<Fate> {
  const { database, apply, onFinding } = options
  const found = (problem: string, advice: string) =>
    onFinding({ application: null, of: type.name, problem, advice })
  if (!EVENT_TYPE.test(type.name) || type.name.length > EVENT_TYPE_LENGTH_MAX) {
    found('has a name that is no event type here', 'publish it under another name')
    return 'refused'
  }
  if (type.featureFlag || (type.featureFlags?.length ?? 0) > 0) {
    found('is behind a feature flag, which is not taken over', 'every customer will see it')
  }
  const existing = await database
    .selectFrom('event_type')
    .select('name')
    .where('name', '=', type.name)
    .executeTakeFirst()
  if (existing) return 'there'
  if (apply) await insertEventType(database, type)
  return 'new'
}

async function insertEventType(database: Kysely<Database>, type: SourceEventType): Promise<void> {
  const now = sql<Date>`now()`
  await database
    .insertInto('event_type')
    .values({
      name: type.name,
      description: type.description.slice(0, DESCRIPTION_LENGTH_MAX),
      archived_at: type.archived ? now : null,
      deprecated_at: type.deprecated ? now : null,
      svix_schemas: type.schemas ? JSON.stringify(type.schemas) : null,
      group_name: type.groupName ?? null,
    })
    .onConflict((conflict) => conflict.column('name').doNothing())
    .execute()
}

async function importApplication(
  { database, apply, withDeleted, onFinding }: ImportOptions,
  of: SourceApplication,
): ReturnType<SvixImport['application']> {
  const found = (problem: string, advice: string) =>
    onFinding({ application: of.uid ?? of.id, of: null, problem, advice })
  if ((of.throttleRate ?? of.rateLimit ?? null) !== null) {
    found(
      'has a rate for all its endpoints together',
      'set rates of endpoints, which are kept: postrider endpoint change … --rate-per-second',
    )
  }
  const named = await findTenant(database, of)
  if (named?.svix_id === of.id) return { fate: 'there', tenantId: named.id }
  if (named?.svix_id) {
    found(`the uid ${of.uid} is that of ${named.key} here`, 'change one of the two')
    return { fate: 'refused', tenantId: null }
  }
  const deletedAt = withDeleted ? null : await deletedHere(database, of)
  if (deletedAt) {
    found(
      `was deleted here at ${deletedAt.toISOString()}, and is not taken over again`,
      'add --with-deleted to bring it back',
    )
    return { fate: 'deleted', tenantId: null }
  }
  if (named)
    found(`becomes the tenant ${named.key}, which is here already`, 'check that it is the same')
  if (!apply) return { fate: 'new', tenantId: named?.id ?? null }
  const tenantId = named
    ? await joinTenant(database, named.id, of)
    : await insertTenant(database, of)
  if (tenantId !== null) return { fate: 'new', tenantId }
  found(
    `the key ${of.id} is taken here, maybe by a tenant that is being deleted`,
    'run this again once that tenant is gone',
  )
  return { fate: 'refused', tenantId }
}

/** By the id of Svix; otherwise the tenant that has the uid, or has it as its key. */
async function findTenant(database: Kysely<Database>, { id, uid }: SourceApplication) {
  return await database
    .selectFrom('tenant')
    .select(['id', 'key', 'svix_id'])
    .where('deletion_started_at', 'is', null)
    .where((eb) =>
      eb.or([
        eb('svix_id', '=', id),
        ...(uid ? [eb('uid', '=', uid), eb.and([eb('key', '=', uid), eb('uid', 'is', null)])] : []),
      ]),
    )
    .orderBy(sql`svix_id is not distinct from ${id}`, 'desc')
    .orderBy(sql`uid is not null`, 'desc')
    .limit(1)
    .$castTo<{ id: TenantId; key: string; svix_id: string | null }>()
    .executeTakeFirst()
}

/** When it was deleted here last, as the audit log tells; null = never, or longer ago than the log goes back. */
async function deletedHere(
  database: Kysely<Database>,
  { id }: SourceApplication,
): Promise<Date | null> {
  const { rows } = await sql<{ at: Date }>`
    select at from postrider.audit_log
    where action = 'delete_tenant' and detail->>'svixId' = ${id}
    order by id desc limit 1`.execute(database)
  return rows[0]?.at ?? null
}

async function joinTenant(
  database: Kysely<Database>,
  tenantId: TenantId,
  { id, uid, metadata }: SourceApplication,
): Promise<TenantId> {
  await database
    .updateTable('tenant')
    .set({
      svix_id: id,
      ...(uid && { uid }),
      metadata: JSON.stringify(metadata),
      updated_at: sql`now()`,
    })
    .where('id', '=', tenantId)
    .execute()
  return tenantId
}

/** Its key is the uid where that is free and can be one, and otherwise the id that Svix gave it; null = both are taken. */
async function insertTenant(
  database: Kysely<Database>,
  { id, uid, name, metadata }: SourceApplication,
): Promise<TenantId | null> {
  const insert = (key: string) =>
    database
      .insertInto('tenant')
      .values({ key, name, uid: uid ?? null, svix_id: id, metadata: JSON.stringify(metadata) })
      .onConflict((conflict) => conflict.column('key').doNothing())
      .returning('id')
      .$castTo<{ id: TenantId }>()
  const named = uid && TENANT_KEY.test(uid) ? await insert(uid).executeTakeFirst() : undefined
  return (named ?? (await insert(id).executeTakeFirst()))?.id ?? null
}

async function importEndpoint(
  options: ImportOptions,
  tenantId: TenantId | null,
  of: EndpointToImport,
): Promise<Fate> {
  const { database, apply } = options
  const found = findingsOf(options, of)
  if (tenantId !== null) {
    const existing = await findEndpoint(database, tenantId, of.endpoint.id)
    if (existing) return await completeEndpoint(options, existing, of, found)
  }
  const values = readEndpoint(options, of, found, adviceFor(of.endpoint))
  if (values === null) return 'refused'
  if (tenantId === null) return 'new'
  if (await isUidTaken(database, tenantId, of.endpoint)) {
    found(`is not taken over: its uid ${of.endpoint.uid} is that of another endpoint here`, MEND)
    return 'refused'
  }
  if (apply) await insertEndpoint(options, tenantId, of, values)
  return 'new'
}

interface ExistingEndpoint {
  id: EndpointId
  tenant_id: TenantId
  state: EndpointState
  deleted_at: Date | null
}

const HERE_AND_PAUSED =
  'it is here and paused: give it with --given, or set it if it is not set yet, and resume it'

/** One that is here stays as it is. It gets only what it is paused for, and is resumed once that is complete. */
async function completeEndpoint(
  options: ImportOptions,
  existing: ExistingEndpoint,
  of: EndpointToImport,
  found: Found,
): Promise<Fate> {
  const { headers, key, given } = of
  const isGiven = given.secret !== undefined || given.headers !== undefined
  const isPaused = existing.state === 'paused' && existing.deleted_at === null
  if (!isPaused || missingOf(headers, key, {}).length === 0) {
    if (isGiven)
      found('is here and not paused for it: what --given says is not used', 'set it here')
    return 'there'
  }
  if (!isGiven) {
    for (const problem of missingOf(headers, key, given)) found(problem, HERE_AND_PAUSED)
    return 'there'
  }
  const values = readEndpoint(options, of, found, HERE_AND_PAUSED)
  if (values === null) return 'refused'
  if (options.apply) await givePartsTo(options, existing, of, values)
  return values.isIncomplete ? 'there' : 'completed'
}

/** Resuming comes last: what was interrupted is done once more by running the import again. */
async function givePartsTo(
  { endpoints, endpointOperations, secrets }: ImportOptions,
  { id, tenant_id: tenantId }: ExistingEndpoint,
  { given: { headers, secret } }: EndpointToImport,
  { isIncomplete }: ReadEndpoint,
): Promise<void> {
  if (headers) await endpoints.change(tenantId, id, {}, { mergeHeaders: headers })
  if (secret !== undefined) {
    const given = { secret, encoding: 'base64' as const, overlapSeconds: 0 }
    await secrets.rotate(tenantId, id, given)
  }
  if (!isIncomplete) await endpointOperations.resume(tenantId, id, 'postrider import svix')
}

interface ReadEndpoint {
  input: NewEndpoint
  /** Something that requests need is missing, so that none may be sent yet. */
  isIncomplete: boolean
}

type Found = (problem: string, advice: string) => void

const findingsOf =
  ({ onFinding }: ImportOptions, { application, endpoint }: EndpointToImport): Found =>
  (problem, advice) =>
    onFinding({ application: application.uid ?? application.id, of: endpoint.id, problem, advice })

/** Null = it cannot be taken over, and why was said. */
function readEndpoint(
  { rules }: ImportOptions,
  { endpoint, headers, key, given }: EndpointToImport,
  found: Found,
  advice: string,
): ReadEndpoint | null {
  const missing = missingOf(headers, key, given)
  for (const problem of missing) found(problem, advice)
  const isPublic = key.startsWith('whpk_')
  const secret = given.secret ?? (isPublic ? undefined : key)
  const parsed = endpointInput(rules).create.safeParse({
    url: endpoint.url,
    description: endpoint.description,
    eventTypes: endpoint.eventTypes ?? endpoint.filterTypes ?? ['*'],
    headers: { ...headers.headers, ...given.headers },
    ratePerSecond: rateOf(endpoint, found),
    shape: 'svix',
    channels: channelsOf(endpoint),
    // As Svix reads it, which knows nothing but base64: hex digits behind whsec_ are no text.
    ...(secret === undefined ? { secretKind: 'ed25519' } : { secret, secretEncoding: 'base64' }),
  })
  if (parsed.success) return { input: parsed.data, isIncomplete: missing.length > 0 }
  const mistakes = parsed.error.issues.map(
    ({ path, message }) => `${path.join('.') || 'it'} ${message}`,
  )
  found(`is not taken over: ${mistakes.join('; ')}`, MEND)
  return null
}

const channelsOf = ({ channels }: SourceEndpoint) => (channels?.length ? channels : null)

/** What requests need and is not known. */
function missingOf({ sensitive }: SourceHeaders, key: string, given: GivenParts): string[] {
  const has = new Set(Object.keys(given.headers ?? {}).map((name) => name.toLowerCase()))
  const hidden = sensitive.filter((name) => !has.has(name.toLowerCase()))
  const isKeyMissing = key.startsWith('whpk_') && given.secret === undefined
  return [
    ...hidden.map((name) => `the value of ${name} is not given out`),
    ...(isKeyMissing ? ['the private key of its secret (whsk_) is not given out'] : []),
  ]
}

const adviceFor = ({ disabled }: SourceEndpoint): string =>
  disabled
    ? 'it is imported disabled: set it before anybody enables it'
    : 'it is imported paused: give it with --given, or set it afterwards and resume it'

function rateOf({ throttleRate, rateLimit }: SourceEndpoint, found: Found): number | null {
  const rate = throttleRate ?? rateLimit ?? null
  if (rate === null || rate <= RATE_MAX) return rate
  found(`is allowed ${rate} requests a second`, `it gets ${RATE_MAX} at most`)
  return RATE_MAX
}

/** Also one that was deleted here, which is not to come back. */
async function findEndpoint(
  database: Kysely<Database>,
  tenantId: TenantId,
  svixId: string,
): Promise<ExistingEndpoint | undefined> {
  return await database
    .selectFrom('endpoint')
    .select(['id', 'tenant_id', 'state', 'deleted_at'])
    .where('tenant_id', '=', tenantId)
    .where('svix_id', '=', svixId)
    .orderBy('deleted_at', (order) => order.desc().nullsFirst())
    .limit(1)
    .$castTo<ExistingEndpoint>()
    .executeTakeFirst()
}

async function isUidTaken(
  database: Kysely<Database>,
  tenantId: TenantId,
  { uid }: SourceEndpoint,
): Promise<boolean> {
  if (!uid) return false
  const row = await database
    .selectFrom('endpoint')
    .select('id')
    .where('tenant_id', '=', tenantId)
    .where('uid', '=', uid)
    .where('deleted_at', 'is', null)
    .executeTakeFirst()
  return row !== undefined
}

async function insertEndpoint(
  { database, secrets }: ImportOptions,
  tenantId: TenantId,
  { endpoint }: EndpointToImport,
  { input, isIncomplete }: ReadEndpoint,
): Promise<void> {
  await transact(database, async (transaction) => {
    await sql`select postrider.lock_endpoints_of(${tenantId})`.execute(transaction)
    // Another one that runs as well was faster.
    if (await findEndpoint(transaction, tenantId, endpoint.id)) return
    const made = await sql<{ id: EndpointId }>`select postrider.uuidv7() as id`.execute(transaction)
    const id = made.rows[0]?.id as EndpointId
    const before = { headers: {}, secret_headers: {} }
    const stored = storedHeaders(input, before, secrets.headerBox(id))
    await transaction
      .insertInto('endpoint')
      .values({
        ...{ id, tenant_id: tenantId, url: input.url, shape: 'svix' as const },
        ...columnsFor(endpoint, isIncomplete),
        description: input.description ?? '',
        event_types: input.eventTypes ?? ['*'],
        rate_per_second: input.ratePerSecond ?? null,
        headers: JSON.stringify(stored.headers),
        secret_headers: JSON.stringify(stored.secret_headers),
      })
      .execute()
    await secrets.add(
      transaction,
      { id, tenant_id: tenantId },
      { secret: input.secret, kind: input.secretKind, encoding: input.secretEncoding },
    )
  })
}

/** What only Svix knows, and its state: one that would send something wrong is paused, so that its events wait. */
function columnsFor(endpoint: SourceEndpoint, isIncomplete: boolean) {
  const state = endpoint.disabled ? 'disabled' : isIncomplete ? 'paused' : 'active'
  return {
    state: state as 'disabled' | 'paused' | 'active',
    ...(endpoint.disabled && {
      disabled_reason: 'disabled in Svix',
      disabled_at: sql<Date>`now()`,
    }),
    uid: endpoint.uid ?? null,
    channels: channelsOf(endpoint),
    svix_id: endpoint.id,
    svix: JSON.stringify({ version: endpoint.version ?? 1 }),
    metadata: JSON.stringify(endpoint.metadata),
  }
}
