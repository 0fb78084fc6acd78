import dns, { type LookupAddress, type LookupAllOptions } from 'node:dns'
import { readFileSync, statSync } from 'node:fs'
import { isIP } from 'node:net'

/** Addresses of the family that has kept the other one waiting for too long; none if there are none. Never rejects. */
export type Later = Promise<LookupAddress[]>

/** The part of `dns.lookup` that is needed: all addresses of a name. */
export type LookupAll = (
  hostname: string,
  options: LookupAllOptions,
  callback: (
    error: NodeJS.ErrnoException | null,
    addresses: LookupAddress[],
    later?: Later | undefined,
  ) => void,
) => void

type LookupCallback = Parameters<LookupAll>[2]

export interface LookupOptions {
  /** Name servers as `address:port`; those of the system when left out. */
  servers?: readonly string[]
  hostsFile?: string
  /** Asked for names that neither the hosts file nor DNS has. */
  system?: LookupAll
}

/** First 2 s, then 4 s, per server: below the 15 s that an attempt usually has. */
const QUERY_MS = 2_000
const QUERY_TRIES = 2
/** How long one family waits for the other (RFC 8305, 3): some servers never answer AAAA. */
const OTHER_FAMILY_MS = 50
/** Of the four threads that files and database connections need as well. */
const SYSTEM_LOOKUPS_MAX = 2
/** More distinct names than that wait only where somebody makes them up. */
const SYSTEM_LOOKUPS_WAITING_MAX = 500
const HOSTS_FILE = '/etc/hosts'

/** Codes of c-ares for "there is no such name here", or nobody to ask, as opposed to silence. */
const UNKNOWN_CODES = new Set(['ENOTFOUND', 'ENODATA', 'EBADNAME', 'ECONNREFUSED'])

/**
 * Makes a `dns.lookup` in which a name whose servers hang delays nobody else.
 *
 * `dns.lookup` itself calls getaddrinfo, which holds one of four threads until it gives up and cannot
 * be cancelled: five dead names of one tenant would stop the deliveries to all others. More threads
 * (UV_THREADPOOL_SIZE) only move the number, and a bound per tenant only asks for more tenants. So names
 * are asked for with c-ares, over separate sockets, and any number of them may hang.
 *
 * In order, as most systems are set up: the hosts file, DNS, and for names that DNS does not have
 * (search domains, mDNS, split DNS of a laptop) getaddrinfo, on two threads at most.
 *
 * Each lookup has its own resolver (0.1 ms, next to dialling): a shared one would keep the servers
 * that resolv.conf listed at its start, and would shorten everybody's time to answer by what was quick
 * (c-ares multiplies the average).
 */
export function createLookup(options: LookupOptions = {}): LookupAll {
  const hosts = createHosts(options.hostsFile ?? HOSTS_FILE)
  const system = boundLookups(options.system ?? dns.lookup)

  return (hostname, lookupOptions, callback) => {
    const families = familiesOf(lookupOptions.family)
    const listed = hosts(hostname).filter(({ family }) => families.includes(family as 4 | 6))
    // Not before anyone who asked has its socket: a tick later would be, and it would not hear of the end of the lookup.
    if (listed.length > 0) return void setImmediate(callback, null, listed)

    query(hostname, families, options.servers, (addresses, codes, later) => {
      if (addresses.length > 0) callback(null, addresses, later)
      else if (codes.every((code) => UNKNOWN_CODES.has(code))) {
        system(hostname, lookupOptions, callback)
      } else callback(noAnswer(hostname), [])
    })
  }
}

function familiesOf(family: LookupAllOptions['family']): readonly (4 | 6)[] {
  if (family === 4 || family === 'IPv4') return [4]
  return family === 6 || family === 'IPv6' ? [6] : [4, 6]
}

/** The code that getaddrinfo has for it, and describeFailure words. */
function noAnswer(hostname: string): NodeJS.ErrnoException {
  return Object.assign(new Error(`no response for ${hostname}`), { code: 'EAI_AGAIN' })
}

/**
 * Asks for all families at once. IPv4 comes first: more machines have a way there. What comes too late to be waited
 * for is handed in: it may be the only one that there is a way to.
 */
function query(
  hostname: string,
  families: readonly (4 | 6)[],
  servers: readonly string[] | undefined,
  done: (addresses: LookupAddress[], codes: string[], later?: Later) => void,
): void {
  const resolver = new dns.Resolver({ timeout: QUERY_MS, tries: QUERY_TRIES })
  if (servers) resolver.setServers(servers)
  const found: LookupAddress[] = []
  const codes: string[] = []
  const later = Promise.withResolvers<LookupAddress[]>()
  let outstanding = families.length
  let timer: NodeJS.Timeout | undefined
  let isDone = false

  const finish = () => {
    isDone = true
    clearTimeout(timer)
    found.sort((a, b) => a.family - b.family)
    done(found, codes, outstanding > 0 ? later.promise : undefined)
  }
  const answered = (family: 4 | 6) => (error: NodeJS.ErrnoException | null, list?: string[]) => {
    outstanding -= 1
    const addresses = (list ?? []).map((address) => ({ address, family }))
    if (isDone) return later.resolve(addresses)
    if (error) codes.push(error.code ?? '')
    found.push(...addresses)
    if (outstanding === 0) finish()
    else if (found.length > 0) timer ??= setTimeout(finish, OTHER_FAMILY_MS)
  }
  for (const family of families) {
    const answer = answered(family)
    try {
      if (family === 4) resolver.resolve4(hostname, answer)
      else resolver.resolve6(hostname, answer)
    } catch (error) {
      // What is no name at all is refused before it is asked for.
      process.nextTick(answer, error)
    }
  }
}

/** Lets a bounded number through, a bounded number wait, and refuses the rest. */
function boundLookups(lookup: LookupAll): LookupAll {
  const waiting: (() => void)[] = []
  let inFlight = 0

  const start = (...[hostname, options, callback]: Parameters<LookupAll>) => {
    inFlight += 1
    lookup(hostname, options, (error, addresses) => {
      inFlight -= 1
      waiting.shift()?.()
      callback(error, addresses)
    })
  }
  return (hostname, options, callback) => {
    if (inFlight < SYSTEM_LOOKUPS_MAX) start(hostname, options, callback)
    else if (waiting.length < SYSTEM_LOOKUPS_WAITING_MAX) {
      waiting.push(() => start(hostname, options, callback))
    } else process.nextTick(callback satisfies LookupCallback, noAnswer(hostname), [])
  }
}

/** The addresses of a name in the hosts file, which is read again when it was changed. */
function createHosts(file: string): (hostname: string) => LookupAddress[] {
  let version = ''
  let hosts = new Map<string, LookupAddress[]>()
  return (hostname) => {
    const found = statSync(file, { throwIfNoEntry: false })
    const current = found ? `${found.ino} ${found.mtimeMs} ${found.size}` : ''
    if (current !== version) {
      version = current
      hosts = found ? parseHosts(readOrEmpty(file)) : new Map()
    }
    return hosts.get(nameOf(hostname)) ?? []
  }
}

function readOrEmpty(file: string): string {
  try {
    return readFileSync(file, 'utf8')
  } catch {
    return '' // as getaddrinfo does with one that may not be read
  }
}

/** Lines of `address name name … # comment`; a name may have several lines. */
function parseHosts(text: string): Map<string, LookupAddress[]> {
  const hosts = new Map<string, LookupAddress[]>()
  for (const line of text.split('\n')) {
    const [address = '', ...names] = line.replace(/#.*/, '').trim().split(/\s+/)
    const family = address.includes('%') ? 0 : isIP(address)
    if (family === 0) continue
    for (const name of names.map(nameOf)) {
      hosts.set(name, [...(hosts.get(name) ?? []), { address, family }])
    }
  }
  return hosts
}

const nameOf = (hostname: string) => hostname.toLowerCase().replace(/\.$/, '')
