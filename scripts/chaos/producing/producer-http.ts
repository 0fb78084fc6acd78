import { setTimeout as delay } from 'node:timers/promises'
import type { PublishedLine } from '../ledger.ts'
import { createCrowd } from './crowd.ts'
import { steadily } from './pace.ts'
import { chooseOrderingKey, type Producer, type ProducerOptions } from './producer.ts'
import { chooseDeliverAt } from './scheduled.ts'

/** A frozen API answers nothing; the producer then turns to the other one. */
const ANSWER_MS_MAX = 4_000
/** Far longer than any outage of a run. */
const PATIENCE_MS = 120_000
/**
 * Between tries, doubled with each of the first ones: several hundred events that wait for an API, each tried three times
 * a second, kept this program so busy that it could not connect to the database, and the APIs so that they did not start.
 */
const RETRY_MS = [100, 600] as const
const DOUBLED_MAX = 3
/** A minute of an outage at 20 events a second is 1,200. */
const WAITING_MAX = 2_000
/**
 * Answers that ask for the same request again: the key is in use, or the database is away. And 408, which comes in
 * place of an answer where the request met the end of a connection that had been opened for one that was given up.
 */
const TRY_AGAIN = new Set([408, 409, 503])

/**
 * Publishes over HTTP as a careful producer does: with an `Idempotency-Key`, and the same request again,
 * to whichever API, until it is answered.
 */
export function startHttpProducer(options: ProducerOptions): Producer {
  const stopping = new AbortController()
  const crowd = createCrowd(WAITING_MAX)
  const badAnswers = new Map<string, number>()
  const publish = async () => {
    options.ledger.write(await publishOne(options, badAnswers))
  }
  const pacing = steadily(options.rate, stopping.signal, () => crowd.start(publish))
  return {
    badAnswers,
    skipped: crowd.skipped,
    async stop() {
      stopping.abort()
      await pacing
      await crowd.idle()
    },
  }
}

async function publishOne(
  options: ProducerOptions,
  badAnswers: Map<string, number>,
): Promise<PublishedLine> {
  const { system, random, nextNumber, aheadSeconds } = options
  const n = nextNumber()
  const tenant = random.pick(system.tenants)
  const deliverAt = chooseDeliverAt(random, aheadSeconds)
  const line = {
    n,
    via: 'http',
    tenant,
    deliverAt: deliverAt?.getTime() ?? null,
    id: null,
  } as const
  const orderingKey = chooseOrderingKey(options)
  const event = { tenant, type: 'chaos.http', data: { n }, ...(orderingKey && { orderingKey }) }
  const body = JSON.stringify(deliverAt ? { ...event, deliverAt } : event)
  const givesUpAt = performance.now() + PATIENCE_MS
  for (let tries = 1; performance.now() < givesUpAt; tries++) {
    const api = (n + tries) % system.urls.length
    const answer = await post(system.urls[api] ?? '', system.adminKey, `chaos-${n}`, body)
    if (answer?.status === 202) {
      const { id } = JSON.parse(answer.text)
      return { ...line, outcome: 'accepted', api, id, tries, at: Date.now() }
    }
    if (answer && !TRY_AGAIN.has(answer.status)) count(badAnswers, answer)
    const pauseMs = random.between(...RETRY_MS) * 2 ** Math.min(tries - 1, DOUBLED_MAX)
    await delay(pauseMs + (answer?.retryAfterMs ?? 0))
  }
  return { ...line, outcome: 'unknown', api: null, tries: 0, at: Date.now() }
}

interface Answer {
  status: number
  text: string
  /** What it asks for before the next try. */
  retryAfterMs: number
}

/** Null when the answer was lost. */
async function post(url: string, key: string, idempotencyKey: string, body: string) {
  try {
    const response = await fetch(`${url}/api/events`, {
      method: 'POST',
      headers: {
        authorization: `Bearer ${key}`,
        'content-type': 'application/json',
        'idempotency-key': idempotencyKey,
      },
      body,
      signal: AbortSignal.timeout(ANSWER_MS_MAX),
    })
    const retryAfterMs = Number(response.headers.get('retry-after') ?? 0) * 1000
    return { status: response.status, text: await response.text(), retryAfterMs } satisfies Answer
  } catch {
    return null
  }
}

function count(badAnswers: Map<string, number>, { status, text }: Answer): void {
  const name = `${status} ${/"code":"(\w+)"/.exec(text)?.[1] ?? text.slice(0, 100)}`
  badAnswers.set(name, (badAnswers.get(name) ?? 0) + 1)
}
