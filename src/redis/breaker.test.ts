import t from 'tap'
import { captureLog } from '../testing/log-lines.ts'
import { Breaker } from './breaker.ts'

t.test('one that comes and goes is probed less and less, and fills no log', async (t) => {
  const { log, logged, names } = captureLog()
  const breaker = new Breaker({ probe: () => Promise.resolve(), log })
  t.teardown(() => breaker.stop())
  breaker.check()
  await logged('redis.connected')
  const downMs: number[] = []
  for (const n of [1, 2]) {
    const failedAt = performance.now()
    for (let again = 0; again < 10; again += 1) breaker.fail(new Error('lost'))
    t.notOk(breaker.isClosed())
    await logged('redis.restored', n)
    t.ok(breaker.isClosed())
    downMs.push(performance.now() - failedAt)
  }
  const [first = 0, second = 0] = downMs
  t.ok(second > first * 1.5, `away for ${first} ms, then for ${second} ms`)
  t.equal(names().filter((name) => name === 'redis.degraded').length, 2)
})

t.test('a breaker that was stopped probes and says nothing more', async (t) => {
  const { log, names } = captureLog()
  const answer = Promise.withResolvers<void>()
  let probes = 0
  const probe = () => {
    probes += 1
    return answer.promise
  }
  const breaker = new Breaker({ probe, log })
  breaker.check()
  breaker.stop()
  answer.resolve()
  await answer.promise
  breaker.check()
  breaker.fail(new Error('lost'))
  t.equal(probes, 1)
  t.notOk(breaker.isClosed())
  t.strictSame(names(), [])
})
