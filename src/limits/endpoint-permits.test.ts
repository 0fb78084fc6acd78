import t from 'tap'
import { type Acquired, EndpointPermits } from './endpoint-permits.ts'

function bundle({ concurrency = 250, random = 0 } = {}) {
  const clock = { ms: 1_000_000 }
  const permits = new EndpointPermits({ concurrency, now: () => clock.ms, random: () => random })
  /** Takes permits until there is no permit, and brings those who found one. */
  const fill = (id = 'a', max?: number) => {
    const entered: Extract<Acquired, { retryInMs: null }>[] = []
    for (;;) {
      const entry = permits.acquire(id, max)
      if (!entry.release) return entered
      entered.push(entry)
      if (entered.length > concurrency) throw new Error('there is no end to the permits')
    }
  }
  /** Answers until there are no more permits to get, and brings who has them. */
  const grown = (id = 'a', max?: number) => {
    let entered = fill(id, max)
    for (let before = 0; entered.length > before; ) {
      before = entered.length
      clock.ms += 1
      for (const { release } of entered) release('answered', 10)
      entered = fill(id, max)
    }
    return entered
  }
  const acquire = (id = 'a') => {
    const entry = permits.acquire(id)
    if (!entry.release) throw new Error(`no permit for ${id}`)
    return entry
  }
  return { clock, permits, fill, grown, acquire }
}

t.test('an endpoint begins with 4 permits, another with the same', async (t) => {
  const { fill } = bundle()
  t.equal(fill('a').length, 4)
  t.equal(fill('b').length, 4)
})

t.test('one that answers well gets up to 225 of 250 permits', async (t) => {
  const { grown } = bundle()
  t.equal(grown().length, 225)
})

t.test('it gets no more than it uses', async (t) => {
  const { fill, acquire } = bundle()
  for (let n = 0; n < 1_000; n += 1) acquire().release('answered')
  t.equal(fill().length, 4)
})

t.test('a permit that was given back is free again, once', async (t) => {
  const { fill } = bundle()
  const [first, second] = fill()
  first?.release('failed')
  first?.release('failed')
  t.equal(fill().length, 1)
  second?.release('other')
  t.equal(fill().length, 1)
})

for (const result of ['timeout', 'refused', 'busy'] as const) {
  t.test(`its share is halved when it says ${result}, whatever is in flight`, async (t) => {
    const { fill, grown, clock } = bundle()
    const entered = grown()
    clock.ms += 1
    entered[0]?.release(result)
    t.equal(fill().length, 0, 'those in flight beyond the smaller share stay')
    for (const { release } of entered.slice(1, 113)) release('other')
    t.equal(fill().length, 0)
    entered[113]?.release('other')
    t.equal(fill().length, 1)
  })
}

t.test('of one that hangs, or that nothing listens at, one permit is left', async (t) => {
  for (const result of ['timeout', 'refused'] as const) {
    const { fill, clock } = bundle()
    const entered = fill()
    clock.ms += 1
    for (const { release } of entered) release(result)
    t.equal(fill().length, 1)
  }
})

t.test('of one that is busy and answers so, half', async (t) => {
  const { fill, clock } = bundle()
  const entered = fill()
  clock.ms += 1
  for (const { release } of entered) release('busy')
  t.equal(fill().length, 2)
})

for (const [connectMs, left] of [
  [20 + 949, 4],
  [20 + 950, 2],
] as const) {
  t.test(
    `a connection of ${connectMs} ms where others take 20 leaves ${left} permits`,
    async (t) => {
      const { fill, clock } = bundle()
      const [quick, slow, ...others] = fill()
      clock.ms += 1
      quick?.release('failed', 10, 20)
      slow?.release('answered', 10, connectMs)
      for (const { release } of others) release('other', 10, null)
      t.equal(fill().length, left)
    },
  )
}

// Through a proxy, by way of dead addresses or far away each takes long, and the share stayed at four for good.
t.test(
  'where each connection takes long, only the first is taken for a repeated one',
  async (t) => {
    const { fill, clock } = bundle()
    let entered = fill()
    for (let round = 0; round < 40; round += 1) {
      clock.ms += 1
      for (const { release } of entered) release('answered', 10, 2_000)
      entered = fill()
    }
    t.ok(entered.length > 4, `${entered.length} permits`)
    clock.ms += 1
    entered[0]?.release('answered', 10, 2_950)
    t.equal(fill().length, 0)
  },
)

t.test('an error of the receiver, and what it never saw, change nothing', async (t) => {
  const { fill } = bundle()
  for (let n = 0; n < 10; n += 1) {
    for (const { release } of fill()) release(n % 2 === 0 ? 'failed' : 'other')
  }
  t.equal(fill().length, 4)
})

t.test('an endpoint that nothing was sent to for a minute begins again', async (t) => {
  const { fill, grown, clock, permits } = bundle()
  for (const { release } of grown()) release('other')
  t.match(permits.inUse(), [{ endpointId: 'a', share: 225, inFlight: 0 }])
  clock.ms += 60_000
  t.equal(permits.inUse().length, 1)
  clock.ms += 1
  t.same(permits.inUse(), [])
  t.equal(fill().length, 4)
})

t.test('a small runner gives one endpoint one permit at least', async (t) => {
  for (const [concurrency, most] of [
    [1, 1],
    [2, 1],
    [10, 9],
    [20, 18],
  ] as const) {
    const { grown } = bundle({ concurrency })
    t.equal(grown('a').length, most)
  }
})

t.test('its own smaller limit holds, a larger one does not', async (t) => {
  const { fill, grown } = bundle()
  t.equal(fill('a', 3).length, 3)
  t.equal(grown('b', 1_000).length, 225)
})

t.test('those who find no permit are told to come as permits get free', async (t) => {
  const { clock, permits, acquire } = bundle()
  for (let n = 0; n < 100; n += 1) {
    const { release } = acquire()
    clock.ms += 4_000
    release('answered')
  }
  for (const _ of [1, 2]) permits.acquire('a', 2) // each held for 4 s: one permit is free every 2 s
  const retries = [1, 2, 3].map(() => permits.acquire('a', 2).retryInMs ?? 0)
  for (const [n, retryInMs] of retries.entries()) t.ok(Math.abs(retryInMs - 2_000 * (n + 1)) < 50)
})

t.test('a minute in which our database does not answer puts nobody off for longer', async (t) => {
  const { clock, permits, acquire } = bundle()
  const { release } = acquire()
  clock.ms += 60_000
  release('answered', 20)
  for (const _ of [1, 2]) permits.acquire('a', 2)
  t.equal(permits.acquire('a', 2).retryInMs, 510, 'a second around 20 ms, for two permits')
})

t.test('who found a permit here and none among the runners stands in the same queue', async (t) => {
  const { permits } = bundle()
  permits.acquire('a', 1)
  const [one, two] = [permits.retryInMs('a', 1), permits.acquire('a', 1).retryInMs]
  t.strictSame([one, two, permits.retryInMs('a', 1)], [1_000, 2_000, 3_000])
})

t.test('nobody is told to come sooner than the queue looks', async (t) => {
  const { clock, permits, acquire, fill } = bundle()
  for (let n = 0; n < 100; n += 1) {
    const { release } = acquire()
    clock.ms += 1
    release('answered')
  }
  fill()
  t.equal(permits.acquire('a').retryInMs, 250)
})

t.test('of 10,000 that wait for a hanging endpoint few come back at a time', async (t) => {
  const { clock, permits, acquire, fill } = bundle({ random: 0.25 })
  for (let n = 0; n < 50; n += 1) {
    const { release } = acquire()
    clock.ms += 15_000
    release('timeout')
  }
  fill() // one permit, held for 15 s each time
  const retries = Array.from({ length: 10_000 }, () => permits.acquire('a').retryInMs ?? 0)
  const queued = retries.filter((retryInMs) => retryInMs !== 187_500)
  t.ok(queued.length > 20 && queued.length < 30, `${queued.length} in the next five minutes`)
  t.equal(new Set(queued).size, queued.length, 'each at its own time')
  t.ok(Math.max(...retries) <= 300_000)
})

t.test('the queue of a slow endpoint is gone when it answers again', async (t) => {
  const { permits, acquire, fill } = bundle()
  acquire().release('timeout')
  const [first] = fill()
  for (let n = 0; n < 1_000; n += 1) permits.acquire('a')
  first?.release('answered')
  fill()
  t.ok((permits.acquire('a').retryInMs ?? 0) < 1_000)
})

/** An endpoint whose permits are all taken, and are held so long. */
function full(holdMs: number) {
  const made = bundle()
  for (let n = 0; n < 200; n += 1) {
    const { release } = made.acquire()
    made.clock.ms += holdMs
    release('answered')
  }
  return { ...made, entered: made.fill() }
}

t.test('who finds no permit at a quick endpoint gets the next one that is left', async (t) => {
  const { permits, entered, clock } = full(10)
  const waiting = [permits.acquireSoon('a'), permits.acquireSoon('a')]
  entered[0]?.release('answered')
  const first = await waiting[0]
  t.ok(first?.release)
  t.equal(permits.acquire('a').release, null, 'it is taken')
  clock.ms += 10
  first?.release?.('answered')
  t.ok((await waiting[1])?.release)
})

t.test('who waits in vain is told when to come', async (t) => {
  const { permits } = full(10)
  const entry = await permits.acquireSoon('a')
  t.equal(entry.release, null)
  t.ok(Number(entry.retryInMs) >= 250)
  t.equal(permits.acquire('a').release, null)
})

t.test('the queue is as long as permits get free in a second', async (t) => {
  const { permits } = full(2_000) // 225 permits: one is free every 8.9 ms
  const entries = Array.from({ length: 113 }, () => permits.acquireSoon('a'))
  t.equal(entries.filter((entry) => entry instanceof Promise).length, 112)
  t.match(entries.at(-1), { release: null, retryInMs: Number })
  await Promise.all(entries)
})

for (const [holdMs, patienceMs] of [
  [10, 250],
  [600, 600],
  [3_000, 999],
] as const) {
  t.test(
    `where permits are held for ${holdMs} ms, one still waits when none was given back for ${patienceMs} ms`,
    async (t) => {
      const { permits, clock } = full(holdMs)
      clock.ms += patienceMs
      const last = permits.acquireSoon('a')
      t.ok(last instanceof Promise)
      if (patienceMs < 999) {
        clock.ms += 1
        t.match(permits.acquireSoon('a'), { release: null }, 'and nobody after that')
      }
      await last
    },
  )
}

t.test('who has its own smaller limit waits until there are fewer', async (t) => {
  const { permits, entered } = full(10)
  for (const { release } of entered.slice(0, 208)) release('answered')
  const waiting = permits.acquireSoon('a', 2)
  entered[208]?.release('answered')
  t.ok((await waiting).release)
})

t.test(
  'all wait at a new endpoint until a moment has passed without its first answer',
  async (t) => {
    const { permits, fill, clock } = bundle()
    const [first] = fill()
    const waiting = Array.from({ length: 246 }, () => permits.acquireSoon('a'))
    t.ok(waiting.every((entry) => entry instanceof Promise))
    clock.ms += 20
    first?.release('answered', 20)
    t.ok((await waiting[0])?.release)
    clock.ms += 251
    t.match(permits.acquireSoon('a'), { release: null })
    const others = await Promise.all(waiting.slice(2))
    t.ok(others.every(({ retryInMs }) => retryInMs !== null))
  },
)

t.test('one that timed out or took ten seconds is slow until it is quick again', async (t) => {
  const { permits, acquire } = bundle()
  t.notOk(permits.isSlow('a'), 'unknown')
  for (const [result, tookMs, isSlow] of [
    ['answered', 9_999, false],
    ['answered', 10_000, true],
    ['other', 1, true],
    ['failed', 9_999, false],
    ['timeout', 1_000, true],
    ['refused', 1, false],
  ] as const) {
    acquire().release(result, tookMs)
    t.equal(permits.isSlow('a'), isSlow, `${result} after ${tookMs} ms`)
  }
})

t.test('that it is slow is known for an hour', async (t) => {
  const { permits, acquire, fill, clock } = bundle()
  acquire().release('timeout')
  clock.ms += 3_600_000
  t.equal(fill().length, 2)
  t.ok(permits.isSlow('a'))
})

t.test('while nothing is given back, more and more are let in, up to a tenth of all', async (t) => {
  const { fill, clock } = bundle()
  fill()
  const more: number[] = []
  for (const ms of [999, 1, 1_000, 1_000, 1_000, 1_000, 60_000]) {
    clock.ms += ms
    more.push(fill().length)
  }
  t.strictSame(more, [0, 1, 2, 4, 8, 6, 0], 'with the first four, 25')
})

t.test('its own limit stays the bound meanwhile', async (t) => {
  const { fill, clock } = bundle()
  t.equal(fill('a', 4).length, 4)
  clock.ms += 60_000
  t.equal(fill('a', 4).length, 0)
})

// Issue 14, 7: of a receiver that hangs with some events no other event arrived within 14 s.
t.test(
  'requests that hang take no part of the share once one begun later is answered',
  async (t) => {
    const { fill, clock } = bundle()
    const hanging = fill()
    for (const { noteSent } of hanging) noteSent()
    clock.ms += 2_000
    const [scout, ...others] = fill()
    for (const { release } of others) release('other')
    clock.ms += 10
    scout?.release('answered', 10)
    t.equal(fill().length, 5)
  },
)

t.test('and they make it no smaller', async (t) => {
  const { fill, grown, clock } = bundle()
  const [hanging, ...others] = fill()
  hanging?.noteSent()
  clock.ms += 1
  for (const { release } of others) release('answered', 1)
  clock.ms += 1
  fill()[0]?.release('answered', 1)
  clock.ms += 15_000
  t.ok(hanging?.isOvertaken())
  hanging?.release('hung')
  t.ok(grown().length > 4)
})

t.test('only what was sent before one that is answered is overtaken', async (t) => {
  const { fill, clock } = bundle()
  const [before, answered, after, unsent] = fill()
  before?.noteSent()
  clock.ms += 1
  answered?.noteSent()
  clock.ms += 1
  after?.noteSent()
  t.notOk(before?.isOvertaken(), 'nothing is answered yet')
  answered?.release('answered', 1)
  t.strictSame(
    [before, after, unsent].map((one) => one?.isOvertaken()),
    [true, false, false],
  )
})

t.test('one that hangs alone halves it, as does one that took no request', async (t) => {
  for (const result of ['hung', 'timeout'] as const) {
    const { fill, clock } = bundle()
    const [first, ...others] = fill()
    first?.noteSent()
    clock.ms += 1
    if (result === 'timeout') {
      for (const { release } of others) release('other')
      clock.ms += 1
      const [later, ...rest] = fill()
      later?.release('answered', 1)
      for (const { release } of rest) release('other')
    } else for (const { release } of others) release('answered', 1)
    clock.ms += 15_000
    first?.release(result)
    t.ok(fill().length < 4, result)
  }
})

t.test('where too much was under way in the last minute, those that hang count', async (t) => {
  const { fill, clock } = bundle()
  const [busy, ...hanging] = fill()
  busy?.release('busy')
  hanging[0]?.noteSent()
  for (const { release } of hanging.splice(1)) release('other')
  clock.ms += 10
  fill()[0]?.release('answered', 10)
  clock.ms += 59_990
  t.equal(fill().length, 1, 'of two')
})
