import type { Pool } from 'pg'
import type { createWork } from './work.ts'

type Work = Awaited<ReturnType<typeof createWork>>

/** What tests of lines do, step by step, and what they look at. */
export function createLineSteps(pool: Pool) {
  /** What each event's delivery is: pending, held:order … */
  const statesOf = async (work: Work, events: string[]) =>
    Promise.all(
      events.map(async (event) => {
        const { state } = await work.deliveryOf(event)
        const { rows } = await pool.query<{ held_reason: string | null; job: string | null }>(
          `select d.held_reason, j.id as job from postrider.delivery d
           left join graphile_worker._private_jobs j on j.key = 'd:' || d.id where d.event_id = $1`,
          [event],
        )
        const reason = rows[0]?.held_reason
        const hasJob = rows[0]?.job !== null
        const isRight = reason === 'order' ? !hasJob : hasJob || state !== 'pending'
        return `${state}${reason ? `:${reason}` : ''}${isRight ? '' : ', with the wrong job'}`
      }),
    )
  /** One attempt at the delivery of an event. */
  const attempt = async (work: Work, event: string, status: number, again: number | null = null) =>
    work.finish(await work.claim(await work.deliveryOf(event)), status, again)
  const call = (text: string, values: unknown[]) =>
    pool
      .query<{ said: unknown }>(`select ${text} as said`, values)
      .then(({ rows }) => rows[0]?.said)
  /** Runs the jobs about the endpoint and its lines that are due. */
  const runJobs = async (work: Work, task: 'align' | 'advance' | 'replan') => {
    const { rows } = await pool.query<{ payload: string }>(
      `delete from graphile_worker._private_jobs j using graphile_worker._private_tasks k
       where k.id = j.task_id and k.identifier = $1 and j.payload ->> 'e' = $2 returning payload`,
      [task, work.endpoint.id],
    )
    for (const { payload } of rows) {
      const { t: tenant, e, k, n, h = false } = JSON.parse(payload)
      if (task === 'advance')
        await call('postrider.advance_line($1, $2, $3, $4)', [tenant, e, k, n])
      else if (task === 'align') await call('postrider.align($1)', [e])
      else await call('postrider.replan_waits($1, $2)', [e, h])
    }
    return rows.length
  }
  return { statesOf, attempt, call, runJobs }
}
