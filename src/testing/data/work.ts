import type { Pool } from 'pg'
import type { DeliveryId, EndpointId } from '../../ids.ts'
import { type Claimed, createClaim } from '../../runner/claim.ts'
import { createFinish } from '../../runner/finish.ts'
import { createSnooze } from '../../runner/snooze.ts'
import { reasonOfStatus } from '../../sending/reason.ts'
import { createTenant } from './tenant.ts'
import { addIncident } from './world.ts'

/** Longer than any test. */
const DISABLE_AFTER_SECONDS = 5 * 86_400

/** Of one delivery, with the job that will wake it, if any. */
export interface WorkState {
  id: string
  state: string
  claim: string | null
  attempt_count: number
  due_attempt: number
  schedule_step: number
  trigger: string
  next_attempt_at: Date | null
  put_off_until: Date | null
  finished_at: Date | null
  /** In seconds from now. */
  due_in: number | null
  job: string | null
  run_at: Date | null
  run_in: number | null
  priority: number | null
  job_number: number | null
}

/** A tenant with one endpoint and a runner that does what the test says, step by step. */
export async function createWork(pool: Pool, columns: Record<string, unknown> = {}) {
  const tenant = await createTenant(pool)
  const endpoint = await tenant.addEndpoint({ url: 'http://127.0.0.1:1/', ...columns })
  const runner = `runner-of-${tenant.key}`
  await pool.query('select postrider.register_runner($1, $2, $3)', [runner, 'host', 1])
  const claimOne = createClaim(pool, runner)
  const changed: EndpointId[] = []
  const snoozeOne = createSnooze(pool, runner, (endpointIds) => changed.push(...endpointIds))
  const finishOne = createFinish(pool, { disableAfterSeconds: DISABLE_AFTER_SECONDS })

  const deliveryOf = async (eventId: string): Promise<WorkState> => {
    const { rows } = await pool.query<WorkState>(
      `select d.*, extract(epoch from d.next_attempt_at - now())::float8 as due_in, j.id as job, j.run_at,
         extract(epoch from j.run_at - now())::float8 as run_in, j.priority, (j.payload->>'n')::int as job_number
       from postrider.delivery d left join graphile_worker._private_jobs j on j.key = 'd:' || d.id
       where d.event_id = $1`,
      [eventId],
    )
    if (!rows[0]) throw new Error(`event ${eventId} has no delivery`)
    return rows[0]
  }

  return {
    tenant,
    endpoint,
    runner,
    deliveryOf,
    /** Publishes an event and returns its delivery. */
    async publish(): Promise<WorkState & { eventId: string }> {
      const eventId = await tenant.publish()
      return { ...(await deliveryOf(eventId)), eventId }
    },
    /** Publishes events with these ordering keys, in one call; the id of each. */
    async publishInOrder(
      ...items: (string | { key: string; deliverAt?: string; idempotencyKey?: string })[]
    ): Promise<string[]> {
      const events = items.map((item) => {
        const { key, ...rest } = typeof item === 'string' ? { key: item } : item
        return {
          tenant: tenant.key,
          type: 'invoice.paid',
          data: { id: 1 },
          orderingKey: key,
          ...rest,
        }
      })
      const { rows } = await pool.query<{ id: string; error: string | null }>(
        'select event_id as id, error from postrider.publish_many($1) order by ordinal',
        [JSON.stringify(events)],
      )
      const error = rows.find((row) => row.error !== null)?.error
      if (error) throw new Error(error)
      return rows.map(({ id }) => id)
    },
    /** Puts a delivery that is due, and what belongs to it, in place of the psql variables of the documentation. */
    async fillIn(sql: string): Promise<string> {
      const event = await tenant.publish()
      const delivery = (await deliveryOf(event)).id
      const incident = sql.includes(":'incident'")
        ? await addIncident(pool, tenant.id, endpoint.id)
        : undefined
      const variables: Record<string, string | undefined> = {
        ...{ delivery, event, runner, incident },
        endpoint: endpoint.id,
        tenant: tenant.key,
      }
      return sql.replaceAll(/:'(\w+)'/g, (place, name) =>
        variables[name] ? `'${variables[name]}'` : place,
      )
    },
    /** Claims a delivery, as a runner does whose job says the number that is due; null when refused. */
    claim: ({ id, due_attempt }: Pick<WorkState, 'id' | 'due_attempt'>) =>
      claimOne({ deliveryId: id as DeliveryId, dueAttempt: due_attempt }),
    /**
     * Puts the job of that number off for a minute, as a runner does that has it and finds a limit, and that knows
     * of none. Resolves with the endpoints whose limits have changed.
     */
    async snooze({ id, due_attempt }: Pick<WorkState, 'id' | 'due_attempt'>) {
      const heardOf = changed.length
      await snoozeOne({
        wakeUp: { deliveryId: id as DeliveryId, dueAttempt: due_attempt },
        endpointId: endpoint.id as EndpointId,
        limits: { rateVersion: 0, maxInFlight: null },
        waitMs: 60_000,
        reservation: null,
      })
      return changed.slice(heardOf)
    },
    /** Finishes an attempt with a status; the next one, if any, in so many seconds. */
    finish: (claimed: Claimed | null, statusCode: number, nextInSeconds: number | null = null) => {
      if (!claimed) throw new Error('nothing was claimed')
      const isDelivered = statusCode < 300
      return finishOne({
        deliveryId: claimed.deliveryId,
        attemptId: claimed.attemptId,
        nextInSeconds,
        result: {
          outcome: isDelivered ? 'delivered' : 'rejected',
          statusCode,
          reason: reasonOfStatus(statusCode),
          error: isDelivered ? null : `answered ${statusCode}`,
          durationMs: 10,
          timings: { dnsMs: null, connectMs: null, tlsMs: null, firstByteMs: null },
          requestHeaders: {},
          responseHeaders: {},
          responseBody: '',
          retryAfterSeconds: null,
        },
      })
    },
    async attemptsOf(deliveryId: string) {
      const { rows } = await pool.query<{ id: string; outcome: string; trigger: string }>(
        'select * from postrider.attempt where delivery_id = $1 order by number',
        [deliveryId],
      )
      return rows
    },
    /** What operators and repairs have done to this tenant's things, oldest first; not changes of settings. */
    async audited() {
      const { rows } = await pool.query<{ who: string; action: string; detail: object }>(
        `select * from postrider.audit_log
         where tenant_id = $1 and action !~ '^(create|change)_(tenant|endpoint)$' order by id`,
        [tenant.id],
      )
      return rows
    },
    /** Makes a time column of the delivery older, as if it had been written then. */
    async age(deliveryId: string, minutes: number) {
      await pool.query(
        `update postrider.delivery set created_at = created_at - make_interval(mins => $2) where id = $1`,
        [deliveryId, minutes],
      )
    },
    async loseJob(deliveryId: string) {
      await pool.query(`delete from graphile_worker._private_jobs where key = 'd:' || $1::text`, [
        deliveryId,
      ])
    },
    /** Marks the runner as found dead so many seconds ago. */
    async die(secondsAgo = 60) {
      await pool.query(
        `update postrider.runner set reaped_at = now() - make_interval(secs => $2),
           seen_at = now() - make_interval(secs => $2) where id = $1`,
        [runner, secondsAgo],
      )
    },
  }
}
