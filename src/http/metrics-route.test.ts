import t from 'tap'
import { createMetrics } from '../metrics.ts'
import { watchQueue } from '../queue/queue-metrics.ts'
import { createLineSteps } from '../testing/data/lines.ts'
import { createWork } from '../testing/data/work.ts'
import { createTestApi } from '../testing/wiring/api.ts'
import { createTestDatabase } from '../testing/wiring/database.ts'

const { pool } = await createTestDatabase(t)

t.test('/metrics counts answers by route pattern, never by path, and needs no key', async (t) => {
  const metrics = createMetrics({ version: '1.2.3' })
  const { request } = createTestApi(pool, { metrics })
  const work = await createWork(pool)
  await request('GET', `/api/tenants/${work.tenant.key}/endpoints/${work.endpoint.id}`)
  await request('GET', '/nowhere')
  const { status, text, headers } = await request('GET', '/metrics', { key: null })
  t.equal(status, 200)
  t.match(headers.get('content-type'), /^text\/plain/)
  t.match(
    text,
    /postrider_http_requests_total\{method="GET",route="\/api\/tenants\/:tenant\/endpoints\/:id",status="200"\} 1/,
  )
  t.notMatch(text, work.endpoint.id)
  t.notMatch(text, 'nowhere')
})

t.test('the queue is shown by task and state, with circuits and runners', async (t) => {
  const metrics = createMetrics({ version: '1' })
  watchQueue(metrics.registry, pool)
  const work = await createWork(pool)
  const delivery = await work.publish()
  await work.finish(await work.claim(delivery), 500, 60)
  const { text } = await metrics.render()
  t.match(text, /^postrider_jobs\{task="deliver",state="(?:scheduled|ready)"\} \d+$/m)
  t.match(text, /^postrider_circuits\{state="counting"\} 1$/m)
  t.match(text, /^postrider_runners\{state="live"\} \d+$/m)
})

t.test(
  'a state that nothing is in is shown as 0, so that rules need not tell it from no answer',
  async (t) => {
    const { pool } = await createTestDatabase(t)
    const metrics = createMetrics({ version: '1' })
    watchQueue(metrics.registry, pool)
    const { text } = await metrics.render()
    for (const line of [
      /^postrider_database_up 1$/m,
      /^postrider_jobs\{task="deliver",state="ready"\} 0$/m,
      /^postrider_jobs\{task="deliver",state="dead"\} 0$/m,
      /^postrider_oldest_due_seconds\{task="deliver"\} 0$/m,
      /^postrider_circuits\{state="open"\} 0$/m,
      /^postrider_runners\{state="live"\} 0$/m,
      /^postrider_deliveries_collapsed_total 0$/m,
    ]) {
      t.match(text, line)
    }
  },
)

t.test('each delivery that a newer one replaces is counted once, in every process', async (t) => {
  const { pool } = await createTestDatabase(t)
  const { runJobs } = createLineSteps(pool)
  const work = await createWork(pool, { collapse_ms: 3_600_000 })
  await work.publishInOrder('a', 'b', 'a', 'a')
  while ((await runJobs(work, 'advance')) > 0);
  for (const version of ['1', '2']) {
    const metrics = createMetrics({ version })
    watchQueue(metrics.registry, pool)
    const { text } = await metrics.render()
    t.match(text, /^# TYPE postrider_deliveries_collapsed_total counter$/m)
    t.match(text, /^postrider_deliveries_collapsed_total 2$/m)
  }
})

t.test('two services of one process that share their metrics show the queue once', async (t) => {
  const metrics = createMetrics({ version: '1' })
  watchQueue(metrics.registry, pool)
  watchQueue(metrics.registry, pool)
  t.match((await metrics.render()).text, /^postrider_database_up 1$/m)
})

t.test('while the database is away, its figures say so and all others are shown', async (t) => {
  const metrics = createMetrics({ version: '1' })
  watchQueue(metrics.registry, { query: () => Promise.reject(new Error('away')) } as never)
  const { text } = await metrics.render()
  t.match(text, /^postrider_build_info/m)
  t.match(text, /^postrider_database_up 0$/m)
})

t.test('a database that does not answer is not waited for, nor asked again', async (t) => {
  const metrics = createMetrics({ version: '1' })
  let asked = 0
  const query = () => {
    asked += 1
    return new Promise(() => undefined)
  }
  watchQueue(metrics.registry, { query } as never)
  t.match((await metrics.render()).text, /^postrider_database_up 0$/m)
  await metrics.render()
  t.equal(asked, 1)
})
