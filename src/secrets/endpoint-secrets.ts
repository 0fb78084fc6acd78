import { type Kysely, sql } from 'kysely'
import type { Act } from '../audit-log/audit-log.ts'
import type { EndpointId, TenantId } from '../ids.ts'
import { EndpointNotFound } from '../not-found.ts'
import { transact } from '../postgres/operate.ts'
import type { Database } from '../postgres/schema.ts'
import type { Refusal } from '../problem.ts'
import { anySigns } from '../sending/signature-headers.ts'
import type { SecretKind } from '../sending/signing-secret.ts'
import {
  fromStoredForm,
  isPrivateKey,
  prefixOf,
  readSecret,
  type SecretEncoding,
  type SigningSecret,
  storedForm,
} from '../sending/signing-secret.ts'
import type { HeaderBox } from './secret-headers.ts'
import { type SecretBox, SecretUnreadable } from './secrets.ts'

/** Each is one more signature in a header that receivers parse. The current one and ten old ones, as Svix allows. */
const LIVE_SECRETS_MAX = 11
/** Time for a receiver to deploy its new secret. */
const OVERLAP_SECONDS_DEFAULT = 86_400

export class TooManySecrets extends Error {
  override readonly name = 'TooManySecrets'
  readonly code = 'too_many_secrets'
  constructor() {
    super(`${LIVE_SECRETS_MAX} secrets are active; wait for an overlap to end, or set it to 0`)
  }
}

/** For anybody who may see secrets; which key is missing is for operators. */
class NoKeyOpens extends Error {
  override readonly name = 'NoKeyOpens'
  readonly code = 'secret_unreadable'
  constructor(options: ErrorOptions) {
    super(
      'no key of this service opens the secret of the endpoint; rotate it if the key is lost',
      options,
    )
  }
}

/** Headers of other schemes are HMACs, and the new secret would be one that makes none. */
class MakesNoHmac extends Error {
  override readonly name = 'MakesNoHmac'
  readonly refusal: Refusal
  constructor(field: 'secret' | 'kind') {
    super('cannot be ed25519 while signatureHeaders sign: use hmac, or remove those first')
    this.refusal = { of: 'request_invalid', errors: [{ field, message: this.message }] }
  }
}

/**
 * `hmac`: sender and receiver share it (`whsec_`). `ed25519`: only we have it (`whsk_`), and the receiver
 * has its public key (`whpk_`), with which nobody can forge a request.
 */

/** A secret from elsewhere, or what one to generate is to be like. */
export interface GivenSecret {
  secret?: string | undefined
  kind?: SecretKind | undefined
  /** How the secret is read; left out: as `readSecret` takes it. */
  encoding?: SecretEncoding | undefined
}

export interface LiveSecret extends SigningSecret {
  createdAt: Date
  /** End of its overlap; null for the current one. */
  expiresAt: Date | null
}

type EndpointKey = { id: EndpointId; tenant_id: TenantId }

export interface EndpointSecrets {
  /** Stores the secret, or a generated one, in the caller's transaction. @throws InvalidSecret */
  add(
    database: Kysely<Database>,
    endpoint: EndpointKey,
    given?: GivenSecret & { prefix?: string | undefined },
  ): Promise<SigningSecret>
  /** For the secret headers of an endpoint. */
  headerBox(id: EndpointId): HeaderBox
  /** Whether the current one is an ed25519 key, in the caller's transaction. */
  isPrivateKey(database: Kysely<Database>, id: EndpointId): Promise<boolean>
  /** Every secret that signs now, the current one first. @throws EndpointNotFound @throws NoKeyOpens */
  list(tenantId: TenantId, id: EndpointId): Promise<LiveSecret[]>
  /**
   * Replaces the current secret; the old one goes on signing next to it for `overlapSeconds`. A generated one
   * is of the same kind and read in the same way unless something else is asked for, so that the receiver
   * can take it as it took the old one. One that no key opens ends at once: nothing can be signed with it.
   *
   * @throws EndpointNotFound
   * @throws TooManySecrets
   * @throws InvalidSecret
   * @throws MakesNoHmac
   */
  rotate(
    tenantId: TenantId,
    id: EndpointId,
    options: GivenSecret & { overlapSeconds?: number | undefined },
  ): Promise<LiveSecret[]>
}

/** Every secret that signs now. Nobody sees one without leaving a trace. @throws EndpointNotFound @throws NoKeyOpens */
export type ShowSecrets = (tenantId: TenantId, id: EndpointId, who: string) => Promise<LiveSecret[]>

export function createShowSecrets(options: {
  secrets: Pick<EndpointSecrets, 'list'>
  audit: (act: Act) => Promise<void>
}): ShowSecrets {
  const { secrets, audit } = options
  return async (tenantId, id, who) => {
    const live = await secrets.list(tenantId, id)
    const of = { targetKind: 'endpoint', targetId: id, tenantId }
    await audit({ who, action: 'show_secret', ...of })
    return live
  }
}

interface EndpointSecretsOptions {
  database: Kysely<Database>
  box: SecretBox
  /** A new secret, as people are shown it. */
  generateSecret: (kind: SecretKind, encoding?: SecretEncoding, prefix?: string) => string
}

export function createEndpointSecrets(options: EndpointSecretsOptions): EndpointSecrets {
  const { database, box } = options
  return {
    add: (on, endpoint, given) => add(options, on, endpoint, given),
    headerBox: (id) => headerBoxOf(box, id),
    async isPrivateKey(on, id) {
      const newest = await current(on, box, id)
      return newest !== null && isPrivateKey(newest)
    },
    async list(tenantId, id) {
      const assertExisting = () =>
        selectEndpoint(database, tenantId, id).executeTakeFirstOrThrow(notFound)
      await assertExisting()
      const live = await read(database, box, id)
      // Deleted meanwhile, with its secrets.
      if (live.length === 0) await assertExisting()
      return live
    },
    rotate: (tenantId, id, given) =>
      transact(database, (transaction) => rotate(options, transaction, { tenantId, id, given })),
  }
}

async function add(
  { box, generateSecret }: EndpointSecretsOptions,
  on: Kysely<Database>,
  endpoint: Parameters<EndpointSecrets['add']>[1],
  given: Parameters<EndpointSecrets['add']>[2] = {},
): Promise<SigningSecret> {
  const { kind = 'hmac', encoding = 'base64', prefix } = given
  const secret: SigningSecret =
    given.secret === undefined
      ? { secret: generateSecret(kind, encoding, prefix), encoding }
      : readSecret(given.secret, given.encoding)
  await store(on, box, endpoint, secret)
  return secret
}

interface Rotation {
  tenantId: TenantId
  id: EndpointId
  given: Parameters<EndpointSecrets['rotate']>[2]
}

async function rotate(
  options: EndpointSecretsOptions,
  transaction: Kysely<Database>,
  { tenantId, id, given: { overlapSeconds = OVERLAP_SECONDS_DEFAULT, ...given } }: Rotation,
): Promise<LiveSecret[]> {
  const { box } = options
  // Two rotations at once would each leave the other's secret as a current one.
  const endpoint = await selectEndpoint(transaction, tenantId, id)
    .select('signature_headers')
    .forUpdate()
    .executeTakeFirstOrThrow(notFound)
  const wanted = given.secret ? given : likeThat(await current(transaction, box, id), given)
  await endOverlaps(transaction, id, overlapSeconds)
  await endClosed(transaction, box, id)
  const added = await add(options, transaction, { id, tenant_id: tenantId }, wanted)
  if (isPrivateKey(added) && anySigns(endpoint.signature_headers)) {
    throw new MakesNoHmac(given.kind ? 'kind' : 'secret')
  }
  const live = await read(transaction, box, id)
  if (live.length > LIVE_SECRETS_MAX) throw new TooManySecrets()
  await sql`select postrider.audit_rotation(${id}, ${overlapSeconds})`.execute(transaction)
  return live
}

const store = (
  on: Kysely<Database>,
  box: SecretBox,
  endpoint: Parameters<EndpointSecrets['add']>[1],
  secret: SigningSecret,
) =>
  on
    .insertInto('endpoint_secret')
    .values({
      tenant_id: endpoint.tenant_id,
      endpoint_id: endpoint.id,
      encrypted: box.encrypt(storedForm(secret), endpoint.id, 'signing-secret'),
    })
    .execute()

async function read(on: Kysely<Database>, box: SecretBox, id: EndpointId): Promise<LiveSecret[]> {
  const rows = await selectLive(on, id).execute()
  return rows.map((row) => ({
    ...opened(box, row.encrypted, id),
    createdAt: row.created_at,
    expiresAt: row.expires_at,
  }))
}

/** @throws NoKeyOpens */
function opened(box: SecretBox, encrypted: string, id: EndpointId): SigningSecret {
  try {
    return fromStoredForm(box.decrypt(encrypted, id, 'signing-secret'))
  } catch (error) {
    throw error instanceof SecretUnreadable ? new NoKeyOpens({ cause: error }) : error
  }
}

/** Null where no key opens it: rotating is the way out of that. */
function openedOrNull(box: SecretBox, encrypted: string, id: EndpointId): SigningSecret | null {
  try {
    return opened(box, encrypted, id)
  } catch (error) {
    if (error instanceof NoKeyOpens) return null
    throw error
  }
}

async function current(
  on: Kysely<Database>,
  box: SecretBox,
  id: EndpointId,
): Promise<SigningSecret | null> {
  const row = await selectLive(on, id).limit(1).executeTakeFirst()
  return row ? openedOrNull(box, row.encrypted, id) : null
}

/** Nothing is sent while one of the live secrets cannot be opened, so an overlap of it would hold everything. */
async function endClosed(on: Kysely<Database>, box: SecretBox, id: EndpointId): Promise<void> {
  const live = await selectLive(on, id).execute()
  const closed = live
    .map(({ encrypted }) => encrypted)
    .filter((encrypted) => openedOrNull(box, encrypted, id) === null)
  if (closed.length === 0) return
  await on
    .updateTable('endpoint_secret')
    .set({ expires_at: sql<Date>`now()` })
    .where('endpoint_id', '=', id)
    .where('encrypted', 'in', closed)
    .execute()
}

/** What opens and encrypts the secret headers of an endpoint. */
export const headerBoxOf = (box: SecretBox, id: EndpointId): HeaderBox => ({
  seal: (value, purpose) => box.encrypt(value, id, purpose),
  open(sealed, purpose) {
    try {
      return box.decrypt(sealed, id, purpose)
    } catch (error) {
      if (error instanceof SecretUnreadable) return null
      throw error
    }
  },
})

/** What is not asked for is as it was, as far as the two go together. */
function likeThat(current: SigningSecret | null, { kind, encoding }: GivenSecret) {
  const wasKey = current !== null && isPrivateKey(current)
  const wantedKind = kind ?? (wasKey && encoding === undefined ? 'ed25519' : 'hmac')
  const isAlike = current !== null && !wasKey && wantedKind === 'hmac'
  if (!isAlike || (encoding !== undefined && encoding !== current.encoding)) {
    return { kind: wantedKind, encoding }
  }
  return { kind: wantedKind, encoding: current.encoding, prefix: prefixOf(current) }
}

const notFound = () => new EndpointNotFound()

const selectEndpoint = (on: Kysely<Database>, tenantId: TenantId, id: EndpointId) =>
  on
    .selectFrom('endpoint')
    .select('id')
    .where('id', '=', id)
    .where('tenant_id', '=', tenantId)
    .where('deleted_at', 'is', null)

/** The condition of claim_many: what is listed here is what signs. */
const selectLive = (on: Kysely<Database>, id: EndpointId) =>
  on
    .selectFrom('endpoint_secret')
    .select(['encrypted', 'created_at', 'expires_at'])
    .where('endpoint_id', '=', id)
    .where((eb) => eb.or([eb('expires_at', 'is', null), eb('expires_at', '>', sql<Date>`now()`)]))
    .orderBy(sql`expires_at desc nulls first`)
    .orderBy('created_at', 'desc')

/** An overlap that ends sooner stays as it is; secrets that are over go, nobody needs them. */
async function endOverlaps(
  on: Kysely<Database>,
  id: EndpointId,
  overlapSeconds: number,
): Promise<void> {
  await sql`
    delete from postrider.endpoint_secret
    where endpoint_id = ${id} and expires_at <= now()`.execute(on)
  await sql`
    update postrider.endpoint_secret
    set expires_at = least(expires_at, now() + make_interval(secs => ${overlapSeconds}))
    where endpoint_id = ${id}`.execute(on)
}
