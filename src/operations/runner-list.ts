import { type Kysely, sql } from 'kysely'
import type { RunnerId } from '../ids.ts'
import type { Database } from '../postgres/schema.ts'

/** Those that are gone stay for a week; the rest of a long history says nothing new. */
const SHOWN_MAX = 50

export interface ListedRunner {
  id: RunnerId
  host: string
  pid: number
  /** As in the view runner_health, which also counts jobs and so costs a pass over all of them. */
  state: 'live' | 'silent' | 'stopped' | 'reaped'
  startedAt: Date
  seenAt: Date
}

/** Makes the step that lists the runners, those at work first. */
export function createRunnerList({ database }: { database: Kysely<Database> }) {
  return async (): Promise<ListedRunner[]> => {
    const { rows } = await sql<ListedRunner>`
      select id, host, pid, started_at as "startedAt", seen_at as "seenAt",
        case
          when reaped_at is not null then 'reaped'
          when stopped_at is not null then 'stopped'
          when seen_at < now() - interval '5 seconds' then 'silent'
          else 'live' end as state
      from postrider.runner
      order by coalesce(reaped_at, stopped_at) is not null, seen_at desc
      limit ${SHOWN_MAX}`.execute(database)
    return rows
  }
}
