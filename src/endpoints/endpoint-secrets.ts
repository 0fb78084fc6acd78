import { type Kysely, sql } from 'kysely'
import type { Database } from '../database/schema.ts'
import type { EndpointId, TenantId } from '../ids.ts'
import { EndpointNotFound } from './endpoint-not-found.ts'
import { type SecretBox, SecretUnreadable } from './secrets.ts'

/** Each live secret is one more signature in a header that receivers parse. */
const LIVE_SECRETS_MAX = 5
/** Time for a receiver to deploy its new secret. */
export const OVERLAP_SECONDS_DEFAULT = 86_400

export class TooManySecrets extends Error {
  override readonly name = 'TooManySecrets'
  readonly code = 'too_many_secrets'
  constructor() {
    super(`${LIVE_SECRETS_MAX} secrets sign already; wait for an overlap to end, or set it to 0`)
  }
}

/**
 * `hmac`: sender and receiver share it (`whsec_`). `ed25519`: only we have it (`whsk_`), and the receiver
 * has its public key (`whpk_`), with which nobody can forge a request.
 */
export type SecretKind = 'hmac' | 'ed25519'

/** A secret of one's own in its written form, or the kind of one to generate. */
export interface GivenSecret {
  secret?: string | undefined
  kind?: SecretKind | undefined
}

export interface LiveSecret {
  secret: string
  createdAt: Date
  /** End of its overlap; null for the current one. */
  expiresAt: Date | null
}

type EndpointKey = { id: EndpointId; tenant_id: TenantId }

export interface EndpointSecrets {
  /** Stores the secret, or a generated one, in the caller's transaction. */
  add(database: Kysely<Database>, endpoint: EndpointKey, given?: GivenSecret): Promise<string>
  /** Every secret that signs now, the current one first. @throws EndpointNotFound */
  list(tenantId: TenantId, id: EndpointId): Promise<LiveSecret[]>
  /**
   * Replaces the current secret; the old one goes on signing beside it for `overlapSeconds`. The new one
   * is of the same kind unless something else is asked for.
   *
   * @throws EndpointNotFound
   * @throws TooManySecrets
   */
  rotate(
    tenantId: TenantId,
    id: EndpointId,
    options: GivenSecret & { overlapSeconds?: number | undefined },
  ): Promise<LiveSecret[]>
}

export function createEndpointSecrets(options: {
  database: Kysely<Database>
  box: SecretBox
  /** A new secret in its written form. */
  generateSecret: (kind: SecretKind) => string
}): EndpointSecrets {
  const { database, box, generateSecret } = options

  const add: EndpointSecrets['add'] = async (on, endpoint, { kind = 'hmac', ...given } = {}) => {
    const secret = given.secret ?? generateSecret(kind)
    await on
      .insertInto('endpoint_secret')
      .values({
        tenant_id: endpoint.tenant_id,
        endpoint_id: endpoint.id,
        encrypted: box.encrypt(secret, endpoint.id),
      })
      .execute()
    return secret
  }

  const read = async (on: Kysely<Database>, id: EndpointId): Promise<LiveSecret[]> => {
    const rows = await selectLive(on, id).execute()
    return rows.map((row) => ({
      secret: box.decrypt(row.encrypted, id),
      createdAt: row.created_at,
      expiresAt: row.expires_at,
    }))
  }

  /** Unknown where no key opens it: rotating is the way out of that. */
  const currentKind = async (
    on: Kysely<Database>,
    id: EndpointId,
  ): Promise<SecretKind | undefined> => {
    const row = await selectLive(on, id).limit(1).executeTakeFirst()
    try {
      return row && box.decrypt(row.encrypted, id).startsWith('whsk_') ? 'ed25519' : undefined
    } catch (error) {
      if (error instanceof SecretUnreadable) return undefined
      throw error
    }
  }

  return {
    add,
    async list(tenantId, id) {
      await selectEndpoint(database, tenantId, id).executeTakeFirstOrThrow(notFound)
      return read(database, id)
    },
    rotate: (tenantId, id, { overlapSeconds = OVERLAP_SECONDS_DEFAULT, secret, kind }) =>
      database.transaction().execute(async (transaction) => {
        // Two rotations at once would each leave the other's secret as a current one.
        await selectEndpoint(transaction, tenantId, id)
          .forUpdate()
          .executeTakeFirstOrThrow(notFound)
        const given = { secret, kind: kind ?? (await currentKind(transaction, id)) }
        await endOverlaps(transaction, id, overlapSeconds)
        await add(transaction, { id, tenant_id: tenantId }, given)
        const live = await read(transaction, id)
        if (live.length > LIVE_SECRETS_MAX) throw new TooManySecrets()
        return live
      }),
  }
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
