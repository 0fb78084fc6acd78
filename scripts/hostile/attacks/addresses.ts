import { type Attack, notTried } from '../attack.ts'
import type { Field } from '../field.ts'
import { takeAway, tryEndpoint } from './settings.ts'

/** Spellings of this machine; a service that is tried out on a laptop may allow them. */
const LOOPBACK = [
  'http://127.0.0.1/', 'http://127.0.0.1:5432/', 'http://127.255.255.254/', 'http://127.1/',
  'http://127.0.1/', 'http://2130706433/', 'http://0x7f000001/', 'http://0x7f.1/', 'http://0x7F.0x0.0x0.0x1/',
  'http://0177.0.0.1/', 'http://0177.1/', 'http://017700000001/', 'http://127.0.0.1./', 'http://00000177.1/',
  'http://１２７.0.0.1/', 'http://127。0。0。1/', 'http://①②⑦.⓪.⓪.①/', 'http://[::1]/',
  'http://[0:0:0:0:0:0:0:1]/', 'http://[0000::0001]:80/', 'http:/127.0.0.1/', 'http:127.0.0.1', 'http:///127.0.0.1/',
  'http:////127.0.0.1/',
] // biome-ignore format: a list of values

/** Forms of IPv6 that carry 127.0.0.1; no receiver needs them, whatever is allowed. */
const CARRYING = [
  'http://[::127.0.0.1]/', 'http://[::7f00:1]/', 'http://[::ffff:0:127.0.0.1]/', 'http://[64:ff9b::127.0.0.1]/',
  'http://[64:ff9b::7f00:1]/', 'http://[64:ff9b:1::7f00:1]/', 'http://[2002:7f00:1::]/', 'http://[2002:7f00:1::1]/',
  'http://[2001:0:7f00:1::80ff:fffe]/', 'http://[2a00::5efe:127.0.0.1]/', 'http://[2a00::200:5efe:7f00:1]/',
] // biome-ignore format: a list of values

/** Networks of which no public receiver has an address, and where clouds hand out credentials. */
const PRIVATE = [
  'http://0/', 'http://0.0.0.0/', 'http://0.1.2.3/', 'http://10.0.0.1/', 'http://10.255.255.255/', 'http://167772161/',
  'http://0xa000001/', 'http://012.0.0.1/', 'http://100.64.0.1/', 'http://100.100.100.200/', 'http://169.254.169.254/',
  'http://169.254.169.254/latest/meta-data/', 'http://2852039166/', 'http://0xA9FEA9FE/', 'http://0xA9.0xFE.0xA9.0xFE/',
  'http://0251.0376.0251.0376/', 'http://169.16689662/', 'http://168.63.129.16/', 'http://172.16.0.1/',
  'http://172.31.255.255/', 'http://192.0.0.192/', 'http://192.0.2.1/', 'http://192.88.99.1/', 'http://192.168.0.1/',
  'http://192.168.255.255/', 'http://192.11010049/', 'http://198.18.0.1/', 'http://198.51.100.1/', 'http://203.0.113.1/',
  'http://224.0.0.1/', 'http://239.255.255.250:1900/', 'http://240.0.0.1/', 'http://255.255.255.255/', 'http://[::]/',
  'http://[::ffff:10.0.0.1]/', 'http://[::ffff:a9fe:a9fe]/', 'http://[::10.0.0.1]/', 'http://[64:ff9b::a00:1]/',
  'http://[100::1]/', 'http://[2001:db8::1]/', 'http://[2002:a00:1::]/', 'http://[2002:a9fe:a9fe::1]/',
  'http://[3fff::1]/', 'http://[4000::1]/', 'http://[5f00::1]/', 'http://[fc00::1]/', 'http://[fd00:ec2::254]/',
  'http://[fe80::1]/', 'http://[fec0::1]/', 'http://[ff02::1]/', 'http://[2a00::5efe:10.0.0.1]/',
] // biome-ignore format: a list of values

/** What is no address, or is read in two ways. */
const ODD = [
  '', ' ', 'example.com', '//example.com/', 'file:///etc/passwd', 'gopher://example.com/', 'ftp://example.com/',
  'javascript:alert(1)', 'data:text/plain,a', 'ws://example.com/', 'unix:/var/run/docker.sock', 'http://',
  'http://user:password@example.com/', 'http://user@example.com/', 'http://example.com@10.0.0.1/',
  'http://10.0.0.1#@example.com/', 'http://example.com/#here', 'http://example.com\\@10.0.0.1/',
  'http://10.0.0.1\\.example.com/', 'http://%31%30.0.0.1/', 'http://example.com%00.10.0.0.1/', 'http://exam\tple.com/',
  'http://example.com/\r\nhost: 10.0.0.1', 'http://example.com/\0', 'http://example.com:0x50/', 'http://example.com:65536/',
  'http://[fe80::1%25lo]/', 'http://[::1', 'http://1.2.3.4.5/', 'http://256.256.256.256/', 'http://0x100000000/',
  'http://exa\u00admple.com/', 'http://example.com\u2028/', 'http://\u202eexample.com/', `http://example.com/${'a'.repeat(2_048)}`,
] // biome-ignore format: a list of values

export const addresses: Attack = {
  name: 'addresses',
  about: 'endpoints at addresses that are not public, in every notation, and at what is no address',
  async *run(field) {
    const allowsLoopback = await takes(field, 'http://127.0.0.1:9/')
    if (allowsLoopback) {
      const why = 'this service may dial it (`dev`, or EGRESS_ALLOW)'
      yield notTried(`${LOOPBACK.length} spellings of the loopback`, why)
    }
    const all = [...(allowsLoopback ? [] : LOOPBACK), ...CARRYING, ...PRIVATE, ...ODD]
    for (const url of all) yield await tryEndpoint(field, shown(url), { url })
  },
}

/** Whether an endpoint may lead there. */
export async function takes({ attacker }: Field, url: string): Promise<boolean> {
  const made = await attacker.send('POST', attacker.path('/endpoints'), { body: { url } })
  await takeAway(attacker, made)
  return made.status === 201
}

const shown = (url: string): string => `an endpoint at ${JSON.stringify(url.slice(0, 60))}`
