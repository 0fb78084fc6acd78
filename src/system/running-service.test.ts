/** The commands that need a service which delivers, against one: tail, listen, replay, runners. */

import { execFile } from 'node:child_process'
import { createHmac } from 'node:crypto'
import { once } from 'node:events'
import { createServer, request } from 'node:http'
import type { AddressInfo } from 'node:net'
import { promisify } from 'node:util'
import { Webhook } from 'standardwebhooks'
import t, { type Test } from 'tap'
import { SHAPES } from '../endpoints/shape.ts'
import { EXIT } from '../terminal/exit-code.ts'
import { secretBox } from '../testing/data/encryption.ts'
import { createTenant } from '../testing/data/tenant.ts'
import { isLong } from '../testing/long.ts'
import { startReceiver } from '../testing/servers/receiver.ts'
import { processEnvironment, runCli, startCli } from '../testing/wiring/cli.ts'
import { runCommand } from '../testing/wiring/command.ts'
import { createTestDatabase } from '../testing/wiring/database.ts'
import { startService } from '../testing/wiring/service.ts'

const CLI = new URL('../cli.ts', import.meta.url).pathname

const { pool, url: databaseUrl } = await createTestDatabase(t)
/** Thin events have a link that begins with it. */
const settings = { DATABASE_URL: databaseUrl, PUBLIC_URL: 'https://hooks.example.com' }
const api = await startService(t, 'api', settings)
const runner = await startService(t, 'runner', settings)
const env = {
  POSTRIDER_URL: api.url,
  POSTRIDER_API_KEY: 'test-admin-key',
  DATABASE_URL: databaseUrl,
}

/** A tenant with an endpoint that leads to a receiver. */
async function bundle(t: Test) {
  const receiver = await startReceiver()
  t.teardown(receiver.close)
  const tenant = await createTenant(pool)
  const endpoint = await tenant.addEndpoint({ url: `${receiver.url}/hooks` }, secretBox.encrypt)
  /** Publishes an event that is delivered. */
  const deliver = async () => {
    const id = await tenant.publish()
    await runner.line('delivery.attempted', ({ eventId }) => eventId === id)
    return id
  }
  return { receiver, tenant, endpoint, deliver }
}

/** On its own terminal; returns what was written there. */
async function onTerminal(args: string[], more: Record<string, string> = {}): Promise<string> {
  const command = [process.execPath, CLI, ...args].map((word) => `'${word}'`).join(' ')
  // tap tells what it starts to use no colours, and Node uses none where CI is set.
  const { NO_COLOR: _, FORCE_COLOR: __, CI: ___, ...inherited } = processEnvironment()
  const { stdout } = await promisify(execFile)('script', ['-qec', command, '/dev/null'], {
    env: { ...inherited, TERM: 'xterm-256color', ...env, ...more },
  })
  return stdout
}

t.test('tail prints an attempt a line as it ends, and stops as asked', async (t) => {
  const { tenant } = await bundle(t)
  const tail = startCli(t, ['tail', tenant.key], { env })
  const json = startCli(t, ['tail', tenant.key, '--json', '--outcome', 'delivered'], { env })
  const none = startCli(t, ['tail', tenant.key, '--reason', 'timeout_answer'], { env })
  await Promise.all([tail, json, none].map((one) => one.warned(/watching/)))
  // Before it is published: what has been printed by then is not seen.
  const lines = [tail.printed(/\n/), json.printed(/\n/)]
  await tenant.publish()
  t.match(await lines[0], /^\S+Z {2}delivered {4}200 +\d+ ms {2}#1 {2}invoice\.paid {2}\S+\n$/)
  t.match(JSON.parse((await lines[1]) ?? ''), {
    attempt: { outcome: 'delivered', statusCode: 200 },
    delivery: { state: 'delivered' },
    event: { type: 'invoice.paid' },
  })
  for (const one of [tail, json, none]) one.kill('SIGINT')
  t.match(await tail.exited, { exitCode: EXIT.ok })
  t.match(await json.exited, { exitCode: EXIT.ok })
  t.match(await none.exited, { exitCode: EXIT.ok, stdout: '' })
})

t.test('tail says what it is refused for', async (t) => {
  const unknown = await runCommand(['tail', 'nobody'], { env })
  t.match(unknown, { exitCode: EXIT.failed, stderr: /tenant_not_found/ })
  const wrong = await runCommand(['tail', 'nobody', '--status-class', 'x'], { env })
  t.match(wrong, { exitCode: EXIT.usage, stderr: /'x' is invalid. It is not a number/ })
  const away = { ...env, POSTRIDER_URL: 'http://127.0.0.1:1' }
  t.match(await runCommand(['tail', 'a'], { env: away }), { exitCode: EXIT.unavailable })
})

if (isLong)
  t.test(
    'an API that stops is not held up by streams, which go on with the next one',
    async (t) => {
      const { tenant } = await bundle(t)
      const first = await startService(t, 'api', { DATABASE_URL: databaseUrl })
      const port = new URL(first.url).port
      const tail = startCli(t, ['tail', tenant.key, '--json'], {
        env: { ...env, POSTRIDER_URL: first.url },
      })
      await tail.warned(/watching/)
      const lost = tail.warned(/connection lost/)
      t.equal(await first.stop(), 0)
      await lost
      const line = tail.printed(/\n/)
      const id = await tenant.publish()
      await startService(t, 'api', { DATABASE_URL: databaseUrl, PORT: port })
      t.equal(JSON.parse(await line).event.id, id)
    },
  )

t.test('listen forwards an event with its headers and bytes, and it verifies', async (t) => {
  const { tenant, endpoint, receiver } = await bundle(t)
  const second = await tenant.addEndpoint({ url: receiver.url }, secretBox.encrypt)
  t.not(second.secret, endpoint.secret)
  await using local = await startReceiver({ answer: () => 204 })
  const target = `${local.url}/webhooks?a=1`
  const args = ['listen', tenant.key, '--forward', target, '--endpoint', endpoint.id]
  const listen = startCli(t, args, { env })
  await listen.warned(/forwarding to/)
  const line = listen.printed(/\n/)
  const id = await tenant.publish('invoice.paid', { text: 'é' })
  const [request] = await local.received(1)
  const sent = (await receiver.received(2)).find(({ path }) => path === '/hooks')
  t.equal(request?.path, '/webhooks?a=1')
  t.equal(request?.body, sent?.body)
  for (const name of [
    'content-type',
    'user-agent',
    'webhook-id',
    'webhook-timestamp',
    'webhook-signature',
  ]) {
    t.equal(request?.headers[name], sent?.headers[name], name)
  }
  const headers = request?.headers as Record<string, string>
  t.match(new Webhook(endpoint.secret).verify(request?.body ?? '', headers), {
    data: { text: 'é' },
  })
  t.match(await line, new RegExp(` {2}invoice\\.paid {2}${id} {2}204 {2}\\d+ ms\\n$`))
  listen.kill('SIGINT')
  t.match(await listen.exited, { exitCode: EXIT.ok })
})

if (isLong)
  t.test(
    'listen forwards each shape to the byte, and signs it again in every scheme',
    async (t) => {
      const { tenant, endpoint, receiver } = await bundle(t)
      await using local = await startReceiver()
      await using own = await startReceiver()
      const secret = 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw'
      for (const args of [
        ['--forward', local.url],
        ['--forward', own.url, '--secret', secret],
      ]) {
        const listen = startCli(t, ['listen', tenant.key, ...args], { env })
        await listen.warned(/forwarding to/)
      }
      const hub = { 'X-Hub-Signature-256': 'sha256={hmac_hex} over {body}' }
      for (const [n, shape] of SHAPES.entries()) {
        const isOmitted = shape === 'raw'
        await pool.query(
          `update postrider.endpoint set shape = $2, shape_fields = array['$.id'], signature_headers = $3, webhook_signature = $4
       where id = $1`,
          [endpoint.id, shape, hub, isOmitted ? 'omit' : 'send'],
        )
        await tenant.publish('invoice.paid', { id: 1.5, text: 'é' })
        const ends = await Promise.all([receiver, local, own].map((one) => one.received(n + 1)))
        const [sent, same, again] = ends.map((requests) => requests[n])
        t.equal(same?.body, sent?.body, shape)
        t.equal(again?.body, sent?.body, shape)
        const { host: _, connection: __, ...headers } = sent?.headers ?? {}
        t.match(same?.headers, headers, shape)
        const body = again?.body ?? ''
        const key = Buffer.from(secret.slice('whsec_'.length), 'base64')
        const expected = createHmac('sha256', key).update(body).digest('hex')
        t.equal(again?.headers['x-hub-signature-256'], `sha256=${expected}`, shape)
        if (isOmitted) t.notOk('webhook-signature' in (again?.headers ?? {}))
        else t.ok(new Webhook(secret).verify(body, again?.headers as Record<string, string>), shape)
      }
    },
  )

/** The API, but for requests of this path. */
async function startFailingFor(t: Test, path: RegExp): Promise<string> {
  const server = createServer((asked, answer) => {
    if (path.test(asked.url ?? '')) {
      answer.writeHead(503).end()
      return
    }
    const { method, headers } = asked
    const passed = request(new URL(asked.url ?? '', api.url), { method, headers }, (answered) => {
      answer.writeHead(answered.statusCode ?? 502, answered.headers)
      answered.pipe(answer)
    })
    answer.on('close', () => passed.destroy())
    passed.on('error', () => answer.destroy())
    asked.pipe(passed)
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => {
    server.closeAllConnections()
    server.close()
  })
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

if (isLong)
  t.test(
    'listen says so when it cannot ask for templates, and signs again in our scheme only',
    async (t) => {
      const { tenant, endpoint, receiver } = await bundle(t)
      await pool.query('update postrider.endpoint set signature_headers = $2 where id = $1', [
        endpoint.id,
        { 'X-Hub-Signature-256': 'sha256={hmac_hex} over {body}' },
      ])
      await using local = await startReceiver()
      const url = await startFailingFor(t, /\/endpoints\/[^/]+$/)
      const secret = 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw'
      const args = ['listen', tenant.key, '--forward', local.url, '--secret', secret]
      const listen = startCli(t, args, { env: { ...env, POSTRIDER_URL: url } })
      await listen.warned(/forwarding to/)
      const said = listen.warned(
        /other signature headers are the ones that endpoint \S+ was sent: /,
      )
      await tenant.publish()
      await said
      const [request] = await local.received(1)
      const headers = request?.headers as Record<string, string>
      t.ok(new Webhook(secret).verify(request?.body ?? '', headers))
      const [sent] = await receiver.received(1)
      t.ok(headers['x-hub-signature-256'])
      t.equal(
        headers['x-hub-signature-256'],
        sent?.headers['x-hub-signature-256'],
        'as it was sent',
      )
    },
  )

t.test('listen forwards an event once, whatever the endpoints, signed with a secret', async (t) => {
  const { tenant, receiver } = await bundle(t)
  await tenant.addEndpoint({ url: receiver.url }, secretBox.encrypt)
  await using local = await startReceiver({ answer: () => 500 })
  const secret = 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw'
  const args = ['listen', tenant.key, '--forward', local.url, '--secret', secret, '--json']
  const listen = startCli(t, args, { env })
  await listen.warned(/forwarding to/)
  await using other = await startReceiver({ answer: () => 204 })
  const text = 'whsec_0123456789abcdef01234567'
  const asText = ['--secret', text, '--secret-encoding', 'text']
  const second = startCli(t, ['listen', tenant.key, '--forward', other.url, ...asText], { env })
  await second.warned(/forwarding to/)
  const printed = listen.printed(/\n.*\n/)
  const ids = [await tenant.publish(), await tenant.publish()]
  await receiver.received(4)
  const requests = await local.received(2)
  for (const { body, headers } of requests) {
    t.ok(new Webhook(secret).verify(body, headers as Record<string, string>))
  }
  for (const { body, headers } of await other.received(2)) {
    const receiver = new Webhook(text, { format: 'raw' })
    t.ok(receiver.verify(body, headers as Record<string, string>), 'a secret that is read as text')
  }
  const lines = (await printed)
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line))
  t.strictSame(lines.map(({ eventId }) => eventId).sort(), ids.sort())
  t.match(lines[0], { statusCode: 500, error: null, type: 'invoice.paid' })
})

if (isLong)
  t.test(
    'listen goes on when nothing answers there, and refuses what is no URL or secret',
    async (t) => {
      const { tenant } = await bundle(t)
      const closed = await startReceiver()
      await closed.close()
      const listen = startCli(t, ['listen', tenant.key, '--forward', closed.url], { env })
      await listen.warned(/forwarding to/)
      const line = listen.printed(/\n/)
      await tenant.publish()
      t.match(await line, /no response .*ECONNREFUSED/)
      const wrong = [
        [['--forward', 'localhost:3000'], '--forward localhost:3000 is no URL'],
        [['--forward', 'http://a', '--secret', 'x'], '--secret signs with 1 byte'],
        [
          ['--forward', 'http://a', '--secret', 'zz'.repeat(9), '--secret-encoding', 'hex'],
          'not hex',
        ],
        [['--forward', 'http://a', '--secret-encoding', 'utf8'], '--secret-encoding <encoding>'],
      ] as const
      for (const [options, said] of wrong) {
        const { exitCode, stderr } = await runCommand(['listen', tenant.key, ...options], { env })
        t.equal(exitCode, EXIT.usage, options.join(' '))
        t.match(stderr, said)
      }
    },
  )

t.test('replay counts, asks, begins, and shows how far it is', async (t) => {
  const { tenant, receiver, deliver, endpoint } = await bundle(t)
  await deliver()
  await deliver()
  const start = [
    'replay',
    'start',
    tenant.key,
    '--since',
    '2026-01-01T00:00:00Z',
    '--state',
    'delivered',
  ]
  t.match(await runCommand([...start, '--preview'], { env }), { stdout: '2 deliveries\n' })
  const counted = await runCommand([...start, '--preview', '--json', '--status-class', '5'], {
    env,
  })
  t.strictSame(JSON.parse(counted.stdout), { count: 0 })
  for (const input of ['', 'n\n', 'yes please\n']) {
    const { exitCode, stderr } = await runCommand(start, { env, input })
    t.equal(exitCode, EXIT.failed, JSON.stringify(input))
    t.match(stderr, /deliver 2 deliveries to .*\? \[y\/N\] postrider: nothing was started/)
  }
  const done = await runCommand([...start, '--endpoint', endpoint.id, '--rate', '1000'], {
    env,
    input: 'y\n',
  })
  t.match(done, { exitCode: EXIT.ok, stdout: /^state +done$/m })
  t.equal((await receiver.received(4)).length, 4)
  const { stdout } = await runCommand(['replay', 'list', tenant.key, '--json'], { env })
  const [listed, ...others] = JSON.parse(stdout).data
  t.match(listed, { state: 'done', total: 2, done: 2 })
  t.strictSame(others, [])
  const shown = await runCommand(['replay', 'show', tenant.key, listed.id, '--json'], { env })
  t.strictSame(JSON.parse(shown.stdout), listed)
})

t.test('replay --missed makes what an endpoint has not had, and cancel ends it', async (t) => {
  const { tenant, receiver, deliver } = await bundle(t)
  await deliver()
  const late = await tenant.addEndpoint({ url: `${receiver.url}/late` }, secretBox.encrypt)
  const start = [
    'replay',
    'start',
    tenant.key,
    '--since',
    '2026-01-01T00:00:00Z',
    '--yes',
    '--json',
  ]
  const alone = await runCommand([...start, '--missed'], { env })
  t.match(alone, { exitCode: EXIT.failed, stderr: /--endpoint: is required/ })
  const missed = await runCommand([...start, '--missed', '--endpoint', late.id], { env })
  t.match(JSON.parse(missed.stdout), { state: 'done', mode: 'missed', done: 1 })
  t.ok((await receiver.received(2)).some(({ path }) => path === '/late'))

  const slow = [...start, '--state', 'delivered', '--rate', '0.001', '--no-wait']
  await deliver()
  const { id } = JSON.parse((await runCommand(slow, { env })).stdout)
  const cancelled = await runCommand(['replay', 'cancel', tenant.key, id, '--json'], { env })
  t.match(JSON.parse(cancelled.stdout), { id, finishedAt: String })
})

t.test('a terminal gets a bar and colours, a pipe and NO_COLOR get none', async (t) => {
  const { tenant, deliver } = await bundle(t)
  await deliver()
  const list = ['delivery', 'list', tenant.key]
  const green = '\u001b[32mdelivered\u001b[39m'
  t.ok((await onTerminal(list)).includes(green))
  const without = await onTerminal(list, { NO_COLOR: '1' })
  t.match(without, /delivered/)
  t.notOk(without.includes('\u001b['))
  const piped = await runCli(t, list, { env })
  t.match(piped.stdout, /delivered/)
  t.notOk(piped.stdout.includes('\u001b'))

  const start = [
    'replay',
    'start',
    tenant.key,
    '--since',
    '2026-01-01T00:00:00Z',
    '--state',
    'delivered',
    '--yes',
  ]
  t.match(await onTerminal(start), /█+.* 100% \| 1\/1/)
  const quiet = await runCli(t, start, { env })
  t.match(quiet, { exitCode: EXIT.ok, stderr: '' })
})

t.test('runners are listed and drained', async (t) => {
  const other = await startService(t, 'runner', { DATABASE_URL: databaseUrl })
  const { runnerId } = await other.line('runner.started')
  const list = async () => {
    const { stdout } = await runCommand(['runners', 'list', '--json'], { env })
    return JSON.parse(stdout).data.find(({ id }: { id: string }) => id === runnerId)
  }
  t.match(await list(), { state: 'live', pid: other.pid, drainRequestedAt: null, jobs: 0 })
  t.match(
    (await runCommand(['runners', 'list'], { env })).stdout,
    new RegExp(`^${runnerId} +live`, 'm'),
  )
  const drained = await runCommand(['runners', 'drain', String(runnerId), '--json'], { env })
  t.strictSame(JSON.parse(drained.stdout), { id: runnerId, jobs: 0 })
  t.equal(await other.ended, 0)
  t.match(await list(), { state: 'stopped' })
  const again = await runCommand(['runners', 'drain', String(runnerId)], { env })
  t.match(again, { exitCode: EXIT.failed, stderr: /has ended already/ })
  const unknown = await runCommand(['runners', 'drain', 'nobody'], { env })
  t.match(unknown, { exitCode: EXIT.failed, stderr: /there is no runner nobody/ })
})
