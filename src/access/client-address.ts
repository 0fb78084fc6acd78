import type { IncomingMessage } from 'node:http'
import { isIP } from 'node:net'
import ipaddr from 'ipaddr.js'
import { contains, parseNetwork } from '../config/networks.ts'

/** More proxies than anyone chains; a client that sends more pretends to be another one. */
const HOPS_MAX = 16
/** An IPv6 client has at least so much of the network to itself, and may change its address within. */
const CLIENT_PREFIX_IPV6 = 64

/** Where a request comes from. */
export interface Client {
  /** Of the one who sent it, as far as proxies that are trusted tell; `unknown` without a connection. */
  address: string
  /** Whether it came over TLS, to this process or to the proxy in front. */
  isHttps: boolean
}

type Request = Pick<IncomingMessage, 'headers'> & { socket: { remoteAddress?: string | undefined } }

/**
 * Tells where requests come from. `X-Forwarded-For` and `Forwarded` are read from the right, as each proxy adds
 * what it saw at the end: as long as the hop that tells is a trusted one. What a client wrote there itself stands
 * further left, and is never reached.
 *
 * A proxy that sets one of the two and hands on the other lets clients forge that one. Where both are there and
 * do not agree, neither is believed.
 *
 * @param trustedProxies networks, as the configuration lets them through; without any, nothing that is forwarded is
 * believed but that a proxy ended TLS, which only harms the one who forges it
 */
export function createClientOf(trustedProxies: readonly string[]): (request?: Request) => Client {
  const networks = trustedProxies.map(parseNetwork).filter((network) => typeof network !== 'string')
  const isTrusted = (address: string) =>
    isIP(address) !== 0 && networks.some((network) => contains(network, ipaddr.parse(address)))
  return (request) => {
    const peer = normalized(request?.socket.remoteAddress) ?? 'unknown'
    const { headers = {} } = request ?? {}
    const believed = networks.length === 0 || isTrusted(peer)
    const isHttps = believed && headers['x-forwarded-proto'] === 'https'
    if (networks.length === 0 || !believed) return { address: peer, isHttps }
    const told = [forwardedFor(headers['x-forwarded-for']), forwarded(headers.forwarded)]
    const clients = told.flatMap((hops) => (hops ? [clientAmong(hops, peer, isTrusted)] : []))
    const [address = peer, other = address] = clients
    return { address: address === other ? address : peer, isHttps }
  }
}

/** What clients are counted by: the address, or the network that one IPv6 client has. */
export function networkOf(address: string): string {
  if (isIP(address) !== 6) return address
  const network = ipaddr.IPv6.networkAddressFromCIDR(`${address}/${CLIENT_PREFIX_IPV6}`)
  return `${network.toString()}/${CLIENT_PREFIX_IPV6}`
}

/** The first one from the right that no trusted proxy has; where a hop is no address, the one that told it. */
function clientAmong(
  hops: readonly string[],
  peer: string,
  isTrusted: (address: string) => boolean,
): string {
  let client = peer
  for (const hop of hops.slice(-HOPS_MAX).reverse()) {
    const address = normalized(withoutPort(hop))
    if (address === undefined) return client
    client = address
    if (!isTrusted(address)) return client
  }
  return client
}

/** Several headers of one name are one list. */
function forwardedFor(header: string | string[] | undefined): string[] | undefined {
  return header === undefined ? undefined : String(header).split(',').map(trimmed)
}

/** RFC 7239: `for=192.0.2.60;proto=http, for="[2001:db8::1]:4711"`. */
function forwarded(header: string | undefined): string[] | undefined {
  return header?.split(',').map((element) => {
    const pairs = element.split(';').map((pair) => /^\s*for\s*=\s*"?([^"]*)"?\s*$/i.exec(pair)?.[1])
    return pairs.find((value) => value !== undefined)?.trim() ?? ''
  })
}

const trimmed = (text: string): string => text.trim()

/** `192.0.2.1:443`, `[2001:db8::1]:443` and `[2001:db8::1]`. */
function withoutPort(hop: string): string {
  return hop.replace(/^\[([^\]]+)\](?::\d+)?$/, '$1').replace(/^([\d.]+):\d+$/, '$1')
}

/** An IPv4 address that came over IPv6 as what it is; undefined for what is no address. */
function normalized(address: string | undefined): string | undefined {
  const bare = address?.replace(/%.*$/, '') ?? ''
  // ipaddr.js reads `127.1` and `0x7f.1` too.
  return isIP(bare) === 0 ? undefined : ipaddr.process(bare).toString()
}
