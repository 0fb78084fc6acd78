import t from 'tap'
import type { AttemptId, DeliveryId, EndpointId, EventId, TenantId } from '../ids.ts'
import { SecretUnreadable } from '../secrets/secrets.ts'
import type { AttemptResult } from '../sending/outcome.ts'
import type { SendRequest } from '../sending/send.ts'
import { InvalidSecret } from '../sending/signing-secret.ts'
import type { Claimed } from './claim.ts'
import {
  AttemptStale,
  createDeliver,
  type DeliverDependencies,
  notSent,
  sentTo,
  type Unreadable,
} from './deliver.ts'
import type { DeliveryAttempted } from './delivery-span.ts'
import type { Finished } from './finish.ts'

const WAKE_UP = { deliveryId: 'd' as DeliveryId, dueAttempt: 1 }

const CLAIMED: Claimed = {
  wokenId: 'd' as DeliveryId,
  deliveryId: 'd' as DeliveryId,
  attemptId: 'a' as AttemptId,
  attemptNumber: 1,
  scheduleStep: 0,
  abandonedCount: 0,
  tenantId: 't' as TenantId,
  endpointId: 'e' as EndpointId,
  eventId: 'v' as EventId,
  eventType: 'invoice.paid',
  body: '{}',
  waitedMs: 12.4,
  url: 'https://example.test/',
  headers: { 'x-one': '1' },
  timeoutSeconds: null,
  retrySchedule: null,
  secrets: ['sealed-new', 'sealed-old'],
  clientCertificate: null,
  clientKeyEncrypted: null,
  secretHeaders: {},
  traceparent: null,
  tracestate: null,
  shape: 'standard',
  shapeHeaders: null,
  signatureHeaders: {},
  webhookSignature: 'send',
}

const RESULT: AttemptResult = {
  outcome: 'rejected',
  statusCode: 500,
  reason: 'status_5xx',
  error: '500',
  durationMs: 5,
  timings: { dnsMs: null, connectMs: null, tlsMs: null, firstByteMs: null },
  requestHeaders: {},
  responseHeaders: {},
  responseBody: '',
  retryAfterSeconds: null,
}

/** Everything a case needs; `claimed` and `result` are what the case is about. */
function bundle({
  claimed = {},
  result = {},
  ...overrides
}: Partial<DeliverDependencies> & {
  claimed?: Partial<Claimed> | null
  result?: Partial<AttemptResult>
} = {}) {
  const sent: SendRequest[] = []
  const finished: Finished[] = []
  const lines: DeliveryAttempted[] = []
  const faults: unknown[] = []
  const held: Unreadable[] = []
  const deliver = createDeliver({
    claim: async () => claimed && { ...CLAIMED, ...claimed },
    send: async (request) => {
      sent.push(request)
      return { ...RESULT, ...result }
    },
    finish: async (one) => {
      finished.push(one)
      return 'pending'
    },
    decryptSecret: (sealed, endpointId) => `${endpointId}:${sealed}`,
    linkOf: ({ eventId }) => `https://example.com/${eventId}`,
    schedule: { delaysSeconds: [60, 120], jitter: 0.1, retryAfterMaxSeconds: 3600 },
    timeoutMs: 15_000,
    random: () => 0.5,
    holdUnreadable: async (unreadable) => held.push(unreadable) > 0,
    tracing: null,
    onFault: (error) => faults.push(error),
    log: (line) => lines.push(line),
    ...overrides,
  })
  return { deliver, sent, finished, lines, faults, held }
}

t.test('sends what was claimed, signed with every live secret', async (t) => {
  const { deliver, sent } = bundle()
  const { signal } = new AbortController()
  await deliver(WAKE_UP, signal)
  t.match(sent, [
    {
      url: CLAIMED.url,
      eventId: 'v',
      body: '{}',
      headers: { 'x-one': '1' },
      secrets: ['e:sealed-new', 'e:sealed-old'],
      timeoutMs: 15_000,
      signal,
    },
  ])
})

t.test('opens the key of a client certificate only when the sender asks', async (t) => {
  const opened: string[] = []
  const { deliver, sent } = bundle({
    claimed: { clientCertificate: 'chain', clientKeyEncrypted: 'sealed-key', secrets: [] },
    decryptSecret: (sealed, endpointId) => {
      opened.push(sealed)
      return `${endpointId}:${sealed}`
    },
  })
  await deliver(WAKE_UP)
  t.strictSame(opened, [])
  t.match(sent, [{ clientCertificate: { id: 'sealed-key', chain: 'chain' } }])
  t.equal(sent[0]?.clientCertificate?.openKey(), 'e:sealed-key')
})

t.test('does nothing when there is nothing to claim', async (t) => {
  const { deliver, sent, finished, lines } = bundle({ claimed: null })
  await deliver(WAKE_UP)
  t.same([sent, finished, lines], [[], [], []])
})

t.test('a failed attempt is tried again after the delay of its step', async (t) => {
  const { deliver, finished } = bundle({ claimed: { scheduleStep: 1 } })
  await deliver(WAKE_UP)
  t.match(finished, [{ deliveryId: 'd', attemptId: 'a', nextInSeconds: 120 }])
})

// Issue 14, 7: timeouts of events with which a receiver hangs opened its circuit.
t.test('a timeout is marked when the endpoint answered others meanwhile', async (t) => {
  const permit = { noteSent: () => undefined, isOvertaken: () => true }
  for (const [reason, isOvertaken] of [
    ['timeout_answer', true],
    ['timeout_connect', false],
    ['connection_closed', false],
  ] as const) {
    const result = { outcome: 'unreachable', statusCode: null, reason } as const
    const { deliver, finished } = bundle({ result })
    await deliver(WAKE_UP, undefined, permit)
    await deliver(WAKE_UP, undefined, { ...permit, isOvertaken: () => false })
    t.match(finished, [{ isOvertaken }, { isOvertaken: false }], reason)
  }
})

t.test('dials again for what was cut off before, perhaps with its connection', async (t) => {
  const newConnectionFor = async (claimed: Partial<Claimed>) => {
    const { deliver, sent } = bundle({ claimed })
    await deliver(WAKE_UP)
    return sent[0]?.newConnection
  }
  t.equal(await newConnectionFor({ attemptNumber: 1, scheduleStep: 0 }), false)
  t.equal(await newConnectionFor({ attemptNumber: 2, scheduleStep: 1 }), false, 'it had failed')
  t.equal(await newConnectionFor({ attemptNumber: 2, scheduleStep: 0 }), true)
})

t.test('gives up once the schedule is used up', async (t) => {
  const { deliver, finished } = bundle({ claimed: { scheduleStep: 2 } })
  await deliver(WAKE_UP)
  t.match(finished, [{ nextInSeconds: null }])
})

t.test('an endpoint has its own schedule and timeout', async (t) => {
  const { deliver, sent, finished } = bundle({
    claimed: { scheduleStep: 2, retrySchedule: [1, 2, 7], timeoutSeconds: 3 },
  })
  await deliver(WAKE_UP)
  t.equal(sent[0]?.timeoutMs, 3_000)
  t.match(finished, [{ nextInSeconds: 7 }])
})

t.test('Retry-After stretches the delay up to its cap', async (t) => {
  for (const [asked, waits] of [
    [59, 60],
    [61, 61],
    [9_999, 3_600],
  ]) {
    const { deliver, finished } = bundle({ result: { retryAfterSeconds: asked ?? null } })
    await deliver(WAKE_UP)
    t.match(finished, [{ nextInSeconds: waits }])
  }
})

t.test('success, a blocked address and 410 are final', async (t) => {
  for (const result of [
    { outcome: 'delivered', statusCode: 200 },
    { outcome: 'blocked', statusCode: null, reason: 'blocked_address' },
    { outcome: 'blocked', statusCode: null, reason: 'blocked_url' },
    { outcome: 'rejected', statusCode: 410 },
  ] as const) {
    const { deliver, finished } = bundle({ result })
    await deliver(WAKE_UP)
    t.match(finished, [{ nextInSeconds: null, result }])
  }
})

// Issue 14: one look-up that gave 0.0.0.0 ended the delivery.
t.test(
  'a name that leads to a blocked address is tried again until its schedule is used up',
  async (t) => {
    const result = { outcome: 'blocked', statusCode: null, reason: 'blocked_name' } as const
    for (const [scheduleStep, nextInSeconds] of [
      [0, 60],
      [1, 120],
      [2, null],
    ] as const) {
      const { deliver, finished } = bundle({ claimed: { scheduleStep }, result })
      await deliver(WAKE_UP)
      t.match(finished, [{ nextInSeconds, result }])
    }
  },
)

t.test('an attempt that a shutdown cut off is handed on at once', async (t) => {
  const { deliver, finished } = bundle({ result: { outcome: 'interrupted', statusCode: null } })
  await deliver(WAKE_UP)
  t.match(finished, [{ nextInSeconds: 0 }])
})

t.test('a secret that no key opens has its endpoint held, and costs no step', async (t) => {
  const { deliver, sent, finished, faults, held } = bundle({
    decryptSecret: (sealed) => {
      if (sealed === 'sealed-new') return 'open'
      throw new SecretUnreadable('no key fits')
    },
  })
  await deliver(WAKE_UP)
  t.same(sent, [])
  t.match(finished, [
    { nextInSeconds: 0, result: { outcome: 'interrupted', reason: 'secret_unreadable' } },
  ])
  t.match(faults, [{ message: 'no key fits' }])
  t.same(held, [{ endpointId: 'e', sealed: ['sealed-old'], detail: 'no key fits' }])
})

t.test('where the endpoint could not be held, the delivery waits for a minute', async (t) => {
  const { deliver, finished } = bundle({
    decryptSecret: () => {
      throw new SecretUnreadable('no key fits')
    },
    holdUnreadable: async () => false,
  })
  await deliver(WAKE_UP)
  t.match(finished, [{ nextInSeconds: 60 }])
})

t.test('so has a client key that cannot be opened, and a secret that cannot sign', async (t) => {
  const certificate = { clientCertificate: 'chain', clientKeyEncrypted: 'sealed-key' }
  const ofKey = bundle({
    claimed: certificate,
    decryptSecret: (sealed) => {
      if (sealed !== 'sealed-key') return 'open'
      throw new SecretUnreadable('no key fits')
    },
    send: async ({ clientCertificate }) => {
      clientCertificate?.openKey()
      return RESULT
    },
  })
  await ofKey.deliver(WAKE_UP)
  t.match(ofKey.held, [{ sealed: ['sealed-key'] }])

  const ofSign = bundle({
    claimed: certificate,
    send: () => Promise.reject(new InvalidSecret('is no key')),
  })
  await ofSign.deliver(WAKE_UP)
  t.match(ofSign.held, [{ sealed: ['sealed-new', 'sealed-old'], detail: 'is no key' }])
  t.match(ofSign.finished, [{ result: { reason: 'secret_unreadable' } }])
})

// It was tried again every minute for ever, as it cost no step (issue 14).
t.test('another fault of ours takes the schedule, to its end', async (t) => {
  for (const [scheduleStep, nextInSeconds] of [
    [0, 60],
    [1, 120],
    [2, null],
  ] as const) {
    const { deliver, finished, faults, held } = bundle({
      claimed: { scheduleStep },
      send: () => Promise.reject(new TypeError('a bug')),
    })
    await deliver(WAKE_UP)
    t.match(finished, [{ nextInSeconds, result: { outcome: 'interrupted', reason: 'fault' } }])
    t.match(faults, [{ message: 'a bug' }])
    t.same(held, [])
  }
})

t.test('an event whose data is gone is blocked, not sent', async (t) => {
  const { deliver, sent, finished } = bundle({ claimed: { body: null } })
  await deliver(WAKE_UP)
  t.same(sent, [])
  t.match(finished, [{ nextInSeconds: null, result: { outcome: 'blocked', reason: 'erased' } }])
  t.equal(finished[0]?.url, undefined, 'no URL was asked')
})

t.test('where it was sent is told of a request that was made, and of no other', async (t) => {
  const unmade = notSent({ outcome: 'unreachable', reason: 'fault', error: 'x' })
  const made = { ...unmade, requestHeaders: { host: 'example.test' } }
  t.equal(sentTo(CLAIMED.url, made), CLAIMED.url)
  t.equal(sentTo(CLAIMED.url, unmade), undefined)
  t.equal(sentTo(CLAIMED.url, { ...made, outcome: 'blocked' }), undefined)
})

t.test('a stale finish is thrown, so that the job is not completed', async (t) => {
  const { deliver, lines } = bundle({ finish: async () => 'stale' })
  await t.rejects(deliver(WAKE_UP), AttemptStale)
  t.match(lines, [{ verdict: 'stale' }])
})

t.test('a fault of ours is thrown, so that graphile-worker retries', async (t) => {
  const { deliver } = bundle({ claim: () => Promise.reject(new Error('no database')) })
  await t.rejects(deliver(WAKE_UP), { message: 'no database' })
})

t.test('writes one line an attempt, without payload or headers', async (t) => {
  const { deliver, lines } = bundle()
  await deliver(WAKE_UP)
  t.same(lines, [
    {
      tenantId: 't',
      endpointId: 'e',
      eventId: 'v',
      eventType: 'invoice.paid',
      deliveryId: 'd',
      attemptId: 'a',
      attempt: 1,
      outcome: 'rejected',
      statusCode: 500,
      reason: 'status_5xx',
      error: '500',
      durationMs: 5,
      ageMs: 17,
      verdict: 'pending',
      nextInSeconds: 60,
    },
  ])
})
