import { setImmediate as nextTurn } from 'node:timers/promises'
import type { DeliveryId, EndpointId } from '../ids.ts'
import type { Reservation, Slot } from '../limits/rate-limiter.ts'
import type { AttemptResult } from '../sending/outcome.ts'
import type { WakeUp } from './claim.ts'
import type { EndpointLimits } from './endpoint-limits.ts'
import { type Job, type LimitedDependencies, releaseResult, slotOf } from './limited.ts'
import type { BatchMember, BatchStep, Taken } from './take-batch.ts'

/** In one statement: as many as a batch can have. */
const IN_HAND_MAX = 1_000

export interface BatchedDependencies
  extends Pick<
    LimitedDependencies,
    'limitsOf' | 'inFlight' | 'rateLimiter' | 'timeoutMs' | 'limit'
  > {
  take(endpointId: EndpointId, wakeUps: readonly WakeUp[], step: BatchStep): Promise<Taken>
  /** The deliver step of a batch. */
  deliver(
    members: readonly [BatchMember, ...BatchMember[]],
    lead: WakeUp | null,
    request: { signal: AbortSignal | undefined; permit: BatchPermit; items: string },
  ): Promise<AttemptResult>
  /** For what turns out to have no batches. */
  deliverSingle(...job: Job): Promise<void>
  /** Something becomes due in so many milliseconds; by a limit, or because its batch is not full. */
  onPutOff(waitMs: number, isByLimit: boolean): void
  /** The job is gone already. */
  onJobRemoved(jobId: string): void
}

type BatchPermit = Extract<
  Awaited<ReturnType<LimitedDependencies['inFlight']['acquire']>>,
  { retryInMs: null }
>

/** A job of a delivery that is to be sent in a batch, until it is known what becomes of it. */
interface InHand {
  wakeUp: WakeUp
  reservation: Reservation | null
  signal: AbortSignal | undefined
  done: PromiseWithResolvers<void>
  /** A request that this job waits for, though it is about others. */
  alongside?: Promise<unknown>
}

/**
 * Makes the limit and claim steps of endpoints with batches. What their jobs are about is collected, an endpoint at a time:
 *
 *   permit → slot, once the batch is known to be full → claim → send
 *
 * One after another up to the claim, so that each slot of the rate is for another batch; the requests overlap. A batch that
 * is not full, or that a limit holds up, is put off by the database, and nobody waits here.
 */
export function createBatched(deps: BatchedDependencies) {
  const waiting = new Map<EndpointId, InHand[]>()
  return async function batched(...job: Job): Promise<void> {
    const [wakeUp, endpointId, reservation, signal] = job
    const one: InHand = { wakeUp, reservation, signal, done: Promise.withResolvers() }
    const others = waiting.get(endpointId)
    if (others) others.push(one)
    else {
      const hand = [one]
      waiting.set(endpointId, hand)
      void takeTurns(deps, endpointId, hand, () => waiting.delete(endpointId))
    }
    await one.done.promise
    await one.alongside
  }
}

/** Never rejects: each job hears what becomes of it. */
async function takeTurns(
  deps: BatchedDependencies,
  endpointId: EndpointId,
  waiting: InHand[],
  onDone: () => void,
): Promise<void> {
  // Those that were fetched together come in the same turn of the event loop.
  await nextTurn()
  while (waiting.length > 0) {
    const hand = waiting.splice(0, IN_HAND_MAX)
    const turn = Promise.withResolvers<InHand[]>()
    void deps.limit(async () => {
      try {
        const { left, sending } = await takeTurn(deps, endpointId, hand)
        turn.resolve(left)
        await sending
      } catch (error) {
        for (const { done } of hand) done.reject(error)
        turn.resolve([])
      }
    })
    waiting.unshift(...(await turn.promise))
  }
  // In the same step as the last look, so that nobody joins what is over.
  onDone()
}

interface Turn {
  left: InHand[]
  /** Never rejects. */
  sending: Promise<unknown>
}

async function takeTurn(
  deps: BatchedDependencies,
  endpointId: EndpointId,
  inHand: readonly InHand[],
): Promise<Turn> {
  // One that has its slot first: it says which batch this is about.
  const sorted = inHand.toSorted((a, b) => Number(!a.reservation) - Number(!b.reservation))
  const reserved = sorted[0]?.reservation ?? null
  const limits = await deps.limitsOf(endpointId, reserved?.rateVersion)
  const handMax = limits.batchEventsMax ?? IN_HAND_MAX
  const turn = await takeFrom(deps, endpointId, sorted.slice(0, handMax), { limits, reserved })
  return { ...turn, left: [...turn.left, ...sorted.slice(handMax)] }
}

/** No more than a batch can have: what is brought in vain costs as much as what is taken. */
async function takeFrom(
  deps: BatchedDependencies,
  endpointId: EndpointId,
  hand: readonly InHand[],
  { limits, reserved }: { limits: EndpointLimits; reserved: Reservation | null },
): Promise<Turn> {
  const timeoutMs = limits.timeoutSeconds === null ? deps.timeoutMs : limits.timeoutSeconds * 1000
  const take = (step: BatchStep) =>
    deps.take(
      endpointId,
      hand.map(({ wakeUp }) => wakeUp),
      step,
    )
  const permit = await deps.inFlight.acquire(endpointId, { ...limits, timeoutMs })
  if (!permit.release) {
    const wait = { waitMs: permit.retryInMs, reservation: null }
    return putOff(deps, endpointId, hand, { taken: await takePutOff(deps, take, wait) })
  }
  try {
    const taken = await takeInSlot(deps, endpointId, limits, { take, reserved })
    const [first, ...rest] = taken.claimed
    if (first) return send(deps, hand, { taken, members: [first, ...rest], permit })
    permit.release('other')
    return putOff(deps, endpointId, hand, { taken })
  } catch (error) {
    permit.release('other')
    throw error
  }
}

type Take = (step: BatchStep) => Promise<Taken>

/** A slot is for one request, so nobody asks for one before there is a batch that would take it. */
async function takeInSlot(
  deps: BatchedDependencies,
  endpointId: EndpointId,
  limits: EndpointLimits,
  { take, reserved }: { take: Take; reserved: Reservation | null },
): Promise<Taken> {
  if (limits.ratePerSecond !== null && reserved?.rateVersion !== limits.rateVersion) {
    const looked = await take({ step: 'look' })
    if (!looked.isReady) return looked
  }
  const slot = await slotOf(deps.rateLimiter, endpointId, limits, reserved)
  return slot.waitMs > 0 ? await takePutOff(deps, take, slot) : await take({ step: 'claim' })
}

async function takePutOff(deps: BatchedDependencies, take: Take, wait: Slot): Promise<Taken> {
  const taken = await take({ step: 'put_off', ...wait })
  if (taken.dueInMs === null) deps.onPutOff(wait.waitMs, true)
  return taken
}

/** Nothing is sent: those that are not left are put off, or there is nothing to do for them. */
function putOff(
  deps: BatchedDependencies,
  endpointId: EndpointId,
  hand: readonly InHand[],
  { taken: { left, single, dueInMs } }: { taken: Taken },
): Turn {
  if (dueInMs !== null) deps.onPutOff(dueInMs, false)
  for (const { wakeUp, reservation, signal, done } of hand) {
    if (left.has(wakeUp.deliveryId)) continue
    if (!single.has(wakeUp.deliveryId)) done.resolve()
    else deps.deliverSingle(wakeUp, endpointId, reservation, signal).then(done.resolve, done.reject)
  }
  return {
    left: hand.filter(({ wakeUp }) => left.has(wakeUp.deliveryId)),
    sending: Promise.resolve(),
  }
}

function send(
  deps: BatchedDependencies,
  hand: readonly InHand[],
  {
    taken,
    members,
    permit,
  }: { taken: Taken; members: readonly [BatchMember, ...BatchMember[]]; permit: BatchPermit },
): Turn {
  const lead = newestOf(hand, taken.leadId)
  const waits = lead ?? hand[0]
  const request = { signal: waits?.signal, permit, items: taken.items }
  const sending = deps.deliver(members, lead ? lead.wakeUp : null, request).then(
    (result) => permit.release(releaseResult(result), result.durationMs, result.timings.connectMs),
    (error: unknown) => {
      permit.release('other')
      throw error
    },
  ) as Promise<void>
  if (lead) sending.then(lead.done.resolve, lead.done.reject)
  else if (waits) waits.alongside = sending
  for (const one of hand) {
    if (one === lead || taken.left.has(one.wakeUp.deliveryId)) continue
    const { jobId } = one.wakeUp
    if (jobId !== undefined && taken.removedJobs.has(jobId)) deps.onJobRemoved(jobId)
    one.done.resolve()
  }
  const left = hand.filter(({ wakeUp }) => taken.left.has(wakeUp.deliveryId))
  return { left, sending: sending.catch(() => undefined) }
}

/** Its job that counts: of a delivery that was retried by a person meanwhile an older one is in hand as well. */
function newestOf(hand: readonly InHand[], deliveryId: DeliveryId | null): InHand | undefined {
  return hand
    .filter(({ wakeUp }) => wakeUp.deliveryId === deliveryId)
    .toSorted((a, b) => b.wakeUp.dueAttempt - a.wakeUp.dueAttempt)[0]
}
