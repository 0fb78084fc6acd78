import { X509Certificate } from 'node:crypto'
import tls from 'node:tls'
import t from 'tap'
import { makeCertificates, trustOnly } from '../testing/servers/certificates.ts'
import { startHttpProxy } from '../testing/servers/proxy.ts'
import { startReceiver } from '../testing/servers/receiver.ts'
import { startSender } from '../testing/wiring/sender.ts'
import { trustCertificates } from './trust.ts'

const fingerprint = (pem: string) => new X509Certificate(pem).fingerprint256

t.test('an authority is trusted next to those of Node, by receivers and proxies', async (t) => {
  const { valid, ca, selfSigned } = await makeCertificates()
  trustOnly(t, tls.getCACertificates('bundled'))
  const before = tls.getCACertificates('default')
  await using receiver = await startReceiver({ tls: valid })
  await using proxy = await startHttpProxy({ tls: valid })
  await using direct = startSender()
  await using proxied = startSender({ proxy: new URL(proxy.url) })
  const url = `https://receiver.test:${receiver.port}/`
  t.match(await direct.send(receiver.url), { outcome: 'unreachable', reason: 'tls_certificate' })
  t.match(await proxied.send(url), {
    outcome: 'unreachable',
    reason: 'proxy_failed',
    error: /cannot be reached/,
  })

  trustCertificates([])
  t.strictSame(tls.getCACertificates('default'), before)
  trustCertificates([selfSigned.cert, ca])
  t.match(await direct.send(receiver.url), { outcome: 'delivered' })
  t.match(await proxied.send(url), { outcome: 'delivered' })
  // Node drops repetitions and may write a certificate in another way.
  const after = new Set(tls.getCACertificates('default').map(fingerprint))
  t.strictSame(
    before.map(fingerprint).filter((known) => !after.has(known)),
    [],
    'none is lost',
  )
})
