import type { LookupAddress, LookupOptions } from 'node:dns'
import { isIP } from 'node:net'
import ipaddr from 'ipaddr.js'
import { type Address, contains, isIPv6, type Network, parseNetwork } from '../config/networks.ts'
import { createLookup, type Later, type LookupAll } from './lookup.ts'

/** A network that may be dialled although it is not public. */
export interface ParsedCidr extends Network {
  /** A NAT64 prefix: an address inside leads to the IPv4 address that it carries, and is vetted as that. */
  isNat64?: true
}

export class InvalidCidr extends Error {
  override readonly name = 'InvalidCidr'
  readonly code = 'cidr_invalid'
}

/** An address that may not be dialled, or a URL that leads to one. */
export class AddressBlocked extends Error {
  override readonly name = 'AddressBlocked'
  readonly code = 'EGRESS_BLOCKED'
  readonly address: string
  constructor(address: string) {
    super(`${address} is not a public address`)
    this.address = address
  }
}

/**
 * Global unicast (RFC 4291); everything else in IPv6 is special, reserved or not handed out yet.
 * ipaddr.js calls unicast whatever it has no name for, `::7f00:1` among it.
 */
const GLOBAL_UNICAST: [ipaddr.IPv6, number] = ipaddr.IPv6.parseCIDR('2000::/3')
/** `::127.0.0.1`, deprecated since 2006. ipaddr.js takes it for the mapped form, which it is not. */
const IPV4_COMPATIBLE = /^::[\d.]+\.[\d.]+$/
/** Public by registry, yet answered by the hypervisor: Azure's WireServer hands out credentials. */
const AZURE_WIRESERVER = ipaddr.IPv4.parse('168.63.129.16')

/**
 * Whether an IP address may be dialled: public unicast only, or in a network of `allow`.
 *
 * Forms that carry an IPv4 address inside (mapped, NAT64, 6to4, Teredo, ISATAP) are refused whatever
 * they carry: no receiver needs them, and each is one more spelling of 127.0.0.1. They may be allowed
 * by their own CIDR, and a mapped address by the CIDR of its IPv4. A NAT64 prefix of `allow` comes first:
 * behind it is the IPv4 address, on whose account it is allowed or refused.
 *
 * @param address canonical, as a lookup returns it; anything else is refused
 * @example isAllowed('10.0.0.1', parseCidrs('10.0.0.0/8')) // true
 */
export function isAllowed(address: string, allow: readonly ParsedCidr[]): boolean {
  // ipaddr.js reads `010.0.0.1` and `127.1` too; nothing that dials should depend on how.
  if (isIP(address) === 0 || IPV4_COMPATIBLE.test(address)) return false
  const parsed = ipaddr.parse(address)
  const nat64 = allow.find((cidr) => cidr.isNat64 && contains(cidr, parsed))
  if (nat64 && isIPv6(parsed)) return isAllowed(carriedBy(parsed, nat64), allow)
  return isPublic(parsed) || allow.some((cidr) => !cidr.isNat64 && contains(cidr, parsed))
}

function isPublic(address: Address): boolean {
  if (address.range() !== 'unicast') return false
  return isIPv6(address)
    ? address.match(GLOBAL_UNICAST) && !isIsatap(address)
    : address.toString() !== AZURE_WIRESERVER.toString()
}

/** Interface identifiers `0:5efe:<IPv4>` and `200:5efe:<IPv4>`, behind any prefix (RFC 5214, 6.1). */
function isIsatap({ parts }: ipaddr.IPv6): boolean {
  return ((parts[4] ?? 0) & ~0x200) === 0 && parts[5] === 0x5efe
}

/** The IPv4 address behind the prefix; bits 64 to 71 are skipped (RFC 6052, 2.2). */
function carriedBy(address: ipaddr.IPv6, { prefixLength }: ParsedCidr): string {
  const bytes = address.toByteArray()
  const carried = bytes.filter((_, at) => at >= prefixLength / 8 && at !== 8).slice(0, 4)
  return carried.join('.')
}

/**
 * Reads a list such as `127.0.0.0/8, ::1`, separated by commas or blanks; a bare address is a
 * network of one.
 *
 * @throws InvalidCidr naming every bad entry
 */
export function parseCidrs(text: string): ParsedCidr[] {
  const mistakes: string[] = []
  const cidrs: ParsedCidr[] = []
  for (const entry of text.split(/[\s,]+/).filter(Boolean)) {
    const parsed = parseNetwork(entry)
    if (typeof parsed === 'string') mistakes.push(parsed)
    else cidrs.push(parsed)
  }
  if (mistakes.length > 0) throw new InvalidCidr(mistakes.join('; '))
  return cidrs
}

/** Prefix lengths of RFC 6052, 2.2. */
const NAT64_PREFIX_LENGTHS = [32, 40, 48, 56, 64, 96]

/**
 * Reads NAT64 prefixes, written as `parseCidrs` reads networks.
 *
 * @throws InvalidCidr naming every bad entry
 */
export function parseNat64(text: string): ParsedCidr[] {
  const cidrs = parseCidrs(text)
  const wrong = cidrs.filter(
    ({ network, prefixLength }) => !isIPv6(network) || !NAT64_PREFIX_LENGTHS.includes(prefixLength),
  )
  if (wrong.length > 0) {
    const names = wrong.map((cidr) => `"${cidr.text}"`).join(', ')
    throw new InvalidCidr(
      `${names}: a NAT64 prefix is IPv6 and ends at bit ${NAT64_PREFIX_LENGTHS.join(', ')}`,
    )
  }
  return cidrs.map((cidr) => ({ ...cidr, isNat64: true }))
}

/** What may be dialled although not public, and the NAT64 prefixes, from the configuration. */
export function egressRules(config: {
  egressAllow: readonly string[]
  egressNat64: readonly string[]
}): ParsedCidr[] {
  return [...parseNat64(config.egressNat64.join(',')), ...parseCidrs(config.egressAllow.join(','))]
}

/** What `net.connect` calls, with `all` or without. With it, some addresses may come later. */
export type VettedLookup = (
  hostname: string,
  options: LookupOptions,
  callback: (
    error: NodeJS.ErrnoException | null,
    address: string | LookupAddress[],
    familyOrLater?: number | Later | undefined,
  ) => void,
) => void

interface VettedLookupOptions {
  allow: readonly ParsedCidr[]
  lookup?: LookupAll
}

/**
 * A `dns.lookup` for the agents that dial: the addresses it returns are the ones connected to, so
 * a name that answers differently the next time (DNS rebinding) gains nothing.
 *
 * Refused addresses are dropped; when nothing is left the callback gets `AddressBlocked`.
 *
 * Equal lookups under way share one: a burst for one host asks once, and a name whose servers hang
 * is asked for once at a time however many deliveries wait for it.
 */
export function createVettedLookup({
  allow,
  lookup = createLookup(),
}: VettedLookupOptions): VettedLookup {
  const shared = shareLookups(lookup)
  const allowed = (found: LookupAddress[]) =>
    found.filter(({ address }) => isAllowed(address, allow))
  return (hostname, options, callback) => {
    const answer = (found: LookupAddress[], later?: Later): void => {
      const addresses = allowed(found)
      const [first] = addresses
      if (!first && later !== undefined) void later.then((more) => answer([...found, ...more]))
      else if (!first) callback(refusal(hostname, found), [])
      else if (options.all)
        callback(null, addresses, ...(later === undefined ? [] : [later.then(allowed)]))
      else callback(null, first.address, first.family)
    }
    shared(
      hostname,
      { family: options.family, hints: options.hints, all: true },
      (error, found, later) => (error ? callback(error, []) : answer(found, later)),
    )
  }
}

function refusal(hostname: string, found: LookupAddress[]): NodeJS.ErrnoException {
  const [refused] = found
  if (refused) return new AddressBlocked(refused.address)
  return Object.assign(new Error(`${hostname} has no address`), { code: 'ENOTFOUND' })
}

type LookupCallback = Parameters<LookupAll>[2]

/** Joins lookups of the same name, family and hints that are under way at the same time. */
function shareLookups(lookup: LookupAll): LookupAll {
  const waiting = new Map<string, LookupCallback[]>()
  return (hostname, options, callback) => {
    const key = `${hostname} ${options.family} ${options.hints}`
    const callbacks = waiting.get(key)
    if (callbacks) return void callbacks.push(callback)
    const started = [callback]
    waiting.set(key, started)
    lookup(hostname, options, (...answer) => {
      waiting.delete(key)
      for (const done of started) done(...answer)
    })
  }
}

/**
 * Vets a host that is an address already, since nothing looks it up.
 *
 * `URL` has by then turned every spelling of IPv4 (`2130706433`, `0x7f.1`, `0177.0.0.1`,
 * `127.0.0.1.`) into four decimal parts, and refused what only looks like one.
 *
 * @returns the refusal, or `null` when the host is allowed or is a name
 */
export function vetLiteralHost(url: URL, allow: readonly ParsedCidr[]): AddressBlocked | null {
  const host = url.hostname.replace(/^\[|\]$/g, '')
  if (isIP(host) === 0 || isAllowed(host, allow)) return null
  return new AddressBlocked(host)
}
