import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import type { LookupAddress } from 'node:dns'
import net from 'node:net'
import t from 'tap'
import { makeCertificates, trustOnly } from '../testing/servers/certificates.ts'
import { startHttpProxy, startSocksProxy } from '../testing/servers/proxy.ts'
import { startRawReceiver, startReceiver } from '../testing/servers/receiver.ts'
import { startSlowAddress } from '../testing/servers/slow-address.ts'
import { startSender } from '../testing/wiring/sender.ts'
import { ADDRESSES_MAX, DialFailed, Dialing, openFirst } from './dial.ts'
import type { Later, LookupAll } from './lookup.ts'

const certificates = await makeCertificates()
trustOnly(t, [certificates.ca])

const toAddress = (address: string): LookupAddress => ({ address, family: net.isIP(address) })

/** Every name has these addresses. */
const resolving =
  (...addresses: string[]): LookupAll =>
  (_name, _options, done) =>
    done(null, addresses.map(toAddress))

/** A race whose addresses connect or fail when the case says so. */
function race(addresses: string[], later?: Later) {
  const dialing = new Dialing()
  const opened = new Map<string, Attempt>()
  const waiting = new Map<string, (attempt: Attempt) => void>()
  const open = ({ address }: LookupAddress, signal: AbortSignal) => {
    const { promise, resolve, reject } = Promise.withResolvers<net.Socket>()
    const attempt = { signal, connect: resolve, fail: (code: string) => reject(failure(code)) }
    opened.set(address, attempt)
    waiting.get(address)?.(attempt)
    return promise
  }
  return {
    dialing,
    outcome: openFirst({ addresses: addresses.map(toAddress), later }, open, dialing),
    /** Resolves once the address is tried. */
    trying: (address: string) =>
      new Promise<Attempt>((resolve) => {
        const attempt = opened.get(address)
        if (attempt) resolve(attempt)
        else waiting.set(address, resolve)
      }),
  }
}
interface Attempt {
  signal: AbortSignal
  connect(socket: net.Socket): void
  fail(code: string): void
}
const failure = (code: string) => Object.assign(new Error(code), { code })

t.test('the families take turns, and what fails makes room at once', async (t) => {
  const tried = ['192.0.2.1', '2001:db8::1', '192.0.2.2', '2001:db8::2', '192.0.2.3']
  const { dialing, outcome, trying } = race([
    ...['192.0.2.1', '192.0.2.2', '192.0.2.3'],
    ...['2001:db8::1', '2001:db8::2'],
  ])
  const failed = t.rejects(outcome)
  for (const address of tried) (await trying(address)).fail('ECONNREFUSED')
  await failed
  t.strictSame(dialing.tried, tried)
})

t.test('a slow address is not given up for the next, and wins if it connects first', async (t) => {
  const { outcome, trying } = race(['192.0.2.1', '192.0.2.2', '192.0.2.3'])
  const [slow, dead] = [await trying('192.0.2.1'), await trying('192.0.2.2')]
  const other = await trying('192.0.2.3')
  t.equal(slow.signal.aborted, false)
  const socket = new net.Socket()
  slow.connect(socket)
  t.equal(await outcome, socket)
  t.strictSame(
    [slow, dead, other].map(({ signal }) => signal.aborted),
    [false, true, true],
  )
})

t.test('a connection that comes second is closed', async (t) => {
  const { outcome, trying } = race(['192.0.2.1', '192.0.2.2'])
  const [first, second] = [await trying('192.0.2.1'), await trying('192.0.2.2')]
  const [winner, loser] = [new net.Socket(), new net.Socket()]
  second.connect(winner)
  first.connect(loser)
  t.equal(await outcome, winner)
  t.strictSame([winner.destroyed, loser.destroyed], [false, true])
})

t.test('one that fails leaves the others to go on', async (t) => {
  const { outcome, trying } = race(['192.0.2.1', '2001:db8::1'])
  const [first, second] = [await trying('192.0.2.1'), await trying('2001:db8::1')]
  second.fail('ENETUNREACH')
  const socket = new net.Socket()
  first.connect(socket)
  t.equal(await outcome, socket)
})

// A machine without IPv6, and a name whose A record is looked up more slowly: every attempt failed.
t.test('addresses that are found later join in, also when all others have failed', async (t) => {
  const later = Promise.withResolvers<LookupAddress[]>()
  const { outcome, trying } = race(['2001:db8::1'], later.promise)
  ;(await trying('2001:db8::1')).fail('ENETUNREACH')
  later.resolve(['192.0.2.1', '192.0.2.2'].map(toAddress))
  const socket = new net.Socket()
  ;(await trying('192.0.2.2')).connect(socket)
  t.equal(await outcome, socket)

  const none = Promise.withResolvers<LookupAddress[]>()
  const failed = race(['2001:db8::1'], none.promise)
  const rejected = t.rejects(failed.outcome, failure('ENETUNREACH'))
  ;(await failed.trying('2001:db8::1')).fail('ENETUNREACH')
  none.resolve([])
  await rejected
})

t.test('addresses that are found later are tried next to one that hangs', async (t) => {
  const { outcome, trying, dialing } = race(
    ['2001:db8::1'],
    Promise.resolve([toAddress('192.0.2.1')]),
  )
  const hangs = await trying('2001:db8::1')
  const socket = new net.Socket()
  ;(await trying('192.0.2.1')).connect(socket)
  t.equal(await outcome, socket)
  t.ok(hangs.signal.aborted)
  t.strictSame(dialing.tried, ['2001:db8::1', '192.0.2.1'])
})

t.test('who does not wait any more ends them all', async (t) => {
  const { dialing, outcome, trying } = race(['192.0.2.1', '192.0.2.2'])
  const failed = t.rejects(outcome, { name: 'AbortError' })
  const [first, second] = [await trying('192.0.2.1'), await trying('192.0.2.2')]
  dialing.end()
  await failed
  t.ok(first.signal.aborted && second.signal.aborted)
  await t.rejects(
    openFirst({ addresses: [toAddress('192.0.2.1')] }, () => t.fail() as never, dialing),
  )
})

t.test('only so many addresses are tried', async (t) => {
  const addresses = Array.from({ length: 5 * ADDRESSES_MAX }, (_, n) => `192.0.2.${n + 1}`)
  const { dialing, outcome, trying } = race(addresses)
  const failed = t.rejects(outcome, { code: 'ECONNREFUSED' })
  for (const address of addresses.slice(0, ADDRESSES_MAX)) {
    ;(await trying(address)).fail('ECONNREFUSED')
  }
  await failed
  t.strictSame(dialing.tried, addresses.slice(0, ADDRESSES_MAX))
})

t.test('the error of one address is its own, of several it names them', async (t) => {
  const single = race(['192.0.2.1'])
  const rejected = t.rejects(single.outcome, failure('ECONNREFUSED'))
  ;(await single.trying('192.0.2.1')).fail('ECONNREFUSED')
  await rejected
  for (const codes of [
    ['ENETUNREACH', 'ECONNREFUSED'],
    ['ECONNREFUSED', 'EHOSTUNREACH'],
  ]) {
    const both = race(['2001:db8::1', '192.0.2.1'])
    const [first = '', second = ''] = codes
    const found = both.outcome.catch((error: unknown) => error)
    ;(await both.trying('2001:db8::1')).fail(first)
    ;(await both.trying('192.0.2.1')).fail(second)
    t.type(await found, DialFailed)
    t.match(await found, {
      code: 'ECONNREFUSED',
      details: `2001:db8::1: ${first}, 192.0.2.1: ${second}`,
    })
  }
})

/** Resolves with the sockets once there were so many calls of `net.connect`. */
function connects(count: number): Promise<net.Socket[]> {
  const sockets: net.Socket[] = []
  return new Promise((resolve) => {
    const onSocket = (message: unknown) => {
      sockets.push((message as { socket: net.Socket }).socket)
      if (sockets.length < count) return
      unsubscribe('net.client.socket', onSocket)
      resolve(sockets)
    }
    subscribe('net.client.socket', onSocket)
  })
}

// Of an address that takes a second to connect and a dead one next to it, every attempt failed: Node gives each
// address but the last 250 ms.
t.test('delivers to a slow address next to a dead one', async (t) => {
  await using slow = await startSlowAddress('127.0.0.2')
  await using dead = await startSlowAddress('127.0.0.3', slow.port)
  await using sender = startSender({ lookup: resolving(slow.host, dead.host) })
  const both = connects(2)
  const sending = sender.send(`http://slow.test:${slow.port}/`, { timeoutMs: 30_000 })
  const [, second] = await both
  slow.open()
  t.match(await sending, {
    outcome: 'delivered',
    timings: { dnsMs: Number, connectMs: Number, tlsMs: null, firstByteMs: Number },
  })
  t.ok(second?.destroyed, 'and nobody knocks at the other any more')
})

t.test('delivers past addresses that refuse, over http and https', async (t) => {
  await using plain = await startReceiver()
  await using secure = await startReceiver({ tls: certificates.valid })
  await using sender = startSender({
    lookup: resolving('127.0.0.2', '127.0.0.3', '127.0.0.1', '127.0.0.4'),
  })
  for (const { url, port } of [plain, secure]) {
    const named = `${new URL(url).protocol}//receiver.test:${port}/`
    t.match(await sender.send(named), { outcome: 'delivered', timings: { connectMs: Number } })
    t.match(await sender.send(named), { outcome: 'delivered', timings: { connectMs: null } })
  }
  t.strictSame([plain.connections(), secure.connections()], [1, 1], 'and keeps the connection')
})

t.test('says which addresses refused', async (t) => {
  const gone = await startReceiver()
  await gone.close()
  await using sender = startSender({ lookup: resolving('127.0.0.2', '127.0.0.1') })
  t.match(await sender.send(`http://receiver.test:${gone.port}/`), {
    outcome: 'unreachable',
    reason: 'connection_refused',
    error: 'refused, nothing listens there (ECONNREFUSED)',
    errorDetail: '127.0.0.2: ECONNREFUSED, 127.0.0.1: ECONNREFUSED',
  })
})

t.test('dials for as long as the attempt lasts, and not longer', async (t) => {
  await using one = await startSlowAddress('127.0.0.2')
  await using two = await startSlowAddress('127.0.0.3', one.port)
  await using sender = startSender({ lookup: resolving(one.host, two.host) })
  const both = connects(2)
  const result = await sender.send(`http://slow.test:${one.port}/`, { timeoutMs: 600 })
  t.match(result, {
    outcome: 'unreachable',
    reason: 'timeout_connect',
    error: 'no connection within 0.6 s',
    errorDetail: 'tried 127.0.0.2, 127.0.0.3',
    timings: { dnsMs: Number, connectMs: null },
  })
  t.strictSame(
    (await both).map(({ destroyed }) => destroyed),
    [true, true],
  )
})

t.test('an attempt that is cut off ends its dialling', async (t) => {
  await using slow = await startSlowAddress('127.0.0.2')
  const sender = startSender()
  const dialled = connects(1)
  const sending = sender.send(`http://${slow.host}:${slow.port}/`)
  const [socket] = await dialled
  await sender.close()
  t.match(await sending, { outcome: 'interrupted', timings: { dnsMs: null, connectMs: null } })
  t.ok(socket?.destroyed)
})

t.test('a receiver that hangs up during the handshake is said to have done so', async (t) => {
  await using sender = startSender()
  for (const end of ['end', 'resetAndDestroy'] as const) {
    await using receiver = await startRawReceiver((socket) => {
      socket.once('data', () => socket[end]())
    })
    t.match(await sender.send(receiver.url.replace('http:', 'https:')), {
      outcome: 'unreachable',
      reason: 'tls_failed',
      error: 'the receiver closed the connection during the TLS handshake',
      timings: { connectMs: Number, tlsMs: null },
    })
  }
})

t.test('through a proxy, the addresses of the proxy are tried alike', async (t) => {
  await using receiver = await startReceiver()
  for (const start of [startHttpProxy, startSocksProxy]) {
    await using proxy = await start()
    const url = new URL(proxy.url.replace('socks5:', 'socks5h:').replace('127.0.0.1', 'proxy.test'))
    await using sender = startSender({
      proxy: url,
      proxyLookup: resolving('127.0.0.2', '127.0.0.3', '127.0.0.1'),
      lookup: () => t.fail('looked up'),
    })
    t.match(await sender.send(`http://receiver.test:${receiver.port}/`), { outcome: 'delivered' })
  }
})

t.test('through socks5, the addresses of the receiver are tried alike', async (t) => {
  await using receiver = await startReceiver()
  await using proxy = await startSocksProxy()
  await using sender = startSender({
    proxy: new URL(proxy.url),
    lookup: resolving('127.0.0.2', '127.0.0.1'),
  })
  t.match(await sender.send(`http://receiver.test:${receiver.port}/`), {
    outcome: 'delivered',
    timings: { dnsMs: Number, connectMs: Number },
  })
  t.strictSame(proxy.asked, [`127.0.0.2:${receiver.port}`, `127.0.0.1:${receiver.port}`])
})
