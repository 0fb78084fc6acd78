import type { Pool } from 'pg'
import type { EndpointId, TenantId } from '../ids.ts'
import { type SealedTexts, type SecretBox, sealedTexts } from './secrets.ts'

/** Some milliseconds of the database and of ours, however many endpoints there are. */
const ENDPOINTS_AT_ONCE = 1_000
/** Enough to see what they have in common; the rest is counted. */
const NAMED_MAX = 20

/** An endpoint with a secret, client key or secret header that no key of the box opens. */
interface UnreadableEndpoint {
  id: EndpointId
  tenantId: TenantId
  url: string
  /** Why, without the secret. */
  detail: string
}

export interface SecretReport {
  /** How many secrets, client keys and secret headers are in use. */
  checked: number
  /** How many of them no key opens. */
  unreadable: number
  /** How many endpoints these belong to. */
  endpoints: number
  /** The first of these endpoints. */
  named: UnreadableEndpoint[]
}

/** An endpoint with all that is encrypted of it. */
export interface EndpointTexts extends SealedTexts {
  id: EndpointId
  tenantId: TenantId
  url: string
}

/** Opens every secret, client key and secret header that is in use, a batch at a time. */
export async function checkSecrets(
  pool: Pool,
  box: Pick<SecretBox, 'decrypt'>,
): Promise<SecretReport> {
  const report: SecretReport = { checked: 0, unreadable: 0, endpoints: 0, named: [] }
  for await (const rows of endpointTexts(pool, 'in use')) {
    for (const endpoint of rows) {
      const [detail, ...others] = mistakesIn(box, endpoint)
      report.checked += sealedTexts(endpoint).length
      if (detail === undefined) continue
      const { id, tenantId, url } = endpoint
      report.unreadable += 1 + others.length
      report.endpoints += 1
      if (report.named.length < NAMED_MAX) report.named.push({ id, tenantId, url, detail })
    }
  }
  return report
}

/**
 * Has those endpoints tried again that are held for what could not be opened, and of which this box opens
 * everything.
 *
 * @returns how many, and how many stay held
 */
export async function releaseReadable(
  pool: Pool,
  box: Pick<SecretBox, 'decrypt'>,
  who: string,
): Promise<{ released: number; held: number }> {
  const done = { released: 0, held: 0 }
  for await (const rows of endpointTexts(pool, 'held')) {
    const ids = rows
      .filter((endpoint) => mistakesIn(box, endpoint).length === 0)
      .map(({ id }) => id)
    const released = ids.length === 0 ? 0 : await release(pool, ids, who)
    done.released += released
    done.held += rows.length - ids.length
  }
  return done
}

async function release(pool: Pool, ids: readonly EndpointId[], who: string): Promise<number> {
  const { rows } = await pool.query<{ released: number }>(
    'select postrider.release_secrets($1::uuid[], $2) as released',
    [ids, who],
  )
  return rows[0]?.released ?? 0
}

/** Why texts of the endpoint cannot be opened; empty where they can. */
export function mistakesIn(box: Pick<SecretBox, 'decrypt'>, endpoint: EndpointTexts): string[] {
  return sealedTexts(endpoint).flatMap(({ sealed, purpose }) => {
    try {
      box.decrypt(sealed, endpoint.id, purpose)
      return []
    } catch (error) {
      return [error instanceof Error ? error.message : String(error)]
    }
  })
}

/** Of which endpoints, and of `all` also the secrets that do not sign any more. */
const CONDITIONS = {
  all: 'true',
  'in use': 'e.deleted_at is null',
  held: 'e.deleted_at is null and e.unreadable_since is not null',
} as const

/** In the order of their ids, a batch at a time. What is in use is what claim_many hands to a runner. */
export async function* endpointTexts(
  pool: Pool,
  which: keyof typeof CONDITIONS,
  atOnce = ENDPOINTS_AT_ONCE,
): AsyncGenerator<EndpointTexts[]> {
  let after: string | null = null
  do {
    const { rows }: { rows: EndpointTexts[] } = await pool.query<EndpointTexts>(
      `select e.id, e.tenant_id as "tenantId", e.url, e.secret_headers as "secretHeaders",
         e.client_key_encrypted as "clientKeyEncrypted",
         array(
           select s.encrypted from postrider.endpoint_secret s
           where s.endpoint_id = e.id ${which === 'all' ? '' : 'and (s.expires_at is null or s.expires_at > now())'}
         ) as secrets
       from postrider.endpoint e
       where ${CONDITIONS[which]} and ($1::uuid is null or e.id > $1)
       order by e.id limit ${atOnce}`,
      [after],
    )
    if (rows.length > 0) yield rows
    after = rows.length < atOnce ? null : (rows.at(-1)?.id ?? null)
  } while (after !== null)
}
