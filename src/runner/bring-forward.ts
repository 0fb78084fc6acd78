import type { Pool } from 'pg'
import { every, type Recurring } from '../clock.ts'
import type { EndpointId } from '../ids.ts'
import type { PutOffEndpoints, Room } from '../limits/put-off.ts'
import { isPassing } from '../postgres/outage.ts'

/** A receiver that recovers is asked for more so often; nothing is asked of the database while nothing has room. */
const INTERVAL_MS = 250
/** In one statement. */
const ENDPOINTS_MAX = 20

interface BringForwardDependencies {
  pool: Pool
  runnerId: string
  putOff: Pick<PutOffEndpoints, 'room' | 'forget'>
  /** An outage passes by itself, and is told elsewhere. */
  onError(error: unknown): void
}

/** How far the open deliveries of an endpoint have been gone through, from the first to the last. */
interface Round {
  after: string
  brought: number
}

const FIRST: Round = { after: '00000000-0000-0000-0000-000000000000', brought: 0 }

interface Looked {
  endpointId: EndpointId
  lastId: string | null
  brought: number
  isEnd: boolean
}

/**
 * Has deliveries that were put off for want of a permit come as soon as there are permits, the oldest first. As many as
 * there is room for: more would be put off again, which costs as much as to send them.
 */
export function startBringingForward(deps: BringForwardDependencies): Recurring {
  return every(INTERVAL_MS, createBringForward(deps), (error) => {
    if (!isPassing(error)) deps.onError(error)
  })
}

/** Makes one step of it, which tells how many it has brought. */
export function createBringForward(deps: Omit<BringForwardDependencies, 'onError'>) {
  const { pool, runnerId, putOff } = deps
  const rounds = new Map<EndpointId, Round>()
  const roundOf = (endpointId: EndpointId) => rounds.get(endpointId) ?? FIRST

  const goOn = ({ endpointId, lastId, brought, isEnd }: Looked) => {
    const soFar = roundOf(endpointId).brought + brought
    if (!isEnd && lastId !== null) {
      rounds.set(endpointId, { after: lastId, brought: soFar })
      return
    }
    rounds.delete(endpointId)
    // Otherwise once more from the first: some of what was brought may have been put off again.
    if (soFar === 0) putOff.forget(endpointId)
  }

  return async (): Promise<number> => {
    const rooms = putOff.room(INTERVAL_MS).slice(0, ENDPOINTS_MAX)
    if (rooms.length === 0) return 0
    const asked = rooms.map((room) => ({ ...room, ...roundOf(room.endpointId) }))
    const looked = await bring(pool, runnerId, asked)
    for (const one of looked) goOn(one)
    return looked.reduce((sum, { brought }) => sum + brought, 0)
  }
}

async function bring(
  pool: Pool,
  runnerId: string,
  asked: readonly (Room & Round)[],
): Promise<Looked[]> {
  const { rows } = await pool.query<Looked>(
    `select endpoint_id as "endpointId", last_id as "lastId", brought, is_end as "isEnd"
     from postrider.bring_forward($1::uuid[], $2::int[], $3::uuid[], $4)`,
    [
      asked.map(({ endpointId }) => endpointId),
      asked.map(({ count }) => count),
      asked.map(({ after }) => after),
      runnerId,
    ],
  )
  return rows
}
