import t from 'tap'
import { ApiRefused, callApi } from '../terminal/api-client.ts'
import { EXIT } from '../terminal/exit-code.ts'
import { startReceiver } from '../testing/servers/receiver.ts'
import { runCommand } from '../testing/wiring/command.ts'

const PROBLEM = {
  title: 'The request has invalid fields',
  status: 422,
  code: 'request_invalid',
  detail: 'The request has invalid fields',
  errors: [
    { field: 'url', message: 'is not a URL' },
    { field: 'eventTypes[0]', message: 'is not a dotted name' },
  ],
}

t.test('a refusal shows the code and every field', async (t) => {
  await using api = await startReceiver({
    answer: () => ({ status: 422, body: JSON.stringify(PROBLEM) }),
  })
  const env = { POSTRIDER_URL: api.url, POSTRIDER_API_KEY: 'key' }
  const result = await runCommand(['endpoint', 'create', 'acme', 'nowhere'], { env })
  t.match(result, { exitCode: EXIT.failed, stdout: '' })
  t.match(
    result.stderr,
    'postrider: The request has invalid fields (422 request_invalid)\n' +
      '  <url>: is not a URL\n  --event-types (eventTypes[0]): is not a dotted name\n',
  )
})

t.test('an answer that is not a problem document is shown as it is', async (t) => {
  await using api = await startReceiver({ answer: () => ({ status: 502, body: 'Bad gateway' }) })
  const call = callApi({ url: api.url, key: 'key' }, { method: 'GET', path: '/api/tenants' })
  await t.rejects(call, new ApiRefused(502, 'Bad gateway'))
  await t.rejects(call, { message: 'the API returned 502: Bad gateway' })
})

t.test('what cannot be reached exits 69 and says which address', async (t) => {
  const api = await startReceiver()
  await api.close()
  const env = { POSTRIDER_URL: api.url, POSTRIDER_API_KEY: 'key' }
  const { exitCode, stderr } = await runCommand(['tenant', 'list'], { env })
  t.equal(exitCode, EXIT.unavailable)
  t.match(stderr, `${api.url} cannot be reached: connect ECONNREFUSED`)
})

t.test('enable prints the command that delivers what was missed meanwhile', async (t) => {
  const [since, until] = ['2026-01-31T00:00:00.000Z', '2026-02-01T00:00:00.000Z']
  const enabled = { id: 'an-id', state: 'active', missed: { since, until, how: 'h', replay: {} } }
  let missed: object | null = enabled.missed
  await using api = await startReceiver({
    answer: () => ({ body: JSON.stringify({ ...enabled, missed }) }),
  })
  const env = { POSTRIDER_URL: api.url, POSTRIDER_API_KEY: 'key' }
  const args = ['endpoint', 'enable', 'acme', 'an-id']
  const { stdout } = await runCommand(args, { env })
  t.match(
    stdout,
    `postrider replay start acme --missed --endpoint an-id --since ${since} --until ${until}\n`,
  )
  t.match(JSON.parse((await runCommand([...args, '--json'], { env })).stdout), enabled)
  missed = null
  t.notMatch((await runCommand(args, { env })).stdout, /replay|missed/)
})

t.test('a redirect is not followed: the key is for one address', async (t) => {
  await using other = await startReceiver()
  await using api = await startReceiver({
    answer: () => ({ status: 307, headers: { location: other.url } }),
  })
  const env = { POSTRIDER_URL: api.url, POSTRIDER_API_KEY: 'key' }
  t.equal((await runCommand(['tenant', 'list'], { env })).exitCode, EXIT.unavailable)
  t.equal(other.requests.length, 0)
})

t.test('publish sends the data as it was written, and prints the id', async (t) => {
  await using api = await startReceiver({
    answer: () => ({ status: 202, body: '{"id":"an-id","deliveries":1,"duplicate":false}' }),
  })
  const env = { POSTRIDER_URL: api.url, POSTRIDER_API_KEY: 'a-key' }
  const data = '{"n": 12345678901234567890.10, "b": 1, "a": "ä"}'
  const options = ['--idempotency-key', 'once', '--occurred-at', '2026-01-01T00:00:00Z']
  const given = await runCommand(['publish', 'acme', 'invoice.paid', data, ...options], { env })
  t.match(given, { exitCode: EXIT.ok, stdout: 'an-id\n' })
  const piped = await runCommand(['publish', 'acme', 'invoice.paid', '--json'], {
    env,
    input: data,
  })
  t.equal(piped.stdout, '{"id":"an-id","deliveries":1,"duplicate":false}\n')

  const [first, second] = await api.received(2)
  t.match(first, {
    method: 'POST',
    path: '/api/events',
    headers: { authorization: 'Bearer a-key', 'idempotency-key': 'once' },
    body: `{"tenant":"acme","type":"invoice.paid","occurredAt":"2026-01-01T00:00:00Z","data":${data}}`,
  })
  t.equal(second?.body, `{"tenant":"acme","type":"invoice.paid","data":${data}}`)
})

t.test('data that is more than one JSON value never leaves', async (t) => {
  await using api = await startReceiver()
  const env = { POSTRIDER_URL: api.url, POSTRIDER_API_KEY: 'key' }
  for (const data of ['1,"tenant":"other"', '', '{} {}']) {
    const { exitCode, stderr } = await runCommand(['publish', 'acme', 'a.b', '-'], {
      env,
      input: data,
    })
    t.equal(exitCode, EXIT.usage, data)
    t.match(stderr, 'data is not JSON')
  }
  t.equal(api.requests.length, 0)
})

t.test(
  'tenants and endpoints are addressed by their paths, whatever their keys hold',
  async (t) => {
    const found = {
      id: 'an-id',
      key: 'an-id',
      url: 'https://example.com',
      eventTypes: ['*'],
      state: 'active',
    }
    await using api = await startReceiver({
      answer: ({ method, path }) => ({
        status: method === 'DELETE' ? 204 : 200,
        body:
          method === 'DELETE'
            ? ''
            : JSON.stringify(
                method === 'GET' && /(tenants|endpoints)(\?|$)/.test(path)
                  ? { data: [found], nextCursor: 'more' }
                  : found,
              ),
      }),
    })
    const env = { POSTRIDER_URL: api.url, POSTRIDER_API_KEY: 'key' }
    const commands: [string[], string, string][] = [
      [['tenant', 'create', 'a/b', '--name', 'A'], 'PUT /api/tenants/a%2Fb', '{"name":"A"}'],
      [['tenant', 'list', '--limit', '5'], 'GET /api/tenants?limit=5', ''],
      [['tenant', 'show', 'a/b'], 'GET /api/tenants/a%2Fb', ''],
      [
        ['endpoint', 'create', 'a', 'https://example.com', '--event-types', 'a.b,c.*'],
        'POST /api/tenants/a/endpoints',
        '{"url":"https://example.com","eventTypes":["a.b","c.*"]}',
      ],
      [['endpoint', 'list', 'a', '--cursor', 'x'], 'GET /api/tenants/a/endpoints?cursor=x', ''],
      [['endpoint', 'show', 'a', '../b'], 'GET /api/tenants/a/endpoints/..%2Fb', ''],
      [['endpoint', 'delete', 'a', 'an-id'], 'DELETE /api/tenants/a/endpoints/an-id', ''],
    ]
    for (const [args, request, body] of commands) {
      const plain = await runCommand(args, { env })
      t.match(plain, { exitCode: EXIT.ok, stderr: '' }, args.join(' '))
      t.match(plain.stdout, 'an-id')
      const last = api.requests.at(-1)
      t.equal(`${last?.method} ${last?.path}`, request)
      t.equal(last?.body, body)
      const json = await runCommand([...args, '--json'], { env })
      t.type(JSON.parse(json.stdout), 'object', 'one JSON document')
    }
  },
)
