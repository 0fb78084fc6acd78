import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'
import t from 'tap'
import { isInstalled } from '../../src/testing/programs.ts'
import { readTestServer } from '../../src/testing/servers/postgres-server.ts'
import { plainNode } from '../../src/testing/wiring/cli.ts'
import { takeMessage } from './measure/messages.ts'
import { distributionOf, median } from './measure/statistics.ts'
import { startServer } from './systems/server.ts'

const run = promisify(execFile)

t.test('a tiny run loses nothing and prints one line of JSON', async (t) => {
  const program = join(import.meta.dirname, 'throughput.ts')
  const { url } = await readTestServer()
  const { stdout } = await run(...plainNode(program, '--events', '50', '--warm-up', '5'), {
    env: { ...process.env, DATABASE_URL: url },
  })
  const lines = stdout.trim().split('\n')
  t.equal(lines.length, 1)
  const result = JSON.parse(lines[0] ?? '')
  t.match(result, {
    program: 'throughput',
    lost: 0,
    repeated: 0,
    refused: 0,
    settings: { events: 50, connections: 32 },
    cpu_ms_per_event: { api: Number, runner: Number, driver: Number },
    rss_mb: { api: Number, runner: Number },
    postgres: {
      from: 'DATABASE_URL',
      version: /^\d+\.\d+$/,
      jit_available: Boolean,
      settings: {
        shared_buffers: /B$/,
        fsync: 'off',
        wal_level: 'replica',
        max_connections: '200',
      },
    },
  })
  t.ok(result.accepted_per_s > 0 && result.delivered_per_s > 0)
  t.ok(result.publish_to_receive_ms.p50 > 0)
})

t.test('figures are those of the server that Debian has, where it is installed', async (t) => {
  await using cleanup = new AsyncDisposableStack()
  const { facts } = await startServer(cleanup)
  const isDebian = isInstalled('/usr/lib/postgresql/15/bin/postgres')
  t.equal(facts.from, isDebian ? 'debian' : 'embedded')
  t.equal(facts.jit_available, isDebian)
  t.match(facts.settings, { fsync: 'on', synchronous_commit: 'on', full_page_writes: 'on' })
  if (isDebian) t.equal(facts.settings['jit'], 'on', 'as people run it')
})

t.test('a mistake on the command line is told, with the options', async (t) => {
  const program = join(import.meta.dirname, 'throughput.ts')
  const failed = await run(...plainNode(program, '--evnts', '5')).catch((error) => error)
  t.equal(failed.code, 2)
  t.match(failed.stderr, /--evnts/)
  t.match(failed.stderr, /--events +events that count \(default: 10000\)/)
})

t.test('messages are taken however they are cut', async (t) => {
  const plain = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok'
  const chunked =
    'POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n2\r\n{"\r\n3\r\na":\r\n0\r\n\r\n'
  for (const text of [plain, chunked]) {
    for (let end = 0; end < text.length; end++) t.equal(takeMessage(text.slice(0, end)), null)
  }
  t.match(takeMessage(plain + chunked), { body: 'ok', length: plain.length })
  t.match(takeMessage(chunked + plain), { body: '{"a":', length: chunked.length })
  t.match(takeMessage('GET / HTTP/1.1\r\nhost: a\r\n\r\n'), { body: '' })
})

t.test('medians and quantiles', async (t) => {
  t.equal(median([3, 1, 2]), 2)
  t.equal(median([4, 1, 2, 3]), 2.5)
  const values = Float64Array.from({ length: 100 }, (_, i) => 100 - i)
  t.strictSame(distributionOf(values), { p50: 51, p95: 96, p99: 100, max: 100 })
  t.strictSame(distributionOf(new Float64Array()), { p50: null, p95: null, p99: null, max: null })
})
