import t from 'tap'
import { judge } from './judge.ts'
import { attempt, evidence, request } from './sample-evidence.ts'

const NOTHING_WRONG = {
  lost: 0,
  early: 0,
  inversions: 0,
  repeated: 0,
  repeatsExplained: 0,
  requestsWithoutAuditRow: 0,
  doubled: 0,
  twoIds: 0,
  ghosts: 0,
  halfStored: 0,
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

/** Evidence, and two events of one key in the place of its only one. */
function twoOfOneKey() {
  const { stored, ...rest } = evidence()
  const [first] = stored.events
  if (!first) throw new Error('there is an event')
  const one = { ...first, key: 'a', position: 1 }
  const two = { ...first, id: 'two', n: 2, key: 'a', position: 2 }
  return { stored, rest, one, two }
}

t.test('a request before an earlier event of its key has arrived is an inversion', async (t) => {
  const { stored, rest, one, two } = twoOfOneKey()
  const sent = (at: number, answer: 'ok' | 'unavailable' = 'ok') =>
    request({ id: 'two', at, answer })
  const judged = (events: typeof stored.events, received = [request({ at: 1_500 }), sent(1_600)]) =>
    judge({ ...rest, stored: { ...stored, events }, received })
  t.match(judged([one, two]), { inOrder: 2, inversions: 0 })
  t.match(judged([one, two], [request({ at: 1_500 }), sent(1_500)]), { inversions: 0 })
  t.match(judged([one, two], [request({ at: 1_500 }), sent(1_499)]), { inversions: 1 })
  const refused = [request({ at: 1_400, answer: 'unavailable' }), sent(1_450, 'unavailable')]
  t.match(judged([one, two], [...refused, request({ at: 1_500 }), sent(1_600)]), { inversions: 1 })
  t.match(judged([two, { ...one, position: 3 }]), { inversions: 1 }, 'whatever their numbers are')
  t.match(judged([one, { ...two, key: 'b' }], [request({ at: 2_000 }), sent(1_600)]), {
    inversions: 0,
  })
  t.match(judged([{ ...one, isErased: true }, two], [sent(1_600)]), { inversions: 0 })
})

t.test(
  'where the newest is enough, what is collapsed is missed by nobody, but for the last',
  async (t) => {
    const { stored, rest, one, two } = twoOfOneKey()
    const deliveries = [
      { id: 'delivery', eventId: 'event', endpoint: '/hook', state: 'collapsed' },
      { id: 'other', eventId: 'two', endpoint: '/hook', state: 'delivered' },
    ]
    const judged = (events: typeof stored.events, received = [request({ id: 'two' })]) =>
      judge({
        ...rest,
        stored: { ...stored, events, deliveries },
        received,
        collapsing: new Set(['/hook']),
      })
    const right = {
      pairs: 1,
      lost: 0,
      delivered: 1,
      collapsed: 1,
      lastStates: 1,
      lastStatesLost: 0,
    }
    t.match(judged([one, two]), right)
    t.match(judged([one, two], []), { lost: 1, lastStatesLost: 1 })
    t.match(
      judged([{ ...one, position: 3 }, two]),
      { lastStatesLost: 1 },
      'the last one was collapsed',
    )
    t.match(judged([one, { ...two, isErased: true }], []), { lastStates: 0, lastStatesLost: 0 })
  },
)

t.test('a request before the time of its event is early', async (t) => {
  const { published, ...rest } = evidence()
  published[0].deliverAt = 1_502
  t.match(judge({ ...rest, published }), { ...NOTHING_WRONG, scheduled: 1, delivered: 1 })
  published[0].deliverAt = 1_503
  t.match(judge({ ...rest, published }), { early: 1 })
  published[0].outcome = 'unknown'
  t.match(judge({ ...rest, published }), { early: 1, scheduled: 0 }, 'whatever its producer knows')
})

t.test('one publish that made two events is doubled', async (t) => {
  const { stored, ...rest } = evidence()
  stored.events.push({
    id: 'another',
    n: 1,
    tenant: 'acme',
    isErased: false,
    key: null,
    position: null,
  })
  t.match(judge({ ...rest, stored }), { doubled: 1 })
})

t.test(
  'one publish that anybody was told two ids of has two, wherever they were told',
  async (t) => {
    const { stored, published, ...rest } = evidence()
    stored.events = [
      { id: 'another', n: 1, tenant: 'acme', isErased: false, key: null, position: null },
    ]
    t.match(
      judge({ ...rest, published, stored }),
      { doubled: 0, twoIds: 1 },
      'stored a second time',
    )
    const received = [request(), request({ id: 'another', at: 1_600 })]
    t.match(judge({ ...evidence(), received }), { doubled: 0, twoIds: 1 }, 'received before')
    published[0].id = 'another'
    t.match(judge({ ...evidence(), published }), { doubled: 0, twoIds: 1 }, 'acknowledged')
  },
)

t.test('an event that was rolled back, or that nobody published, is a ghost', async (t) => {
  const { published, ...rest } = evidence()
  published[0].outcome = 'not_stored'
  t.match(judge({ ...rest, published }), { ghosts: 1 })
  t.match(judge({ ...evidence(), received: [request(), request({ n: 7 })] }), { ghosts: 1 })
  const { stored, ...others } = evidence()
  for (const event of stored.events) event.n = null
  t.match(judge({ ...others, stored }), { ghosts: 1 }, 'or that nobody is known to have erased')
})

t.test(
  'an event without the change that it was published with is half a transaction',
  async (t) => {
    const { stored, ...rest } = evidence()
    t.match(judge({ ...rest, stored: { ...stored, markers: [] } }), { halfStored: 1 })
    t.match(judge({ ...rest, stored: { ...stored, events: [] } }), { halfStored: 1 })
  },
)

t.test('an event that was erased need not arrive', async (t) => {
  const { stored, ...rest } = evidence()
  for (const event of stored.events) event.isErased = true
  t.match(judge({ ...rest, stored, received: [] }), { ...NOTHING_WRONG, pairs: 0 })
})
