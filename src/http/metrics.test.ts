import t from 'tap'
import { watchQueue } from '../database/queue-metrics.ts'
import { createMetrics } from '../metrics.ts'
import { createTestApi } from '../testing/api.ts'
import { createTestDatabase } from '../testing/database.ts'
import { createWork } from '../testing/work.ts'

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

t.test('while the database is away the figures of before are shown', async (t) => {
  const metrics = createMetrics({ version: '1' })
  watchQueue(metrics.registry, { query: () => Promise.reject(new Error('away')) } as never)
  t.match((await metrics.render()).text, /postrider_build_info/)
})
