import pLimit from 'p-limit'
import t from 'tap'
import type { DeliveryId, EndpointId, TenantId } from '../ids.ts'
import type { ReleaseResult } from '../limits/endpoint-permits.ts'
import type { AttemptResult } from '../sending/outcome.ts'
import { createLimited, type LimitedDependencies } from './limited.ts'
import type { Snoozed } from './snooze.ts'

const WAKE_UP = { deliveryId: 'd' as DeliveryId, dueAttempt: 1 }
const ENDPOINT = 'e' as EndpointId
const TENANT = 't' as TenantId
const RESULT: AttemptResult = {
  outcome: 'delivered',
  statusCode: 200,
  reason: null,
  error: null,
  durationMs: 5,
  timings: { dnsMs: null, connectMs: null, tlsMs: null, firstByteMs: null },
  requestHeaders: {},
  responseHeaders: {},
  responseBody: '',
  retryAfterSeconds: null,
}

function bundle(overrides: Partial<LimitedDependencies> = {}) {
  const snoozed: Snoozed[] = []
  const left: ReleaseResult[] = []
  const connects: unknown[] = []
  const entered: unknown[] = []
  const delivered: unknown[] = []
  const limited = createLimited({
    limitsOf: () => ({
      tenantId: TENANT,
      ratePerSecond: null,
      rateVersion: 0,
      maxInFlight: null,
      timeoutSeconds: null,
    }),
    inFlight: {
      acquire: (_, limits) => {
        entered.push(limits)
        return {
          release: (result, _tookMs, connectMs) => {
            left.push(result)
            connects.push(connectMs)
          },
          noteSent: () => undefined,
          isOvertaken: () => false,
          retryInMs: null,
        }
      },
    },
    rateLimiter: { reserve: async () => t.fail('asked for a slot without a rate') as never },
    snooze: async (one) => void snoozed.push(one),
    deliver: async (wakeUp) => {
      delivered.push(wakeUp)
      return RESULT
    },
    timeoutMs: 15_000,
    limit: pLimit(2),
    ...overrides,
  })
  return { limited, snoozed, left, connects, entered, delivered }
}

t.test('without limits it delivers, and gives back its permit', async (t) => {
  const { limited, delivered, left, entered, snoozed } = bundle()
  await limited(WAKE_UP, ENDPOINT, null)
  t.same([delivered, left, snoozed], [[WAKE_UP], ['answered'], []])
  t.match(entered, [{ tenantId: TENANT, timeoutMs: 15_000, maxInFlight: null }])
})

t.test('without a permit the job is put off and nothing is claimed', async (t) => {
  const { limited, snoozed, delivered } = bundle({
    inFlight: { acquire: () => ({ release: null, retryInMs: 400 }) },
  })
  await limited(WAKE_UP, ENDPOINT, null)
  t.match(snoozed, [{ wakeUp: WAKE_UP, endpointId: ENDPOINT, waitMs: 400, reservation: null }])
  t.same(delivered, [])
})

t.test(
  'over its rate the job is put off with its slot, and the permit is given back',
  async (t) => {
    const reservation = { at: 1, rateVersion: 5 }
    const { limited, snoozed, delivered, left } = bundle({
      limitsOf: () => ({
        tenantId: TENANT,
        ratePerSecond: 2,
        rateVersion: 5,
        maxInFlight: 7,
        timeoutSeconds: 3,
      }),
      rateLimiter: { reserve: async () => ({ waitMs: 500, reservation }) },
    })
    await limited(WAKE_UP, ENDPOINT, null)
    t.match(snoozed, [{ waitMs: 500, reservation, limits: { rateVersion: 5, maxInFlight: 7 } }])
    t.same([delivered, left], [[], ['other']])
  },
)

t.test('the slot that a job has waited for is presented', async (t) => {
  const presented: unknown[] = []
  const reservation = { at: 1, rateVersion: 5 }
  const { limited, delivered, entered } = bundle({
    limitsOf: () => ({
      tenantId: TENANT,
      ratePerSecond: 2,
      rateVersion: 5,
      maxInFlight: 7,
      timeoutSeconds: 3,
    }),
    rateLimiter: {
      reserve: async (...asked) => {
        presented.push(asked)
        return { waitMs: 0, reservation: null }
      },
    },
  })
  await limited(WAKE_UP, ENDPOINT, reservation)
  t.match(presented, [[ENDPOINT, { ratePerSecond: 2, rateVersion: 5 }, reservation]])
  t.match(entered, [{ maxInFlight: 7, timeoutMs: 3_000 }])
  t.equal(delivered.length, 1)
})

t.test('how the attempt ended says how much the endpoint bears', async (t) => {
  for (const [result, expected] of [
    [{ outcome: 'rejected', statusCode: 400, reason: 'status_4xx' }, 'answered'],
    [{ outcome: 'rejected', statusCode: 500, reason: 'status_5xx' }, 'failed'],
    [{ outcome: 'rejected', statusCode: 429, reason: 'status_4xx' }, 'busy'],
    [{ outcome: 'rejected', statusCode: 503, reason: 'status_5xx' }, 'busy'],
    [{ outcome: 'unreachable', reason: 'timeout_answer' }, 'hung'],
    [{ outcome: 'unreachable', reason: 'timeout_connect' }, 'timeout'],
    [{ outcome: 'unreachable', reason: 'connection_refused' }, 'refused'],
    [{ outcome: 'unreachable', reason: 'connection_closed' }, 'refused'],
    // One that was reset in the handshake, which is how a balancer sheds load, shrank nothing.
    [{ outcome: 'unreachable', reason: 'tls_failed' }, 'refused'],
    // Issue 14: what an error is was guessed from how its text begins.
    [{ outcome: 'unreachable', reason: 'dns_failed', error: 'timeout: of words' }, 'other'],
    [{ outcome: 'unreachable', reason: 'timeout_tls', error: 'in other words' }, 'timeout'],
    [null, 'other'],
  ] as const) {
    const { limited, left } = bundle({ deliver: async () => result && { ...RESULT, ...result } })
    await limited(WAKE_UP, ENDPOINT, null)
    t.same(left, [expected])
  }
})

t.test('how long a new connection took is said along with it', async (t) => {
  const timings = { ...RESULT.timings, connectMs: 951 }
  const { limited, connects } = bundle({ deliver: async () => ({ ...RESULT, timings }) })
  await limited(WAKE_UP, ENDPOINT, null)
  t.same(connects, [951])
})

t.test('the permit is given back when delivering fails through a fault of ours', async (t) => {
  const { limited, left } = bundle({ deliver: () => Promise.reject(new Error('no database')) })
  await t.rejects(limited(WAKE_UP, ENDPOINT, null), { message: 'no database' })
  t.same(left, ['other'])
})

t.test(
  'while jobs are put off, which takes as long as it takes, others are delivered',
  async (t) => {
    const { promise: committed, resolve: commit } = Promise.withResolvers<void>()
    const FULL = 'full' as EndpointId
    const { limited, delivered } = bundle({
      inFlight: {
        acquire: (id) =>
          id === FULL
            ? { release: null, retryInMs: 400 }
            : {
                release: () => undefined,
                noteSent: () => undefined,
                isOvertaken: () => false,
                retryInMs: null,
              },
      },
      snooze: () => committed,
    })
    const putOff = Array.from({ length: 5 }, () => limited(WAKE_UP, FULL, null))
    await limited(WAKE_UP, ENDPOINT, null)
    t.equal(delivered.length, 1)
    commit()
    await Promise.all(putOff)
  },
)

t.test('no more jobs than may be in flight wait for a permit at a time', async (t) => {
  let looked = 0
  const { promise: never } = Promise.withResolvers<never>()
  const { limited } = bundle({
    inFlight: {
      acquire: () => {
        looked += 1
        return never
      },
    },
  })
  for (let n = 0; n < 5; n += 1) void limited(WAKE_UP, ENDPOINT, null)
  await new Promise((resolve) => setImmediate(resolve))
  t.equal(looked, 2)
})
