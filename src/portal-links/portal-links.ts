import { createHash, randomBytes } from 'node:crypto'
import { type Kysely, sql } from 'kysely'
import { auditName, type Caller } from '../access/caller.ts'
import { type Act, writeAct } from '../audit-log/audit-log.ts'
import type { PortalLinkId, TenantId } from '../ids.ts'
import { changeAsActor } from '../postgres/actor.ts'
import { retryConflicts } from '../postgres/outage.ts'
import type { Database, PortalLinkTable, Scope } from '../postgres/schema.ts'
import type { Tenant } from '../tenants/tenants.ts'
import { bytesOfLogo, isLogoUrl, type NewPortalLink } from './portal-link.fields.ts'

/** As with API keys: never guessed, so no slow hash is needed. */
const TOKEN_BYTES = 32
/** More than ever end between two links, and a statement of some milliseconds. */
const SWEPT_MAX = 1_000

type Access = PortalLinkTable['access']

/** What a link lets its bearer do in the API of its tenant, by the pages of the portal alone. */
const SCOPES: Record<Access, ReadonlySet<Scope>> = {
  read: new Set(['read']),
  manage: new Set(['read', 'manage']),
}

class TenantSuspended extends Error {
  override readonly name = 'TenantSuspended'
  readonly code = 'state_conflict'
  constructor() {
    super('the tenant is suspended, and its portal closed; resume it first')
  }
}

/** A link would allow more than the key that makes it. */
class LinkBeyondKey extends Error {
  override readonly name = 'LinkBeyondKey'
  readonly code = 'scope_missing'
  constructor(missing: readonly Scope[]) {
    const scopes = missing.map((scope) => `"${scope}"`).join(' and ')
    super(
      `A link allows no more than the key that makes it, and this key lacks the scope ${scopes}.`,
    )
  }
}

interface OpenedLink {
  /** Stands for the link wherever the token itself must not be. */
  hash: Buffer
  expiresAt: Date
}

export interface PortalLinks {
  /**
   * Makes a link to the portal of a tenant; the token is returned this once.
   *
   * It allows no more than its maker may do, and ends at the latest with the maker's key.
   *
   * @throws TenantSuspended, LinkBeyondKey
   */
  create(
    tenant: Pick<Tenant, 'id' | 'suspended_at'>,
    link: NewPortalLink,
    maker: Caller,
  ): Promise<{ token: string; expiresAt: Date }>
  /** Takes back every link of the tenant, and ends every session that they opened. */
  revokeAll(tenantId: TenantId, who: string): Promise<void>
  /** Null when the link is unknown, over or taken back, or its tenant suspended or deleted. */
  open(token: string): Promise<OpenedLink | null>
  /** Who somebody is who has opened the link with this hash, by what it is worth now, and how its pages look. */
  verifyHash(hash: Buffer): Promise<LinkCaller | null>
  /** The picture that it came with. */
  logoOf(id: PortalLinkId): Promise<Buffer | null>
}

/** What a link says of its pages; null = as the service does. */
interface LinkLook extends Pick<PortalLinkTable, 'name' | 'accent' | 'theme' | 'locale'> {
  backUrl: string | null
  hasLogo: boolean
  /** Where browsers load the picture from instead. */
  logoUrl: string | null
  expiresAt: Date
}

/** The bearer of a link. */
export interface LinkCaller extends Caller {
  portalLinkId: PortalLinkId
  look: LinkLook
}

export function createPortalLinks({ database }: { database: Kysely<Database> }): PortalLinks {
  return {
    async create({ id: tenantId, suspended_at: suspendedAt }, link, maker) {
      if (suspendedAt) throw new TenantSuspended()
      refuseBeyond(maker, link.access)
      await retryConflicts(() => sweep(database))
      const token = randomBytes(TOKEN_BYTES).toString('base64url')
      const expiresAt = await store(database, { ...link, tenantId, token, maker })
      return { token, expiresAt }
    },
    revokeAll: (tenantId, who) => revokeAll(database, tenantId, who),
    async open(token) {
      const hash = hashOf(token)
      const link = await find(database, hash)
      return link ? { hash, expiresAt: link.expiresAt } : null
    },
    async verifyHash(hash) {
      const link = await find(database, hash)
      return link ? callerOf(link) : null
    },
    async logoOf(id) {
      const link = database.selectFrom('portal_link').select('logo').where('id', '=', id)
      return (await link.executeTakeFirst())?.logo ?? null
    },
  }
}

const revokeAll = (database: Kysely<Database>, tenantId: TenantId, who: string): Promise<void> =>
  changeAsActor(database, async (transaction) => {
    await transaction.deleteFrom('portal_link').where('tenant_id', '=', tenantId).execute()
    await writeAct(transaction, ofTenant(tenantId, who, 'revoke_portal_links'))
  })

/** A tenant that is being deleted is suspended as well. Without the picture, which the browser asks for once and keeps. */
const find = (database: Kysely<Database>, hash: Buffer) =>
  database
    .selectFrom('portal_link')
    .innerJoin('tenant', 'tenant.id', 'portal_link.tenant_id')
    .leftJoin('api_key', 'api_key.id', 'portal_link.api_key_id')
    .select([
      ...(['portal_link.id', 'portal_link.access', 'portal_link.name', 'accent', 'theme'] as const),
      ...(['locale', 'back_url as backUrl', 'logo_url as logoUrl'] as const),
      sql<boolean>`logo is not null`.as('hasLogo'),
      sql<Date>`least(portal_link.expires_at, api_key.expires_at)`.as('expiresAt'),
      'tenant.id as tenantId',
      'tenant.key as tenantKey',
    ])
    .where('portal_link.token_hash', '=', hash)
    .where(sql<boolean>`least(portal_link.expires_at, api_key.expires_at) > now()`)
    .where('api_key.revoked_at', 'is', null)
    .where('tenant.suspended_at', 'is', null)
    .executeTakeFirst()

type FoundLink = NonNullable<Awaited<ReturnType<typeof find>>>

const callerOf = ({ id, access, tenantId, tenantKey, ...look }: FoundLink): LinkCaller => ({
  apiKeyId: null,
  portalLinkId: id as PortalLinkId,
  tenant: { id: tenantId as TenantId, key: tenantKey },
  scopes: SCOPES[access],
  look,
})

function store(
  database: Kysely<Database>,
  link: NewPortalLink & { tenantId: TenantId; token: string; maker: Caller },
): Promise<Date> {
  const { tenantId, token, minutes, access, maker } = link
  return changeAsActor(database, async (transaction) => {
    const row = await transaction
      .insertInto('portal_link')
      .values({
        tenant_id: tenantId,
        token_hash: hashOf(token),
        access,
        api_key_id: maker.apiKeyId,
        expires_at: sql`least(now() + make_interval(mins => ${minutes}),
          (select k.expires_at from postrider.api_key k where k.id = ${maker.apiKeyId}))`,
        ...columnsOfLook(link),
      })
      .returning(['id', 'expires_at'])
      .executeTakeFirstOrThrow()
    const detail = { link: row.id, access, minutes }
    const act = ofTenant(tenantId, auditName(maker), 'create_portal_link')
    await writeAct(transaction, { ...act, detail })
    return row.expires_at
  })
}

const columnsOfLook = (link: NewPortalLink) => ({
  ...columnsOfLogo(link),
  name: link.name ?? null,
  accent: link.accent?.toLowerCase() ?? null,
  theme: link.theme ?? null,
  locale: link.locale ?? null,
  back_url: link.backUrl ?? null,
})

function columnsOfLogo({ logo }: NewPortalLink) {
  if (logo === undefined) return {}
  return isLogoUrl(logo) ? { logo_url: new URL(logo).href } : { logo: bytesOfLogo(logo) }
}

/** @throws LinkBeyondKey */
function refuseBeyond(maker: Caller, access: Access): void {
  if (maker.scopes.has('admin')) return
  const missing = [...SCOPES[access]].filter((scope) => !maker.scopes.has(scope))
  if (missing.length > 0) throw new LinkBeyondKey(missing)
}

const hashOf = (token: string): Buffer => createHash('sha256').update(token).digest()

/** Rows that are over; who makes a link takes some along, so that no duty is needed for them. */
async function sweep(database: Kysely<Database>): Promise<void> {
  await sql`delete from postrider.portal_link where id in (
    select id from postrider.portal_link where expires_at <= now() limit ${SWEPT_MAX}
    for update skip locked)`.execute(database)
}

const ofTenant = (tenantId: TenantId, who: string, action: string): Act => ({
  who,
  action,
  targetKind: 'tenant',
  targetId: tenantId,
  tenantId,
})
