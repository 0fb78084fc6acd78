import t from 'tap'
import { createPlaces, type Entry } from './places.ts'

function bundle({ concurrency = 250, random = 0 } = {}) {
  const clock = { ms: 1_000_000 }
  const places = createPlaces({ concurrency, now: () => clock.ms, random: () => random })
  /** Enters until there is no place, and brings those who found one. */
  const fill = (id = 'a', max?: number) => {
    const entered: Extract<Entry, { retryInMs: null }>[] = []
    for (;;) {
      const entry = places.enter(id, max)
      if (!entry.leave) return entered
      entered.push(entry)
      if (entered.length > concurrency) throw new Error('there is no end to the places')
    }
  }
  /** Answers until there are no more places to get, and brings who has them. */
  const grown = (id = 'a', max?: number) => {
    let entered = fill(id, max)
    for (let before = 0; entered.length > before; ) {
      before = entered.length
      clock.ms += 1
      for (const { leave } of entered) leave('answered', 10)
      entered = fill(id, max)
    }
    return entered
  }
  const enter = (id = 'a') => {
    const entry = places.enter(id)
    if (!entry.leave) throw new Error(`no place for ${id}`)
    return entry
  }
  return { clock, places, fill, grown, enter }
}

t.test('an endpoint begins with 4 places, another with the same', async (t) => {
  const { fill } = bundle()
  t.equal(fill('a').length, 4)
  t.equal(fill('b').length, 4)
})

t.test('one that answers well gets up to 210 of 250 places', async (t) => {
  const { grown } = bundle()
  t.equal(grown().length, 210)
})

t.test('it gets no more than it uses', async (t) => {
  const { fill, enter } = bundle()
  for (let n = 0; n < 1_000; n += 1) enter().leave('answered')
  t.equal(fill().length, 4)
})

t.test('a place that was left is free again, once', async (t) => {
  const { fill } = bundle()
  const [first, second] = fill()
  first?.leave('failed')
  first?.leave('failed')
  t.equal(fill().length, 1)
  second?.leave('other')
  t.equal(fill().length, 1)
})

for (const result of ['timeout', 'refused', 'busy'] as const) {
  t.test(`its share is halved when it says ${result}, whatever is in flight`, async (t) => {
    const { fill, grown, clock } = bundle()
    const entered = grown()
    clock.ms += 1
    entered[0]?.leave(result)
    t.equal(fill().length, 0, 'those in flight beyond the smaller share stay')
    for (const { leave } of entered.slice(1, 105)) leave('other')
    t.equal(fill().length, 0)
    entered[105]?.leave('other')
    t.equal(fill().length, 1)
  })
}

t.test('of one that hangs, or that nothing listens at, one place is left', async (t) => {
  for (const result of ['timeout', 'refused'] as const) {
    const { fill, clock } = bundle()
    const entered = fill()
    clock.ms += 1
    for (const { leave } of entered) leave(result)
    t.equal(fill().length, 1)
  }
})

t.test('of one that is busy and answers so, half', async (t) => {
  const { fill, clock } = bundle()
  const entered = fill()
  clock.ms += 1
  for (const { leave } of entered) leave('busy')
  t.equal(fill().length, 2)
})

t.test('an error of the receiver, and what it never saw, change nothing', async (t) => {
  const { fill } = bundle()
  for (let n = 0; n < 10; n += 1) {
    for (const { leave } of fill()) leave(n % 2 === 0 ? 'failed' : 'other')
  }
  t.equal(fill().length, 4)
})

t.test('an endpoint that nothing was sent to for a minute begins again', async (t) => {
  const { fill, grown, clock, places } = bundle()
  for (const { leave } of grown()) leave('other')
  t.match(places.inUse(), [{ endpointId: 'a', share: 210, inFlight: 0 }])
  clock.ms += 60_000
  t.equal(places.inUse().length, 1)
  clock.ms += 1
  t.same(places.inUse(), [])
  t.equal(fill().length, 4)
})

t.test('a small runner gives one endpoint one place at least', async (t) => {
  for (const [concurrency, most] of [
    [1, 1],
    [2, 1],
    [10, 8],
    [20, 16],
  ] as const) {
    const { grown } = bundle({ concurrency })
    t.equal(grown('a').length, most)
  }
})

t.test('its own smaller limit holds, a larger one does not', async (t) => {
  const { fill, grown } = bundle()
  t.equal(fill('a', 3).length, 3)
  t.equal(grown('b', 1_000).length, 210)
})

t.test('those who find no place are told to come as places get free', async (t) => {
  const { clock, places, enter } = bundle()
  for (let n = 0; n < 100; n += 1) {
    const { leave } = enter()
    clock.ms += 4_000
    leave('answered')
  }
  for (const _ of [1, 2]) places.enter('a', 2) // each held for 4 s: one place is free every 2 s
  const retries = [1, 2, 3].map(() => places.enter('a', 2).retryInMs ?? 0)
  for (const [n, retryInMs] of retries.entries()) t.ok(Math.abs(retryInMs - 2_000 * (n + 1)) < 50)
})

t.test('who found a place here and none among the runners stands in the same queue', async (t) => {
  const { places } = bundle()
  places.enter('a', 1)
  const [one, two] = [places.retryInMs('a', 1), places.enter('a', 1).retryInMs]
  t.strictSame([one, two, places.retryInMs('a', 1)], [1_000, 2_000, 3_000])
})

t.test('nobody is told to come sooner than the queue looks', async (t) => {
  const { clock, places, enter, fill } = bundle()
  for (let n = 0; n < 100; n += 1) {
    const { leave } = enter()
    clock.ms += 1
    leave('answered')
  }
  fill()
  t.equal(places.enter('a').retryInMs, 250)
})

t.test('of 10,000 that wait for a hanging endpoint few come back at a time', async (t) => {
  const { clock, places, enter, fill } = bundle({ random: 0.25 })
  for (let n = 0; n < 50; n += 1) {
    const { leave } = enter()
    clock.ms += 15_000
    leave('timeout')
  }
  fill() // one place, held for 15 s each time
  const retries = Array.from({ length: 10_000 }, () => places.enter('a').retryInMs ?? 0)
  const queued = retries.filter((retryInMs) => retryInMs !== 187_500)
  t.ok(queued.length > 20 && queued.length < 30, `${queued.length} in the next five minutes`)
  t.equal(new Set(queued).size, queued.length, 'each at its own time')
  t.ok(Math.max(...retries) <= 300_000)
})

t.test('the queue of a slow endpoint is gone when it answers again', async (t) => {
  const { places, enter, fill } = bundle()
  enter().leave('timeout')
  const [first] = fill()
  for (let n = 0; n < 1_000; n += 1) places.enter('a')
  first?.leave('answered')
  fill()
  t.ok((places.enter('a').retryInMs ?? 0) < 1_000)
})

/** An endpoint whose places are all taken, and are held so long. */
function full(holdMs: number) {
  const made = bundle()
  for (let n = 0; n < 200; n += 1) {
    const { leave } = made.enter()
    made.clock.ms += holdMs
    leave('answered')
  }
  return { ...made, entered: made.fill() }
}

t.test('who finds no place at a quick endpoint gets the next one that is left', async (t) => {
  const { places, entered, clock } = full(10)
  const waiting = [places.enterSoon('a'), places.enterSoon('a')]
  entered[0]?.leave('answered')
  const first = await waiting[0]
  t.ok(first?.leave)
  t.equal(places.enter('a').leave, null, 'it is taken')
  clock.ms += 10
  first?.leave?.('answered')
  t.ok((await waiting[1])?.leave)
})

t.test('who waits in vain is told when to come', async (t) => {
  const { places } = full(10)
  const entry = await places.enterSoon('a')
  t.equal(entry.leave, null)
  t.ok(Number(entry.retryInMs) >= 250)
  t.equal(places.enter('a').leave, null)
})

t.test('the line is as long as places get free in 250 ms', async (t) => {
  const { places } = full(2_000) // 210 places: one is free every 9.5 ms
  const entries = Array.from({ length: 27 }, () => places.enterSoon('a'))
  t.equal(entries.filter((entry) => entry instanceof Promise).length, 26)
  t.match(entries.at(-1), { leave: null, retryInMs: Number })
  await Promise.all(entries)
})

t.test('nobody waits at an endpoint where no place was left for 250 ms', async (t) => {
  const { places, clock } = full(10)
  clock.ms += 250
  const last = places.enterSoon('a')
  t.ok(last instanceof Promise)
  clock.ms += 1
  t.match(places.enterSoon('a'), { leave: null })
  await last
})

t.test('who has its own smaller limit waits until there are fewer', async (t) => {
  const { places, entered } = full(10)
  for (const { leave } of entered.slice(0, 208)) leave('answered')
  const waiting = places.enterSoon('a', 2)
  entered[208]?.leave('answered')
  t.ok((await waiting).leave)
})

t.test(
  'all wait at a new endpoint until a moment has passed without its first answer',
  async (t) => {
    const { places, fill, clock } = bundle()
    const [first] = fill()
    const waiting = Array.from({ length: 246 }, () => places.enterSoon('a'))
    t.ok(waiting.every((entry) => entry instanceof Promise))
    clock.ms += 20
    first?.leave('answered', 20)
    t.ok((await waiting[0])?.leave)
    clock.ms += 251
    t.match(places.enterSoon('a'), { leave: null })
    const others = await Promise.all(waiting.slice(2))
    t.ok(others.every(({ retryInMs }) => retryInMs !== null))
  },
)

t.test('one that timed out or took ten seconds is slow until it is quick again', async (t) => {
  const { places, enter } = bundle()
  t.notOk(places.isSlow('a'), 'unknown')
  for (const [result, tookMs, isSlow] of [
    ['answered', 9_999, false],
    ['answered', 10_000, true],
    ['other', 1, true],
    ['failed', 9_999, false],
    ['timeout', 1_000, true],
    ['refused', 1, false],
  ] as const) {
    enter().leave(result, tookMs)
    t.equal(places.isSlow('a'), isSlow, `${result} after ${tookMs} ms`)
  }
})

t.test('that it is slow is known for an hour', async (t) => {
  const { places, enter, fill, clock } = bundle()
  enter().leave('timeout')
  clock.ms += 3_600_000
  t.equal(fill().length, 2)
  t.ok(places.isSlow('a'))
})
