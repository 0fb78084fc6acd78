import { randomBytes } from 'node:crypto'
import { Readable } from 'node:stream'
import t from 'tap'
import { generateSecret } from '../../sending/signature.ts'
import { isLong } from '../../testing/long.ts'
import { type ReceivedRequest, startReceiver } from '../../testing/servers/receiver.ts'
import { createTestServices } from '../../testing/wiring/api.ts'
import { runCommand } from '../../testing/wiring/command.ts'
import { createTestDatabase } from '../../testing/wiring/database.ts'
import { runSvixImport } from './run-svix-import.ts'

const KEY = randomBytes(32)
const SECRET = `whsec_${Buffer.alloc(24, 7).toString('base64')}`
/** Base64 of 36 bytes, as Svix reads it, and no text. */
const SECRET_LIKE_HEX = `whsec_${'ab'.repeat(24)}`
const PUBLIC_KEY = `whpk_${Buffer.alloc(32, 8).toString('base64')}`
const time = { createdAt: '2026-01-01T00:00:00Z', updatedAt: '2026-01-02T00:00:00Z' }

type Generation = 'first' | 'second'

interface StandIn {
  applications: {
    id: string
    uid?: string
    name: string
    metadata: object
    throttleRate?: number
  }[]
  endpoints: Record<string, Record<string, unknown>[]>
  headers: Record<string, { headers: object; sensitive: string[] }>
  secrets: Record<string, string>
  eventTypes: Record<string, unknown>[]
}

/** Has what a customer of Svix may have: 3 pages of applications, endpoints of all kinds. */
const installation = (): StandIn => ({
  applications: [
    { id: 'app_1a', uid: 'acme', name: 'Acme', metadata: { plan: 'gold' } },
    { id: 'app_2b', name: 'No uid', metadata: {} },
    { id: 'app_3c', uid: '-odd.uid_', name: 'Odd', metadata: {}, throttleRate: 5 },
    { id: 'app_4d', uid: 'fourth', name: 'Fourth', metadata: {} },
    { id: 'app_5e', uid: 'fifth', name: 'Fifth', metadata: {} },
  ],
  endpoints: {
    app_1a: [
      {
        ...{ id: 'ep_1', uid: 'main', url: 'https://example.com/a', description: 'Main' },
        ...{ eventTypes: ['invoice.paid'], channels: ['eu', 'us'], throttleRate: 20 },
        ...{ metadata: { team: 'a' }, disabled: false, version: 3 },
      },
      { id: 'ep_2', url: 'https://example.com/b', description: '', metadata: {}, disabled: true },
      { id: 'ep_3', url: 'https://example.com/c', description: '', metadata: {} },
    ],
    app_2b: [
      { id: 'ep_4', url: 'https://example.com/d', description: '', metadata: {} },
      { id: 'ep_5', url: 'https://127.0.0.1/private', description: '', metadata: {} },
    ],
  },
  headers: {
    ep_1: { headers: { 'X-Team': 'a' }, sensitive: [] },
    ep_3: { headers: {}, sensitive: ['Authorization'] },
  },
  secrets: { ep_2: SECRET_LIKE_HEX, ep_4: PUBLIC_KEY },
  eventTypes: [
    {
      name: 'invoice.paid',
      description: 'Paid',
      schemas: { 1: { type: 'object' } },
      archived: false,
    },
    { name: 'invoice.old', description: '', archived: true, deprecated: true, groupName: 'old' },
    { name: 'not..ours', description: '' },
  ],
})

/** Pages hold 2 rows, whatever is asked for; each generation has its own names for two fields. */
function answerOf(standIn: StandIn, generation: Generation, { path, headers }: ReceivedRequest) {
  const { pathname, searchParams } = new URL(path, 'http://svix.test')
  if (headers.authorization !== 'Bearer token-of-svix') {
    return { status: 401, body: '{"code":"authentication_failed","detail":"Invalid token"}' }
  }
  const json = (value: unknown) => ({
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(value),
  })
  const page = (rows: object[], idOf: (row: never) => string) => {
    const iterator = searchParams.get('iterator')
    const from = rows.findIndex((row) => idOf(row as never) === iterator) + 1
    const data = rows
      .slice(from, from + 2)
      .map((row) => ofGeneration({ ...time, ...row }, generation))
    const last = data.at(-1)
    return json({
      data,
      iterator: last ? idOf(last as never) : null,
      ...(data[0] && { prevIterator: `-${idOf(data[0] as never)}` }),
      done: from + 2 >= rows.length,
    })
  }
  const byId = ({ id }: { id: string }) => id
  if (pathname === '/api/v1/app') return page(standIn.applications, byId)
  if (pathname === '/api/v1/event-type')
    return page(standIn.eventTypes, ({ name }: { name: string }) => name)
  const [, app = '', endpoint, what] =
    /^\/api\/v1\/app\/([^/]+)\/endpoint(?:\/([^/]+)\/(headers|secret))?$/.exec(pathname) ?? []
  if (endpoint === undefined) return page(standIn.endpoints[app] ?? [], byId)
  if (what === 'secret') return json({ key: standIn.secrets[endpoint] ?? SECRET })
  return json(standIn.headers[endpoint] ?? { headers: {}, sensitive: [] })
}

function ofGeneration(row: Record<string, unknown>, generation: Generation) {
  if (generation === 'second') return row
  const { eventTypes: filterTypes = null, throttleRate: rateLimit = null, ...rest } = row
  return {
    ...rest,
    filterTypes,
    rateLimit,
    uid: rest['uid'] ?? null,
    channels: rest['channels'] ?? null,
  }
}

async function start(generation: Generation) {
  const standIn = installation()
  const { url: databaseUrl, pool } = await createTestDatabase(t)
  const server = await startReceiver({
    answer: (request) => answerOf(standIn, generation, request),
  })
  t.teardown(() => server.close())
  const env = {
    ...{ DATABASE_URL: databaseUrl, SECRET_ENCRYPTION_KEY: KEY.toString('base64') },
    ...{ SVIX_SERVER_URL: server.url, SVIX_TOKEN: 'token-of-svix' },
  }
  const run = (...args: string[]) => runCommand(['import', 'svix', ...args], { env })
  const count = async () => {
    const { rows } = await pool.query(
      `select (select count(*)::int from postrider.tenant where svix_id is not null) as tenants,
        (select count(*)::int from postrider.endpoint) as endpoints,
        (select count(*)::int from postrider.event_type) as "eventTypes"`,
    )
    return rows[0]
  }
  const endpoint = async (svixId: string) => {
    const { rows } = await pool.query('select * from postrider.endpoint where svix_id = $1', [
      svixId,
    ])
    return rows[0]
  }
  const { secrets } = createTestServices(pool, { SECRET_ENCRYPTION_KEY: KEY.toString('base64') })
  return { standIn, server, pool, env, run, count, endpoint, secrets }
}

for (const generation of isLong ? (['first', 'second'] as const) : (['second'] as const)) {
  t.test(
    `a server of the ${generation} generation is previewed, and taken over once`,
    async (t) => {
      const { run, count, endpoint, pool, secrets, server } = await start(generation)

      const preview = await run('--json')
      t.equal(preview.exitCode, 0, preview.stderr)
      t.strictSame(await count(), { tenants: 0, endpoints: 0, eventTypes: 0 })
      const report = JSON.parse(preview.stdout)
      t.match(report, {
        isApplied: false,
        counts: {
          eventTypes: { new: 2, there: 0, refused: 1 },
          applications: { new: 5, there: 0, refused: 0 },
          endpoints: { new: 4, there: 0, refused: 1 },
        },
      })
      const problems = report.findings.map(
        ({ of, problem }: Record<string, string>) => `${of}: ${problem}`,
      )
      t.strictSame(problems, [
        'not..ours: has a name that is no event type here',
        'ep_3: the value of Authorization is not given out',
        'ep_4: the private key of its secret (whsk_) is not given out',
        'ep_5: is not taken over: url is not a public address',
        'null: has a rate for all its endpoints together',
        'null: keys that were rotated out and still sign are not given out',
        'null: messages and attempts are not taken over',
      ])
      t.match(preview.stdout, /--given/, 'and what to do about it')

      const applied = await run('--apply')
      t.equal(applied.exitCode, 1, 'something was refused')
      t.match(applied.stdout, /taken over from Svix/)
      t.strictSame(await count(), { tenants: 5, endpoints: 4, eventTypes: 2 })

      const { rows: tenants } = await pool.query(
        'select key, uid, name, metadata, svix_id from postrider.tenant where svix_id is not null order by svix_id',
      )
      t.strictSame(tenants.slice(0, 3), [
        { key: 'acme', uid: 'acme', name: 'Acme', metadata: { plan: 'gold' }, svix_id: 'app_1a' },
        { key: 'app_2b', uid: null, name: 'No uid', metadata: {}, svix_id: 'app_2b' },
        { key: 'app_3c', uid: '-odd.uid_', name: 'Odd', metadata: {}, svix_id: 'app_3c' },
      ])
      const main = await endpoint('ep_1')
      t.match(main, {
        ...{ url: 'https://example.com/a', description: 'Main', uid: 'main', state: 'active' },
        ...{ event_types: ['invoice.paid'], channels: ['eu', 'us'], rate_per_second: '20' },
        ...{
          headers: { 'X-Team': 'a' },
          metadata: { team: 'a' },
          shape: 'svix',
          svix: { version: 3 },
        },
      })
      t.match(await secrets.list(main.tenant_id, main.id), [{ secret: SECRET }])
      const second = await endpoint('ep_2')
      t.match(await secrets.list(second.tenant_id, second.id), [
        { secret: SECRET_LIKE_HEX, encoding: 'base64' },
      ])
      t.match(second, { state: 'disabled', event_types: ['*'], channels: null })
      t.match(await endpoint('ep_3'), { state: 'paused' }, 'its events wait for the header')
      t.match(await endpoint('ep_4'), { state: 'paused' }, 'its events wait for the key')
      const { rows: types } = await pool.query(
        'select name, archived_at is not null as archived, svix_schemas, group_name from postrider.event_type order by name',
      )
      t.strictSame(types, [
        { name: 'invoice.old', archived: true, svix_schemas: null, group_name: 'old' },
        {
          name: 'invoice.paid',
          archived: false,
          svix_schemas: '{"1":{"type":"object"}}',
          group_name: null,
        },
      ])

      const again = JSON.parse((await run('--apply', '--json')).stdout)
      t.match(again.counts, {
        eventTypes: { new: 0, there: 2 },
        applications: { new: 0, there: 5 },
        endpoints: { new: 0, there: 4, refused: 1 },
      })
      t.strictSame(await count(), { tenants: 5, endpoints: 4, eventTypes: 2 })
      t.ok(
        server.requests.every(({ method }) => method === 'GET'),
        'the server is only read',
      )
    },
  )
}

t.test('what the server does not give out is taken from a file', async (t) => {
  const { env, endpoint, secrets } = await start('second')
  const privateKey = generateSecret('ed25519')
  const given = {
    ep_3: { headers: { Authorization: 'Bearer abc' } },
    ep_4: { secret: privateKey },
  }
  const args = ['import', 'svix', '--apply', '--given', '-', '--application', 'acme', 'app_2b']
  const { stdout, stderr } = await runCommand(args, { env, input: JSON.stringify(given) })
  t.notMatch(stdout, /not given out.*whsk_|value of Authorization/)
  t.notMatch(stdout + stderr, /Bearer abc/)
  const third = await endpoint('ep_3')
  t.equal(third.state, 'active')
  t.strictSame(Object.keys(third.secret_headers), ['Authorization'])
  const fourth = await endpoint('ep_4')
  t.equal(fourth.state, 'active')
  t.match(await secrets.list(fourth.tenant_id, fourth.id), [{ secret: privateKey }])

  const wrong = await runCommand(args, { env, input: '{"ep_1": {"key": "Bearer abc"}}' })
  t.equal(wrong.exitCode, 2)
  t.notMatch(wrong.stderr, /Bearer abc/)
})

if (isLong)
  t.test(
    'what was interrupted is continued where it was, and a busy server is asked again',
    async (t) => {
      const { standIn, server, run, count } = await start('second')
      let isBroken = true
      let busy = 0
      server.answerWith((request) => {
        if (isBroken && request.path.includes('/app_2b/'))
          return { status: 418, body: 'I am a teapot' }
        if (busy++ === 0) return { status: 429, headers: { 'retry-after': '1' }, body: '{}' }
        return answerOf(standIn, 'second', request)
      })
      const broken = await run('--apply')
      t.equal(broken.exitCode, 1)
      t.match(broken.stderr, /app\/app_2b\/endpoint returned 418/)
      t.match(broken.stdout, /value of Authorization/, 'what was found until then is said')
      t.match(await count(), { tenants: 2, endpoints: 3 })
      isBroken = false
      const { counts, findings } = JSON.parse((await run('--apply', '--json')).stdout)
      t.match(counts, {
        applications: { new: 3, there: 2 },
        endpoints: { new: 1, there: 3, refused: 1 },
      })
      const [third] = findings.filter(({ of }: { of: string }) => of === 'ep_3')
      t.match(third, {
        advice: /it is here and paused: .*set it if it is not set yet, and resume it/,
      })
    },
  )

t.test('what was found until the process is asked to stop is said', async (t) => {
  const { standIn, server, env } = await start('second')
  const stopping = new AbortController()
  server.answerWith((request) => {
    if (request.path.includes('/app_2b/')) stopping.abort()
    return answerOf(standIn, 'second', request)
  })
  let printed = ''
  const context = {
    ...{ env, cwd: '.', stdin: Readable.from([]), hasColours: false, isWatched: false },
    print: (text: string) => {
      printed += text
    },
    note: () => {},
    stopSignal: stopping.signal,
  }
  await t.rejects(runSvixImport(context, { json: true, apply: true }), {
    code: 'import_incomplete',
    message: /^stopped; run it again/,
  })
  t.match(JSON.parse(printed), {
    counts: { applications: { new: 2 }, endpoints: { new: 3 } },
    findings: [{}, { of: 'ep_3' }],
  })
})

if (isLong)
  t.test(
    'what an endpoint is paused for is taken from a file later, and it is resumed',
    async (t) => {
      const { env, run, endpoint, secrets } = await start('second')
      await run('--apply')
      const privateKey = generateSecret('ed25519')
      const given = {
        ep_1: { headers: { 'X-Team': 'b' } },
        ep_3: { headers: { authorization: 'Bearer abc' } },
        ep_4: { secret: privateKey },
        ep_none: { secret: privateKey },
      }
      const giving = async (parts: object, ...args: string[]) => {
        const command = ['import', 'svix', '--json', '--given', '-', ...args]
        const { stdout } = await runCommand(command, { env, input: JSON.stringify(parts) })
        return JSON.parse(stdout)
      }
      const preview = await giving(given)
      t.match(preview.counts.endpoints, { there: 2, completed: 2 })
      t.match(
        await endpoint('ep_3'),
        { state: 'paused', secret_headers: {} },
        'a preview only says so',
      )

      const partly = await giving({ ep_3: { headers: { 'X-Other': 'c' } } }, '--apply')
      t.match(partly.counts.endpoints, { there: 4, completed: 0 })
      t.match(await endpoint('ep_3'), { state: 'paused', headers: { 'X-Other': 'c' } })
      t.match(
        partly.findings.filter(({ of }: { of: string }) => of === 'ep_3'),
        [{ problem: 'the value of Authorization is not given out', advice: /here and paused/ }],
      )

      const { counts, findings } = await giving(given, '--apply')
      t.match(counts.endpoints, { new: 0, there: 2, completed: 2, refused: 1 })
      const third = await endpoint('ep_3')
      t.match(third, { state: 'active', headers: { 'X-Other': 'c' } })
      t.strictSame(Object.keys(third.secret_headers), ['authorization'])
      const fourth = await endpoint('ep_4')
      t.equal(fourth.state, 'active')
      const live = await secrets.list(fourth.tenant_id, fourth.id)
      t.strictSame(
        live.map(({ secret }) => secret),
        [privateKey],
      )
      t.match(await endpoint('ep_1'), { headers: { 'X-Team': 'a' } }, 'which is paused for nothing')
      const about = (id: string) => findings.filter(({ of }: { of: string }) => of === id)
      t.match(about('ep_1'), [{ problem: /what --given says is not used/ }])
      t.match(about('ep_none'), [{ problem: /no endpoint that was read/ }])
      t.strictSame([about('ep_3'), about('ep_4')], [[], []])
    },
  )

t.test('what was deleted here does not come back', async (t) => {
  const { pool, run, count } = await start('second')
  await run('--apply')
  await pool.query(
    `select postrider.delete_endpoint(tenant_id, id) from postrider.endpoint where svix_id = 'ep_1'`,
  )
  const { counts } = JSON.parse((await run('--apply', '--json')).stdout)
  t.match(counts.endpoints, { new: 0, there: 4 })
  t.match(await count(), { endpoints: 4 })
})

if (isLong)
  t.test(
    'an application that was deleted here stays deleted, unless it is asked for',
    async (t) => {
      const { pool, run } = await start('second')
      await run('--apply')
      const { rows } = await pool.query(
        `select key, svix_id from postrider.tenant where svix_id is not null order by key limit 1`,
      )
      const [{ key, svix_id: svixId }] = rows
      await pool.query('select postrider.delete_tenant($1)', [key])
      const isHere = async () =>
        (await pool.query('select from postrider.tenant where svix_id = $1', [svixId])).rowCount
      for (const options of [[], ['--apply']]) {
        const { counts, findings } = JSON.parse((await run('--json', ...options)).stdout)
        t.match(counts, { applications: { new: 0, deleted: 1, refused: 0 }, endpoints: { new: 0 } })
        const told = findings.filter(({ problem }: { problem: string }) =>
          /was deleted/.test(problem),
        )
        t.match(told, [{ of: null, problem: /^was deleted here at 20/, advice: /--with-deleted/ }])
        t.equal(await isHere(), 0)
      }
      await pool.query(`update postrider.tenant set key = 'gone' where key = $1`, [key])
      t.match((await run()).stdout, /deleted/, 'the preview for people says it too')
      const { counts } = JSON.parse((await run('--json', '--apply', '--with-deleted')).stdout)
      t.match(counts.applications, { new: 1, deleted: 0 })
      t.equal(await isHere(), 1)
    },
  )

t.test('a key that a tenant has until its data is gone is refused for now', async (t) => {
  const { pool, run } = await start('second')
  await pool.query(
    `insert into postrider.tenant (key, name, deletion_started_at) values ('app_2b', 'Old', now())`,
  )
  const { counts, findings } = JSON.parse((await run('--apply', '--json')).stdout)
  t.match(counts, { applications: { new: 4, refused: 1 }, endpoints: { new: 3 } })
  const [refused] = findings.filter(
    ({ application }: { application: string }) => application === 'app_2b',
  )
  t.match(refused, { of: null, problem: /the key app_2b is taken here/ })
})

t.test(
  'an endpoint whose headers are gone is named, and so is a disabled one without its key',
  async (t) => {
    const { standIn, server, run, endpoint } = await start('second')
    standIn.secrets['ep_2'] = PUBLIC_KEY
    server.answerWith((request) =>
      request.path.endsWith('/ep_1/headers')
        ? { status: 404, body: '{}' }
        : answerOf(standIn, 'second', request),
    )
    const { counts, findings } = JSON.parse((await run('--apply', '--json')).stdout)
    t.match(counts.endpoints, { new: 3, refused: 1 })
    const about = (id: string) => findings.filter(({ of }: { of: string }) => of === id)
    t.match(about('ep_1'), [
      { application: 'acme', problem: /its headers or its secret are not found/ },
    ])
    t.match(about('ep_2'), [
      { advice: 'it is imported disabled: set it before anybody enables it' },
    ])
    t.match(await endpoint('ep_2'), { state: 'disabled' })
  },
)

t.test('a tenant that has the uid is joined, and a uid of another one is refused', async (t) => {
  const { pool, run } = await start('second')
  await pool.query(`insert into postrider.tenant (key, name) values ('acme', 'Ours')`)
  await pool.query(
    `insert into postrider.tenant (key, name, uid, svix_id) values ('other', 'Other', 'fourth', 'app_elsewhere')`,
  )
  const { findings, counts } = JSON.parse((await run('--apply', '--json')).stdout)
  t.match(counts.applications, { new: 4, refused: 1 })
  const ofBoth = findings.filter(({ problem }: { problem: string }) =>
    /tenant acme|that of other/.test(problem),
  )
  t.match(ofBoth, [{ application: 'acme' }, { application: 'fourth' }])
  const { rows } = await pool.query(
    `select name, uid, svix_id from postrider.tenant where key = 'acme'`,
  )
  t.strictSame(rows, [{ name: 'Ours', uid: 'acme', svix_id: 'app_1a' }])
})

t.test('what a column does not take is refused alone', async (t) => {
  const { standIn, run, pool } = await start('second')
  const channels = Array.from({ length: 11 }, (_, n) => `c${n}`)
  const url = 'https://example.com/'
  standIn.endpoints['app_4d'] = [
    { id: 'ep_6', url, metadata: {}, channels },
    { id: 'ep_7', url, metadata: {} },
  ]
  const preview = JSON.parse((await run('--json')).stdout)
  t.match(preview.counts.endpoints, { new: 5, refused: 2 }, 'which a preview says too')
  await pool.query(`with made as (
      insert into postrider.tenant (key, name) values ('acme', 'Ours') returning id)
    insert into postrider.endpoint (tenant_id, url, uid)
    select id, 'https://example.com/ours', 'main' from made`)
  standIn.applications.push({ id: 'app_6f', name: 'NUL', metadata: { a: '\u0000' } })
  standIn.eventTypes.push({ name: 'a.b', description: '\u0000' })
  const { stdout } = await run('--apply', '--json')
  const { counts, findings } = JSON.parse(stdout)
  t.match(counts, {
    eventTypes: { new: 2, refused: 2 },
    applications: { new: 5, refused: 1 },
    endpoints: { new: 4, refused: 3 },
  })
  const named = findings.map(({ application, of }: Record<string, string>) => of ?? application)
  for (const one of ['ep_1', 'ep_6', 'app_6f', 'a.b']) t.ok(named.includes(one), one)
})

t.test('a server that is none, or refuses, is named, and the token is never said', async (t) => {
  const { server, env, run } = await start('second')
  const unset = await runCommand(['import', 'svix'], { env: { ...env, SVIX_TOKEN: '' } })
  t.equal(unset.exitCode, 78)
  const refused = await runCommand(['import', 'svix'], { env: { ...env, SVIX_TOKEN: 'wrong-one' } })
  t.equal(refused.exitCode, 1)
  t.match(refused.stderr, /returned 401; is SVIX_TOKEN right\?/)
  t.notMatch(refused.stderr, /wrong-one/)
  const answers: [unknown, RegExp][] = [
    [{ data: [], done: false, iterator: null }, /does not end/],
    [{ data: [], done: false, iterator: 'same' }, /does not end/],
    [{ items: [] }, /returned something else than Svix does \(data/],
  ]
  for (const [answer, message] of answers) {
    server.answerWith(() => ({ body: JSON.stringify(answer) }))
    t.match((await run()).stderr, message)
  }
  server.answerWith(() => ({ status: 404, body: '{}' }))
  t.match((await run()).stderr, /is it the URL of a Svix server/)
  server.answerWith(() => ({ body: '<html>' }))
  t.match(await run(), { exitCode: 1, stdout: '', stderr: /did not return JSON: is it the URL/ })
  for (const status of [301, 308]) {
    server.answerWith(() => ({ status, headers: { location: server.url }, body: '{}' }))
    const { exitCode, stderr } = await run()
    t.equal(exitCode, 1)
    t.match(stderr, `returned ${status}: the redirect is not followed with the token`)
  }
})
