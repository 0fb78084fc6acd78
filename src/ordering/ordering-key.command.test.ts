/** What the command line asks for about order, batches and only the newest. */
import t from 'tap'
import { EXIT } from '../terminal/exit-code.ts'
import { startReceiver } from '../testing/servers/receiver.ts'
import { runCommand } from '../testing/wiring/command.ts'

const LINE = { key: 'invoice:42', state: 'blocked', waiting: 2, lastStatusCode: 503 }

/** Answers as the API does, as far as the commands look at it. */
const startApi = () =>
  startReceiver({
    answer: ({ method, path }) => ({
      status: path === '/api/events' ? 202 : 200,
      body: JSON.stringify(
        method === 'GET' && /ordering-keys(\?|$)/.test(path)
          ? { data: [LINE], nextCursor: null }
          : { id: 'an-id', ...LINE },
      ),
    }),
  })

const ONE = '/api/tenants/a/endpoints/e/ordering-keys/invoice%2F42'

t.test('each command makes its request', async (t) => {
  await using api = await startApi()
  const env = { POSTRIDER_URL: api.url, POSTRIDER_API_KEY: 'key' }
  const commands: [args: string, request: string, body: string][] = [
    ['ordering all --state blocked', 'GET /api/ordering-keys?state=blocked', ''],
    [
      'ordering list a e --state blocked --limit 5',
      'GET /api/tenants/a/endpoints/e/ordering-keys?state=blocked&limit=5',
      '',
    ],
    ['ordering show a e invoice/42', `GET ${ONE}`, ''],
    ['ordering retry a e invoice/42', `POST ${ONE}/retry`, ''],
    ['ordering skip a e invoice/42', `POST ${ONE}/skip`, ''],
    ['ordering skip-to a e invoice/42 --event f', `POST ${ONE}/skip-to`, '{"eventId":"f"}'],
    ['ordering release a e', 'POST /api/tenants/a/endpoints/e/release-ordering', ''],
    [
      'publish a b {} --ordering-key invoice/42',
      'POST /api/events',
      '{"tenant":"a","type":"b","orderingKey":"invoice/42","data":{}}',
    ],
    [
      'endpoint change a e --ordering key --on-failure skip --collapse 5000',
      'PATCH /api/tenants/a/endpoints/e',
      '{"ordering":"key","onFailure":"skip","collapse":{"waitMs":5000}}',
    ],
    [
      'endpoint change a e --batch maxEvents=100 --batch maxWaitMs=1000 --no-collapse',
      'PATCH /api/tenants/a/endpoints/e',
      '{"batch":{"maxEvents":100,"maxWaitMs":1000},"collapse":null}',
    ],
    ['endpoint change a e --no-batch', 'PATCH /api/tenants/a/endpoints/e', '{"batch":null}'],
  ]
  for (const [args, request, body] of commands) {
    t.match(await runCommand(args.split(' '), { env }), { exitCode: EXIT.ok, stderr: '' }, args)
    const last = api.requests.at(-1)
    t.equal(`${last?.method} ${last?.path}`, request)
    if (body === '') t.equal(last?.body, '', args)
    else t.strictSame(JSON.parse(last?.body ?? ''), JSON.parse(body), args)
  }
})

t.test('the keys are listed with how many wait and the last answer', async (t) => {
  await using api = await startApi()
  const env = { POSTRIDER_URL: api.url, POSTRIDER_API_KEY: 'key' }
  const { stdout } = await runCommand(['ordering', 'list', 'a', 'e'], { env })
  t.match(stdout, /invoice:42 +blocked +- +2 +- +503/)
})
