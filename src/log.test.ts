import { Writable } from 'node:stream'
import t from 'tap'
import { createLog } from './log.ts'

function bundle(level: Parameters<typeof createLog>[0] = 'info') {
  const lines: string[] = []
  const destination = new Writable({
    write: (chunk, _encoding, done) => {
      lines.push(String(chunk))
      done()
    },
  })
  return { lines, log: createLog(level, destination) }
}

t.test('a line is JSON with level, UTC time and event name', async (t) => {
  const { lines, log } = bundle()
  log.info({ attempt: 2 }, 'delivery.attempted')
  const line = JSON.parse(lines[0] ?? '')
  t.match(line, { level: 'info', attempt: 2, msg: 'delivery.attempted' })
  t.match(line.time, /^\d{4}-\d\d-\d\dT[\d:.]+Z$/)
})

t.test('secrets are not written, at the first and the second level', async (t) => {
  const { lines, log } = bundle()
  log.info({
    apiKey: 'hunter2',
    headers: { authorization: 'Bearer hunter2' },
    secrets: ['hunter2'],
  })
  t.notMatch(lines[0], 'hunter2')
  t.match(lines[0], '[redacted]')
})

t.test('what is below the level is not written', async (t) => {
  const { lines, log } = bundle('warn')
  log.info('delivery.attempted')
  log.warn('database.lost')
  t.equal(lines.length, 1)
  t.match(lines[0], 'database.lost')
})

t.test('an error is written with its message and stack', async (t) => {
  const { lines, log } = bundle()
  log.error({ err: new Error('broken', { cause: new Error('why') }) }, 'process.failed')
  t.match(JSON.parse(lines[0] ?? ''), { err: { message: /broken/, stack: /log\.test/ } })
})
