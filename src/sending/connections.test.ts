import type tls from 'node:tls'
import t from 'tap'
import { type Certificate, makeCertificates, trustOnly } from '../testing/servers/certificates.ts'
import { startNameServer } from '../testing/servers/name-server.ts'
import { startHttpProxy } from '../testing/servers/proxy.ts'
import { startRawReceiver, startReceiver } from '../testing/servers/receiver.ts'
import { startSender } from '../testing/wiring/sender.ts'
import { type ClientCertificate, drawAge } from './connections.ts'
import { createLookup } from './lookup.ts'

const certificates = await makeCertificates()
trustOnly(t, [certificates.ca])
const { client, otherClient } = certificates

/** A receiver that lets in only whom the authority has certified. */
const startStrictReceiver = () =>
  startReceiver({ tls: { ...certificates.valid, clientCa: certificates.ca } })

let made = 0
/** As an endpoint has it; counts how often its key was opened. */
function certificateOf({ cert, key }: Certificate): ClientCertificate & { opened(): number } {
  made += 1
  let opened = 0
  return {
    id: `sealed-${made}`,
    chain: cert,
    openKey: () => {
      opened += 1
      return key
    },
    opened: () => opened,
  }
}

t.test('shows its certificate to a receiver that asks for one', async (t) => {
  await using sender = startSender()
  await using receiver = await startStrictReceiver()
  const clientCertificate = certificateOf(client)
  t.match(await sender.send(receiver.url, { clientCertificate }), { outcome: 'delivered' })
  t.match(receiver.requests, [{ clientCertificate: 'CN=client' }])
})

t.test('a receiver that does not ask is served anyway', async (t) => {
  await using sender = startSender()
  await using receiver = await startReceiver({ tls: certificates.valid })
  t.match(await sender.send(receiver.url, { clientCertificate: certificateOf(client) }), {
    outcome: 'delivered',
  })
  t.match(receiver.requests, [{ clientCertificate: null }])
})

t.test('without a certificate, a receiver that asks for one gets no request', async (t) => {
  await using sender = startSender()
  await using receiver = await startStrictReceiver()
  t.match(await sender.send(receiver.url), {
    outcome: 'unreachable',
    reason: 'tls_client_certificate',
    error: /^the receiver asks for a client certificate \(/,
  })
  t.equal(receiver.requests.length, 0)
})

t.test('a certificate that the receiver does not trust gets no request', async (t) => {
  await using sender = startSender()
  await using receiver = await startStrictReceiver()
  const result = await sender.send(receiver.url, {
    clientCertificate: certificateOf(certificates.selfSigned),
  })
  t.match(result, { outcome: 'unreachable', statusCode: null, reason: /^(connection_closed|tls_)/ })
  t.equal(receiver.requests.length, 0)
})

t.test('its connections are kept, and its key is opened once', async (t) => {
  await using sender = startSender()
  await using receiver = await startStrictReceiver()
  const clientCertificate = certificateOf(client)
  for (let n = 0; n < 5; n += 1) await sender.send(receiver.url, { clientCertificate })
  t.equal(receiver.requests.length, 5)
  t.equal(receiver.connections(), 1)
  t.equal(clientCertificate.opened(), 1)
  await sender.send(receiver.url, { clientCertificate, newConnection: true })
  t.equal(receiver.connections(), 2)
  t.equal(clientCertificate.opened(), 1)
})

t.test('nobody sends over the connection of another certificate, or of none', async (t) => {
  await using sender = startSender()
  await using receiver = await startReceiver({
    tls: { ...certificates.valid, clientCa: certificates.ca },
  })
  const one = certificateOf(client)
  const two = certificateOf(otherClient)
  await sender.send(receiver.url, { clientCertificate: one })
  await sender.send(receiver.url, { clientCertificate: two })
  t.match(await sender.send(receiver.url), { outcome: 'unreachable' })
  await sender.send(receiver.url, { clientCertificate: one })
  // The same certificate for another endpoint.
  await sender.send(receiver.url, { clientCertificate: certificateOf(client) })
  t.strictSame(
    receiver.requests.map((request) => request.clientCertificate),
    ['CN=client', 'CN=other-client', 'CN=client', 'CN=client'],
  )
  t.equal(receiver.connections(), 4)
})

t.test('beyond the bound, the connections used least recently are closed', async (t) => {
  await using sender = startSender({ certificatesMax: 2 })
  const closed = Promise.withResolvers<void>()
  await using receiver = await startRawReceiver((socket) => {
    socket.on('close', closed.resolve)
    socket.on('data', () => socket.write('HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n'))
  }, certificates.valid)
  const [first, second, third] = [client, otherClient, client].map(certificateOf)
  for (const clientCertificate of [first, second, first, third, first]) {
    await sender.send(receiver.url, { clientCertificate })
  }
  await closed.promise
  t.equal(first?.opened(), 1)
  await sender.send(receiver.url, { clientCertificate: second })
  t.equal(second?.opened(), 2)
})

t.test('a request under way is not cut off when its certificate has to make room', async (t) => {
  await using sender = startSender({ certificatesMax: 1 })
  const arrived = Promise.withResolvers<void>()
  const answer = Promise.withResolvers<void>()
  await using receiver = await startReceiver({
    tls: certificates.valid,
    answer: async (_request, n) => {
      if (n > 1) return 200
      arrived.resolve()
      await answer.promise
      return 200
    },
  })
  const first = sender.send(receiver.url, { clientCertificate: certificateOf(client) })
  await arrived.promise
  t.match(await sender.send(receiver.url, { clientCertificate: certificateOf(otherClient) }), {
    outcome: 'delivered',
  })
  answer.resolve()
  t.match(await first, { outcome: 'delivered' })
})

t.test('a certificate that cannot be used fails the attempt in words', async (t) => {
  await using sender = startSender()
  await using receiver = await startStrictReceiver()
  for (const unusable of [certificates.weak, { ...client, cert: 'nonsense' }]) {
    t.match(await sender.send(receiver.url, { clientCertificate: certificateOf(unusable) }), {
      outcome: 'unreachable',
      reason: 'tls_client_certificate',
      error: 'the client certificate of the endpoint cannot be used',
    })
  }
})

t.test('a key that cannot be opened is a fault of ours and thrown', async (t) => {
  await using sender = startSender()
  const clientCertificate = {
    ...certificateOf(client),
    openKey: () => {
      throw Object.assign(new Error('x'), { code: 'secret_unreadable' })
    },
  }
  await t.rejects(sender.send('https://127.0.0.1:1/', { clientCertificate }), {
    code: 'secret_unreadable',
  })
})

t.test('over http there is nobody to show it to, and the key stays closed', async (t) => {
  await using sender = startSender()
  await using receiver = await startReceiver()
  const clientCertificate = certificateOf(client)
  t.match(await sender.send(receiver.url, { clientCertificate }), { outcome: 'delivered' })
  t.equal(clientCertificate.opened(), 0)
})

t.test('through a proxy it is the receiver that sees it', async (t) => {
  await using proxy = await startHttpProxy({ tls: certificates.valid })
  await using receiver = await startStrictReceiver()
  await using sender = startSender({ proxy: new URL(proxy.url) })
  const url = `https://receiver.test:${receiver.port}/`
  t.match(await sender.send(url, { clientCertificate: certificateOf(client) }), {
    outcome: 'delivered',
  })
  t.match(receiver.requests, [{ clientCertificate: 'CN=client' }])
  t.strictSame(proxy.asked, [`receiver.test:${receiver.port}`])
})

t.test('connections that were opened together do not end together', async (t) => {
  t.equal(
    drawAge(60_000, () => 0),
    60_000,
  )
  const shortest = drawAge(60_000, () => 1 - Number.EPSILON)
  t.ok(shortest > 44_999 && shortest < 45_001)
})

t.test('a connection is used until it is of age, and then not again', async (t) => {
  await using receiver = await startReceiver()
  await using forEver = startSender({ connectionAgeMs: Number.POSITIVE_INFINITY })
  for (let n = 0; n < 3; n += 1) await forEver.send(receiver.url)
  t.equal(receiver.connections(), 1)
  await using never = startSender({ connectionAgeMs: 0 })
  for (let n = 0; n < 3; n += 1) {
    t.match(await never.send(receiver.url), {
      outcome: 'delivered',
      timings: { connectMs: Number },
    })
  }
  t.equal(receiver.connections(), 4)
})

t.test('under a steady load connections change, and nothing is lost', async (t) => {
  await using sender = startSender({ connectionAgeMs: 50 })
  await using receiver = await startReceiver()
  while (receiver.connections() < 3) {
    t.match(await sender.send(receiver.url), { outcome: 'delivered' })
  }
})

t.test('a connection that is idle when it comes of age is closed', async (t) => {
  await using sender = startSender({ connectionAgeMs: 50 })
  const closed = Promise.withResolvers<void>()
  await using receiver = await startRawReceiver((socket) => {
    socket.on('close', closed.resolve)
    socket.on('data', () => socket.write('HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n'))
  })
  t.match(await sender.send(receiver.url), { outcome: 'delivered' })
  await closed.promise
})

/** Two receivers on one port, and a name server that knows the name of the first until it is told of the second. */
async function startMove(tlsOf?: [Certificate, Certificate]) {
  const [before, after] = tlsOf ?? []
  const old = await startReceiver({ host: '127.0.0.2', ...(before && { tls: before }) })
  const { port } = old
  const next = await startReceiver({ host: '127.0.0.3', port, ...(after && { tls: after }) })
  let address = '127.0.0.2'
  const dns = await startNameServer(({ type }) => (type === 'A' ? [address] : []))
  return {
    old,
    next,
    url: `${tlsOf ? 'https' : 'http'}://receiver.test:${port}/`,
    lookup: createLookup({ servers: [dns.address], hostsFile: '/nowhere' }),
    move: () => {
      address = '127.0.0.3'
    },
    async [Symbol.asyncDispose]() {
      await Promise.all([old.close(), next.close(), dns[Symbol.asyncDispose]()])
    },
  }
}

// With an event every ten seconds no connection was ever idle, and 15 of 15 went to the old address.
for (const [name, certificatesOf] of [
  ['http', undefined],
  ['https', [certificates.valid, certificates.renewed]],
] as const) {
  t.test(`a name that moved is followed once the connection is of age, over ${name}`, async (t) => {
    await using moving = await startMove(certificatesOf && [...certificatesOf])
    const { lookup, url } = moving
    await using sender = startSender({ lookup, connectionAgeMs: 0 })
    await using unaware = startSender({ lookup })
    await Promise.all([sender.send(url), sender.send(url), unaware.send(url)])
    moving.move()
    t.match(await unaware.send(url), { outcome: 'delivered' })
    t.equal(moving.next.requests.length, 0, 'not before')
    t.match(await sender.send(url), { outcome: 'delivered' })
    t.equal(moving.next.requests.length, 1)
  })
}

t.test('through a proxy, and with a client certificate, connections come of age too', async (t) => {
  await using proxy = await startHttpProxy()
  await using receiver = await startStrictReceiver()
  await using sender = startSender({ proxy: new URL(proxy.url), connectionAgeMs: 0 })
  const clientCertificate = certificateOf(client)
  const url = `https://receiver.test:${receiver.port}/`
  for (let n = 0; n < 3; n += 1) {
    t.match(await sender.send(url, { clientCertificate }), { outcome: 'delivered' })
  }
  t.equal(proxy.asked.length, 3)
})

/** Says which names it was asked for in SNI, and which `Host` it got. */
async function startNamedReceiver() {
  const seen: { serverName: string | null; host: string | undefined }[] = []
  const receiver = await startRawReceiver((socket) => {
    socket.once('data', (chunk) => {
      const serverName = (socket as tls.TLSSocket).servername || null
      seen.push({ serverName, host: /^host: (.*)$/im.exec(String(chunk))?.[1]?.trim() })
      socket.end('HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 0\r\n\r\n')
    })
  }, certificates.valid)
  return { ...receiver, seen }
}

// Go's servers refuse a name that ends in a dot, and docs/reference/egress.md advised to write one.
t.test('the dot at the end of a name is for DNS and Host, and not for TLS', async (t) => {
  await using receiver = await startNamedReceiver()
  const asked: string[] = []
  await using sender = startSender({
    lookup: (name, _options, done) => {
      asked.push(name)
      done(null, [{ address: '127.0.0.1', family: 4 }])
    },
  })
  for (const name of ['receiver.test.', 'Receiver.TEST.', 'receiver.test']) {
    t.match(await sender.send(`https://${name}:${receiver.port}/`), { outcome: 'delivered' }, name)
  }
  await sender.send(receiver.url)
  const withDot = { serverName: 'receiver.test', host: `receiver.test.:${receiver.port}` }
  t.strictSame(receiver.seen, [
    withDot,
    withDot,
    { serverName: 'receiver.test', host: `receiver.test:${receiver.port}` },
    { serverName: null, host: `127.0.0.1:${receiver.port}` },
  ])
  t.strictSame(asked, ['receiver.test.', 'receiver.test.', 'receiver.test'])
  t.match(await sender.send(`https://other.test.:${receiver.port}/`), {
    outcome: 'unreachable',
    reason: 'tls_certificate',
    error: /for another host name/,
  })
})

t.test('a dot at the end changes nothing about localhost', async (t) => {
  await using receiver = await startReceiver()
  await using proxy = await startHttpProxy()
  await using sender = startSender({ proxy: new URL(proxy.url) })
  t.match(await sender.send(`http://localhost.:${receiver.port}/`), { outcome: 'delivered' })
  t.strictSame(proxy.asked, [], 'dialled directly')
  await using strict = startSender({ allow: [] })
  t.match(await strict.send(`http://localhost.:${receiver.port}/`), { outcome: 'blocked' })
})

t.test('names that nobody can have are said not to resolve', async (t) => {
  await using sender = startSender({ lookup: createLookup({ hostsFile: '/nowhere' }) })
  for (const host of ['a..', 'a..b', '.', `${'a'.repeat(64)}.test`, 'xn--nxasmq6b.invalid.']) {
    t.match(
      await sender.send(`https://${host}/`),
      {
        outcome: 'unreachable',
        reason: /^dns_/,
        error: /^the name/,
      },
      host,
    )
  }
})
