import { once } from 'node:events'
import t from 'tap'
import { makeCertificates, trustOnly } from '../testing/servers/certificates.ts'
import { startHttpProxy, startSocksProxy, type TestProxy } from '../testing/servers/proxy.ts'
import { startRawReceiver, startReceiver } from '../testing/servers/receiver.ts'
import { startSender } from '../testing/wiring/sender.ts'
import { parseCidrs } from './egress.ts'
import type { LookupAll } from './lookup.ts'

const certificates = await makeCertificates()
trustOnly(t, [certificates.ca])

/** For cases in which any lookup of ours is a mistake. */
const noLookup: LookupAll = (hostname) => {
  throw new Error(`looked up ${hostname}`)
}
/** Blanks, colons and an @, which a URL has to escape. */
const credentials = { username: 'u ser@', password: 'p:a/ss %' }

const startSocksNames = async (options = {}) => {
  const proxy = await startSocksProxy(options)
  return { ...proxy, url: proxy.url.replace('socks5:', 'socks5h:') }
}
const PROXIES: [name: string, start: (options?: object) => Promise<TestProxy>][] = [
  ['an http proxy', (options) => startHttpProxy(options)],
  ['an https proxy', (options) => startHttpProxy({ ...options, tls: certificates.valid })],
  ['a socks5h proxy', startSocksNames],
]

/** A sender that goes through the proxy and may look nothing up. */
const through = (proxy: string | URL) => startSender({ proxy: new URL(proxy), lookup: noLookup })

for (const [name, start] of PROXIES) {
  t.test(`delivers over http through ${name}, which looks the name up`, async (t) => {
    await using proxy = await start()
    await using receiver = await startReceiver()
    await using sender = through(proxy.url)
    const url = `http://receiver.test:${receiver.port}/hook`
    t.match(await sender.send(url), {
      outcome: 'delivered',
      responseBody: 'ok',
      timings: { dnsMs: null, connectMs: Number, tlsMs: null, firstByteMs: Number },
    })
    t.match(receiver.requests, [
      { method: 'POST', path: '/hook', headers: { host: `receiver.test:${receiver.port}` } },
    ])
    t.strictSame(proxy.asked, [`receiver.test:${receiver.port}`])
  })

  t.test(`delivers over https through ${name}, end to end`, async (t) => {
    await using proxy = await start()
    await using receiver = await startReceiver({ tls: certificates.valid })
    await using sender = through(proxy.url)
    const url = `https://receiver.test:${receiver.port}/`
    t.match(await sender.send(url), { outcome: 'delivered' })
    t.strictSame(proxy.asked, [`receiver.test:${receiver.port}`])

    await using wrong = await startReceiver({ tls: certificates.wrongHost })
    t.match(await sender.send(`https://receiver.test:${wrong.port}/`), {
      outcome: 'unreachable',
      reason: 'tls_certificate',
      error: /^the certificate is for another host name/,
    })
    t.equal(wrong.requests.length, 0)
  })

  t.test(`keeps the connections through ${name}`, async (t) => {
    await using proxy = await start()
    await using plain = await startReceiver()
    await using secure = await startReceiver({ tls: certificates.valid })
    await using sender = through(proxy.url)
    for (let n = 0; n < 5; n += 1) {
      await sender.send(`http://receiver.test:${plain.port}/`)
      await sender.send(`https://receiver.test:${secure.port}/`)
    }
    t.match(await sender.send(`http://receiver.test:${plain.port}/`), {
      outcome: 'delivered',
      timings: { connectMs: null, firstByteMs: Number },
    })
    t.strictSame([plain.connections(), secure.connections(), proxy.asked.length], [1, 1, 2])
    await sender.send(`http://receiver.test:${plain.port}/`, { newConnection: true })
    t.equal(plain.connections(), 2)
  })

  t.test(`gives ${name} the credentials of its URL`, async (t) => {
    await using proxy = await start({ credentials })
    await using receiver = await startReceiver()
    await using sender = through(proxy.url)
    const url = `http://receiver.test:${receiver.port}/`
    const result = await sender.send(url)
    t.match(result, { outcome: 'delivered' })
    t.notOk(result.requestHeaders['proxy-authorization'])
    t.notOk(receiver.requests[0]?.headers['proxy-authorization'])

    const wrong = new URL(proxy.url)
    wrong.password = 'guess'
    await using refused = through(wrong)
    t.match(await refused.send(url), {
      outcome: 'unreachable',
      reason: 'proxy_failed',
      error: /^the proxy refused the credentials of this service/,
    })
    t.equal(receiver.requests.length, 1)
  })

  t.test(`hands literal addresses to ${name} after vetting them`, async (t) => {
    await using proxy = await start()
    await using sender = through(proxy.url)
    for (const url of ['http://10.0.0.1/', 'https://[fd00::1]/', 'http://169.254.169.254/']) {
      t.match(await sender.send(url), { outcome: 'blocked' }, url)
    }
    t.strictSame(proxy.asked, [])
  })

  t.test(`says so when ${name} is away`, async (t) => {
    const proxy = await start()
    await proxy[Symbol.asyncDispose]()
    await using sender = through(proxy.url)
    t.match(await sender.send('https://receiver.test/'), {
      outcome: 'unreachable',
      reason: 'proxy_failed',
      error: 'the proxy of this service cannot be reached (ECONNREFUSED)',
    })
  })
}

t.test('loopback is dialled directly, and only if it is allowed', async (t) => {
  await using proxy = await startHttpProxy()
  await using receiver = await startReceiver()
  const proxied = { proxy: new URL(proxy.url) }
  await using sender = startSender(proxied)
  t.match(await sender.send(receiver.url), { outcome: 'delivered' })
  t.match(await sender.send(`http://localhost:${receiver.port}/`), { outcome: 'delivered' })
  await using strict = startSender({ ...proxied, allow: [] })
  t.match(await strict.send(receiver.url), { outcome: 'blocked' })
  t.match(await strict.send(`http://localhost:${receiver.port}/`), { outcome: 'blocked' })
  t.strictSame(proxy.asked, [])
})

t.test('with socks5 names are looked up and vetted here', async (t) => {
  await using proxy = await startSocksProxy()
  await using receiver = await startReceiver()
  const addresses: Record<string, string> = { 'good.test': '127.0.0.1', 'private.test': '10.0.0.1' }
  await using sender = startSender({
    proxy: new URL(proxy.url),
    allow: parseCidrs('127.0.0.1'),
    lookup: (name, _options, done) => done(null, [{ address: addresses[name] ?? '', family: 4 }]),
  })
  t.match(await sender.send(`http://private.test:${receiver.port}/`), {
    outcome: 'blocked',
    reason: 'blocked_name',
    error: 'the name points to an address that is not allowed',
    errorDetail: '10.0.0.1 is not a public address',
  })
  t.match(await sender.send(`http://good.test:${receiver.port}/`), { outcome: 'delivered' })
  t.strictSame(proxy.asked, [`127.0.0.1:${receiver.port}`])
  t.match(receiver.requests, [{ headers: { host: `good.test:${receiver.port}` } }])
})

t.test('addresses of either family go through every proxy', async (t) => {
  for (const [name, start] of PROXIES) {
    await using proxy = await start()
    await using sender = startSender({
      proxy: new URL(proxy.url),
      allow: parseCidrs('192.0.2.0/24, 2001:db8::/32'),
    })
    const timeoutMs = 300
    await sender.send('https://[2001:db8::1]:1/', { timeoutMs })
    await sender.send('http://192.0.2.1:1/', { timeoutMs })
    t.match(proxy.asked, [/^\[?2001:0?db8:.*:0*1\]?:1$/, '192.0.2.1:1'], name)
  }
})

for (const [name, status, error] of [
  ['503', 'HTTP/1.1 503 Service Unavailable', /returned 503 instead of connecting$/],
  [
    '403 with a page',
    'HTTP/1.1 403 No\r\ncontent-length: 2',
    /returned 403 instead of connecting$/,
  ],
  ['200 that is none', 'SSH-2.0', /cannot be reached \(HPE_/],
] as const) {
  t.test(`what the proxy itself answers (${name}) is not taken for the receiver's`, async (t) => {
    await using proxy = await startRawReceiver((socket) => {
      socket.once('data', () => socket.end(`${status}\r\n\r\nno`))
    })
    await using sender = through(proxy.url)
    t.match(await sender.send('http://receiver.test/'), {
      outcome: 'unreachable',
      statusCode: null,
      error,
      responseBody: null,
    })
  })
}

t.test('a socks proxy that does not connect says why', async (t) => {
  for (const [reply, reason, words] of [
    [1, 'proxy_failed', 'the proxy did not connect'],
    [2, 'proxy_refused', 'the proxy does not allow this receiver'],
    [3, 'connection_unreachable', 'the proxy found no route to the network of the receiver'],
    [4, 'connection_unreachable', 'the proxy found no route to the receiver'],
    [5, 'connection_refused', 'the receiver refused the connection of the proxy'],
    [6, 'timeout_connect', 'the proxy did not reach the receiver in time'],
  ] as const) {
    await using proxy = await startSocksProxy({ reply })
    await using sender = through(proxy.url.replace('socks5:', 'socks5h:'))
    t.match(await sender.send('https://receiver.test/'), { reason, error: words })
  }
})

t.test('a proxy that hangs costs the attempt its time and no more', async (t) => {
  await using proxy = await startRawReceiver(() => {})
  for (const protocol of ['http', 'https', 'socks5h']) {
    await using sender = through(`${protocol}://127.0.0.1:${proxy.port}`)
    t.match(
      await sender.send('https://receiver.test/', { timeoutMs: 300 }),
      { outcome: 'unreachable', reason: 'timeout_connect' },
      protocol,
    )
  }
})

t.test('a connection that comes too late is kept for others, and closed in the end', async (t) => {
  const connects: (() => void)[] = []
  const closings: Promise<unknown>[] = []
  const asked = Promise.withResolvers<void>()
  await using proxy = await startRawReceiver((socket) => {
    closings.push(once(socket, 'close'))
    socket.once('data', () => {
      connects.push(() => {
        socket.on('data', () => socket.write('HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n'))
        socket.write('HTTP/1.1 200 Connected\r\n\r\n')
      })
      asked.resolve()
      if (connects.length > 1) connects[1]?.()
    })
  })
  const sender = through(proxy.url)
  const late = sender.send('http://receiver.test/', { timeoutMs: 300 })
  await asked.promise
  t.match(await late, { reason: 'timeout_connect' })
  connects[0]?.()
  const delivered = { outcome: 'delivered' }
  t.match(await sender.send('http://receiver.test/'), delivered)
  // Two at a time, of which one has only the late connection.
  const both = [sender.send('http://receiver.test/'), sender.send('http://receiver.test/')]
  t.match(await Promise.all(both), [delivered, delivered])
  t.equal(proxy.connections(), 2)
  await sender.close()
  await Promise.all(closings)
})

t.test('closing the sender ends what is being dialled', async (t) => {
  for (const protocol of ['http', 'socks5h']) {
    const dialled = Promise.withResolvers<{ closed: Promise<unknown> }>()
    await using proxy = await startRawReceiver((socket) => {
      dialled.resolve({ closed: once(socket, 'close') })
      socket.resume()
    })
    const sender = through(`${protocol}://127.0.0.1:${proxy.port}`)
    const sending = sender.send('https://receiver.test/')
    const { closed } = await dialled.promise
    await sender.close()
    t.match(await sending, { outcome: 'interrupted' }, protocol)
    await closed
  }
})
