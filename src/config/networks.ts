import { isIP } from 'node:net'
import ipaddr from 'ipaddr.js'

export type Address = ipaddr.IPv4 | ipaddr.IPv6

export interface Network {
  /** As written, for messages. */
  text: string
  network: Address
  prefixLength: number
}

/** A network without bits after its prefix, or one address as a network of one; otherwise the mistake in words. */
export function parseNetwork(text: string): Network | string {
  const [address = '', prefix, ...rest] = text.split('/')
  const bits = isIP(address) === 4 ? 32 : 128
  const prefixLength = prefix === undefined ? bits : Number(prefix)
  const isPrefix = prefix === undefined || /^\d{1,3}$/.test(prefix)
  // ipaddr.js reads `10.1` and `0x7f.1` too; nobody means those.
  if (isIP(address) === 0 || address.includes('%') || rest.length > 0 || !isPrefix) {
    return `"${text}" is not a network like 10.0.0.0/8 or fd00::/8`
  }
  if (prefixLength > bits) return `"${text}" has a prefix longer than ${bits} bits`

  const network = firstAddress(address, prefixLength)
  if (network.toString() !== ipaddr.parse(address).toString()) {
    // More likely a slip than intent, and here a slip opens a network.
    return `"${text}" has bits set after its prefix; did you mean ${network}/${prefixLength}?`
  }
  return { text, network, prefixLength }
}

function firstAddress(address: string, prefixLength: number): Address {
  const family = isIP(address) === 4 ? ipaddr.IPv4 : ipaddr.IPv6
  return family.networkAddressFromCIDR(`${address}/${prefixLength}`)
}

/** A mapped address is in the networks of its IPv4 too. */
export function contains({ network, prefixLength }: Network, address: Address): boolean {
  if (network.kind() === address.kind()) return address.match([network, prefixLength])
  if (!isIPv6(address) || !address.isIPv4MappedAddress()) return false
  return address.toIPv4Address().match([network, prefixLength])
}

export const isIPv6 = (address: Address): address is ipaddr.IPv6 => address.kind() === 'ipv6'
