import type { Pool } from 'pg'
import type { EndpointId } from '../ids.ts'
import { type SecretBox, sealedTexts } from './secrets.ts'
import { type EndpointTexts, endpointTexts, mistakesIn } from './unreadable-secrets.ts'

/** The rows of so many are locked for some milliseconds: nobody who rotates a secret notices. */
const ENDPOINTS_AT_ONCE = 100

export interface ResealReport {
  /** How many endpoints were looked at. */
  endpoints: number
  /** Of how many something was encrypted again. */
  resealed: number
  /** How many have something that no key opens, so that nothing of them was touched. */
  unreadable: number
  /** False when it was told to stop; it goes on where it is called again. */
  isDone: boolean
}

/** What `postrider.reseal` takes: each text with the one that replaces it. */
interface Item {
  id: EndpointId
  texts: Record<string, string>
}

/**
 * Encrypts everything again that is not encrypted with the newest key. What is done stays done, so it can be stopped
 * and begun again at any time.
 */
export async function resealAll(
  pool: Pool,
  box: SecretBox,
  options: { who: string; signal: AbortSignal; onProgress(endpoints: number): void },
): Promise<ResealReport> {
  const report: ResealReport = { endpoints: 0, resealed: 0, unreadable: 0, isDone: true }
  for await (const rows of endpointTexts(pool, 'all', ENDPOINTS_AT_ONCE)) {
    if (options.signal.aborted) return { ...report, isDone: false }
    const readable = rows.filter((row) => mistakesIn(box, row).length === 0)
    const items = readable.flatMap((row) => renewed(box, row))
    report.resealed += await reseal(pool, items, options.who)
    report.unreadable += rows.length - readable.length
    report.endpoints += rows.length
    options.onProgress(report.endpoints)
  }
  return report
}

function renewed(box: SecretBox, endpoint: EndpointTexts): Item[] {
  const { id } = endpoint
  const old = sealedTexts(endpoint).filter(({ sealed }) => !box.isCurrent(sealed))
  if (old.length === 0) return []
  const texts = old.map(({ sealed, purpose }) => [
    sealed,
    box.encrypt(box.decrypt(sealed, id, purpose), id, purpose),
  ])
  return [{ id, texts: Object.fromEntries(texts) }]
}

async function reseal(pool: Pool, items: readonly Item[], who: string): Promise<number> {
  if (items.length === 0) return 0
  const { rows } = await pool.query<{ resealed: number }>(
    'select postrider.reseal($1::jsonb, $2) as resealed',
    [JSON.stringify(items), who],
  )
  return rows[0]?.resealed ?? 0
}
