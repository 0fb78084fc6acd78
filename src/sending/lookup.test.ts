import type { LookupAddress, LookupAllOptions } from 'node:dns'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { type NameAnswer, startNameServer } from '../testing/servers/name-server.ts'
import { startReceiver } from '../testing/servers/receiver.ts'
import { startSender } from '../testing/wiring/sender.ts'
import { parseCidrs } from './egress.ts'
import { createLookup, type LookupAll } from './lookup.ts'

/** For cases in which asking the system is a mistake. */
const noSystem: LookupAll = (hostname) => {
  throw new Error(`asked the system for ${hostname}`)
}
const folder = await mkdtemp(join(tmpdir(), 'postrider-lookup-'))
t.teardown(() => rm(folder, { recursive: true }))
const NO_HOSTS = join(folder, 'missing')

/** A lookup at a name server that answers with `A`, `AAAA` and nothing else. */
async function bundle({
  A = 'NXDOMAIN',
  AAAA = A === 'NXDOMAIN' ? 'NXDOMAIN' : [],
  system = noSystem,
  hostsFile = NO_HOSTS,
}: {
  A?: NameAnswer
  AAAA?: NameAnswer
  system?: LookupAll
  hostsFile?: string
}) {
  const server = await startNameServer(({ type }) => (type === 'A' ? A : AAAA))
  const lookup = createLookup({ servers: [server.address], system, hostsFile })
  return {
    server,
    resolve: (hostname = 'a.test', options: Partial<LookupAllOptions> = {}) =>
      resolveWith(lookup, hostname, options),
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  }
}

function resolveWith(lookup: LookupAll, hostname: string, options: Partial<LookupAllOptions> = {}) {
  return new Promise<LookupAddress[]>((resolve, reject) =>
    lookup(hostname, { ...options, all: true }, (error, addresses) =>
      error ? reject(error) : resolve(addresses),
    ),
  )
}

const V4 = { address: '192.0.2.1', family: 4 }
const V6 = { address: '2001:db8::1', family: 6 }

t.test('finds the addresses of both families, IPv4 first', async (t) => {
  await using dns = await bundle({ A: ['192.0.2.1', '192.0.2.2'], AAAA: ['2001:db8::1'] })
  t.strictSame(await dns.resolve(), [V4, { address: '192.0.2.2', family: 4 }, V6])
})

t.test('asks for one family only when one is wanted', async (t) => {
  await using dns = await bundle({ A: ['192.0.2.1'], AAAA: ['2001:db8::1'] })
  t.strictSame(await dns.resolve('a.test', { family: 4 }), [V4])
  t.strictSame(await dns.resolve('a.test', { family: 'IPv6' }), [V6])
  t.strictSame(
    dns.server.asked.map(({ type }) => type),
    ['A', 'AAAA'],
  )
})

t.test('a family that is never answered does not keep the other waiting', async (t) => {
  await using v4 = await bundle({ A: ['192.0.2.1'], AAAA: 'silence' })
  t.strictSame(await v4.resolve(), [V4])
  await using v6 = await bundle({ A: 'SERVFAIL', AAAA: ['2001:db8::1'] })
  t.strictSame(await v6.resolve(), [V6])
})

t.test('a family that is answered too late to be waited for is handed in', async (t) => {
  for (const [answer, expected] of [
    [['192.0.2.1'], [V4]],
    ['SERVFAIL', []],
  ] as const) {
    const late = Promise.withResolvers<NameAnswer>()
    await using server = await startNameServer(({ type }) =>
      type === 'A' ? late.promise : ['2001:db8::1'],
    )
    const lookup = createLookup({ servers: [server.address], hostsFile: NO_HOSTS })
    const { addresses, later } = await new Promise<{
      addresses: LookupAddress[]
      later?: Promise<LookupAddress[]> | undefined
    }>((resolve, reject) =>
      lookup('a.test', { all: true }, (error, addresses, later) =>
        error ? reject(error) : resolve({ addresses, later }),
      ),
    )
    t.strictSame(addresses, [V6])
    late.resolve(typeof answer === 'string' ? answer : [...answer])
    t.strictSame(await later, expected)
  }
})

t.test('a failing name server is no missing name, and the system is not asked', async (t) => {
  await using dns = await bundle({ A: 'SERVFAIL', AAAA: 'SERVFAIL' })
  await t.rejects(dns.resolve(), { code: 'EAI_AGAIN' })
})

t.test('a name that DNS does not have is asked of the system', async (t) => {
  const asked: string[] = []
  const system: LookupAll = (hostname, _options, done) => {
    asked.push(hostname)
    done(null, [V4])
  }
  await using missing = await bundle({ system })
  t.strictSame(await missing.resolve('printer'), [V4])
  await using empty = await bundle({ A: [], AAAA: [], system })
  t.strictSame(await empty.resolve('mail.test'), [V4])
  t.strictSame(asked, ['printer', 'mail.test'])
})

t.test('what is no name is not asked for, and no error of ours', async (t) => {
  const failure = Object.assign(new Error('x'), { code: 'ENOTFOUND' })
  await using dns = await bundle({ system: (_name, _options, done) => done(failure, []) })
  for (const name of ['127.0.0.1..', `${'a'.repeat(64)}.test`, 'a..test']) {
    await t.rejects(dns.resolve(name), { code: 'ENOTFOUND' }, name)
  }
  t.strictSame(dns.server.asked, [])
})

t.test('the hosts file comes first', async (t) => {
  const hostsFile = join(folder, 'hosts')
  await writeFile(
    hostsFile,
    [
      '# 192.0.2.9 commented.test',
      '192.0.2.1\tOne.test  alias.test # 192.0.2.8 not-this.test',
      '2001:db8::1 one.test',
      'fe80::1%lo0 zone.test',
      'nonsense one.test',
      '',
    ].join('\n'),
  )
  await using dns = await bundle({ A: ['192.0.2.7'], hostsFile })
  t.strictSame(await dns.resolve('one.test'), [V4, V6])
  t.strictSame(await dns.resolve('ALIAS.test.'), [V4])
  t.strictSame(await dns.resolve('one.test', { family: 6 }), [V6])
  t.strictSame(dns.server.asked, [])
  for (const name of ['commented.test', 'not-this.test', 'zone.test']) {
    t.strictSame(await dns.resolve(name), [{ address: '192.0.2.7', family: 4 }], name)
  }

  await writeFile(hostsFile, '192.0.2.200 one.test')
  t.strictSame(await dns.resolve('one.test'), [{ address: '192.0.2.200', family: 4 }], 're-read')
  await rm(hostsFile)
  t.strictSame(await dns.resolve('one.test'), [{ address: '192.0.2.7', family: 4 }], 'gone')
})

t.test('names whose servers hang do not delay an attempt to another host', async (t) => {
  await using names = await startNameServer(({ name, type }) => {
    if (name.startsWith('hanging')) return 'silence'
    return type === 'A' ? ['127.0.0.1'] : []
  })
  await using receiver = await startReceiver()
  await using sender = startSender({
    lookup: createLookup({ servers: [names.address], hostsFile: NO_HOSTS, system: () => {} }),
  })
  const hanging = Array.from({ length: 100 }, (_, n) => sender.send(`http://hanging-${n}.test/`))
  await names.namesAsked(100)

  t.match(await sender.send(`http://good.test:${receiver.port}/`), { outcome: 'delivered' })
  t.equal(await Promise.race([...hanging, 'still waiting']), 'still waiting')
  await sender.close()
  for (const result of await Promise.all(hanging)) t.match(result, { outcome: 'interrupted' })
})

t.test('a name server that changes its answer gains nothing (DNS rebinding)', async (t) => {
  const answers = [['127.0.0.1'], ['10.0.0.1'], ['10.0.0.1', '127.0.0.1']]
  let asked = 0
  await using names = await startNameServer(({ type }) => {
    if (type === 'AAAA') return []
    asked += 1
    return answers[asked - 1] ?? []
  })
  await using receiver = await startReceiver()
  await using sender = startSender({
    allow: parseCidrs('127.0.0.1'),
    lookup: createLookup({ servers: [names.address], hostsFile: NO_HOSTS, system: noSystem }),
  })
  const send = () => sender.send(`http://rebinding.test:${receiver.port}/`, { newConnection: true })
  t.match(await send(), { outcome: 'delivered' })
  t.equal(asked, 1, 'what was vetted is what is dialled, without asking again')
  t.match(await send(), {
    outcome: 'blocked',
    reason: 'blocked_name',
    error: 'the name points to an address that is not allowed',
    errorDetail: '10.0.0.1 is not a public address',
  })
  t.match(await send(), { outcome: 'delivered' }, 'to the address that may be dialled')
  t.equal(receiver.requests.length, 2)
})

t.test('an attempt does not wait for a name longer than its time', async (t) => {
  await using names = await startNameServer(() => 'silence')
  await using sender = startSender({
    lookup: createLookup({ servers: [names.address], hostsFile: NO_HOSTS, system: () => {} }),
  })
  t.match(await sender.send('http://hanging.test/', { timeoutMs: 300 }), {
    outcome: 'unreachable',
    reason: 'timeout_dns',
    error: 'the name did not resolve within 0.3 s',
  })
})

/** Nobody listens there, so that every name goes on to the system. */
const NO_SERVERS = ['127.0.0.1:1']

t.test('without a name server the system is asked, about two names at a time', async (t) => {
  let inFlight = 0
  let most = 0
  const system: LookupAll = (_hostname, _options, done) => {
    inFlight += 1
    most = Math.max(most, inFlight)
    setImmediate(() => {
      inFlight -= 1
      done(null, [V4])
    })
  }
  const lookup = createLookup({ servers: NO_SERVERS, hostsFile: NO_HOSTS, system })
  const names = Array.from({ length: 20 }, (_, n) => `name-${n}.test`)
  const found = await Promise.all(names.map((name) => resolveWith(lookup, name)))
  t.strictSame(
    found,
    names.map(() => [V4]),
  )
  t.equal(most, 2)
})

t.test('names that hang in the system stop only those that need it, and are bounded', async (t) => {
  await using names = await startNameServer(({ name, type }) => {
    if (name.startsWith('missing')) return 'NXDOMAIN'
    return type === 'A' ? ['192.0.2.1'] : []
  })
  const lookup = createLookup({
    servers: [names.address],
    hostsFile: NO_HOSTS,
    system: () => {},
  })
  const missing: Promise<unknown>[] = []
  // A few at a time: a burst of a thousand packets overflows the buffer of the name server.
  for (let n = 0; n < 503; n += 1) {
    missing.push(resolveWith(lookup, `missing-${n}.test`))
    if (n % 20 === 0) await names.namesAsked(n + 1)
  }
  await t.rejects(Promise.race(missing), { code: 'EAI_AGAIN' }, 'two ask and 500 wait')
  t.strictSame(await resolveWith(lookup, 'good.test'), [V4])
})
