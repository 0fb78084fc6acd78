import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { secretBox } from '../testing/data/encryption.ts'
import { createTenant } from '../testing/data/tenant.ts'
import { startReceiver } from '../testing/servers/receiver.ts'
import { createTestDatabase } from '../testing/wiring/database.ts'
import { startService } from '../testing/wiring/service.ts'

const { pool, url } = await createTestDatabase(t)
const guide = readFileSync(join(import.meta.dirname, '../../docs/explanation/scaling.md'), 'utf8')

/** The table of docs/explanation/scaling.md: who, as pg_stat_activity says, and how many connections at most. */
const BUDGET = [...guide.matchAll(/^\| (API|runner) \| `([\w -]+?)(?: <id>)?` \| (\d+) \|/gm)].map(
  ([, process, name = '', max]) => ({ process, name, max: Number(max) }),
)

/** Connections of the services by the line of the table that they belong to. */
async function connections(): Promise<Record<string, number>> {
  const { rows } = await pool.query<{ application_name: string }>(
    `select application_name from pg_stat_activity
     where datname = current_database() and application_name like 'postrider%'`,
  )
  const counts: Record<string, number> = {}
  for (const { application_name: name } of rows) {
    const line = name.replace(/^(postrider-\w+) .*/, '$1')
    counts[line] = (counts[line] ?? 0) + 1
  }
  return counts
}

t.test('the guide adds up what a process opens', async (t) => {
  const sum = (of: string) =>
    BUDGET.filter(({ process }) => process === of).reduce((all, { max }) => all + max, 0)
  const [, api, runner] = /API: \*\*(\d+)\*\*, runner: \*\*(\d+)\*\*/.exec(guide) ?? []
  t.equal(sum('API'), Number(api))
  t.equal(sum('runner'), Number(runner))
})

t.test('an API and a runner under load open no more connections than the guide says', async (t) => {
  const receiver = await startReceiver()
  t.teardown(() => receiver.close())
  const tenant = await createTenant(pool)
  await tenant.addEndpoint({ url: receiver.url }, secretBox.encrypt)
  const env = { DATABASE_URL: url }
  const [api, runner] = await Promise.all([
    startService(t, 'api', env),
    startService(t, 'runner', env),
  ])
  const peak: Record<string, number> = {}
  let looking: Promise<void> | null = null
  const look = async () => {
    for (const [name, count] of Object.entries(await connections())) {
      peak[name] = Math.max(peak[name] ?? 0, count)
    }
    looking = null
  }
  /** Looks at the connections whenever something is answered, once at a time; resolves with the events that are stored. */
  const call = async (path: string, body?: object): Promise<number> => {
    const response = await fetch(api.url + path, {
      method: body ? 'POST' : 'GET',
      headers: { authorization: 'Bearer test-admin-key', 'content-type': 'application/json' },
      ...(body && { body: JSON.stringify(body) }),
    })
    const answer = (await response.json()) as { data?: unknown[] }
    looking ??= look()
    if (response.status !== 202) return 0 // on a busy machine some are told to come again
    return answer.data?.length ?? 1
  }
  const event = { tenant: tenant.key, type: 'a.b', data: { text: 'x'.repeat(300) } }
  const large = { ...event, data: { text: 'x'.repeat(20_000) } }
  let stored = 0
  for (let round = 0; round < 5; round++) {
    const counts = await Promise.all([
      ...Array.from({ length: 40 }, () => call('/api/events', event)),
      ...Array.from({ length: 10 }, () => call('/api/events', large)),
      ...Array.from({ length: 5 }, () => call('/api/events/batch', { events: [event, event] })),
      ...Array.from({ length: 40 }, () => call(`/api/tenants/${tenant.key}/deliveries`)),
    ])
    stored += counts.reduce((sum, count) => sum + count, 0)
  }
  t.ok(stored > 100, `${stored} events are stored`)
  await receiver.received(stored)
  await looking
  await look()
  t.comment(JSON.stringify(peak))
  for (const [name, count] of Object.entries(peak)) {
    const budget = BUDGET.filter((line) => line.name === name)
    const max = budget.reduce((all, line) => all + line.max, 0)
    t.ok(budget.length > 0, `${name} is in the guide`)
    t.ok(count <= max, `${name}: ${count} of ${max}`)
  }
  await Promise.all([api.stop(), runner.stop()])
})
