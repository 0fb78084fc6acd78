import type { LookupAddress } from 'node:dns'
import type { Socket } from 'node:net'
import { networkInterfaces } from 'node:os'
import t from 'tap'
import { type Certificate, makeCertificates, trustOnly } from '../testing/servers/certificates.ts'
import { startRawReceiver, startReceiver } from '../testing/servers/receiver.ts'
import { startSender } from '../testing/wiring/sender.ts'
import { parseCidrs } from './egress.ts'
import type { LookupAll } from './lookup.ts'

const certificates = await makeCertificates()
trustOnly(t, [certificates.ca])

const hasIPv6 = Object.values(networkInterfaces()).some((list) =>
  list?.some(({ address }) => address === '::1'),
)

/** Resolves every name to the addresses, the next list for each lookup; the last one stays. */
function resolving(...lists: string[][]): LookupAll & { asked: string[] } {
  const asked: string[] = []
  const toAddress = (address: string): LookupAddress => ({
    address,
    family: address.includes(':') ? 6 : 4,
  })
  const lookup: LookupAll = (hostname, _options, done) => {
    const list = lists[asked.length] ?? lists.at(-1) ?? []
    asked.push(hostname)
    done(null, list.map(toAddress))
  }
  return Object.assign(lookup, { asked })
}

const ANSWER = 'HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok'

/** Answers the first request of each connection, and does `then` at the start of the second. */
function startClosingOnSecond(then: (socket: Socket) => void, certificate?: Certificate) {
  return startRawReceiver((socket) => {
    socket.once('data', () => {
      socket.write(ANSWER)
      socket.once('data', () => then(socket))
    })
  }, certificate)
}

t.test('many deliveries in a row use one connection', async (t) => {
  await using sender = startSender()
  await using receiver = await startReceiver()
  for (let n = 0; n < 20; n += 1) await sender.send(receiver.url)
  t.equal(receiver.connections(), 1)
  t.match((await sender.send(receiver.url)).timings, {
    dnsMs: null,
    connectMs: null,
    tlsMs: null,
    firstByteMs: Number,
  })
})

t.test('a connection whose receiver asked to close it is not used again', async (t) => {
  await using sender = startSender()
  await using receiver = await startReceiver({
    answer: () => ({ headers: { connection: 'close' } }),
  })
  await sender.send(receiver.url)
  await sender.send(receiver.url)
  t.equal(receiver.connections(), 2)
})

const CLOSED_UNDER_US = {
  outcome: 'interrupted',
  reason: 'keepalive_closed',
  error: 'the receiver closed the kept-alive connection as it was used',
  statusCode: null,
}

// It was sent again within the same attempt, and the receiver got a request that no row accounts for.
t.test('sends one request an attempt, also when its connection is closed while idle', async (t) => {
  await using sender = startSender()
  await using receiver = await startReceiver()
  await sender.send(receiver.url)
  receiver.closeIdleConnections()
  t.match(await sender.send(receiver.url), CLOSED_UNDER_US)
  t.match(await sender.send(receiver.url, { newConnection: true }), { outcome: 'delivered' })
  t.equal(receiver.connections(), 2)
})

const CLOSINGS: [name: string, close: (socket: Socket) => void, certificate?: Certificate][] = [
  ['connection is closed', (socket) => socket.end()],
  ['connection is reset', (socket) => socket.resetAndDestroy()],
  // A TLS close sends an alert first, which is no answer either.
  ['TLS connection is closed', (socket) => socket.end(), certificates.valid],
  ['TLS connection is cut', (socket) => socket.destroy(), certificates.valid],
]
for (const [name, close, certificate] of CLOSINGS) {
  t.test(`an attempt is interrupted when a kept-alive ${name} under it`, async (t) => {
    await using sender = startSender()
    await using receiver = await startClosingOnSecond(close, certificate)
    await sender.send(receiver.url)
    t.match(await sender.send(receiver.url), CLOSED_UNDER_US)
    t.equal(receiver.connections(), 1)
    t.match(await sender.send(receiver.url, { newConnection: true }), {
      outcome: 'delivered',
      timings: { connectMs: Number },
    })
    t.equal(receiver.connections(), 2)
  })
}

const TIMED_OUT = 'HTTP/1.1 408 Request Timeout\r\ncontent-length: 0\r\n\r\n'

// HAProxy says so on a connection that was idle for too long, and closes it. Sent at the moment of the next request,
// it looks like the answer to that.
for (const certificate of [undefined, certificates.valid]) {
  const kind = certificate ? 'TLS connection' : 'connection'
  t.test(`408 on a kept-alive ${kind} is no answer to the request that met it`, async (t) => {
    await using sender = startSender()
    await using receiver = await startClosingOnSecond(
      (socket) => socket.end(TIMED_OUT),
      certificate,
    )
    await sender.send(receiver.url)
    t.match(await sender.send(receiver.url), CLOSED_UNDER_US)
    t.equal(receiver.connections(), 1)
    t.match(await sender.send(receiver.url, { newConnection: true }), { outcome: 'delivered' })
  })

  t.test(`a ${kind} on which something came while it was idle is not used again`, async (t) => {
    await using sender = startSender()
    const closed = Promise.withResolvers<void>()
    let answered = 0
    await using receiver = await startRawReceiver((socket) => {
      socket.once('close', closed.resolve)
      socket.on('data', () => {
        answered += 1
        socket.write(ANSWER, () => answered === 1 && setImmediate(() => socket.write(TIMED_OUT)))
      })
    }, certificate)
    await sender.send(receiver.url)
    await closed.promise
    t.match(await sender.send(receiver.url), {
      outcome: 'delivered',
      timings: { connectMs: Number },
    })
    t.equal(receiver.connections(), 2)
  })
}

t.test('408 on a new connection is what the receiver says', async (t) => {
  await using sender = startSender()
  await using receiver = await startReceiver({ answer: () => ({ status: 408 }) })
  for (const _ of [1, 2]) {
    t.match(await sender.send(receiver.url, { newConnection: true }), {
      outcome: 'rejected',
      reason: 'status_4xx',
      statusCode: 408,
    })
  }
})

t.test('a connection that is closed is a failure when it was new', async (t) => {
  await using sender = startSender()
  await using receiver = await startClosingOnSecond(() => undefined)
  await sender.send(receiver.url)
  await using closing = await startRawReceiver((socket) => {
    socket.once('data', () => socket.resetAndDestroy())
  })
  for (const newConnection of [false, true]) {
    t.match(await sender.send(closing.url, { newConnection }), {
      outcome: 'unreachable',
      reason: 'connection_closed',
      error: /was closed/,
    })
  }
  t.equal(closing.connections(), 2)
})

// The rest of an answer was held against the next event, which was unreachable though the receiver had taken it.
const LEFTOVERS: [name: string, say: (socket: Socket) => void][] = [
  ['a body behind 204', (socket) => socket.write('{"ok":true}')],
  ['an empty line and more', (socket) => socket.write('\r\nok\r\n')],
  ['the start of a status, and the end', (socket) => socket.end('HTTP/1.1 2')],
  ['to go on, and the end', (socket) => socket.end('HTTP/1.1 100 Continue\r\n\r\n')],
  ['status 000', (socket) => socket.write('HTTP/1.1 000 No\r\ncontent-length: 0\r\n\r\n')],
]
for (const [name, say] of LEFTOVERS) {
  t.test(`on a kept-alive connection, no status is no failure: ${name}`, async (t) => {
    await using sender = startSender()
    await using receiver = await startRawReceiver((socket) => {
      socket.once('data', () => {
        socket.write('HTTP/1.1 204 No Content\r\n\r\n')
        socket.once('data', () => say(socket))
      })
    })
    await sender.send(receiver.url)
    t.match(await sender.send(receiver.url), CLOSED_UNDER_US)
    t.equal(receiver.connections(), 1)
    t.match(await sender.send(receiver.url), {
      outcome: 'delivered',
      timings: { connectMs: Number },
    })
    t.equal(receiver.connections(), 2)
  })
}

t.test('the address that was vetted is the one that is dialled', async (t) => {
  // A rebinding name server answers with an address that may be dialled first, then with another.
  const lookup = resolving(['127.0.0.1'], ['10.0.0.1'])
  await using sender = startSender({ allow: parseCidrs('127.0.0.1'), lookup })
  await using receiver = await startReceiver()
  const url = `http://rebinding.test:${receiver.port}/`
  t.match(await sender.send(url), { outcome: 'delivered' })
  t.strictSame(lookup.asked, ['rebinding.test'])
  t.match(await sender.send(url), { outcome: 'delivered' }, 'on the same connection')

  receiver.closeIdleConnections()
  t.match(await sender.send(url, { newConnection: true }), {
    outcome: 'blocked',
    reason: 'blocked_name',
    error: 'the name points to an address that is not allowed',
    errorDetail: '10.0.0.1 is not a public address',
  })
  t.strictSame(lookup.asked, ['rebinding.test', 'rebinding.test'])
  t.equal(receiver.requests.length, 2)
})

t.test(
  'a name with a private address next to a permitted one leads to the permitted one',
  async (t) => {
    const lookup = resolving(['10.0.0.1', '127.0.0.1'])
    await using sender = startSender({ allow: parseCidrs('127.0.0.1'), lookup })
    await using receiver = await startReceiver()
    t.match(await sender.send(`http://mixed.test:${receiver.port}/`), {
      outcome: 'delivered',
      timings: { dnsMs: Number },
    })
  },
)

t.test('localhost is blocked unless loopback is listed', async (t) => {
  await using receiver = await startReceiver()
  const url = `http://localhost:${receiver.port}/`
  await using strict = startSender({ allow: [] })
  t.match(await strict.send(url), { outcome: 'blocked' })
  await using listed = startSender()
  t.match(await listed.send(url), { outcome: 'delivered' })
})

t.test('tries the next address when the first refuses', async (t) => {
  await using sender = startSender({ lookup: resolving(['127.0.0.2', '127.0.0.1']) })
  await using receiver = await startReceiver()
  t.match(await sender.send(`http://two.test:${receiver.port}/`), { outcome: 'delivered' })
})

t.test('delivers to IPv6', { skip: !hasIPv6 && 'no ::1 here' }, async (t) => {
  await using receiver = await startReceiver({ host: '::1' })
  await using sender = startSender({ lookup: resolving(['::1']) })
  t.match(await sender.send(receiver.url), { outcome: 'delivered' })
  t.match(await sender.send(`http://six.test:${receiver.port}/`), { outcome: 'delivered' })
})

t.test('takes no proxy from the environment', async (t) => {
  await using proxy = await startRawReceiver((socket) => socket.end())
  await using receiver = await startReceiver()
  const names = ['http_proxy', 'HTTP_PROXY', 'all_proxy', 'ALL_PROXY']
  for (const name of names) process.env[name] = proxy.url
  t.teardown(() => {
    for (const name of names) delete process.env[name]
  })
  await using sender = startSender({ lookup: resolving(['127.0.0.1']) })
  t.match(await sender.send(`http://proxied.test:${receiver.port}/`), { outcome: 'delivered' })
  t.equal(proxy.connections(), 0)
})

/** Sends to `https://receiver.test` at a receiver with this certificate. */
async function sendTls(certificate: Certificate, times = 1) {
  await using sender = startSender({ lookup: resolving(['127.0.0.1']) })
  await using receiver = await startReceiver({ tls: certificate })
  const url = `https://receiver.test:${receiver.port}/`
  let result = await sender.send(url)
  for (let n = 1; n < times; n += 1) result = await sender.send(url)
  return { result, requests: receiver.requests.length, connections: receiver.connections() }
}

t.test('delivers over https to a certificate that fits', async (t) => {
  const { result } = await sendTls(certificates.valid)
  t.match(result, { outcome: 'delivered', timings: { tlsMs: Number, connectMs: Number } })
})

t.test('keeps https connections as well', async (t) => {
  const { result, connections } = await sendTls(certificates.valid, 3)
  t.match(result, { outcome: 'delivered', timings: { tlsMs: null } })
  t.equal(connections, 1)
})

const BAD_CERTIFICATES: [name: string, certificate: Certificate, error: RegExp][] = [
  ['expired', certificates.expired, /^the certificate has expired \(CERT_HAS_EXPIRED\)$/],
  ['for another host', certificates.wrongHost, /^the certificate is for another host name/],
  ['self-signed', certificates.selfSigned, /^the certificate is self-signed/],
]
for (const [name, certificate, error] of BAD_CERTIFICATES) {
  t.test(`a certificate that is ${name} gets no request`, async (t) => {
    const { result, requests } = await sendTls(certificate)
    t.match(result, {
      outcome: 'unreachable',
      statusCode: null,
      reason: 'tls_certificate',
      error,
    })
    t.equal(requests, 0)
  })
}

t.test('a receiver that breaks the TLS handshake gets no request', async (t) => {
  await using sender = startSender()
  for (const said of [Buffer.from([21, 3, 3, 0, 2, 2, 40]), Buffer.alloc(1000, 0xff)]) {
    await using receiver = await startRawReceiver((socket) => {
      socket.once('data', () => socket.end(said))
    })
    const result = await sender.send(receiver.url.replace('http:', 'https:'))
    t.match(result, { outcome: 'unreachable', statusCode: null, reason: /^tls_/ })
  }
})

t.test('https to a receiver that speaks http is said in words', async (t) => {
  await using sender = startSender()
  await using receiver = await startReceiver()
  const result = await sender.send(receiver.url.replace('http:', 'https:'))
  t.match(result, {
    outcome: 'unreachable',
    reason: 'tls_failed',
    error: /does not speak TLS; plain http/,
  })
})
