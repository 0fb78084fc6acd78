import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { join } from 'node:path'
import { Worker } from 'node:worker_threads'
import { gzipSync } from 'node:zlib'
import t from 'tap'
import { type Certificate, makeCertificates, trustOnly } from '../testing/servers/certificates.ts'
import { startRawReceiver, startReceiver } from '../testing/servers/receiver.ts'
import { startSender } from '../testing/wiring/sender.ts'
import { createLookup, type LookupAll } from './lookup.ts'
import { RESPONSE_BODY_BYTES_MAX } from './response-body.ts'

/** Short, as these receivers never end; long enough for a busy machine to get to the hang. */
const TIMEOUT_MS = 300
const TRICKLE_MS = 20
const OK = 'HTTP/1.1 200 OK\r\n'
const LOOPBACK: LookupAll = (_name, _options, done) =>
  done(null, [{ address: '127.0.0.1', family: 4 }])
const certificates = await makeCertificates()
trustOnly(t, [certificates.ca])

/** Waits for a request to begin, then writes `parts` and leaves the connection open. */
function startSaying(...parts: (string | Buffer)[]) {
  return startRawReceiver((socket) => {
    socket.once('data', () => {
      for (const part of parts) socket.write(part)
    })
  })
}

/** As `startSaying`, but closes at the end. */
function startSayingAndClosing(said: string | Buffer) {
  return startRawReceiver((socket) => {
    socket.once('data', () => socket.end(said))
  })
}

/** Repeats `text` until the connection is gone. */
function trickle(socket: Socket, text: string): void {
  const timer = setInterval(() => socket.write(text), TRICKLE_MS)
  socket.on('close', () => clearInterval(timer))
}

t.test('times out on a receiver that takes the request and says nothing', async (t) => {
  await using sender = startSender()
  await using receiver = await startSaying()
  const result = await sender.send(receiver.url, { timeoutMs: TIMEOUT_MS })
  t.match(result, {
    outcome: 'unreachable',
    statusCode: null,
    reason: 'timeout_answer',
    error: 'no complete response within 0.3 s',
    responseHeaders: null,
    responseBody: null,
  })
  t.ok(result.durationMs > TIMEOUT_MS / 2)
})

// A runner that is frozen or starved of CPU finds its timers due before it has read what came meanwhile. Each
// such attempt was noted as a timeout, and twenty of them opened the circuit of a receiver that was well.
t.test('an answer that came in time counts, however late we get to read it', async (t) => {
  const worker = new Worker(
    `const { createServer } = require('node:http')
     const { parentPort } = require('node:worker_threads')
     const server = createServer((request, response) => {
       request.resume().on('end', () => {
         parentPort.postMessage('asked')
         response.end('ok')
       })
     })
     server.listen(0, '127.0.0.1', () => parentPort.postMessage(server.address().port))`,
    { eval: true },
  )
  t.teardown(() => worker.terminate())
  const [port] = await once(worker, 'message')
  await using sender = startSender()
  const sending = sender.send(`http://127.0.0.1:${port}/`, { timeoutMs: TIMEOUT_MS })
  await once(worker, 'message')
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 2 * TIMEOUT_MS)
  t.match(await sending, { outcome: 'delivered', statusCode: 200 })
})

t.test('times out on a receiver that trickles its status line', async (t) => {
  await using sender = startSender()
  await using receiver = await startRawReceiver((socket) => {
    socket.write('HTTP/1.1 200 O')
    trickle(socket, 'K')
  })
  const result = await sender.send(receiver.url, { timeoutMs: TIMEOUT_MS })
  t.match(result, { outcome: 'unreachable', reason: 'timeout_answer' })
})

t.test('a status whose headers trickle counts when the time is over', async (t) => {
  await using sender = startSender()
  const closed = Promise.withResolvers<void>()
  await using receiver = await startRawReceiver((socket) => {
    socket.on('close', closed.resolve)
    socket.write(`${OK}x-a: b\r\nx-c: d`)
    trickle(socket, 'd')
  })
  t.match(await sender.send(receiver.url, { timeoutMs: TIMEOUT_MS }), {
    outcome: 'delivered',
    statusCode: 200,
    reason: null,
    error: 'no complete response within 0.3 s',
    responseHeaders: { 'x-a': 'b', 'x-c': undefined },
  })
  await closed.promise
})

t.test('times out on a receiver that says to continue for ever', async (t) => {
  await using sender = startSender()
  for (const status of ['100 Continue', '102 Processing', '103 Early Hints']) {
    await using receiver = await startRawReceiver((socket) => {
      trickle(socket, `HTTP/1.1 ${status}\r\n\r\n`)
    })
    const result = await sender.send(receiver.url, { timeoutMs: TIMEOUT_MS })
    t.match(result, { outcome: 'unreachable', statusCode: null, reason: 'timeout_answer' }, status)
  }
})

// A receiver that never stops took the thread of all requests, 25 of them for seconds.
for (const [name, said] of [
  ['announces answers', 'HTTP/1.1 102 Processing\r\n\r\n'],
  ['says empty lines', '\r\n'],
  ['says one announcement', `x-a: ${'a'.repeat(93)}\r\n`],
] as const) {
  t.test(`a receiver that ${name} without end is given up`, async (t) => {
    await using sender = startSender()
    const closed = Promise.withResolvers<void>()
    await using receiver = await startRawReceiver((socket) => {
      const pour = () => {
        while (socket.writable && socket.write(said.repeat(1_000)));
      }
      socket.on('close', closed.resolve)
      socket.once('data', () => {
        if (said.startsWith('x')) socket.write('HTTP/1.1 103 Early Hints\r\n')
        socket.on('drain', pour)
        pour()
      })
    })
    t.match(await sender.send(receiver.url), {
      outcome: 'unreachable',
      statusCode: null,
      reason: 'bad_answer',
      error: /1xx/,
    })
    await closed.promise
  })
}

t.test('so many announcements are read, and no more, however they come', async (t) => {
  const announced = 'HTTP/1.1 102 Processing\r\n\r\n'
  for (const [count, outcome] of [
    [256, 'delivered'],
    [257, 'unreachable'],
  ] as const) {
    const ways = [[announced.repeat(count)], Array<string>(count).fill(announced)]
    for (const parts of ways) {
      await using sender = startSender()
      await using receiver = await startAnswering(() => [...parts, `${OK}${LENGTH}`])
      t.match(await sender.send(receiver.url), { outcome }, `${count} in ${parts.length}`)
    }
  }
})

t.test('the connection of a request that timed out is closed', async (t) => {
  await using sender = startSender()
  const closed = Promise.withResolvers<void>()
  await using receiver = await startRawReceiver((socket) => {
    socket.resume().on('close', closed.resolve)
  })
  t.match(await sender.send(receiver.url, { timeoutMs: TIMEOUT_MS }), { outcome: 'unreachable' })
  await closed.promise
})

t.test('a 200 whose body trickles is delivered when the time is over', async (t) => {
  await using sender = startSender()
  await using receiver = await startRawReceiver((socket) => {
    socket.write(`${OK}content-length: 1000000\r\n\r\n`)
    trickle(socket, 'a')
  })
  const result = await sender.send(receiver.url, { timeoutMs: TIMEOUT_MS })
  t.match(result, { outcome: 'delivered', statusCode: 200, error: null, responseBody: /^a+$/ })
  t.ok(result.durationMs > TIMEOUT_MS / 2)
})

t.test('a 500 whose body stalls is rejected with what came', async (t) => {
  await using sender = startSender()
  await using receiver = await startSaying('HTTP/1.1 500 No\r\ncontent-length: 9\r\n\r\nhalf')
  const result = await sender.send(receiver.url, { timeoutMs: TIMEOUT_MS })
  t.match(result, { outcome: 'rejected', statusCode: 500, responseBody: 'half' })
})

t.test('an endless body is read up to the cap and its connection closed', async (t) => {
  await using sender = startSender()
  const closed = Promise.withResolvers<void>()
  await using receiver = await startRawReceiver((socket) => {
    const pour = () => {
      while (socket.writable && socket.write('x'.repeat(10_000)));
    }
    socket.on('close', closed.resolve)
    socket.once('data', () => {
      socket.write(`${OK}\r\n`)
      socket.on('drain', pour)
      pour()
    })
  })
  const result = await sender.send(receiver.url)
  t.match(result, { outcome: 'delivered', responseBody: 'x'.repeat(RESPONSE_BODY_BYTES_MAX) })
  t.equal(result.responseBody?.length, RESPONSE_BODY_BYTES_MAX)
  await closed.promise
})

t.test('a gzip bomb is inflated as far as text is kept', async (t) => {
  await using sender = startSender()
  await using receiver = await startReceiver({
    answer: () => ({
      headers: { 'content-encoding': 'gzip' },
      body: gzipSync('x'.repeat(10_000_000)),
    }),
  })
  const result = await sender.send(receiver.url)
  t.match(result, { outcome: 'delivered', responseHeaders: { 'content-encoding': 'gzip' } })
  t.ok(result.responseBody === 'x'.repeat(RESPONSE_BODY_BYTES_MAX))
  const [request] = receiver.requests
  t.notOk(request?.headers['accept-encoding'], 'and nobody asked for it')
})

// They were stored as they came: U+FFFD where the customer looks for the receiver's words.
t.test('what a receiver compressed can be read', async (t) => {
  await using sender = startSender()
  const text = '{"error":"no such order: \u20ac"}'
  await using receiver = await startReceiver({
    answer: () => ({ status: 422, headers: { 'content-encoding': 'gzip' }, body: gzipSync(text) }),
  })
  t.match(await sender.send(receiver.url), { outcome: 'rejected', responseBody: text })
  receiver.answerWith(() => ({ headers: { 'content-encoding': 'gzip' }, body: text }))
  t.match(await sender.send(receiver.url), { responseBody: text }, 'nor what only claims to be')
})

const NO_ANSWERS: [name: string, said: string | Buffer, error: RegExp][] = [
  ['nothing', '', /closed before/],
  ['half a status line', 'HTTP/1.1 200 O', /closed before/],
  ['a status line that ends with CR', 'HTTP/1.1 200 OK\r\r', /^the status line .* cannot be read$/],
  ['SSH', 'SSH-2.0-OpenSSH_9.2\r\n', /begins with "SSH-2.0-OpenSSH_9.2"$/],
  ['SMTP', '220 mail.test ESMTP\r\n', /begins with "220 mail.test ESMTP"$/],
  ['a page without a head', '<html>\0\x07</html>', /begins with "<html>\uFFFD\uFFFD<\/html>"$/],
  ['JSON without a head', '{"ok":true}\n', /begins with "{"ok":true}"$/],
  ['the status of another protocol', 'ICY 200 OK\r\n\r\n', /begins with "ICY 200 OK"$/],
  ['a blank first', ' HTTP/1.1 200 OK\r\n\r\n', /begins with "HTTP/],
  ['no digits', 'HTTP/1.1 abc\r\n\r\n', /^the status line of the response cannot be read$/],
  ['a status of two digits', 'HTTP/1.1 20 OK\r\n\r\n', /^the status line/],
  ['a status of four digits', 'HTTP/1.1 2000 OK\r\n\r\n', /^the status line/],
  ['status 000', 'HTTP/1.1 000 OK\r\ncontent-length: 0\r\n\r\n', /^the status line/],
  ['status 099', 'HTTP/1.1 099 OK\r\ncontent-length: 0\r\n\r\n', /^the status line/],
  ['no version', 'HTTP 200 OK\r\n\r\n', /^the response is not HTTP/],
  ['to go on, and no more', 'HTTP/1.1 100 Continue\r\n\r\n', /closed before/],
  ['to go on, oddly, and no more', 'HTTP/1.1 100 Continue\n\n', /^a response was announced/],
  ['HTTP/2', Buffer.from([0, 0, 6, 4, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 100]), /nothing but HTTP\/2/],
  ['HTTP/2 without settings', Buffer.from([0, 0, 0, 4, 0, 0, 0, 0, 0]), /nothing but HTTP\/2/],
  ['a TLS alert', Buffer.from([21, 3, 1, 0, 2, 2, 70]), /speaks TLS .* begin with https$/],
]
for (const [name, said, error] of NO_ANSWERS) {
  t.test(`a receiver that says ${name} and closes is unreachable`, async (t) => {
    await using sender = startSender()
    await using receiver = await startSayingAndClosing(said)
    t.match(await sender.send(receiver.url), {
      outcome: 'unreachable',
      statusCode: null,
      reason: /^(connection_closed|bad_answer)$/,
      error,
    })
  })
}

const LENGTH = 'content-length: 2\r\n\r\nok'
const CHUNKED = 'transfer-encoding: chunked\r\n'
/** What Go's client, curl or both read, and node:http does not. */
const ODD_ANSWERS: [name: string, said: string, error: RegExp, body?: string | null][] = [
  ['bare LF', 'HTTP/1.1 200 OK\n\n', /CR LF/, null],
  ['bare LF and a body', 'HTTP/1.1 200 OK\ncontent-length: 2\n\nok', /CR LF/],
  ['bare LF here and there', 'HTTP/1.1 200 OK\r\ncontent-length: 2\n\r\nok', /CR LF/],
  ['bare LF after to go on', `HTTP/1.1 100 Continue\n\n${OK}${LENGTH}`, /CR LF/],
  ['CR in a header', `${OK}x-a: a\rb\r\n${LENGTH}`, /CR LF/],
  [
    'chunks and a length',
    `${OK}content-length: 9\r\n${CHUNKED}\r\n2\r\nok\r\n0\r\n\r\n`,
    /chunks and also has a length/,
  ],
  [
    'chunks and a length, the other way round',
    `${OK}${CHUNKED}content-length: 9\r\n\r\n1\r\no\r\n1;x\nk\n0\r\n\r\n`,
    /length of the response/,
  ],
  ['the same length twice', `${OK}content-length: 2\r\n${LENGTH}`, /more than one length/],
  ['the same length in a list', `${OK}content-length: 2, 2\r\n\r\nok`, /length of the response/],
  ['two lengths', `${OK}content-length: 1\r\n${LENGTH}`, /more than one length/],
  ['a length that is no number', `${OK}content-length: x\r\n\r\nok`, /length of the response/],
  ['a negative length', `${OK}content-length: -1\r\n\r\nok`, /length of the response/],
  ['an empty length', `${OK}content-length:\r\n\r\nok`, /length of the response/],
  ['a length beyond all bounds', `${OK}content-length: ${'9'.repeat(40)}\r\n\r\nok`, /length/],
  ['a folded header', `${OK}x-a: b\r\n  c\r\n${LENGTH}`, /header line/],
  ['a folded header that continues none', `${OK}  c\r\n${LENGTH}`, /header line/],
  ['a blank before the colon', `${OK}x-a : b\r\n${LENGTH}`, /header line/],
  ['a blank in a name', `${OK}x a: b\r\n${LENGTH}`, /header line/],
  ['brackets in a name', `${OK}x(a): b\r\n${LENGTH}`, /header line/],
  ['UTF-8 in a name', `${OK}x-é: b\r\n${LENGTH}`, /header line/],
  ['a header without a name', `${OK}: b\r\n${LENGTH}`, /header line/],
  ['a header without a colon', `${OK}nonsense\r\n${LENGTH}`, /header line/],
  ['a header with NUL', `${OK}x-a: a\0b\r\n${LENGTH}`, /header line/],
  ['a header with a control character', `${OK}x-a: a\x01b\r\n${LENGTH}`, /header line/],
  ['two blanks in the status line', `HTTP/1.1  200 OK\r\n${LENGTH}`, /status line/],
  ['a tab in the status line', `HTTP/1.1 200\tOK\r\n${LENGTH}`, /status line/],
  ['its version in small letters', `http/1.1 200 OK\r\n${LENGTH}`, /status line/],
  ['version 1.2', `HTTP/1.2 200 OK\r\n${LENGTH}`, /status line/],
  ['version 2, in text', `HTTP/2 200 OK\r\n${LENGTH}`, /status line/],
  ['version 3.1, in text', `HTTP/3.1 200 OK\r\n${LENGTH}`, /status line/],
  ['nothing between status and reason', `HTTP/1.1 200-OK\r\n${LENGTH}`, /status line/],
  ['204 with a body', `HTTP/1.1 204 No Content\r\n${LENGTH}`, /does not belong/],
  ['more than its length', `${OK}${LENGTH}JUNK`, /does not belong/],
  ['two answers', `${OK}${LENGTH}HTTP/1.1 500 No\r\ncontent-length: 0\r\n\r\n`, /does not belong/],
  ['the start of a second answer', `${OK}${LENGTH}HTTP/1.1 2`, /does not belong/],
  [
    'the start of a second answer after chunks',
    `${OK}${CHUNKED}\r\n2\r\nok\r\n0\r\n\r\nHTTP/1.1 2`,
    /does not belong/,
  ],
  ['an empty line behind its end', `${OK}${LENGTH}\r\n`, /does not belong/],
  ['chunks that are none', `${OK}${CHUNKED}\r\nZZZ\r\n`, /chunks/, null],
]
for (const [name, said, error, responseBody = 'ok'] of ODD_ANSWERS) {
  // It was unreachable, so that the event was sent again until the schedule was used up.
  t.test(`the status counts and the connection is closed after ${name}`, async (t) => {
    await using sender = startSender()
    const closed = Promise.withResolvers<void>()
    await using receiver = await startRawReceiver((socket) => {
      socket.once('data', () => socket.write(said))
      socket.on('close', closed.resolve)
    })
    const statusCode = name.startsWith('204') ? 204 : 200
    const result = await sender.send(receiver.url)
    t.match(result, { outcome: 'delivered', statusCode, reason: null, error, responseBody })
    await closed.promise
    await sender.send(receiver.url)
    t.equal(receiver.connections(), 2)
  })
}

t.test('an odd answer is known to be cut, or whole', async (t) => {
  const long = 'x'.repeat(60_000)
  for (const [name, said, isBodyCut] of [
    ['a folded header, and no body yet', `${OK}x-a: b\r\n  c\r\ncontent-length: 2\r\n\r\n`, true],
    [
      'a length twice, and no body yet',
      `${OK}content-length: 2\r\ncontent-length: 2\r\n\r\n`,
      true,
    ],
    ['two lengths, and no body', `${OK}content-length: 2\r\ncontent-length: 3\r\n\r\n`, true],
    ['half a head', 'HTTP/1.1 200 OK\n', true],
    ['no last chunk', `${OK}x a: b\r\n${CHUNKED}\r\n2\r\nok\r\n`, true],
    ['all chunks', `${OK}x a: b\r\n${CHUNKED}\r\n2\r\nok\r\n0\r\n\r\n`, undefined],
    ['the length twice', `${OK}content-length: 2\r\n${LENGTH}`, undefined],
    ['neither length nor body', 'HTTP/1.1 200 OK\n\n', undefined],
    ['more than its length', `${OK}${LENGTH}JUNK`, undefined],
    ['a body that is late', `${OK}content-length: 2\r\n\r\n`, true],
    ['a long body', `${OK}content-length: 60000\r\n\r\n${long}JUNK`, undefined],
  ] as const) {
    await using sender = startSender()
    await using receiver = await startSaying(said)
    const result = await sender.send(receiver.url, { timeoutMs: 500, answerBytesMax: 65_536 })
    t.match(result, { outcome: 'delivered', isBodyCut }, name)
    if (said.includes(long)) t.ok(result.responseBody === long)
  }
})

t.test('an odd answer that is no success says both', async (t) => {
  await using sender = startSender()
  const said = 'HTTP/1.1 503 Busy\nRetry-After: 120\nX-Odd : a\n b\n__proto__: c\n\ntry later'
  await using receiver = await startSayingAndClosing(said)
  const result = await sender.send(receiver.url)
  t.match(result, {
    outcome: 'rejected',
    statusCode: 503,
    reason: 'status_5xx',
    error:
      'the receiver returned 503 Service Unavailable; a line of the response does not end with CR LF (HPE_CR_EXPECTED)',
    responseBody: 'try later',
    retryAfterSeconds: 120,
    timings: { firstByteMs: Number },
  })
  t.strictSame(Object.entries(result.responseHeaders ?? {}), [
    ['retry-after', '120'],
    ['x-odd', 'a b'],
    ['__proto__', 'c'],
  ])
})

/** Calls `answer` at the end of each request, and writes its parts in separate packets. */
function startAnswering(answer: (n: number) => string[], certificate?: Certificate) {
  return startRawReceiver((socket) => {
    let n = 0
    socket.setNoDelay(true)
    socket.on('data', (chunk) => {
      // The body is an object.
      if (!String(chunk).endsWith('}')) return
      n += 1
      writeAll(socket, answer(n))
    })
  }, certificate)
}

function writeAll(socket: Socket, [part, ...parts]: string[]): void {
  if (part !== undefined) socket.write(part, () => setImmediate(writeAll, socket, parts))
}

t.test('an odd answer that comes in pieces, over TLS, on a kept connection', async (t) => {
  await using sender = startSender({ lookup: LOOPBACK })
  await using receiver = await startAnswering(
    (n) => (n === 1 ? [`${OK}${LENGTH}`] : [...'HTTP/1.1 201 Created\nx-a: b\n\nlate']),
    certificates.valid,
  )
  const url = `https://receiver.test:${receiver.port}/`
  t.match(await sender.send(url), { outcome: 'delivered', statusCode: 200, error: null })
  t.match(await sender.send(url), { outcome: 'delivered', statusCode: 201, error: /CR LF/ })
  t.equal(receiver.connections(), 1)
})

const WHOLE_ANSWERS: [name: string, parts: string[]][] = [
  ['a length', [OK, 'content-length: 2\r\n', '\r\no', 'k']],
  ['chunks', [`${OK}${CHUNKED}\r\n2\r\nok`, '\r\n0\r\n\r\n']],
  ['chunks whose end is cut', [`${OK}${CHUNKED}\r\n2\r\nok\r\n0`, '\r', '\n\r', '\n']],
  ['chunks with trailers', [`${OK}${CHUNKED}\r\n2\r\nok\r\n0\r\n`, 'x-a: b\r\n\r\n']],
  ['no body', ['HTTP/1.1 204 No Content\r\n\r\n']],
  ['304', ['HTTP/1.1 304 Not Modified\r\ncontent-length: 9\r\n\r\n']],
  ['to go on first', ['HTTP/1.1 100 Continue\r\n\r\n', `HTTP/1.1 103 Early\r\n\r\n${OK}${LENGTH}`]],
  ['a body beyond what is looked at', [`${OK}content-length: 16384\r\n\r\n`, 'x'.repeat(16_384)]],
  ['no reason', [`HTTP/1.1 200\r\n${LENGTH}`]],
  ['bytes beyond ASCII', [`HTTP/1.1 200 Très bien\r\nx-a: é\r\n${LENGTH}`]],
  ['HTTP/1.0 that keeps', [`HTTP/1.0 200 OK\r\nconnection: keep-alive\r\n${LENGTH}`]],
]
for (const [name, parts] of WHOLE_ANSWERS) {
  t.test(`a connection is used again after an answer with ${name}`, async (t) => {
    await using sender = startSender()
    await using receiver = await startAnswering(() => parts)
    for (let n = 0; n < 3; n += 1) {
      const { error } = await sender.send(receiver.url)
      t.ok(
        error === null ||
          error === 'the receiver returned 304 Not Modified; redirects are not followed',
      )
    }
    t.equal(receiver.connections(), 1)
  })
}

t.test('a connection is not used again after a number that is no status', async (t) => {
  await using sender = startSender()
  await using receiver = await startAnswering(() => [
    'HTTP/1.1 099 No\r\ncontent-length: 0\r\n\r\n',
  ])
  for (let n = 0; n < 2; n += 1) {
    t.match(await sender.send(receiver.url), { outcome: 'unreachable', reason: 'bad_answer' })
  }
  t.equal(receiver.connections(), 2)
})

t.test('a kept connection carries no listeners of requests that have ended', async (t) => {
  const dialled = Promise.withResolvers<Socket>()
  const onSocket = (message: unknown) => {
    unsubscribe('net.client.socket', onSocket)
    dialled.resolve((message as { socket: Socket }).socket)
  }
  await using sender = startSender()
  await using receiver = await startReceiver()
  subscribe('net.client.socket', onSocket)
  const listeners: number[] = []
  for (let n = 0; n < 3; n += 1) {
    await sender.send(receiver.url)
    const socket = await dialled.promise
    listeners.push(socket.eventNames().reduce((sum, event) => sum + socket.listenerCount(event), 0))
  }
  t.equal(receiver.connections(), 1)
  t.equal(listeners[2], listeners[1])
})

t.test('of more than 16 KiB of headers the status counts, and the first are kept', async (t) => {
  await using sender = startSender()
  for (const headers of [
    `x-b: ${'a'.repeat(1_048_576)}\r\n`,
    'x-b: a\r\n'.repeat(100_000),
    `x-${'a'.repeat(1_048_576)}: a\r\n`,
    `x-b: ${'a'.repeat(20_000)}\r\n`,
  ]) {
    await using receiver = await startSaying(`${OK}x-a: first\r\n${headers}\r\n`)
    const result = await sender.send(receiver.url)
    t.match(result, {
      outcome: 'delivered',
      error: /^the headers of the response are larger than 16 KiB/,
      responseHeaders: { 'x-a': 'first' },
    })
    t.ok(JSON.stringify(result.responseHeaders).length < 40_000)
  }
  await using line = await startSaying(`HTTP/1.1 200 ${'a'.repeat(1_048_576)}`)
  t.match(await sender.send(line.url), { outcome: 'unreachable', reason: 'bad_answer' })
  await using nearly = await startSaying(
    `${OK}x-a: ${'a'.repeat(16_000)}\r\ncontent-length: 0\r\n\r\n`,
  )
  t.match(await sender.send(nearly.url), { outcome: 'delivered', error: null })
})

const ANSWERS: [name: string, said: string, statusCode: number, body: string | null][] = [
  ['HTTP/1.0', 'HTTP/1.0 200 OK\r\n\r\nold', 200, 'old'],
  ['HTTP/1.1 without a length', `${OK}\r\nuntil the end`, 200, 'until the end'],
  ['a body shorter than announced', `${OK}content-length: 10\r\n\r\nshort`, 200, 'short'],
  ['garbage for chunks', `${OK}transfer-encoding: chunked\r\n\r\nZZZ\r\nx\r\n`, 200, null],
  [
    'a chunk of a size that nobody has',
    `${OK}transfer-encoding: chunked\r\n\r\nfffffffffffffffff\r\n`,
    200,
    null,
  ],
  [
    '100 a hundred times first',
    `${'HTTP/1.1 100 Continue\r\n\r\n'.repeat(100)}${OK}content-length: 0\r\n\r\n`,
    200,
    null,
  ],
  ['100 first', `HTTP/1.1 100 Continue\r\n\r\n${OK}content-length: 0\r\n\r\n`, 200, null],
  [
    '103 first',
    `HTTP/1.1 103 Early Hints\r\nlink: a\r\n\r\n${OK}content-length: 0\r\n\r\n`,
    200,
    null,
  ],
  [
    'a second answer nobody asked for',
    `${OK}content-length: 1\r\n\r\naHTTP/1.1 500 No\r\n\r\n`,
    200,
    'a',
  ],
]
for (const [name, said, statusCode, responseBody] of ANSWERS) {
  t.test(`the status counts when a receiver says ${name}`, async (t) => {
    await using sender = startSender()
    await using receiver = await startSayingAndClosing(said)
    t.match(await sender.send(receiver.url), { outcome: 'delivered', statusCode, responseBody })
  })
}

t.test('trailers of 1 MB after a 200 are not read to their end', async (t) => {
  await using sender = startSender()
  const body = `transfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n`
  await using receiver = await startSaying(`${OK}${body}x: ${'a'.repeat(1_048_576)}\r\n\r\n`)
  t.match(await sender.send(receiver.url), { outcome: 'delivered', statusCode: 200 })
})

t.test('101 that names no protocol is rejected and its connection closed', async (t) => {
  await using sender = startSender()
  const closed = Promise.withResolvers<void>()
  await using receiver = await startRawReceiver((socket) => {
    socket.on('close', closed.resolve)
    socket.once('data', () => socket.write('HTTP/1.1 101 Switching Protocols\r\n\r\n'))
  })
  t.match(await sender.send(receiver.url), {
    outcome: 'rejected',
    statusCode: 101,
    error: 'the receiver returned 101 Switching Protocols',
  })
  await closed.promise
})

t.test('an upgrade is rejected and its connection closed', async (t) => {
  await using sender = startSender()
  const closed = Promise.withResolvers<void>()
  await using receiver = await startRawReceiver((socket) => {
    socket.on('close', closed.resolve)
    socket.once('data', () => {
      socket.write(
        'HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n',
      )
    })
  })
  t.match(await sender.send(receiver.url), {
    outcome: 'rejected',
    statusCode: 101,
    reason: 'status_other',
    error: /101/,
  })
  await closed.promise
})

t.test('an answer before the body was taken counts, and the rest is not sent', async (t) => {
  await using sender = startSender()
  const closed = Promise.withResolvers<void>()
  let readOn = () => {}
  await using receiver = await startRawReceiver((socket) => {
    readOn = () => socket.resume()
    socket.on('close', closed.resolve)
    socket.once('readable', () => {
      socket.read(1)
      socket.write('HTTP/1.1 413 Too Large\r\ncontent-length: 0\r\n\r\n')
    })
  })
  // More than the buffers of a loopback connection hold.
  const result = await sender.send(receiver.url, { body: 'x'.repeat(32_000_000) })
  t.match(result, { outcome: 'rejected', statusCode: 413 })
  readOn()
  await closed.promise
})

// Node gave up such a connection as it could not be written to, and with it the answer that had arrived: the
// receiver was unreachable, and the event was sent again until the schedule was used up.
const HANG_UPS: [how: string, hangUp: (socket: Socket) => void, certificate?: Certificate][] = [
  ['closes', (socket) => void socket.destroy()],
  ['resets the connection', (socket) => void socket.resetAndDestroy()],
  ['closes a connection of TLS', (socket) => void socket.destroy(), certificates.valid],
]
for (const [how, hangUp, certificate] of HANG_UPS) {
  t.test(`the answer counts of a receiver that ${how} without reading all`, async (t) => {
    await using sender = startSender({ lookup: LOOPBACK })
    await using receiver = await startRawReceiver((socket) => {
      socket.once('readable', () => {
        socket.read(1)
        socket.write('HTTP/1.1 413 Too Large\r\ncontent-length: 0\r\n\r\n', () => hangUp(socket))
      })
    }, certificate)
    const url = certificate ? `https://receiver.test:${receiver.port}/` : receiver.url
    // The largest that an event may be by default, and one that no buffer holds.
    for (const length of [262_144, 32_000_000]) {
      const result = await sender.send(url, { body: 'x'.repeat(length) })
      t.match(result, { outcome: 'rejected', statusCode: 413, reason: 'status_4xx' }, `${length}`)
    }
  })
}

t.test('one that resets the connection without an answer is unreachable', async (t) => {
  await using sender = startSender()
  await using receiver = await startRawReceiver((socket) => {
    socket.once('readable', () => {
      socket.read(1)
      socket.resetAndDestroy()
    })
  })
  const result = await sender.send(receiver.url, { body: 'x'.repeat(32_000_000) })
  t.match(result, { outcome: 'unreachable', reason: 'connection_closed' })
})

t.test('an aborted request is interrupted', async (t) => {
  await using sender = startSender()
  const arrived = Promise.withResolvers<void>()
  await using receiver = await startRawReceiver((socket) => {
    socket.once('data', () => arrived.resolve())
  })
  const controller = new AbortController()
  const sending = sender.send(receiver.url, { signal: controller.signal })
  await arrived.promise
  controller.abort()
  t.match(await sending, { outcome: 'interrupted', statusCode: null, reason: 'runner_stopped' })
})

t.test('a request whose signal is aborted already is not sent', async (t) => {
  await using sender = startSender()
  await using receiver = await startReceiver()
  t.match(await sender.send(`${receiver.url}/first`, { signal: AbortSignal.abort() }), {
    outcome: 'interrupted',
  })
  await sender.send(`${receiver.url}/second`)
  t.match(await receiver.received(1), [{ path: '/second' }])
})

t.test('what the receiver said before the abort counts', async (t) => {
  await using sender = startSender()
  const controller = new AbortController()
  await using receiver = await startSaying(`${OK}content-length: 9\r\n\r\nhalf`)
  const headRead = Promise.withResolvers<void>()
  const onHead = () => headRead.resolve()
  subscribe('http.client.response.finish', onHead)
  const sending = sender.send(receiver.url, { signal: controller.signal })
  await headRead.promise
  unsubscribe('http.client.response.finish', onHead)
  controller.abort()
  t.match(await sending, { outcome: 'delivered', statusCode: 200 })
})

t.test('closing the sender interrupts what is under way', async (t) => {
  const sender = startSender()
  const arrived = Promise.withResolvers<void>()
  await using receiver = await startRawReceiver((socket) => {
    socket.once('data', () => arrived.resolve())
  })
  const sending = sender.send(receiver.url)
  await arrived.promise
  await sender.close()
  t.match(await sending, { outcome: 'interrupted' })
  await sender.close()
  t.match(await sender.send(receiver.url), { outcome: 'interrupted' })
})

t.test('leaves no listener behind on a signal that outlives the request', async (t) => {
  await using sender = startSender()
  await using receiver = await startReceiver()
  const { signal } = new AbortController()
  let listeners = 0
  const add = signal.addEventListener.bind(signal)
  const remove = signal.removeEventListener.bind(signal)
  signal.addEventListener = (...args: Parameters<typeof add>) => {
    listeners += 1
    add(...args)
  }
  signal.removeEventListener = (...args: Parameters<typeof remove>) => {
    listeners -= 1
    remove(...args)
  }
  for (let n = 0; n < 3; n += 1) await sender.send(receiver.url, { signal })
  t.equal(listeners, 0)
})

t.test('times out while the name is being looked up', async (t) => {
  await using sender = startSender({ lookup: () => {} })
  const result = await sender.send('http://slow.test/', { timeoutMs: TIMEOUT_MS })
  t.match(result, {
    outcome: 'unreachable',
    reason: 'timeout_dns',
    error: 'the name did not resolve within 0.3 s',
  })
})

t.test('times out while the connection is not taken', async (t) => {
  // Accepts nothing: the kernel completes as many connections as the backlog holds, and no more.
  const worker = new Worker(
    `const { parentPort } = require('node:worker_threads')
     const server = require('node:net').createServer()
     server.listen({ port: 0, host: '127.0.0.1', backlog: 1 }, () => {
       parentPort.postMessage(server.address().port)
       Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0)
     })`,
    { eval: true },
  )
  t.teardown(() => worker.terminate())
  const [port] = await once(worker, 'message')
  const others = [1, 2].map(() => connect(port, '127.0.0.1').on('error', () => {}))
  t.teardown(() => others.forEach((socket) => void socket.destroy()))
  await Promise.all(others.map((socket) => once(socket, 'connect')))

  const hostsFile = join(t.testdir({ hosts: '127.0.0.1 busy.test' }), 'hosts')
  await using sender = startSender({
    lookup: createLookup({ hostsFile }),
  })
  for (const host of ['127.0.0.1', 'busy.test']) {
    t.match(await sender.send(`http://${host}:${port}/`, { timeoutMs: TIMEOUT_MS }), {
      outcome: 'unreachable',
      reason: 'timeout_connect',
      error: 'no connection within 0.3 s',
    })
  }
})

t.test('times out on a connection that was used before', async (t) => {
  await using sender = startSender()
  await using receiver = await startReceiver()
  await sender.send(receiver.url)
  receiver.answerWith(() => new Promise(() => {}))
  t.match(await sender.send(receiver.url, { timeoutMs: TIMEOUT_MS }), { reason: 'timeout_answer' })
  t.equal(receiver.connections(), 1)
})

t.test('times out while the receiver does not answer the TLS handshake', async (t) => {
  await using sender = startSender()
  await using receiver = await startSaying()
  const result = await sender.send(receiver.url.replace('http:', 'https:'), {
    timeoutMs: TIMEOUT_MS,
  })
  t.match(result, {
    outcome: 'unreachable',
    reason: 'timeout_tls',
    error: 'no secure connection within 0.3 s',
  })
})

t.test('nobody listening is said in words', async (t) => {
  await using sender = startSender()
  const receiver = await startReceiver()
  await receiver.close()
  t.match(await sender.send(receiver.url), {
    outcome: 'unreachable',
    reason: 'connection_refused',
    error: 'the connection was refused, nothing listens there (ECONNREFUSED)',
  })
})

t.test('a name that does not resolve is said in words', async (t) => {
  const failure = Object.assign(new Error('x'), { code: 'ENOTFOUND' })
  await using sender = startSender({ lookup: (_name, _options, done) => done(failure, []) })
  t.match(await sender.send('http://nowhere.test/'), {
    outcome: 'unreachable',
    reason: 'dns_not_found',
    error: 'the name did not resolve (ENOTFOUND)',
    timings: { connectMs: null },
  })
})
