import { lookup } from 'node:dns/promises'
import { BlockList, isIP } from 'node:net'

/** What is attacked: an address of this machine, and nothing that a name may lead to later. */
export interface Target {
  address: string
  port: number
  /** As the header `host` has it. */
  host: string
  /** As browsers write it in `origin`. */
  origin: string
}

export class NotLoopback extends Error {
  override readonly name = 'NotLoopback'
}

const LOOPBACK = new BlockList()
LOOPBACK.addSubnet('127.0.0.0', 8)
LOOPBACK.addAddress('::1', 'ipv6')

const isLoopback = (address: string): boolean =>
  LOOPBACK.check(address, isIP(address) === 6 ? 'ipv6' : 'ipv4')

/**
 * Reads where the service listens. A name is looked up once, and every address that it has must be of the loopback.
 *
 * @throws NotLoopback for whatever is not on this machine: other services are never attacked
 */
export async function targetOf(text: string): Promise<Target> {
  const url = URL.parse(text)
  if (url?.protocol !== 'http:') throw new NotLoopback(`${text} is not like http://127.0.0.1:8080`)
  const host = url.hostname.replace(/^\[|\]$/g, '')
  const found = isIP(host) ? [host] : await addressesOf(host)
  const [address] = found
  if (address === undefined || !found.every(isLoopback)) {
    throw new NotLoopback(
      `${host} is not the loopback of this machine (127.0.0.0/8, ::1); nothing else is attacked`,
    )
  }
  return { address, port: Number(url.port || 80), host: url.host, origin: url.origin }
}

async function addressesOf(name: string): Promise<string[]> {
  const found = await lookup(name, { all: true }).catch(() => [])
  return found.map(({ address }) => address)
}
