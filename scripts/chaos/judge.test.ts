import t from 'tap'
import { type Evidence, judge, type StoredAttempt } from './judge.ts'
import type { PublishedLine, ReceivedLine } from './ledger.ts'

const NOTHING_WRONG = {
  lost: 0,
  repeated: 0,
  repeatsExplained: 0,
  requestsWithoutAuditRow: 0,
  doubled: 0,
  ghosts: 0,
  halfStored: 0,
}

/** An event that one endpoint wanted and got at its first attempt; what a case changes makes it go wrong. */
function evidence(): Evidence & { published: [PublishedLine]; received: [ReceivedLine] } {
  return {
    published: [
      { n: 1, via: 'sql', outcome: 'accepted', tenant: 'acme', id: 'event', tries: 1, at: 1_000 },
    ],
    received: [request({ at: 1_500 })],
    stored: {
      events: [{ id: 'event', n: 1, tenant: 'acme' }],
      deliveries: [{ id: 'delivery', eventId: 'event', endpoint: '/hook', state: 'delivered' }],
      attempts: [attempt(1, 1_490, 'delivered')],
      markers: [1],
    },
    endpointsOf: new Map([['acme', ['/hook']]]),
  }
}

function request(values: Partial<ReceivedLine> = {}): ReceivedLine {
  return { id: 'event', endpoint: '/hook', n: 1, at: 1_500, answer: 'ok', ...values }
}

function attempt(number: number, startedAt: number, outcome: string): StoredAttempt {
  return { deliveryId: 'delivery', number, outcome, runner: 'one', startedAt }
}

t.test('an event that arrived once, with its attempt, is all right', async (t) => {
  t.match(judge(evidence()), { ...NOTHING_WRONG, accepted: 1, pairs: 1, delivered: 1, requests: 1 })
})

t.test('a retry after a refusal is all right', async (t) => {
  const { published, stored, ...rest } = evidence()
  stored.attempts = [attempt(1, 1_490, 'rejected'), attempt(2, 1_990, 'delivered')]
  const received = [request({ answer: 'unavailable' }), request({ at: 2_000 })]
  const verdict = judge({ ...rest, published, stored, received })
  t.match(verdict, { ...NOTHING_WRONG, delivered: 1, requests: 2 })
})

t.test('an acknowledged event that the receiver never accepted is lost', async (t) => {
  const gone = { events: [], deliveries: [], attempts: [], markers: [] }
  t.match(judge({ ...evidence(), received: [], stored: gone }), { lost: 1, delivered: 0 })
  const refused = { ...evidence(), received: [request({ answer: 'unavailable' })] }
  t.match(judge(refused), { lost: 1, delivered: 0 })
})

t.test('an event whose acknowledgement was lost has to arrive if it was stored', async (t) => {
  const { published, ...rest } = evidence()
  published[0].outcome = 'unknown'
  t.match(judge({ ...rest, published }), { ...NOTHING_WRONG, unknown: 1, pairs: 1, delivered: 1 })
  t.match(judge({ ...rest, published, received: [] }), { lost: 1 })
  const nothing = { events: [], deliveries: [], attempts: [], markers: [] }
  t.match(judge({ ...rest, published, received: [], stored: nothing }), {
    ...NOTHING_WRONG,
    pairs: 0,
  })
})

t.test('a delivery that is not final is not delivered', async (t) => {
  const { stored, ...rest } = evidence()
  for (const delivery of stored.deliveries) delivery.state = 'pending'
  t.match(judge({ ...rest, stored }), { lost: 0, pairs: 1, delivered: 0 })
})

t.test('a repeat needs an attempt that was cut off', async (t) => {
  const received = [request(), request({ at: 9_000 })]
  for (const outcome of ['abandoned', 'stale', 'interrupted', 'delivered', 'rejected']) {
    const { stored, ...rest } = evidence()
    stored.attempts = [attempt(1, 1_490, outcome), attempt(2, 8_990, 'delivered')]
    const isExplained = ['abandoned', 'stale', 'interrupted'].includes(outcome)
    t.match(
      judge({ ...rest, stored, received }),
      { repeated: 1, repeatsExplained: isExplained ? 1 : 0, requestsWithoutAuditRow: 0 },
      outcome,
    )
  }
})

t.test('a request needs an attempt that had begun before it', async (t) => {
  const twice = { ...evidence(), received: [request(), request({ at: 1_600 })] }
  t.match(judge(twice), { requestsWithoutAuditRow: 1 })
  const early = { ...evidence(), received: [request({ at: 1_400 })] }
  t.match(judge(early), { requestsWithoutAuditRow: 1 })
})

t.test('one publish that made two events is doubled', async (t) => {
  const { stored, ...rest } = evidence()
  stored.events.push({ id: 'another', n: 1, tenant: 'acme' })
  t.match(judge({ ...rest, stored }), { doubled: 1 })
})

t.test('an event that was rolled back, or that nobody published, is a ghost', async (t) => {
  const { published, ...rest } = evidence()
  published[0].outcome = 'not_stored'
  t.match(judge({ ...rest, published }), { ghosts: 1 })
  t.match(judge({ ...evidence(), received: [request(), request({ n: 7 })] }), { ghosts: 1 })
})

t.test(
  'an event without the change that it was published with is half a transaction',
  async (t) => {
    const { stored, ...rest } = evidence()
    t.match(judge({ ...rest, stored: { ...stored, markers: [] } }), { halfStored: 1 })
    t.match(judge({ ...rest, stored: { ...stored, events: [] } }), { halfStored: 1 })
  },
)
