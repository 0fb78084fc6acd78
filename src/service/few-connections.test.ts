import pg from 'pg'
import t, { type Test } from 'tap'
import { isOutOfSessions } from '../postgres/outage.ts'
import { createRolesDatabase } from '../testing/servers/roles-server.ts'
import { untilAnswer } from '../testing/until.ts'
import { ADMIN_KEY, testConfig, testParts } from '../testing/wiring/api.ts'
import { openApi } from './start-api.ts'

/** An API on a server of few sessions, as a role for which none are reserved, and somebody who takes those that are left. */
async function bundle(t: Test) {
  const settings = { max_connections: '12' }
  const made = await createRolesDatabase(t, ['postrider_api'], { settings })
  const url = made?.urls.postrider_api ?? ''
  const { pools, ...shared } = testParts(new pg.Pool({ connectionString: url })).parts
  const api = openApi(testConfig({ DATABASE_URL: url }), shared)
  t.teardown(() => Promise.all([api.stop(), pools.api.end()]))
  const request = async (path: string, body?: object, method = 'POST') => {
    const response = await api.app.request(path, {
      headers: { authorization: `Bearer ${ADMIN_KEY}`, 'content-type': 'application/json' },
      ...(body && { method, body: JSON.stringify(body) }),
    })
    return { status: response.status, ...((await response.json()) as object) }
  }
  const ready = () => request('/ready')
  const publish = () => request('/api/events', { tenant: 'acme', type: 'a.b', data: 1 })
  await request('/api/tenants/acme', { name: 'Acme' }, 'PUT')
  return { ready, publish, takeRest: () => takeRest(t, url) }
}

/** Takes every session that is left, until `giveBack`. */
async function takeRest(t: Test, connectionString: string) {
  const taken: pg.Client[] = []
  const giveBack = () => Promise.all(taken.splice(0).map((client) => client.end()))
  t.teardown(giveBack)
  for (;;) {
    const client = new pg.Client({ connectionString })
    client.on('error', () => undefined)
    try {
      await client.connect()
      taken.push(client)
    } catch (error) {
      if (isOutOfSessions(error)) return { giveBack }
      throw error
    }
  }
}

// 384 of 384 events were refused while a load balancer was told that all was well.
t.test('an API that has no connection to publish with is not ready, and says why', async (t) => {
  const { ready, publish, takeRest } = await bundle(t)
  const { giveBack } = await takeRest()
  t.match(await publish(), { status: 503, code: 'database_unavailable' })
  t.match(await ready(), {
    status: 503,
    ready: false,
    checks: { database: 'no connection left to publish with: raise max_connections' },
  })
  await giveBack()
  t.match(await untilAnswer(ready, ({ status }) => status === 200), {
    checks: { database: 'reachable' },
  })
  await takeRest()
  t.match(await publish(), { status: 202 }, 'it keeps the connection that it was ready with')
  t.match(await ready(), { status: 200 })
})
