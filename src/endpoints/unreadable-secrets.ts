import type { Pool } from 'pg'
import type { EndpointId, TenantId } from '../ids.ts'
import type { SecretBox } from './secrets.ts'

/** Some milliseconds of the database and of ours, however many endpoints there are. */
const ENDPOINTS_AT_ONCE = 1_000
/** Enough to see what they have in common; the rest is counted. */
const NAMED_MAX = 20

/** An endpoint whose secret or client key no key of the box opens. */
export interface UnreadableEndpoint {
  id: EndpointId
  tenantId: TenantId
  url: string
  /** Why, without the secret. */
  detail: string
}

export interface SecretReport {
  /** How many secrets and client keys are in use. */
  checked: number
  /** How many of them no key opens. */
  unreadable: number
  /** How many endpoints these belong to. */
  endpoints: number
  /** The first of these endpoints. */
  named: UnreadableEndpoint[]
}

interface Row {
  id: EndpointId
  tenantId: TenantId
  url: string
  sealed: string[]
}

/** Opens every secret and client key that is in use, a batch at a time. */
export async function checkSecrets(
  pool: Pool,
  box: Pick<SecretBox, 'decrypt'>,
): Promise<SecretReport> {
  const report: SecretReport = { checked: 0, unreadable: 0, endpoints: 0, named: [] }
  for await (const rows of endpointsOf(pool, { onlyHeld: false })) {
    for (const { sealed, ...endpoint } of rows) {
      const [detail, ...others] = sealed.flatMap((text) => mistakeIn(box, text, endpoint.id))
      report.checked += sealed.length
      if (detail === undefined) continue
      report.unreadable += 1 + others.length
      report.endpoints += 1
      if (report.named.length < NAMED_MAX) report.named.push({ ...endpoint, detail })
    }
  }
  return report
}

/**
 * Has those endpoints tried again that are held for what could not be opened, and whose secrets and client key
 * this box opens.
 *
 * @returns how many, and how many stay held
 */
export async function releaseReadable(
  pool: Pool,
  box: Pick<SecretBox, 'decrypt'>,
  who: string,
): Promise<{ released: number; held: number }> {
  const done = { released: 0, held: 0 }
  for await (const rows of endpointsOf(pool, { onlyHeld: true })) {
    const ids = rows
      .filter(({ id, sealed }) => sealed.every((text) => mistakeIn(box, text, id).length === 0))
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

/** Why the text cannot be opened; empty where it can. */
function mistakeIn(box: Pick<SecretBox, 'decrypt'>, sealed: string, id: EndpointId): string[] {
  try {
    box.decrypt(sealed, id)
    return []
  } catch (error) {
    return [error instanceof Error ? error.message : String(error)]
  }
}

/** In the order of their ids, with what claim_many hands to a runner. */
async function* endpointsOf(
  pool: Pool,
  { onlyHeld }: { onlyHeld: boolean },
): AsyncGenerator<Row[]> {
  let after: string | null = null
  do {
    const { rows }: { rows: Row[] } = await pool.query<Row>(
      `select e.id, e.tenant_id as "tenantId", e.url,
         array_remove(array(
           select s.encrypted from postrider.endpoint_secret s
           where s.endpoint_id = e.id and (s.expires_at is null or s.expires_at > now())
         ) || e.client_key_encrypted, null) as sealed
       from postrider.endpoint e
       where e.deleted_at is null and ($1::uuid is null or e.id > $1)
         ${onlyHeld ? 'and e.unreadable_since is not null' : ''}
       order by e.id limit ${ENDPOINTS_AT_ONCE}`,
      [after],
    )
    if (rows.length > 0) yield rows
    after = rows.length < ENDPOINTS_AT_ONCE ? null : (rows.at(-1)?.id ?? null)
  } while (after !== null)
}
