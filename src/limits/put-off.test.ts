import t from 'tap'
import type { EndpointId } from '../ids.ts'
import { type Acquired, EndpointPermits, type ReleaseResult } from './endpoint-permits.ts'
import { PutOffEndpoints } from './put-off.ts'
import { TenantPermits } from './tenant-permits.ts'

const [A, B] = ['a', 'b'] as EndpointId[]
const WITHIN_MS = 250

function bundle(concurrency = 250) {
  const clock = { ms: 1_000_000 }
  const options = { concurrency, now: () => clock.ms, random: () => 0 }
  const [endpoints, tenants] = [new EndpointPermits(options), new TenantPermits(options)]
  const putOff = new PutOffEndpoints({ endpoints, tenants, now: () => clock.ms })
  const note = (endpointId = A as EndpointId, retryInMs = 300_000, maxInFlight = 1_000) =>
    putOff.note(endpointId, { tenantId: 't', maxInFlight, retryInMs })
  /** Takes permits until there is none. */
  const fill = () => {
    const entered: Extract<Acquired, { retryInMs: null }>[] = []
    for (;;) {
      const entry = endpoints.acquire('a')
      if (!entry.release) return entered
      entered.push(entry)
    }
  }
  const answer = (result: ReleaseResult, tookMs: number, times = 1) => {
    for (let n = 0; n < times; n += 1) {
      const entry = endpoints.acquire('a')
      clock.ms += tookMs
      entry.release?.(result, tookMs)
    }
  }
  return {
    clock,
    endpoints,
    tenants,
    putOff,
    note,
    fill,
    answer,
    room: () => putOff.room(WITHIN_MS),
  }
}

t.test('there is room for nobody where nothing was put off for a second', async (t) => {
  const { room, note } = bundle()
  t.strictSame(room(), [])
  note(A, 999)
  t.strictSame(room(), [])
  note(A, 1_000)
  t.match(room(), [{ endpointId: A }])
})

t.test('as many as permits are free, or come back soon', async (t) => {
  const { room, note, endpoints, answer } = bundle()
  note()
  answer('answered', 1_000, 50)
  t.strictSame(
    room(),
    [{ endpointId: A, count: 5 }],
    'four, and one of four that are held for a second',
  )
  endpoints.acquire('a')
  t.strictSame(room(), [{ endpointId: A, count: 4 }])
})

t.test('and no more than one statement takes', async (t) => {
  const { room, note, answer } = bundle()
  note()
  answer('answered', 1, 100)
  t.strictSame(room(), [{ endpointId: A, count: 250 }])
})

t.test('its own limit bounds them', async (t) => {
  const { room, note, answer } = bundle()
  note(A, 300_000, 2)
  answer('answered', 1_000, 50)
  t.strictSame(room(), [{ endpointId: A, count: 2 }])
})

t.test('none while all permits of its share are in use, or somebody waits for one', async (t) => {
  const { room, note, fill, endpoints, answer } = bundle()
  note()
  answer('answered', 10, 50)
  const [first, second] = fill()
  t.strictSame(room(), [])
  const waiting = endpoints.acquireSoon('a')
  t.strictSame(room(), [])
  first?.release('answered', 10)
  ;(await waiting).release?.('answered', 10)
  second?.release('answered', 10)
  t.match(room(), [{ endpointId: A }])
})

for (const result of ['timeout', 'hung', 'refused', 'busy'] as const) {
  t.test(`none after it said ${result}, until it answers`, async (t) => {
    const { room, note, answer } = bundle()
    note()
    answer(result, 1_000)
    t.strictSame(room(), [])
    answer('other', 1)
    t.strictSame(room(), [], 'it was not asked')
    answer('failed', 1)
    t.strictSame(room(), [], 'it may be down')
    answer('answered', 1)
    t.match(room(), [{ endpointId: A }])
  })
}

t.test(
  'none while its tenant has no permits, and all its endpoints share those there are',
  async (t) => {
    const { room, note, tenants, clock } = bundle(20)
    note(A)
    note(B)
    const taken = Array.from({ length: 18 }, () => tenants.acquire('t', false))
    t.strictSame(room(), [])
    clock.ms += 1_000
    for (const { release } of taken.slice(0, 3)) release?.(1_000)
    const counts = room().map(({ count }) => count)
    t.equal(
      counts.reduce((sum, count) => sum + count, 0),
      7,
      'three, and a quarter of 18 that are held for a second',
    )
  },
)

t.test('none while others have all places of the endpoint, and then again', async (t) => {
  const { room, note, putOff, clock } = bundle()
  note()
  putOff.noteElsewhere(A as EndpointId)
  t.strictSame(room(), [])
  clock.ms += 5_000
  t.strictSame(room(), [])
  clock.ms += 1
  t.match(room(), [{ endpointId: A }])
})

t.test('what has come by itself is forgotten, as is what nobody found', async (t) => {
  const { room, note, putOff, clock } = bundle()
  note(A, 300_000)
  note(A, 2_000)
  note(B)
  clock.ms += 300_000
  t.equal(room().length, 2, 'until the last has come')
  putOff.forget(B as EndpointId)
  t.match(room(), [{ endpointId: A }])
  clock.ms += 1
  t.strictSame(room(), [])
})
