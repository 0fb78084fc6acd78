import { setTimeout as delay } from 'node:timers/promises'
import type { Reply } from './client.ts'
import { monotonicMs } from './clock.ts'

export interface Load {
  /** Numbered from 0 on. */
  events: number
  /**
   * 0: a closed loop, each connection publishes as soon as it has its answer. Otherwise an open loop:
   * events fall due at this rate whatever the system does, and latency counts from when they were
   * due, so that a stall is not hidden by the driver waiting politely.
   */
  ratePerSecond: number
  /** Requests under way at most. */
  connections: number
}

export interface Sent {
  startedAt: number
  endedAt: number
  /** Monotonic ms from which the latencies of each event count. */
  countedFrom: Float64Array
  answerMs: Float64Array
  /** 1 where the answer was a 2xx. */
  accepted: Uint8Array
  refused: number
  /** What the first refusal said. */
  firstRefusal: string | null
}

/** Sends the load; an event that is refused or whose connection is lost counts as refused. */
export async function send(
  load: Load,
  post: (n: number) => Promise<Reply>,
  onProgress: (sent: number) => void = () => undefined,
): Promise<Sent> {
  const sent = emptySent(load.events)
  let answered = 0
  const one = async (n: number, countedFrom: number) => {
    sent.countedFrom[n] = countedFrom
    await post(n).then(
      (reply) => note(sent, n, reply),
      (error: unknown) => refuse(sent, String(error)),
    )
    sent.answerMs[n] = monotonicMs() - countedFrom
    answered += 1
    onProgress(answered)
  }
  await (load.ratePerSecond > 0 ? openLoop(load, sent.startedAt, one) : closedLoop(load, one))
  sent.endedAt = monotonicMs()
  return sent
}

async function closedLoop({ events, connections }: Load, one: SendOne): Promise<void> {
  let next = 0
  const connection = async () => {
    while (next < events) await one(next++, monotonicMs())
  }
  await Promise.all(Array.from({ length: connections }, connection))
}

async function openLoop({ events, ratePerSecond }: Load, startedAt: number, one: SendOne) {
  const underWay = new Set<Promise<void>>()
  const dueAt = (n: number) => startedAt + (n * 1000) / ratePerSecond
  for (let next = 0; next < events; ) {
    while (next < events && dueAt(next) <= monotonicMs()) {
      const sending: Promise<void> = one(next, dueAt(next)).finally(() => underWay.delete(sending))
      underWay.add(sending)
      next += 1
    }
    if (next < events) await delay(Math.max(0, dueAt(next) - monotonicMs()))
  }
  await Promise.all(underWay)
}

type SendOne = (n: number, countedFrom: number) => Promise<void>

function note(sent: Sent, n: number, { status, body }: Reply): void {
  if (status >= 200 && status < 300) sent.accepted[n] = 1
  else refuse(sent, `${status} ${body.slice(0, 200)}`)
}

function refuse(sent: Sent, why: string): void {
  sent.refused += 1
  sent.firstRefusal ??= why
}

function emptySent(events: number): Sent {
  const now = monotonicMs()
  return {
    startedAt: now,
    endedAt: now,
    countedFrom: new Float64Array(events),
    answerMs: new Float64Array(events),
    accepted: new Uint8Array(events),
    refused: 0,
    firstRefusal: null,
  }
}
