import t from 'tap'
import type { Fault } from '../faults.ts'
import type { Life } from '../supervisor.ts'
import { abandonedForNothing } from './cut-off.ts'

const attempt = (changes: object = {}) => ({
  ...{
    deliveryId: 'd',
    number: 1,
    outcome: 'abandoned',
    trigger: 'schedule',
    batchId: null,
    runner: 'r',
    startedAt: 100_000,
    finishedAt: null,
  },
  ...changes,
})
const life = (runnerId: string, asked: NodeJS.Signals | null) => ({ runnerId, asked }) as Life
const fault = (kind: Fault['kind'], at: number, until: number): Fault => ({
  ...{ kind, at, until, pid: null },
})
const calm = { lives: [], reaped: new Set<string>(), faults: [] as Fault[] }

t.test('an attempt of a runner to which nothing happened was abandoned for nothing', (t) => {
  t.match(abandonedForNothing([attempt(), attempt({ outcome: 'stale' })], calm), [{}, {}])
  t.same(abandonedForNothing([attempt({ outcome: 'delivered' })], calm), [])
  t.end()
})

t.test(
  'a runner that was killed or found dead explains it, a stopped or another one does not',
  (t) => {
    const found = (lives: Life[], reaped: string[] = []) =>
      abandonedForNothing([attempt()], { ...calm, lives, reaped: new Set(reaped) }).length
    t.equal(found([life('r', 'SIGKILL')]), 0)
    t.equal(found([life('r', 'SIGTERM')]), 1)
    t.equal(found([life('other', 'SIGKILL')]), 1)
    t.equal(found([], ['r']), 0)
    t.end()
  },
)

t.test('connections that were cut around its time explain it', (t) => {
  const found = (...faults: Fault[]) => abandonedForNothing([attempt()], { ...calm, faults }).length
  t.equal(found(fault('terminate backends', 129_999, 129_999)), 0)
  t.equal(found(fault('terminate backends', 130_000, 130_000)), 1)
  t.equal(found(fault('restart postgres fast', 60_000, 70_001)), 0)
  t.equal(found(fault('restart postgres fast', 60_000, 70_000)), 1)
  t.equal(found(fault('kill redis', 100_000, 100_001)), 1)
  t.end()
})
