import t from 'tap'
import { createClientOf, networkOf } from './client-address.ts'

const PROXIES = ['10.0.0.0/8', 'fd00::/8', '192.0.2.7']

function addressOf(
  headers: Record<string, string>,
  { peer = '10.0.0.1', proxies = PROXIES }: { peer?: string; proxies?: string[] } = {},
): string {
  return createClientOf(proxies)({ headers, socket: { remoteAddress: peer } }).address
}

t.test('what is forwarded is read from the right, through proxies that are trusted', async (t) => {
  const cases: [told: string, client: string, why: string][] = [
    ['203.0.113.9', '203.0.113.9', 'one proxy'],
    ['203.0.113.9, 10.0.0.2', '203.0.113.9', 'two proxies'],
    ['203.0.113.9,10.0.0.2 , 192.0.2.7', '203.0.113.9', 'three, one of them by its address'],
    ['198.51.100.1, 203.0.113.9', '203.0.113.9', 'what the client wrote stands further left'],
    ['10.9.9.9, 203.0.113.9', '203.0.113.9', 'also where it looks like a proxy'],
    ['203.0.113.9, 198.51.100.1, 10.0.0.2', '198.51.100.1', 'a proxy that is not trusted'],
    ['10.0.0.3, 10.0.0.2', '10.0.0.3', 'a client among the proxies'],
    ['203.0.113.9:4711', '203.0.113.9', 'with its port'],
    ['2001:db8::1', '2001:db8::1', 'IPv6'],
    ['[2001:db8::1]:4711, fd00::2', '2001:db8::1', 'IPv6 with its port'],
    ['2001:0DB8:0::1', '2001:db8::1', 'each address has one form'],
    ['::ffff:203.0.113.9', '203.0.113.9', 'IPv4 within IPv6'],
    ['unknown', '10.0.0.1', 'a proxy that does not tell'],
    ['203.0.113.9, nonsense, 10.0.0.2', '10.0.0.2', 'the last one that told something'],
    ['203.0.113.9, ', '10.0.0.1', 'nothing'],
    ['', '10.0.0.1', 'nothing at all'],
    ['127.1', '10.0.0.1', 'an address in short'],
    [Array(40).fill('10.0.0.2').join(','), '10.0.0.2', 'more proxies than there are'],
  ]
  for (const [told, client, why] of cases) {
    t.equal(addressOf({ 'x-forwarded-for': told }), client, why)
  }
  const forged = `203.0.113.9, ${Array(16).fill('10.0.0.2').join(', ')}`
  t.equal(addressOf({ 'x-forwarded-for': forged }), '10.0.0.2', 'further than sixteen nobody looks')
})

t.test('Forwarded is read alike', async (t) => {
  const cases: [told: string, client: string][] = [
    ['for=203.0.113.9', '203.0.113.9'],
    ['For="203.0.113.9:4711";proto=https;by=10.0.0.1', '203.0.113.9'],
    ['for=198.51.100.1, for="[2001:db8::1]:4711", for=10.0.0.2', '2001:db8::1'],
    ['proto=https', '10.0.0.1'],
    ['for=_hidden', '10.0.0.1'],
    ['for=203.0.113.9, for=unknown', '10.0.0.1'],
  ]
  for (const [told, client] of cases) t.equal(addressOf({ forwarded: told }), client, told)
})

t.test('of two headers that do not agree neither is believed', async (t) => {
  const proxy = { 'x-forwarded-for': '203.0.113.9' }
  t.equal(addressOf({ ...proxy, forwarded: 'for=203.0.113.9' }), '203.0.113.9')
  t.equal(addressOf({ ...proxy, forwarded: 'for=198.51.100.1' }), '10.0.0.1')
})

t.test('nobody else is believed', async (t) => {
  const headers = { 'x-forwarded-for': '203.0.113.9', forwarded: 'for=203.0.113.9' }
  t.equal(addressOf(headers, { peer: '198.51.100.1' }), '198.51.100.1', 'no proxy of ours')
  t.equal(addressOf(headers, { proxies: [] }), '10.0.0.1', 'without any')
  t.equal(addressOf(headers, { peer: '::ffff:10.0.0.1' }), '203.0.113.9', 'a proxy over IPv6')
  t.equal(addressOf(headers, { peer: 'fe80::1%eth0' }), 'fe80::1')
  t.equal(createClientOf(PROXIES)().address, 'unknown', 'no connection')
})

t.test('that a proxy ended TLS is believed as before, or of trusted ones only', async (t) => {
  const headers = { 'x-forwarded-proto': 'https' }
  const isHttps = (proxies: string[], remoteAddress: string) =>
    createClientOf(proxies)({ headers, socket: { remoteAddress } }).isHttps
  t.equal(isHttps([], '198.51.100.1'), true)
  t.equal(isHttps(PROXIES, '10.0.0.1'), true)
  t.equal(isHttps(PROXIES, '198.51.100.1'), false)
})

t.test('clients are counted by address, those of IPv6 by their network', async (t) => {
  t.equal(networkOf('203.0.113.9'), '203.0.113.9')
  t.equal(networkOf('2001:db8:1:2:3:4:5:6'), '2001:db8:1:2::/64')
  t.equal(networkOf('2001:db8:1:2::9'), networkOf('2001:db8:1:2:ffff::1'))
  t.not(networkOf('2001:db8:1:2::9'), networkOf('2001:db8:1:3::9'))
  t.equal(networkOf('unknown'), 'unknown')
})
