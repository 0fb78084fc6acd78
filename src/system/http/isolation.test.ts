import t from 'tap'
import type { TenantId } from '../../ids.ts'
import { createWork } from '../../testing/data/work.ts'
import { addIncident } from '../../testing/data/world.ts'
import { isLong } from '../../testing/long.ts'
import { createTestApi, type RequestOptions } from '../../testing/wiring/api.ts'
import { createTestDatabase } from '../../testing/wiring/database.ts'

/**
 * Whatever is in the OpenAPI document is tried here with a key of another tenant that has every scope.
 * A new route is covered by being documented.
 */
const { pool } = await createTestDatabase(t)
const { request, apiKeys } = createTestApi(pool)

/** Stands in every text of the victim. */
const MARK = 'belongs-to-the-victim'
const victim = await tenantWithEverything(MARK)
const attacker = await tenantWithEverything('belongs-to-the-attacker')
const { key } = await apiKeys.issue({
  name: 'attacker',
  scopes: ['publish', 'read', 'manage', 'admin'],
  tenantId: attacker.id as TenantId,
})

interface Operation {
  method: string
  path: string
  isPublic: boolean
  streams: boolean
  queryNames: string[]
  body: unknown
}
const operations = await readOperations()
const ofTenants = operations.filter(({ path }) => path.includes('{tenant}'))
const ofAll = operations.filter(({ path }) => !path.includes('{tenant}'))

/** Through the API, but for what only runners and producers in SQL write. */
async function tenantWithEverything(mark: string) {
  const work = await createWork(pool)
  const tenant = `/api/tenants/${work.tenant.key}`
  await pool.query(
    `update postrider.endpoint set description = $2, url = 'http://127.0.0.1:1/' || $2,
       headers = json_build_object('x-mark', $2::text) where id = $1`,
    [work.endpoint.id, mark],
  )
  await request('PUT', tenant, { body: { name: mark } })
  const body = { url: `https://example.com/${mark}`, metadata: { mark } }
  await request('POST', `${tenant}/endpoints`, { body })
  const event = { tenant: work.tenant.key, type: `${mark}.made`, data: { mark } }
  await request('POST', '/api/events', { body: event, headers: { 'idempotency-key': mark } })
  await work.finish(await work.claim(await work.publish()), 500)
  await pool.query(
    'update postrider.attempt set response_body = $2, error = $2 where tenant_id = $1',
    [work.tenant.id, mark],
  )
  await request('POST', `${tenant}/replays`, { body: { since: '2026-01-01T00:00:00Z' } })
  await request('POST', `${tenant}/deliveries/bulk`, { body: { action: 'redeliver' } })
  await request('POST', `${tenant}/portal-links`)
  const keyBody = { name: mark, scopes: ['read'], tenant: work.tenant.key }
  await request('POST', '/api/keys', { body: keyBody })
  const incident = await addIncident(pool, work.tenant.id, work.endpoint.id)
  const noted = { body: { note: mark } }
  await request('POST', `${tenant}/incidents/${incident}/note`, noted)
  const rows = await rowsOf(work.tenant.id)
  return {
    ...work.tenant,
    incident,
    ids: idsIn(rows),
    forbidden: [mark, work.tenant.key, ...idsIn(rows)],
  }
}

/** Every row that is the tenant's, in every table. */
async function rowsOf(id: string): Promise<Record<string, unknown>> {
  const { rows: tables } = await pool.query<{ name: string; column: string }>(`
    select c.oid::regclass::text as name, a.attname as column
    from pg_class c join pg_attribute a on a.attrelid = c.oid
      and a.attname = case c.relname when 'tenant' then 'id' else 'tenant_id' end
    where c.relnamespace = 'postrider'::regnamespace and c.relkind in ('r', 'p') and not c.relispartition`)
  const found: Record<string, unknown> = {}
  for (const { name, column } of tables) {
    const { rows } = await pool.query(
      `select json_agg(r order by r::text) as all from ${name} r where ${column} = $1`,
      [id],
    )
    found[name] = rows[0]?.all
  }
  return found
}

function idsIn(rows: Record<string, unknown>): string[] {
  const uuid = /[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}/g
  return [...new Set(JSON.stringify(rows).match(uuid))]
}

async function readOperations(): Promise<Operation[]> {
  const { json } = await request('GET', '/openapi.json', { key: null })
  return Object.entries<Record<string, never>>(json.paths).flatMap(([path, methods]) =>
    // biome-ignore lint/suspicious/noExplicitAny: a part of the document, looked into by name
    Object.entries<Record<string, any>>(methods).map(([method, documented]) => ({
      method: method.toUpperCase(),
      path,
      isPublic: documented['security']?.length === 0,
      streams: JSON.stringify(documented['responses']).includes('text/event-stream'),
      queryNames: (documented['parameters'] ?? [])
        .filter((parameter: { in: string }) => parameter.in === 'query')
        .map(({ name }: { name: string }) => name),
      body: documented['requestBody']?.content?.['application/json']?.example,
    })),
  )
}

/** The paths with the tenant, and each of the ids as the other parameters. */
function pathsWith(path: string, tenant: string, ids: string[]): string[] {
  const ofTenant = path.replace('{tenant}', tenant)
  if (!ofTenant.includes('{')) return [ofTenant]
  return ids.map((id) => ofTenant.replaceAll(/\{\w+\}/g, id))
}

/** As the attacker; with the example of the document as the body. */
async function attack({ method, body }: Operation, path: string, options: RequestOptions = {}) {
  const answer = await request(method, path, {
    key,
    ...(body !== undefined && { body }),
    ...options,
  })
  // What the attacker says himself may come back.
  const said = `${path} ${JSON.stringify(options.body ?? body ?? '')}`
  const whole = `${answer.text} ${JSON.stringify([...answer.headers])}`
  const leaked = victim.forbidden.filter((text) => whole.includes(text) && !said.includes(text))
  return { ...answer, leaked, name: `${method} ${path}` }
}

t.test('there is something to be seen, and the attacker can see his own', async (t) => {
  t.ok(operations.length > 30)
  t.ok(victim.ids.length > 10)
  for (const path of ['', '/endpoints', '/events', '/deliveries', '/replays', '/incidents']) {
    const { text } = await request('GET', `/api/tenants/${victim.key}${path}`)
    t.ok(
      victim.forbidden.some((forbidden) => text.includes(forbidden)),
      path,
    )
    t.equal((await request('GET', `/api/tenants/${attacker.key}${path}`, { key })).status, 200)
  }
})

t.test('nobody touches another tenant', async (t) => {
  const before = await rowsOf(victim.id)

  await t.test('by its path', async (t) => {
    for (const operation of ofTenants) {
      for (const path of pathsWith(operation.path, victim.key, victim.ids)) {
        const { status, leaked, name } = await attack(operation, path)
        t.ok([401, 403, 404].includes(status), `${name} is ${status}`)
        t.strictSame(leaked, [], name)
      }
    }
  })

  await t.test('by its ids below the own path', async (t) => {
    for (const operation of ofTenants.filter(({ path }) => /\{(?!tenant)/.test(path))) {
      for (const path of pathsWith(operation.path, attacker.key, victim.ids)) {
        const { status, leaked, name } = await attack(operation, path)
        t.ok(status >= 400 && status < 500, `${name} is ${status}`)
        t.strictSame(leaked, [], name)
      }
    }
  })

  if (isLong)
    await t.test('by parameters of own lists', async (t) => {
      const values = [victim.key, MARK, `${MARK}.made`, ...victim.ids]
      for (const operation of ofTenants.filter(({ streams }) => !streams)) {
        for (const name of operation.queryNames) {
          for (const value of values) {
            const [path] = pathsWith(operation.path, attacker.key, attacker.ids)
            const answer = await attack(operation, `${path}?${name}=${value}`)
            t.strictSame(answer.leaked, [], answer.name)
          }
        }
      }
    })

  await t.test('by what is no tenant’s', async (t) => {
    for (const operation of ofAll.filter(({ isPublic }) => !isPublic)) {
      const named = namingVictim(operation.body)
      for (const path of pathsWith(operation.path, '', [...victim.ids, MARK])) {
        const { status, leaked, name } = await attack(operation, path, { ...named })
        t.strictSame(leaked, [], name)
        if (operation.method !== 'GET') t.ok(status >= 400 && status < 500, `${name} is ${status}`)
      }
    }
  })

  t.strictSame(await rowsOf(victim.id), before)
})

t.test('what operators say of an incident is neither for its tenant nor by it', async (t) => {
  const path = `/api/tenants/${attacker.key}/incidents`
  const one = `${path}/${attacker.incident}`
  const before = await rowsOf(attacker.id)
  const bodies = { acknowledge: undefined, note: { note: 'mine' }, notify: { message: 'mine' } }
  for (const [verb, body] of Object.entries(bodies)) {
    const { status, json } = await request('POST', `${one}/${verb}`, { key, body })
    t.match({ status, json }, { status: 403, json: { code: 'key_of_one_tenant' } }, verb)
  }
  t.strictSame(await rowsOf(attacker.id), before, 'nor is anybody told of it')
  const hidden = { verdict: null, note: null, acknowledgedBy: null }
  t.match((await request('GET', path, { key })).json.data, [hidden])
  t.match((await request('GET', one, { key })).json, { ...hidden, message: null })
  for (const verdict of ['ours', 'theirs']) {
    const { status, json } = await request('GET', `${path}?verdict=${verdict}`, { key })
    t.match({ status, json }, { status: 403, json: { code: 'key_of_one_tenant' } }, verdict)
  }
  t.equal((await request('GET', `${path}?cause=server_error`, { key })).json.data.length, 1)
  const asOperator = await request('GET', `${path}?verdict=theirs`)
  t.match(asOperator.json.data, [{ verdict: 'theirs', note: 'belongs-to-the-attacker' }])
  t.match((await request('GET', one)).json, { message: /have been failing/ })
  t.equal((await request('POST', `${one}/acknowledge`)).status, 200)
})

/** The example with the victim wherever a tenant can be named. */
function namingVictim(example: unknown): RequestOptions {
  if (example === undefined) return {}
  const text = JSON.stringify(example, (name, value) => (name === 'tenant' ? victim.key : value))
  return { body: JSON.parse(text) }
}
