import t from 'tap'
import { captureLog } from '../testing/log-lines.ts'
import { createCircuit } from './breaker.ts'

t.test('one that comes and goes is probed less and less, and fills no log', async (t) => {
  const { log, logged, names } = captureLog()
  const circuit = createCircuit({ probe: () => Promise.resolve(), log })
  t.teardown(() => circuit.stop())
  circuit.check()
  await logged('redis.connected')
  const downMs: number[] = []
  for (const n of [1, 2]) {
    const failedAt = performance.now()
    for (let again = 0; again < 10; again += 1) circuit.fail(new Error('lost'))
    t.notOk(circuit.isClosed())
    await logged('redis.restored', n)
    t.ok(circuit.isClosed())
    downMs.push(performance.now() - failedAt)
  }
  const [first = 0, second = 0] = downMs
  t.ok(second > first * 1.5, `away for ${first} ms, then for ${second} ms`)
  t.equal(names().filter((name) => name === 'redis.degraded').length, 2)
})

t.test('a circuit that was stopped probes and says nothing more', async (t) => {
  const { log, names } = captureLog()
  const answer = Promise.withResolvers<void>()
  let probes = 0
  const probe = () => {
    probes += 1
    return answer.promise
  }
  const circuit = createCircuit({ probe, log })
  circuit.check()
  circuit.stop()
  answer.resolve()
  await answer.promise
  circuit.check()
  circuit.fail(new Error('lost'))
  t.equal(probes, 1)
  t.notOk(circuit.isClosed())
  t.strictSame(names(), [])
})
