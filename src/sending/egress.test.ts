import type { LookupAddress } from 'node:dns'
import t from 'tap'
import {
  AddressBlocked,
  createVettedLookup,
  InvalidCidr,
  isAllowed,
  parseCidrs,
  parseNat64,
  type VettedLookup,
  vetLiteralHost,
} from './egress.ts'
import type { LookupAll } from './lookup.ts'

/** `null` where the neighbour on that side is special as well, and tested in its own row. */
type Range = [name: string, below: string | null, first: string, last: string, above: string | null]

const IPV4_RANGES: Range[] = [
  ['this network 0.0.0.0/8', null, '0.0.0.0', '0.255.255.255', '1.0.0.0'],
  ['private 10.0.0.0/8', '9.255.255.255', '10.0.0.0', '10.255.255.255', '11.0.0.0'],
  [
    'carrier-grade NAT 100.64.0.0/10',
    '100.63.255.255',
    '100.64.0.0',
    '100.127.255.255',
    '100.128.0.0',
  ],
  ['loopback 127.0.0.0/8', '126.255.255.255', '127.0.0.0', '127.255.255.255', '128.0.0.0'],
  ['link-local 169.254.0.0/16', '169.253.255.255', '169.254.0.0', '169.254.255.255', '169.255.0.0'],
  ['private 172.16.0.0/12', '172.15.255.255', '172.16.0.0', '172.31.255.255', '172.32.0.0'],
  ['protocol assignments 192.0.0.0/24', '191.255.255.255', '192.0.0.0', '192.0.0.255', '192.0.1.0'],
  ['documentation 192.0.2.0/24', '192.0.1.255', '192.0.2.0', '192.0.2.255', '192.0.3.0'],
  ['AS112 192.31.196.0/24', '192.31.195.255', '192.31.196.0', '192.31.196.255', '192.31.197.0'],
  ['AMT 192.52.193.0/24', '192.52.192.255', '192.52.193.0', '192.52.193.255', '192.52.194.0'],
  ['6to4 relays 192.88.99.0/24', '192.88.98.255', '192.88.99.0', '192.88.99.255', '192.88.100.0'],
  ['private 192.168.0.0/16', '192.167.255.255', '192.168.0.0', '192.168.255.255', '192.169.0.0'],
  ['AS112 192.175.48.0/24', '192.175.47.255', '192.175.48.0', '192.175.48.255', '192.175.49.0'],
  ['benchmarking 198.18.0.0/15', '198.17.255.255', '198.18.0.0', '198.19.255.255', '198.20.0.0'],
  [
    'documentation 198.51.100.0/24',
    '198.51.99.255',
    '198.51.100.0',
    '198.51.100.255',
    '198.51.101.0',
  ],
  ['documentation 203.0.113.0/24', '203.0.112.255', '203.0.113.0', '203.0.113.255', '203.0.114.0'],
  ['multicast 224.0.0.0/4', '223.255.255.255', '224.0.0.0', '239.255.255.255', null],
  ['reserved 240.0.0.0/4', null, '240.0.0.0', '255.255.255.254', null],
  ['broadcast', null, '255.255.255.255', '255.255.255.255', null],
  ['Azure WireServer', '168.63.129.15', '168.63.129.16', '168.63.129.16', '168.63.129.17'],
]

const LAST = 'ffff:ffff:ffff:ffff'
const IPV6_RANGES: Range[] = [
  ['unspecified ::', null, '::', '::', null],
  ['loopback ::1', null, '::1', '::1', null],
  ['IPv4-compatible ::/96', null, '::127.0.0.1', '::ffff:ffff', null],
  ['IPv4-compatible with a public address', null, '::8.8.8.8', '::8.8.8.8', null],
  ['IPv4-mapped ::ffff:0:0/96', null, '::ffff:0.0.0.0', '::ffff:255.255.255.255', null],
  ['IPv4-mapped with a public address', null, '::ffff:8.8.8.8', '::ffff:8.8.8.8', null],
  ['IPv4-translated ::ffff:0:0:0/96', null, '::ffff:0:7f00:1', '::ffff:0:ffff:ffff', null],
  ['NAT64 64:ff9b::/96', null, '64:ff9b::', '64:ff9b::ffff:ffff', null],
  ['NAT64 64:ff9b:1::/48', null, '64:ff9b:1::', `64:ff9b:1:ffff:${LAST}`, null],
  ['discard 100::/64', null, '100::', `100::${LAST}`, null],
  ['before global unicast', null, '1fff::', `1fff:ffff:ffff:ffff:${LAST}`, null],
  ['Teredo 2001::/32', '2000:ffff::', '2001::', `2001:0:ffff:ffff:${LAST}`, null],
  ['benchmarking 2001:2::/48', null, '2001:2::', `2001:2:0:ffff:${LAST}`, null],
  ['AMT 2001:3::/32', null, '2001:3::', `2001:3:ffff:ffff:${LAST}`, null],
  ['AS112 2001:4:112::/48', null, '2001:4:112::', `2001:4:112:ffff:${LAST}`, null],
  ['ORCHID 2001:10::/28', null, '2001:10::', `2001:1f:ffff:ffff:${LAST}`, null],
  ['ORCHIDv2 2001:20::/28', null, '2001:20::', `2001:2f:ffff:ffff:${LAST}`, null],
  ['drone remote ids 2001:30::/28', null, '2001:30::', `2001:3f:ffff:ffff:${LAST}`, null],
  [
    'protocol assignments 2001::/23',
    null,
    '2001:100::',
    `2001:1ff:ffff:ffff:${LAST}`,
    '2001:200::',
  ],
  [
    'documentation 2001:db8::/32',
    '2001:db7::',
    '2001:db8::',
    `2001:db8:ffff:ffff:${LAST}`,
    '2001:db9::',
  ],
  ['6to4 2002::/16', '2001:ffff::', '2002::', `2002:ffff:ffff:ffff:${LAST}`, '2003::'],
  [
    'AS112 2620:4f:8000::/48',
    '2620:4f:7fff::',
    '2620:4f:8000::',
    `2620:4f:8000:ffff:${LAST}`,
    '2620:4f:8001::',
  ],
  ['documentation 3fff::/20', '3ffe::', '3fff::', `3fff:fff:ffff:ffff:${LAST}`, '3fff:1000::'],
  [
    'after global unicast',
    `3fff:ffff:ffff:ffff:${LAST}`,
    '4000::',
    `5eff:ffff:ffff:ffff:${LAST}`,
    null,
  ],
  ['segment routing 5f00::/16', null, '5f00::', `5f00:ffff:ffff:ffff:${LAST}`, null],
  ['unique local fc00::/7', null, 'fc00::', `fdff:ffff:ffff:ffff:${LAST}`, null],
  ['link-local fe80::/10', null, 'fe80::', `febf:ffff:ffff:ffff:${LAST}`, null],
  ['link-local with a zone', null, 'fe80::1%lo', 'fe80::1%1', null],
  ['site-local fec0::/10', null, 'fec0::', `feff:ffff:ffff:ffff:${LAST}`, null],
  ['multicast ff00::/8', null, 'ff00::', `ffff:ffff:ffff:ffff:${LAST}`, null],
]

for (const [name, below, first, last, above] of [...IPV4_RANGES, ...IPV6_RANGES]) {
  t.test(`refuses ${name} from its first to its last address`, async (t) => {
    t.equal(isAllowed(first, []), false, first)
    t.equal(isAllowed(last, []), false, last)
    for (const neighbour of [below, above]) {
      if (neighbour) t.equal(isAllowed(neighbour, []), true, neighbour)
    }
  })
}

for (const address of [
  '1.1.1.1',
  '8.8.8.8',
  '93.184.215.14',
  '2606:4700:4700::1111',
  '2a00:1450::8b',
]) {
  t.test(`allows the public address ${address}`, async (t) => {
    t.equal(isAllowed(address, []), true)
  })
}

for (const text of [
  '',
  'localhost',
  '127.1',
  '010.8.8.8',
  '0x08080808',
  '134744072',
  '8.8.8.8 ',
  '[::1]',
]) {
  t.test(`refuses "${text}", which is no canonical address`, async (t) => {
    t.equal(isAllowed(text, parseCidrs('0.0.0.0/0, ::/0')), false)
  })
}

t.test('a CIDR of the list opens exactly its network', async (t) => {
  const allow = parseCidrs('10.1.0.0/16, fd00:1::/32')
  t.equal(isAllowed('10.1.0.0', allow), true)
  t.equal(isAllowed('10.1.255.255', allow), true)
  t.equal(isAllowed('10.0.255.255', allow), false)
  t.equal(isAllowed('10.2.0.0', allow), false)
  t.equal(isAllowed('fd00:1::1', allow), true)
  t.equal(isAllowed('fd00:2::1', allow), false)
})

t.test('a mapped address is opened by the CIDR of its IPv4', async (t) => {
  const allow = parseCidrs('127.0.0.0/8')
  t.equal(isAllowed('::ffff:127.0.0.1', allow), true)
  t.equal(isAllowed('::ffff:10.0.0.1', allow), false)
  t.equal(isAllowed('64:ff9b::7f00:1', allow), false)
  t.equal(isAllowed('2002:7f00:1::', allow), false)
  t.equal(isAllowed('::127.0.0.1', allow), false)
})

t.test('NAT64 and 6to4 are opened by their own CIDR', async (t) => {
  t.equal(isAllowed('64:ff9b::808:808', parseCidrs('64:ff9b::/96')), true)
  t.equal(isAllowed('2002:808:808::', parseCidrs('2002::/16')), true)
  t.equal(isAllowed('::ffff:8.8.8.8', parseCidrs('::ffff:0:0/96')), true)
})

t.test('ISATAP addresses are refused behind any prefix', async (t) => {
  for (const address of ['2a00::5efe:7f00:1', '2a00::200:5efe:a00:1', '2a00::5efe:808:808']) {
    t.notOk(isAllowed(address, []), address)
  }
  for (const address of ['2a00::5eff:7f00:1', '2a00::400:5efe:7f00:1', '2a00::1:0:5efe:1']) {
    t.ok(isAllowed(address, []), address)
  }
})

t.test('an address behind a NAT64 prefix is vetted as the IPv4 address it carries', async (t) => {
  // The examples of RFC 6052, 2.4, with a public and a private address.
  const behind: [prefix: string, of8888: string, of10001: string][] = [
    ['2a00:db8::/32', '2a00:db8:808:808::', '2a00:db8:a00:1::'],
    ['2a00:db8:100::/40', '2a00:db8:108:808:8::', '2a00:db8:10a:0:1::'],
    ['2a00:db8:122::/48', '2a00:db8:122:808:8:800::', '2a00:db8:122:a00:0:100::'],
    ['2a00:db8:122:300::/56', '2a00:db8:122:308:8:808::', '2a00:db8:122:30a:0:1::'],
    ['2a00:db8:122:344::/64', '2a00:db8:122:344:8:808:800:0', '2a00:db8:122:344:a:0:100:0'],
    ['64:ff9b::/96', '64:ff9b::808:808', '64:ff9b::a00:1'],
  ]
  for (const [prefix, publicAddress, privateAddress] of behind) {
    const nat64 = parseNat64(prefix)
    t.ok(isAllowed(publicAddress, nat64), publicAddress)
    t.notOk(isAllowed(privateAddress, nat64), privateAddress)
    t.ok(isAllowed(privateAddress, [...nat64, ...parseCidrs('10.0.0.0/8')]), 'unless it is listed')
  }
  t.notOk(isAllowed('64:ff9b::808:808', []), 'no network has one by default')
  t.ok(isAllowed('2a00:db9::1', parseNat64('2a00:db8::/32')), 'others are not concerned')
})

t.test('a NAT64 prefix is IPv6 and of a length that RFC 6052 knows', async (t) => {
  for (const text of ['10.0.0.0/8', '64:ff9b::/95', '2a00::/33']) {
    t.throws(() => parseNat64(text), InvalidCidr, text)
  }
})

t.test('a list of CIDRs may use commas, blanks and bare addresses', async (t) => {
  const texts = (list: string) =>
    parseCidrs(list).map(({ text, prefixLength }) => [text, prefixLength])
  t.strictSame(texts(''), [])
  t.strictSame(texts(' , '), [])
  t.strictSame(texts('127.0.0.1,::1  10.0.0.0/8'), [
    ['127.0.0.1', 32],
    ['::1', 128],
    ['10.0.0.0/8', 8],
  ])
  t.strictSame(texts('0.0.0.0/0'), [['0.0.0.0/0', 0]])
})

const BAD_CIDRS: [text: string, message: RegExp][] = [
  ['localhost', /"localhost" is not a network/],
  ['10.0.0.0/33', /longer than 32/],
  ['fd00::/129', /longer than 128/],
  ['10.0.0.0/', /not a network/],
  ['10.0.0.0/-1', /not a network/],
  ['10.0.0.0/8/8', /not a network/],
  ['10.0.0.0/1e1', /not a network/],
  ['10/8', /not a network/],
  ['fe80::1%lo/64', /not a network/],
  ['10.1.2.3/8', /did you mean 10\.0\.0\.0\/8\?/],
  ['fd00::1/8', /did you mean fd00::\/8\?/],
]
for (const [text, message] of BAD_CIDRS) {
  t.test(`does not take ${text} for a CIDR`, async (t) => {
    t.throws(() => parseCidrs(text), { code: 'cidr_invalid', message })
  })
}

t.test('names every bad CIDR at once', async (t) => {
  t.throws(() => parseCidrs('a, 10.0.0.0/8, b'), { message: /"a".*"b"/ })
  t.throws(() => parseCidrs('a'), InvalidCidr)
})

/** Every spelling that leads somewhere private without a lookup; `null` where URL refuses it. */
const LITERALS: [host: string, address: string | null][] = [
  ['127.0.0.1', '127.0.0.1'],
  ['127.0.0.1.', '127.0.0.1'],
  ['127.1', '127.0.0.1'],
  ['2130706433', '127.0.0.1'],
  ['0177.0.0.1', '127.0.0.1'],
  ['0x7f.1', '127.0.0.1'],
  ['0x7f000001', '127.0.0.1'],
  ['017700000001', '127.0.0.1'],
  ['%31%32%37.0.0.1', '127.0.0.1'],
  ['①②⑦.0.0.1', '127.0.0.1'],
  ['127。0。0。1', '127.0.0.1'],
  ['0', '0.0.0.0'],
  ['169.254.169.254', '169.254.169.254'],
  ['[::1]', '::1'],
  ['[0:0:0:0:0:0:0:1]', '::1'],
  ['[::]', '::'],
  ['[::ffff:127.0.0.1]', '::ffff:7f00:1'],
  ['[::127.0.0.1]', '::7f00:1'],
  ['[64:ff9b::7f00:1]', '64:ff9b::7f00:1'],
  ['[2002:7f00:1::]', '2002:7f00:1::'],
  ['[fd00::1]', 'fd00::1'],
  ['[fe80::1%25lo]', null],
  ['[fe80::1%lo]', null],
  ['4294967296', null],
  ['127.0.0.256', null],
  ['1.2.3.4.5', null],
]
for (const [host, address] of LITERALS) {
  t.test(`refuses the literal host ${host}`, async (t) => {
    const url = URL.parse(`http://${host}:8080/path`)
    if (address === null) t.equal(url, null)
    else t.match(url && vetLiteralHost(url, []), { code: 'EGRESS_BLOCKED', address })
  })
}

t.test('passes literal hosts that are public or listed, and every name', async (t) => {
  const vet = (host: string, allow = '') =>
    vetLiteralHost(new URL(`http://${host}/`), parseCidrs(allow))
  t.equal(vet('8.8.8.8'), null)
  t.equal(vet('[2606:4700:4700::1111]'), null)
  t.equal(vet('0x7f.1', '127.0.0.0/8'), null)
  t.equal(vet('[::1]', '::1'), null)
  t.equal(vet('localhost'), null)
  t.equal(vet('127.0.0.1.example.com'), null)
  t.equal(vet('127.0.0.1..'), null) // to URL this is a name; the vetted lookup gets it
})

const PUBLIC: LookupAddress = { address: '93.184.215.14', family: 4 }
const PUBLIC_6: LookupAddress = { address: '2606:4700:4700::1111', family: 6 }
const PRIVATE: LookupAddress = { address: '10.0.0.1', family: 4 }

/** A vetted lookup over names that resolve to these addresses. */
function bundle({
  found = [PUBLIC],
  allow = '',
}: {
  found?: LookupAddress[]
  allow?: string
} = {}) {
  const pending: (() => void)[] = []
  const asked: [string, object][] = []
  const lookup: LookupAll = (hostname, options, callback) => {
    asked.push([hostname, options])
    pending.push(() => callback(null, found))
  }
  const vetted = createVettedLookup({ allow: parseCidrs(allow), lookup })
  const resolve = (options: { all?: boolean; family?: 4 | 6 } = {}, hostname = 'a.test') =>
    new Promise<[unknown, ...unknown[]]>((done) => {
      vetted(hostname, options, (...result) => done(result))
    })
  const answer = () => {
    for (const reply of pending.splice(0)) reply()
  }
  return { asked, resolve, answer }
}

t.test('answers with all addresses or with the first, as asked', async (t) => {
  const { resolve, answer } = bundle({ found: [PUBLIC_6, PUBLIC] })
  const both = Promise.all([resolve({ all: true }), resolve({}), resolve({ all: false })])
  answer()
  t.strictSame(await both, [
    [null, [PUBLIC_6, PUBLIC]],
    [null, PUBLIC_6.address, 6],
    [null, PUBLIC_6.address, 6],
  ])
})

t.test('drops refused addresses and keeps the others', async (t) => {
  const { resolve, answer } = bundle({ found: [PRIVATE, PUBLIC] })
  const both = Promise.all([resolve({ all: true }), resolve({})])
  answer()
  t.strictSame(await both, [
    [null, [PUBLIC]],
    [null, PUBLIC.address, 4],
  ])
})

t.test('fails with the refused address when nothing is left', async (t) => {
  const { resolve, answer } = bundle({ found: [PRIVATE] })
  const result = resolve({ all: true })
  answer()
  const [error] = await result
  t.ok(error instanceof AddressBlocked)
  t.match(error, { code: 'EGRESS_BLOCKED', address: '10.0.0.1' })
})

t.test('lets a listed network through', async (t) => {
  const { resolve, answer } = bundle({ found: [PRIVATE], allow: '10.0.0.0/8' })
  const result = resolve()
  answer()
  t.strictSame(await result, [null, PRIVATE.address, 4])
})

t.test(
  'addresses that come later are vetted too, and waited for when all others are refused',
  async (t) => {
    const vetting = (found: LookupAddress[], later: LookupAddress[]) =>
      createVettedLookup({
        allow: [],
        lookup: (_name, _options, done) => done(null, found, Promise.resolve(later)),
      })
    const resolve = (vetted: VettedLookup) =>
      new Promise<unknown[]>((done) => vetted('a.test', { all: true }, (...result) => done(result)))
    const [error, addresses, later] = await resolve(vetting([PUBLIC_6], [PRIVATE, PUBLIC]))
    t.strictSame([error, addresses, await later], [null, [PUBLIC_6], [PUBLIC]])
    t.strictSame((await resolve(vetting([PRIVATE], [PUBLIC]))).slice(0, 2), [null, [PUBLIC]])
    t.match(await resolve(vetting([PRIVATE], [])), [
      { code: 'EGRESS_BLOCKED', address: '10.0.0.1' },
    ])
  },
)

t.test('a name without addresses is not found', async (t) => {
  const { resolve, answer } = bundle({ found: [] })
  const result = resolve({ all: true })
  answer()
  t.match((await result)[0], { code: 'ENOTFOUND' })
})

t.test('hands on the error of the lookup', async (t) => {
  const failure = Object.assign(new Error('x'), { code: 'EAI_AGAIN' })
  const vetted = createVettedLookup({
    allow: [],
    lookup: (_name, _options, done) => done(failure, []),
  })
  const error = await new Promise((done) => vetted('a.test', {}, done))
  t.equal(error, failure)
})

t.test('equal lookups under way share one, later ones ask again', async (t) => {
  const { resolve, answer, asked } = bundle()
  const first = Promise.all([
    resolve(),
    resolve({ all: true }),
    resolve({}, 'b.test'),
    resolve({ family: 4 }),
  ])
  t.match(asked, [
    ['a.test', { all: true }],
    ['b.test', { all: true }],
    ['a.test', { all: true, family: 4 }],
  ])
  answer()
  await first
  const later = resolve()
  answer()
  await later
  t.equal(asked.length, 4)
})

t.test('localhost is a name like any other and its addresses are refused', async (t) => {
  const vetted = createVettedLookup({ allow: [] })
  const error = await new Promise((done) => vetted('localhost', { all: true }, done))
  t.match(error, { code: 'EGRESS_BLOCKED' })
})
