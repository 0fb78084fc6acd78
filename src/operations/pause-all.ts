import { type Kysely, sql } from 'kysely'
import { changeAsActor } from '../postgres/actor.ts'
import type { Database } from '../postgres/schema.ts'

/** Of 100 endpoints each. More are rare, and the reconciler releases the rest every minute. */
const RESUME_CALLS_MAX = 5

/** Whether anything is sent. */
export interface ServiceState {
  /** Since when nothing is; null = deliveries go out. */
  pausedAt: Date | null
  pausedBy: string | null
}

/** The switch of the whole service. Each act changes nothing where it was done before. @param who for the audit log */
export interface PauseAll {
  state(): Promise<ServiceState>
  /** Sends nothing to anybody: what falls due is held, and publishing continues. */
  pause(who: string): Promise<void>
  /** Ends that; what was held is released endpoint by endpoint. */
  resume(who: string): Promise<void>
}

export function createPauseAll({ database }: { database: Kysely<Database> }): PauseAll {
  return {
    state: () => stateOf(database),
    async pause(who) {
      await changeAsActor(database, (on) => sql`select postrider.pause_all(${who})`.execute(on))
    },
    async resume(who) {
      for (let calls = 0; calls < RESUME_CALLS_MAX; calls++) {
        const { rows } = await changeAsActor(database, (on) =>
          sql<{ isMore: number }>`select postrider.resume_all(${who}) as "isMore"`.execute(on),
        )
        if (rows[0]?.isMore === 0) return
      }
    },
  }
}

async function stateOf(database: Kysely<Database>): Promise<ServiceState> {
  const { rows } = await sql<ServiceState>`
    select s.paused_at as "pausedAt", s.paused_by as "pausedBy" from postrider.service s`.execute(
    database,
  )
  if (!rows[0]) throw new Error('the service has a row')
  return rows[0]
}
