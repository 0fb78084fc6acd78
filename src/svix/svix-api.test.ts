import t from 'tap'
import { ADMIN_KEY, createTestApi } from '../testing/wiring/api.ts'
import { createTestDatabase } from '../testing/wiring/database.ts'

const { pool } = await createTestDatabase(t)
const headers = { authorization: `Bearer ${ADMIN_KEY}` }

t.test('nothing of it is there unless it is switched on', async (t) => {
  const { app } = createTestApi(pool)
  const answer = await app.request('/api/v1/health/ping')
  t.equal(answer.status, 404)
  t.match(await answer.json(), { code: 'route_not_found' })
})

t.test('refusals are JSON as SDKs read it', async (t) => {
  const { app } = createTestApi(pool, { svixApi: true })
  t.equal((await app.request('/api/v1/health/ping/')).status, 204)
  t.equal((await app.request('/api/v1/health')).status, 200)
  const unknown = await app.request('/api/v1/app/nope', { headers })
  t.equal(unknown.status, 404)
  t.strictSame(await unknown.json(), { code: 'not_found', detail: 'Entity not found' })
  const stranger = await app.request('/api/v1/app/nope')
  t.equal(stranger.status, 401)
  t.match(await stranger.json(), { code: 'authentication_failed', detail: String })
})
