import tls from 'node:tls'
import t from 'tap'
import { type Certificate, makeCertificates } from '../testing/certificates.ts'
import { startHttpProxy } from '../testing/proxy.ts'
import { startRawReceiver, startReceiver } from '../testing/receiver.ts'
import { startSender } from '../testing/sender.ts'
import type { ClientCertificate } from './connections.ts'

const certificates = await makeCertificates()
tls.setDefaultCACertificates([certificates.ca])
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

t.test('a receiver that does not ask is served all the same', async (t) => {
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
