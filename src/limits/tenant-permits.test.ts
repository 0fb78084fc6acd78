import t from 'tap'
import { TenantPermits } from './tenant-permits.ts'

/** Tenants of a runner, and a clock that goes only when told to. */
function bundle({ concurrency = 250, random = 0 } = {}) {
  const clock = { ms: 0 }
  const tenants = new TenantPermits({ concurrency, now: () => clock.ms, random: () => random })
  const acquire = (id: string, isSlow = false) => tenants.acquire(id, isSlow)
  /** Takes all permits that there are. */
  const fill = (id: string, isSlow = false) => {
    const entered: (() => void)[] = []
    for (;;) {
      const { release } = acquire(id, isSlow)
      if (!release) return entered
      entered.push(release)
      if (entered.length > concurrency) throw new Error('there is no end to the permits')
    }
  }
  return { clock, tenants, acquire, fill }
}

t.test(
  'a tenant that is alone gets nearly all permits, and one is free for the next',
  async (t) => {
    for (const [concurrency, most] of [
      [1, 1],
      [2, 1],
      [3, 2],
      [9, 8],
      [10, 9],
      [11, 10],
      [50, 45],
      [250, 225],
    ] as const) {
      const { fill } = bundle({ concurrency })
      t.equal(fill('a').length, most)
      t.equal(fill('b').length > 0, concurrency > most)
    }
  },
)

t.test('several that want as much as they can get have the same', async (t) => {
  const { acquire, fill } = bundle()
  const taken = { a: 0, b: 0, c: 0 }
  for (let found = true; found; ) {
    found = false
    for (const id of ['a', 'b', 'c'] as const) {
      if (!acquire(id).release) continue
      taken[id] += 1
      found = true
    }
  }
  t.ok(Math.max(...Object.values(taken)) - Math.min(...Object.values(taken)) <= 1, taken)
  t.ok(taken.a > 75 && fill('d').length > 0, 'and there is one free for a fourth')
})

t.test('the last permit of a small runner is for a tenant that has none', async (t) => {
  const { acquire, fill } = bundle({ concurrency: 3 })
  const [first] = fill('a')
  t.ok(acquire('b').release)
  first?.()
  t.equal(acquire('a').release, null, 'who has one')
  t.equal(acquire('b').release, null, 'who has one')
  t.ok(acquire('c').release)
})

t.test('a permit that was given back is free again, once, and for another as well', async (t) => {
  const { fill } = bundle()
  const [first, second] = fill('a')
  const ofOther = fill('b').length
  first?.()
  first?.()
  t.equal(fill('a').length, 0, 'those of the other count')
  t.equal(fill('b').length, 1)
  second?.()
  t.ok(ofOther > 20)
})

t.test('slow endpoints of a tenant get a fifth, and its others are not held up', async (t) => {
  const { fill } = bundle()
  const slow = fill('a', true)
  t.equal(slow.length, 50)
  t.equal(fill('a').length, 225 - 50)
  slow[0]?.()
  t.equal(fill('a', true).length, 0, 'they count among all of the tenant')
  t.equal(fill('a').length, 1)
})

t.test('a small runner has a permit for a slow endpoint', async (t) => {
  t.equal(bundle({ concurrency: 1 }).fill('a', true).length, 1)
  t.equal(bundle({ concurrency: 10 }).fill('a', true).length, 2)
})

t.test('ten tenants whose endpoints are all slow leave permits to others', async (t) => {
  const { fill } = bundle()
  for (let n = 0; n < 10; n += 1) fill(`slow ${n}`, true)
  t.ok(fill('other').length >= 20)
})

t.test(
  'who waits for a tenant of which nothing is known gives back permits to others',
  async (t) => {
    const { tenants, fill, clock } = bundle()
    fill('a') // 25 are free
    const entries = Array.from({ length: 25 }, () => tenants.acquireSoon('a', false))
    t.equal(entries.filter((entry) => entry instanceof Promise).length, 20)
    clock.ms += 1_001
    t.ok((await Promise.all(entries)).every(({ release }) => release === null))
  },
)

t.test('nobody waits for a tenant where nothing moves', async (t) => {
  const { tenants, fill, clock } = bundle()
  const [first] = fill('a')
  clock.ms += 10
  first?.()
  fill('a')
  clock.ms += 251
  t.match(tenants.acquireSoon('a', false), { release: null })
})

t.test('who finds no permit of a quick tenant gets the next that is left', async (t) => {
  const { tenants, fill, clock } = bundle()
  const [first, second] = fill('a')
  clock.ms += 10
  first?.()
  fill('a')
  const waiting = tenants.acquireSoon('a', false)
  t.ok(waiting instanceof Promise)
  second?.()
  t.ok((await waiting).release)
})

t.test('a permit that one tenant gives back may be for one of another who waits', async (t) => {
  const { tenants, fill, clock } = bundle()
  const ofA = fill('a')
  const [first] = fill('b')
  clock.ms += 10
  first?.()
  fill('b')
  const waiting = tenants.acquireSoon('b', false)
  t.ok(waiting instanceof Promise)
  ofA[0]?.()
  t.ok((await waiting).release)
})

t.test('who waits in vain is told when to come', async (t) => {
  const { tenants, fill, clock } = bundle()
  const [first] = fill('a')
  clock.ms += 10
  first?.()
  fill('a')
  const waiting = tenants.acquireSoon('a', false)
  clock.ms += 251
  t.match(await waiting, { release: null, retryInMs: 250 })
})

t.test('a minute in which our database does not answer puts nobody off for longer', async (t) => {
  const { acquire, fill, clock } = bundle({ concurrency: 3 })
  const { release } = acquire('a')
  clock.ms += 60_000
  release?.(20)
  t.equal(fill('a').length, 2)
  t.equal(acquire('a').retryInMs, 1_020, 'the second in line, at two permits that take 1,020 ms')
})

t.test('of 10,000 that wait for hanging endpoints few come back at a time', async (t) => {
  const { acquire, fill, clock } = bundle({ random: 0.25 })
  for (let n = 0; n < 200; n += 1) {
    const { release } = acquire('a', true)
    clock.ms += 60_000
    release?.()
  }
  fill('a', true) // 50 permits, each held for a minute: one is free every 1.2 s
  const retries = Array.from({ length: 10_000 }, () => acquire('a', true).retryInMs ?? 0)
  const queued = retries.filter((retryInMs) => retryInMs !== 187_500)
  t.ok(queued.length > 200 && queued.length < 300, `${queued.length} in the next five minutes`)
  t.ok(Math.max(...retries) <= 300_000)
})

t.test(
  'while nothing is given back, those that are put off come back more and more seldom',
  async (t) => {
    const { tenants, fill, clock } = bundle({ random: 0.5 })
    fill('a') // 225
    const within = (ms: number) => {
      let count = 0
      while ((tenants.acquire('a', false).retryInMs ?? 0) <= ms) count += 1
      return count
    }
    t.ok(within(2_000) > 400, 'as if each were held for a second')
    clock.ms += 20_000
    t.ok(within(2_000) < 30, 'for twenty')
  },
)
