import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { EXIT } from '../terminal/exit-code.ts'
import { startReceiver } from '../testing/servers/receiver.ts'
import { createFolder } from '../testing/wiring/cli.ts'
import { runCommand } from '../testing/wiring/command.ts'

const ATTEMPT = {
  number: 1,
  trigger: 'test',
  outcome: 'rejected',
  statusCode: 503,
  reason: 'status_5xx',
  error: 'the receiver returned 503',
}
const ANSWER = { id: 'an-id', name: 'an-id', state: 'failed', attempts: [ATTEMPT] }
const LIST = { data: [ANSWER], nextCursor: 'more' }

/** Answers as the API does, as far as the commands look at it. */
const startApi = () =>
  startReceiver({
    answer: ({ method, path }) => {
      if (method === 'DELETE') return 204
      return { body: JSON.stringify(/(deliveries|event-types)(\?|$)/.test(path) ? LIST : ANSWER) }
    },
  })

t.test('each command makes its request, and prints what came', async (t) => {
  await using api = await startApi()
  const cwd = createFolder(t)
  await writeFile(join(cwd, 'schema.json'), '{"type": "object"}')
  const env = { POSTRIDER_URL: api.url, POSTRIDER_API_KEY: 'key' }
  const filter = [
    '--state',
    'failed',
    '--endpoint',
    'e',
    '--type',
    'a.*',
    '--since',
    '2026-01-01T00:00:00Z',
  ]
  const commands: [string[], string, string][] = [
    [
      [
        'delivery',
        'list',
        'a/b',
        ...filter,
        '--status-class',
        '5',
        '--reason',
        'timeout_tls',
        '--limit',
        '5',
      ],
      'GET /api/tenants/a%2Fb/deliveries?state=failed&endpointId=e&type=a.*&statusClass=5&reason=timeout_tls&since=2026-01-01T00%3A00%3A00Z&limit=5',
      '',
    ],
    [['delivery', 'show', 'a', '../b'], 'GET /api/tenants/a/deliveries/..%2Fb?answers=false', ''],
    [['delivery', 'show', 'a', 'd', '--json'], 'GET /api/tenants/a/deliveries/d', ''],
    [['delivery', 'retry', 'a', 'd'], 'POST /api/tenants/a/deliveries/d/retry', ''],
    [['delivery', 'cancel', 'a', 'd'], 'POST /api/tenants/a/deliveries/d/cancel', ''],
    [['endpoint', 'test', 'a', 'e'], 'POST /api/tenants/a/endpoints/e/test', '{}'],
    [
      [
        'endpoint',
        'create',
        'a',
        'https://x.example/',
        '--max-in-flight',
        '2',
        '--secret',
        'aaaaaaaa',
      ],
      'POST /api/tenants/a/endpoints',
      '{"url":"https://x.example/","maxInFlight":2,"secret":"aaaaaaaa"}',
    ],
    [
      ['endpoint', 'change', 'a', 'e', '--url', 'https://y.example/', '--event-types', 'a, b.*']
        .concat(['--header', 'X-A: b: c', '--header', 'X-D:e', '--metadata', 'team=a=b'])
        .concat([
          '--rate-per-second',
          '0.5',
          '--timeout-seconds',
          '9',
          '--retry-schedule',
          '60,120',
        ]),
      'PATCH /api/tenants/a/endpoints/e',
      '{"url":"https://y.example/","eventTypes":["a","b.*"],"headers":{"X-A":"b: c","X-D":"e"},' +
        '"ratePerSecond":0.5,"timeoutSeconds":9,"retrySchedule":[60,120],"metadata":{"team":"a=b"}}',
    ],
    [
      ['endpoint', 'change', 'a', 'e', '--no-description', '--no-filter', '--no-header']
        .concat(['--no-metadata', '--no-rate-per-second', '--no-max-in-flight'])
        .concat(['--no-timeout-seconds', '--no-retry-schedule']),
      'PATCH /api/tenants/a/endpoints/e',
      '{"description":"","filter":null,"headers":{},"ratePerSecond":null,' +
        '"maxInFlight":null,"timeoutSeconds":null,"retrySchedule":null,"metadata":{}}',
    ],
    [
      ['endpoint', 'change', 'a', 'e', '--retry-schedule', 'none'],
      'PATCH /api/tenants/a/endpoints/e',
      '{"retrySchedule":[]}',
    ],
    [['endpoint', 'pause', 'a', 'e'], 'POST /api/tenants/a/endpoints/e/pause', ''],
    [['event-type', 'list', '--limit', '5'], 'GET /api/event-types?limit=5', ''],
    [['event-type', 'show', 'a/b'], 'GET /api/event-types/a%2Fb', ''],
    [
      ['event-type', 'put', 'a.b', '--description', 'x', '--schema', 'schema.json'],
      'PUT /api/event-types/a.b',
      '{"description":"x","schema":{"type":"object"}}',
    ],
    [['event-type', 'put', 'a.b'], 'PUT /api/event-types/a.b', '{}'],
    [['event-type', 'deprecate', 'a.b'], 'PATCH /api/event-types/a.b', '{"deprecated":true}'],
    [
      ['event-type', 'deprecate', 'a.b', '--undo'],
      'PATCH /api/event-types/a.b',
      '{"deprecated":false}',
    ],
    [['event-type', 'example', 'a.b'], 'GET /api/event-types/a.b/example', ''],
    [['event-type', 'delete', 'an-id'], 'DELETE /api/event-types/an-id', ''],
  ]
  for (const [args, request, body] of commands) {
    const plain = await runCommand(args, { env, cwd })
    t.match(plain, { exitCode: EXIT.ok, stderr: '' }, args.join(' '))
    t.match(plain.stdout, 'an-id')
    const last = api.requests.at(-1)
    t.equal(`${last?.method} ${last?.path}`, request)
    t.equal(last?.body, body)
    const json = await runCommand([...args, '--json'], { env, cwd })
    t.type(JSON.parse(json.stdout), 'object', 'one JSON document')
  }
})

t.test('a delivery is shown with a line for each attempt', async (t) => {
  await using api = await startApi()
  const env = { POSTRIDER_URL: api.url, POSTRIDER_API_KEY: 'key' }
  const { stdout } = await runCommand(['delivery', 'show', 'a', 'd'], { env })
  t.match(
    stdout,
    /state +failed\n\nnumber {2}trigger.*\n1 +test +rejected +503 .*status_5xx .*the receiver returned 503\n$/,
  )
})

t.test('a schema comes from stdin too, and what is not JSON never leaves', async (t) => {
  await using api = await startApi()
  const env = { POSTRIDER_URL: api.url, POSTRIDER_API_KEY: 'key' }
  const put = (file: string, input: string) =>
    runCommand(['event-type', 'put', 'a.b', '--schema', file], { env, input })
  t.equal((await put('-', 'true')).exitCode, EXIT.ok)
  t.equal(api.requests[0]?.body, '{"schema":true}')
  t.match(await put('-', '{'), { exitCode: EXIT.usage, stderr: /--schema - is not JSON/ })
  t.match(await put('missing.json', ''), { exitCode: EXIT.usage, stderr: /ENOENT/ })
  t.equal(api.requests.length, 1)
})

t.test('bytes that are not UTF-8 never leave, from stdin or a file', async (t) => {
  await using api = await startApi()
  const cwd = createFolder(t)
  const env = { POSTRIDER_URL: api.url, POSTRIDER_API_KEY: 'key' }
  const input = Buffer.from('{"type":"a.b","data":"ü"}', 'latin1')
  await writeFile(join(cwd, 'latin1.json'), input)
  const create = ['endpoint', 'create', 'a', 'https://x.example/', '--secret', '-']
  const certificate = ['endpoint', 'client-certificate', 'set', 'a', 'e', '--private-key', '-']
  for (const [args, name] of [
    [['publish', 'a', 'a.b'], 'standard input'],
    [['publish-batch'], 'standard input'],
    [['publish-batch', 'latin1.json'], 'file latin1.json'],
    [create, 'standard input'],
    [[...certificate, '--certificate', 'latin1.json'], '--certificate latin1.json'],
    [['event-type', 'put', 'a.b', '--schema', 'latin1.json'], '--schema latin1.json'],
  ] as const) {
    const { exitCode, stderr } = await runCommand([...args], { env, cwd, input })
    t.equal(exitCode, EXIT.usage, args.join(' '))
    t.match(stderr, `${name} is not UTF-8`)
  }
  t.equal(api.requests.length, 0)
  const marked = Buffer.from('\ufeff{"n":"ü"}')
  t.equal((await runCommand(['publish', 'a', 'a.b'], { env, input: marked })).exitCode, EXIT.ok)
  t.match(api.requests[0]?.body, /"data":\{"n":"ü"\}\}$/)
})

t.test('a name that is given twice is refused, as one of the values would be lost', async (t) => {
  await using api = await startApi()
  const env = { POSTRIDER_URL: api.url, POSTRIDER_API_KEY: 'key' }
  for (const [option, first, second, name] of [
    ['--header', 'X-A: b', 'X-A: c', 'X-A'],
    ['--metadata', 'team=a', 'team=b', 'team'],
  ] as const) {
    const args = ['endpoint', 'change', 'a', 'e', option, first, option, second]
    const { exitCode, stderr } = await runCommand(args, { env })
    t.equal(exitCode, EXIT.usage, option)
    t.match(stderr, `${name} is given twice.`)
  }
  t.equal(api.requests.length, 0)
})
