import { Webhook } from 'standardwebhooks'
import t from 'tap'
import { startRawReceiver, startReceiver } from '../testing/servers/receiver.ts'
import { EVENT_ID, startSender } from '../testing/wiring/sender.ts'
import type { LookupAll } from './lookup.ts'
import { generateSecret, publicKeyOf, verify } from './signature.ts'

/** For cases in which any lookup is a mistake. */
const noLookup: LookupAll = (hostname) => {
  throw new Error(`looked up ${hostname}`)
}

t.test('posts the body as JSON with the headers of Standard Webhooks', async (t) => {
  await using sender = startSender()
  await using receiver = await startReceiver()
  const body = '{"name":"Zoë 😀","amount":1.10}'
  await sender.send(`${receiver.url}/hook?x=1`, { body })
  const [request] = await receiver.received(1)
  t.match(request, {
    method: 'POST',
    path: '/hook?x=1',
    body,
    headers: {
      'content-type': 'application/json',
      'content-length': String(Buffer.byteLength(body)),
      'user-agent': /^Postrider\/\d+\.\d+\.\d+$/,
      'webhook-id': EVENT_ID,
    },
  })
  const headers = request?.headers as Record<string, string>
  t.strictSame(new Webhook(sender.secret).verify(body, headers), { name: 'Zoë 😀', amount: 1.1 })
})

t.test('during a rotation the receiver may verify with either secret', async (t) => {
  await using sender = startSender()
  await using receiver = await startReceiver()
  const secrets = [generateSecret(), generateSecret()]
  await sender.send(receiver.url, { secrets })
  const [request] = await receiver.received(1)
  const headers = request?.headers as Record<string, string>
  for (const secret of secrets) t.ok(new Webhook(secret).verify(request?.body ?? '', headers))
})

t.test('during a rotation to ed25519 the receiver may verify with either kind', async (t) => {
  await using sender = startSender()
  await using receiver = await startReceiver()
  const shared = generateSecret()
  const key = generateSecret('ed25519')
  await sender.send(receiver.url, { secrets: [key, shared] })
  const [request] = await receiver.received(1)
  const headers = request?.headers as Record<string, string>
  // The package knows v1 only, and skips what it does not know.
  t.ok(new Webhook(shared).verify(request?.body ?? '', headers))
  const message = {
    id: headers['webhook-id'] ?? '',
    timestampSeconds: Number(headers['webhook-timestamp']),
    body: request?.body ?? '',
    signature: headers['webhook-signature'] ?? '',
  }
  t.strictSame(verify({ ...message, secrets: [publicKeyOf(key) ?? ''] }), { valid: true })
})

t.test('signs with the timestamp it is given', async (t) => {
  await using sender = startSender()
  await using receiver = await startReceiver()
  await sender.send(receiver.url, {
    eventId: 'msg_p5jXN8AQM9LWM0D4loKWxJek',
    timestampSeconds: 1_614_265_330,
    body: '{"test": 2432232314}',
    secrets: ['whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw'],
  })
  const [request] = await receiver.received(1)
  t.match(request?.headers, {
    'webhook-timestamp': '1614265330',
    'webhook-signature': 'v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=',
  })
})

t.test("sends an endpoint's headers, which cannot replace ours", async (t) => {
  await using sender = startSender({ userAgent: 'Custom/1' })
  await using receiver = await startReceiver()
  const headers = {
    'X-Team': 'blue',
    Authorization: 'Bearer secret',
    Host: 'other.test',
    'Webhook-Id': 'forged',
    'Content-Length': '1',
    'Transfer-Encoding': 'chunked',
  }
  const result = await sender.send(receiver.url, { headers })
  const [request] = await receiver.received(1)
  t.match(request?.headers, {
    'x-team': 'blue',
    authorization: 'Bearer secret',
    host: `127.0.0.1:${receiver.port}`,
    'webhook-id': EVENT_ID,
    'content-length': '24',
    'user-agent': 'Custom/1',
  })
  t.notOk(request?.headers['transfer-encoding'])
  t.match(result.requestHeaders, {
    'x-team': 'blue',
    authorization: '***',
    'user-agent': 'Custom/1',
  })
})

t.test('credentials are masked in answers that repeat the request', async (t) => {
  await using sender = startSender()
  const token = 'sk_"quoted"_4eC39HqLyjWDarjtT1zdp7dc'
  const headers = { authorization: `Bearer ${token}`, 'x-code': 'of-the-team', 'x-team': 'blue' }
  const page = [`Bearer ${token}`, token, JSON.stringify({ headers }), encodeURIComponent(token)]
  const echo = { 'x-echo': `Bearer ${token}`, 'set-cookie': ['a=of-the-team', 'b=blue'] }
  const answer = () => ({ status: 500, headers: echo, body: page.join('\n') })
  await using receiver = await startReceiver({ answer })
  const secretHeaders = ['X-Code']
  const result = await sender.send(receiver.url, { headers, secretHeaders })
  t.match(result.responseHeaders, { 'x-echo': '***', 'set-cookie': ['a=***', 'b=blue'] })
  t.equal(
    result.responseBody,
    [
      '***',
      '***',
      '{"headers":{"authorization":"***","x-code":"***","x-team":"blue"}}',
      '***',
    ].join('\n'),
  )
  t.notMatch(JSON.stringify(result), /4eC39|of-the-team/)
  const open = await sender.send(receiver.url, { headers: { 'x-team': 'blue' } })
  t.match(open.responseBody, token, 'what is no secret of the endpoint is kept')
})

t.test('also where the part that is kept ends in the middle of one', async (t) => {
  await using sender = startSender()
  const headers = { 'x-api-key': 'abcdefghijklmnop' }
  for (const [length, end] of [
    [1, '***'],
    [15, '***'],
    [16, '***'],
  ] as const) {
    const filling = '-'.repeat(16_384 - length)
    const body = `${filling}abcdefghijklmnop and more`
    await using receiver = await startReceiver({ answer: () => ({ body }) })
    const { responseBody } = await sender.send(receiver.url, { headers })
    t.equal(responseBody, filling + end, `${length} characters of it`)
  }
})

// node:http put it behind all the others, where receivers and people that read the request do not look for it.
t.test('Host is the first header', async (t) => {
  await using sender = startSender()
  const head = Promise.withResolvers<string>()
  await using receiver = await startRawReceiver((socket) => {
    socket.once('data', (chunk) => {
      head.resolve(String(chunk))
      socket.end('HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n')
    })
  })
  const { requestHeaders } = await sender.send(`${receiver.url}/x`, { headers: { 'a-b': 'c' } })
  const [line, first, ...others] = (await head.promise).split('\r\n')
  t.equal(line, 'POST /x HTTP/1.1')
  t.equal(first, `Host: 127.0.0.1:${receiver.port}`)
  t.notOk(
    others.some((header) => /^host:/i.test(header)),
    'and the only one of its name',
  )
  t.equal(Object.keys(requestHeaders)[0], 'host', 'in the audit log too')
})

// In an object, whole numbers come before all other keys.
t.test('Host is the first header, also before names that are numbers', async (t) => {
  await using sender = startSender()
  const head = Promise.withResolvers<string>()
  await using receiver = await startRawReceiver((socket) => {
    socket.once('data', (chunk) => {
      head.resolve(String(chunk))
      socket.end('HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n')
    })
  })
  await sender.send(receiver.url, { headers: { 'a-b': 'c', 4294967294: 'd', 0: 'e' } })
  const lines = (await head.promise).split('\r\n')
  t.equal(lines[1], `Host: 127.0.0.1:${receiver.port}`)
  t.strictSame(lines.filter((line) => /^(0|4294967294|a-b|host):/i.test(line)).length, 4)
})

t.test('does not send credentials of the URL', async (t) => {
  await using sender = startSender()
  await using receiver = await startReceiver()
  await sender.send(receiver.url.replace('http://', 'http://user:pass@'))
  const [request] = await receiver.received(1)
  t.notOk(request?.headers.authorization)
})

const STATUSES: [status: number, outcome: string, reason: string | null, error: RegExp | null][] = [
  [200, 'delivered', null, null],
  [204, 'delivered', null, null],
  [299, 'delivered', null, null],
  [300, 'rejected', 'status_3xx', /300 Multiple Choices; redirects are not followed$/],
  [304, 'rejected', 'status_3xx', /304/],
  [399, 'rejected', 'status_3xx', /^the receiver returned 399; redirects/],
  [400, 'rejected', 'status_4xx', /^the receiver returned 400 Bad Request$/],
  [410, 'rejected', 'status_4xx', /^the receiver returned 410 Gone$/],
  [500, 'rejected', 'status_5xx', /500/],
  [599, 'rejected', 'status_5xx', /^the receiver returned 599$/],
  [600, 'rejected', 'status_other', /^the receiver returned 600$/],
  [999, 'rejected', 'status_other', /^the receiver returned 999$/],
]
for (const [statusCode, outcome, reason, error] of STATUSES) {
  t.test(`${statusCode} is ${outcome}`, async (t) => {
    await using sender = startSender()
    await using receiver = await startReceiver({ answer: () => statusCode })
    t.match(await sender.send(receiver.url), { statusCode, outcome, reason, error })
  })
}

for (const status of [301, 302, 303, 307, 308]) {
  t.test(`a redirect with ${status} is not followed`, async (t) => {
    await using sender = startSender()
    await using receiver = await startReceiver()
    receiver.answerWith(() => ({ status, headers: { location: `${receiver.url}/elsewhere` } }))
    const result = await sender.send(receiver.url)
    t.match(result, { outcome: 'rejected', statusCode: status })
    t.match(result.responseHeaders, { location: /elsewhere/ })
    receiver.answerWith(() => 200)
    await sender.send(`${receiver.url}/later`)
    t.strictSame(
      receiver.requests.map(({ path }) => path),
      ['/', '/later'],
    )
  })
}

t.test('neither a redirect in a circle nor one to a private address leads anywhere', async (t) => {
  await using sender = startSender()
  await using receiver = await startReceiver()
  for (const location of [
    '/',
    receiver.url,
    'http://169.254.169.254/',
    'http://[::1]/',
    '//10.0.0.1',
  ]) {
    receiver.answerWith(() => ({ status: 307, headers: { location } }))
    t.match(await sender.send(receiver.url), {
      outcome: 'rejected',
      reason: 'status_3xx',
      error: /; redirects are not followed$/,
      responseHeaders: { location },
    })
  }
  t.equal(receiver.requests.length, 5)
})

t.test('records the answer and how long its parts took', async (t) => {
  await using sender = startSender()
  const headers = { 'x-request': 'abc', 'set-cookie': ['a=1', 'b=2'] }
  await using receiver = await startReceiver({ answer: () => ({ headers, body: 'thanks' }) })
  const result = await sender.send(receiver.url)
  t.match(result, {
    error: null,
    responseHeaders: headers,
    responseBody: 'thanks',
    retryAfterSeconds: null,
    timings: { dnsMs: null, connectMs: Number, tlsMs: null, firstByteMs: Number },
  })
  t.equal(result.durationMs, Math.round(result.durationMs * 10) / 10)
  t.ok(result.durationMs >= 0)
})

t.test('an answer without a body has none', async (t) => {
  await using sender = startSender()
  await using receiver = await startReceiver({ answer: () => 204 })
  t.equal((await sender.send(receiver.url)).responseBody, null)
})

t.test('Retry-After counts with 429 and 503 only', async (t) => {
  await using sender = startSender()
  await using receiver = await startReceiver()
  for (const [status, seconds] of [
    [429, 30],
    [503, 30],
    [500, null],
    [200, null],
    [301, null],
  ] as const) {
    receiver.answerWith(() => ({ status, headers: { 'retry-after': '30' } }))
    t.equal((await sender.send(receiver.url)).retryAfterSeconds, seconds, String(status))
  }
})

const SECONDS_OF_A_YEAR = 31_536_000
const RETRY_AFTERS: [header: string, read: (seconds: number | null) => boolean][] = [
  ['30', (seconds) => seconds === 30],
  ['0', (seconds) => seconds === 0],
  ['-30', (seconds) => seconds === null],
  ['soon', (seconds) => seconds === null],
  ['', (seconds) => seconds === null],
  [`${SECONDS_OF_A_YEAR}`, (seconds) => seconds === SECONDS_OF_A_YEAR],
  [new Date(Date.now() + 600_000).toUTCString(), (seconds) => isNear(seconds, 600)],
  [new Date(Date.now() - 600_000).toUTCString(), (seconds) => seconds === null],
  [
    new Date(Date.now() + SECONDS_OF_A_YEAR * 1000).toUTCString(),
    (seconds) => isNear(seconds, SECONDS_OF_A_YEAR),
  ],
]
/** A minute for slow machines. */
const isNear = (seconds: number | null, to: number) =>
  seconds !== null && seconds <= to && seconds > to - 60

t.test('reads Retry-After in every form; the caller that schedules caps it', async (t) => {
  await using sender = startSender()
  await using receiver = await startReceiver()
  for (const [header, read] of RETRY_AFTERS) {
    receiver.answerWith(() => ({ status: 429, headers: { 'retry-after': header } }))
    const { outcome, retryAfterSeconds } = await sender.send(receiver.url)
    t.equal(outcome, 'rejected')
    t.ok(read(retryAfterSeconds), `"${header}" is ${retryAfterSeconds}`)
  }
})

const PRIVATE_URLS = [
  'http://10.0.0.1/',
  'http://169.254.169.254/latest/meta-data/',
  'https://192.168.1.1/',
  'http://2130706433/',
  'http://0177.0.0.1/',
  'http://0x7f.1/',
  'http://127.0.0.1./',
  'http://[::1]/',
  'http://[::ffff:127.0.0.1]/',
  'http://[::127.0.0.1]/',
  'http://[64:ff9b::7f00:1]/',
  'http://[64:ff9b:1::7f00:1]/',
  'http://[2002:7f00:1::]/',
  'http://[fe80::1]/',
  'http://[fd00::1]/',
  'http://user:pass@10.0.0.1/',
]
for (const url of PRIVATE_URLS) {
  t.test(`blocks ${url} without a lookup`, async (t) => {
    await using sender = startSender({ allow: [], lookup: noLookup })
    t.match(await sender.send(url), {
      outcome: 'blocked',
      statusCode: null,
      reason: 'blocked_address',
      error: 'the address is not allowed',
      errorDetail: / is not a public address$/,
    })
  })
}

t.test('no notation of loopback reaches a receiver there', async (t) => {
  await using receiver = await startReceiver()
  await using sender = startSender({ allow: [] })
  for (const host of [
    '127.0.0.1',
    '127.1',
    '2130706433',
    '0x7f000001',
    '017700000001',
    '127.0.0.1.',
    '①②⑦.0.0.1',
    '0',
    '[::ffff:127.0.0.1]',
    '[::ffff:7f00:1]',
    'localhost',
    'LOCALHOST.',
  ]) {
    const result = await sender.send(`http://${host}:${receiver.port}/`)
    t.match(result, { outcome: 'blocked' }, host)
  }
  t.equal(receiver.connections(), 0)
})

for (const url of [
  'http://[fe80::1%25lo]/',
  'http://[fe80::1%lo]/',
  'http://[::1%25lo]/',
  'http://4294967296/',
  'http://127.0.0.256/',
  'ftp://example.com/',
  'unix:/var/run/x.sock',
  'file:///etc/passwd',
  'no url',
  '',
]) {
  t.test(`blocks "${url}", which nothing can be sent to`, async (t) => {
    await using sender = startSender({ lookup: noLookup })
    t.match(await sender.send(url), { outcome: 'blocked', reason: 'blocked_url' })
  })
}

t.test('a header that HTTP cannot carry is told, not thrown', async (t) => {
  await using sender = startSender()
  await using receiver = await startReceiver()
  for (const headers of [{ 'x-a': 'a\r\nb: c' }, { 'x a': 'b' }, { 'x-a': '€' }]) {
    t.match(await sender.send(receiver.url, { headers }), {
      outcome: 'unreachable',
      reason: 'unsendable',
    })
  }
})

t.test('a secret that is none is a fault of ours and thrown', async (t) => {
  await using sender = startSender()
  await t.rejects(sender.send('http://127.0.0.1:1/', { secrets: ['whsec_nonsense!'] }), {
    code: 'secret_invalid',
  })
})

// Issue 14, 17: an answer's header `__proto__` never reached the audit log.
t.test('headers whose names objects inherit are sent, and kept of the answer', async (t) => {
  await using sender = startSender()
  const names = ['constructor', 'toString', 'hasOwnProperty', '__defineGetter__']
  await using receiver = await startReceiver({
    answer: () => ({
      status: 200,
      headers: Object.fromEntries(
        [...names, '__proto__'].map((name) => [name, `answered ${name}`]),
      ),
    }),
  })
  const headers = Object.fromEntries(names.map((name) => [name, `sent ${name}`]))
  const result = await sender.send(receiver.url, { headers })
  const [request] = await receiver.received(1)
  for (const name of names) {
    t.equal(request?.headers[name.toLowerCase()], `sent ${name}`)
    t.equal(result.requestHeaders[name.toLowerCase()], `sent ${name}`)
  }
  const kept = new Map(Object.entries(result.responseHeaders ?? {}))
  for (const name of [...names, '__proto__']) {
    t.equal(kept.get(name.toLowerCase()), `answered ${name}`)
  }
  const written = JSON.parse(JSON.stringify(result.responseHeaders))
  t.equal(new Map(Object.entries(written)).get('__proto__'), 'answered __proto__')
})
