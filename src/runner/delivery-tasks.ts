import type { TaskList } from 'graphile-worker'
import pLimit from 'p-limit'
import type { Pool } from 'pg'
import type { EndpointId } from '../ids.ts'
import type { InFlight } from '../limits/in-flight.ts'
import { createRateLimiter } from '../limits/rate-limiter.ts'
import { createOutageNews } from '../postgres/outage.ts'
import { DELIVER_TASK, deliverPayload, REPLAN_TASK, replanPayload } from '../queue/jobs.ts'
import type { Sender } from '../sending/send.ts'
import { createBatched } from './batched.ts'
import { createClaim, SentInBatches } from './claim.ts'
import { createDeliver } from './deliver.ts'
import { createDeliverBatch } from './deliver-batch.ts'
import { createEndpointLimits } from './endpoint-limits.ts'
import { createFinish, createFinishTogether, type FinishOptions } from './finish.ts'
import { createHoldUnreadable } from './hold-unreadable.ts'
import { createLimited, type Job } from './limited.ts'
import type { Presence } from './presence.ts'
import { createReplan } from './replan.ts'
import { DEFAULT_RETRY_JITTER, RETRY_AFTER_SECONDS_MAX } from './retry-policy.ts'
import type { RunnerOptions } from './runner-options.ts'
import { createSnooze, type Snoozed } from './snooze.ts'
import { createTakeBatch } from './take-batch.ts'
import type { WakeUpTimer } from './wake-up-timer.ts'

export interface DeliveryTasksOptions extends RunnerOptions {
  pool: Pool
  /** For what each delivery needs: claim and finish. */
  deliveryPool: Pool
  runnerId: string
  presence: Presence
  /** Hears of the jobs that a finish has removed. */
  onJobRemoved(jobId: string): void
  send: Sender['send']
  inFlight: InFlight
  /** Set for what was put off. */
  wakeUpTimer: WakeUpTimer
}

/** Makes the graphile-worker tasks that are about the limits of endpoints: to deliver, and to plan again. */
export function deliveryTasks(options: DeliveryTasksOptions): TaskList {
  const { pool, redis, log } = options
  const limits = createEndpointLimits(pool)
  const snooze = createSnooze(pool, options.runnerId, limits.forget)
  const rateLimiter = createRateLimiter({ redis })
  const deliver = createDeliver(stepsOf(options))
  const limitSteps = {
    ...limitStepsOf(options, snooze),
    ...{ limitsOf: limits.of, rateLimiter },
  }
  const limited = createLimited({ ...limitSteps, deliver })
  const batched = createBatched({ ...limitSteps, ...batchStepsOf(options, limits.forget, limited) })
  const limitsNow = (endpointId: EndpointId) => {
    limits.forget([endpointId])
    return limits.of(endpointId)
  }
  const replan = createReplan({ pool, rateLimiter, snooze, limitsOf: limitsNow })

  return {
    async [DELIVER_TASK](payload, { abortSignal, job }) {
      const { d: deliveryId, n: dueAttempt, e: id, r = null } = deliverPayload.parse(payload)
      const wakeUp = { deliveryId, dueAttempt, jobId: job.id }
      if (!id) return void (await deliver(wakeUp, abortSignal))
      const asked: Job = [wakeUp, id, r, abortSignal]
      const { isBatched } = await limits.of(id)
      if (isBatched) return await batched(...asked)
      await limited(...asked).catch((error: unknown) => {
        if (!(error instanceof SentInBatches)) throw error
        limits.forget([id])
        return batched(...asked)
      })
    },
    async [REPLAN_TASK](payload, { abortSignal }) {
      const { e: endpointId, h: hastens } = replanPayload.parse(payload)
      const deliveries = await replan(endpointId, hastens, abortSignal)
      log.info({ endpointId, deliveries }, 'endpoint.replanned')
    },
  }
}

/** What the limit step takes of this runner. */
function limitStepsOf(options: DeliveryTasksOptions, snooze: ReturnType<typeof createSnooze>) {
  const { inFlight, metrics, concurrency, timeoutMs } = options
  return {
    inFlight,
    snooze: async (snoozed: Snoozed) => {
      metrics.jobSnoozed()
      await snooze(snoozed)
      options.wakeUpTimer.set(snoozed.waitMs)
    },
    timeoutMs,
    limit: pLimit(concurrency),
  }
}

/** What sending in batches takes of this runner. */
function batchStepsOf(
  options: DeliveryTasksOptions,
  forgetLimits: (ids: readonly EndpointId[]) => void,
  limited: ReturnType<typeof createLimited>,
) {
  const { deliveryPool, runnerId, presence, metrics, wakeUpTimer, onJobRemoved } = options
  const take = createTakeBatch(deliveryPool, runnerId)
  return {
    take: (...asked: Parameters<typeof take>) => presence.established().then(() => take(...asked)),
    deliver: createDeliverBatch({
      ...stepsOf(options),
      finish: createFinishTogether(deliveryPool, finishOptionsOf(options)),
      onEnded: metrics.batchEnded,
    }),
    deliverSingle: (...job: Job) => {
      forgetLimits([job[1]])
      return limited(...job)
    },
    onPutOff: (waitMs: number, isByLimit: boolean) => {
      if (isByLimit) metrics.jobSnoozed()
      wakeUpTimer.set(waitMs)
    },
    onJobRemoved,
  }
}

function stepsOf(options: DeliveryTasksOptions): Parameters<typeof createDeliver>[0] {
  const { pool, deliveryPool, log, metrics, presence } = options
  const claim = createClaim(deliveryPool, options.runnerId)
  return {
    // Cut off from the database, a runner may be counted as dead any moment: it takes nothing more.
    claim: (wakeUp) => presence.established().then(() => claim(wakeUp)),
    send: options.send,
    finish: createFinish(deliveryPool, finishOptionsOf(options)),
    decryptSecret: options.decryptSecret,
    linkOf: options.linkOf,
    holdUnreadable: createHoldUnreadable(pool, {
      runnerId: options.runnerId,
      onError: (error) => log.warn({ err: error }, 'endpoint.not_held'),
    }),
    schedule: {
      delaysSeconds: options.retrySchedule,
      jitter: DEFAULT_RETRY_JITTER,
      retryAfterMaxSeconds: RETRY_AFTER_SECONDS_MAX,
    },
    timeoutMs: options.timeoutMs,
    random: Math.random,
    tracing: options.tracing,
    onFault: (err, { deliveryId, endpointId, tenantId }) =>
      log.error({ err, deliveryId, endpointId, tenantId }, 'delivery.not_sent'),
    log: (attempted) => {
      log.info(attempted, 'delivery.attempted')
      metrics.attemptEnded({
        outcome: attempted.outcome,
        reason: attempted.reason,
        verdict: attempted.verdict,
        number: attempted.attempt,
        seconds: attempted.durationMs / 1000,
        ageSeconds: attempted.ageMs / 1000,
      })
    },
  }
}

function finishOptionsOf({ log, ...options }: DeliveryTasksOptions): FinishOptions {
  const isRetryNews = createOutageNews()
  return {
    onJobRemoved: options.onJobRemoved,
    disableAfterSeconds: options.disableAfterSeconds,
    outageMsMax: options.outageMsMax,
    onRetry: (error) => {
      if (isRetryNews(error)) log.warn({ err: error, step: 'finish' }, 'database.retried')
    },
  }
}
