import type { LookupAddress } from 'node:dns'
import net from 'node:net'
import type { VettedLookup } from './egress.ts'
import type { Later, LookupAll } from './lookup.ts'

/** How long one address is tried before the next is tried next to it (RFC 8305, 5). */
const STAGGER_MS = 250
/**
 * Of those that a name has: all of them are under way after 2.5 s, and anyone who owns a name server cannot have us
 * knock at more.
 */
export const ADDRESSES_MAX = 10

export interface Target {
  /** A name or an address, without brackets. */
  host: string
  port: number
}

/** Opens a connection to a receiver, on which nothing has been said yet. */
export type Dial = (target: Target, dialing: Dialing) => Promise<net.Socket>

/** What a request waits for, one after the other. */
export type Phase = 'dns' | 'connect' | 'tls' | 'answer'

/** What one request knows of its dialling, and the way to end that. A connection that is kept needs none of it. */
export class Dialing {
  /** What it waits for. */
  phase: Phase = 'connect'
  /** Of a name that is looked up here. */
  dnsMs: number | null = null
  /** From then on until the receiver can be spoken to. */
  connectMs: number | null = null
  tlsMs: number | null = null
  /** Addresses of the receiver, in the order in which they were tried. */
  readonly tried: string[] = []
  #controller: AbortController | undefined

  /** Aborted when nobody waits for the connection any more. */
  get signal(): AbortSignal {
    this.#controller ??= new AbortController()
    return this.#controller.signal
  }

  end(reason?: Error): void {
    this.#controller?.abort(reason)
  }
}

interface AddressFailure {
  address: string
  error: NodeJS.ErrnoException
}

/** None of the addresses took the connection. */
export class DialFailed extends AggregateError {
  override readonly name = 'DialFailed'
  /** That of the first failure which is more than a missing route. */
  readonly code: string
  /** `192.0.2.1: ECONNREFUSED, 2001:db8::1: ENETUNREACH`, for people. */
  readonly details: string
  constructor(failures: AddressFailure[]) {
    super(failures.map(({ error }) => error))
    const codes = failures.map(({ error }) => error.code ?? '')
    this.code = codes.find((code) => !NO_ROUTE.has(code)) ?? codes[0] ?? ''
    this.details = failures.map(({ address }, n) => `${address}: ${codes[n]}`).join(', ')
  }
}

const NO_ROUTE = new Set(['ENETUNREACH', 'EHOSTUNREACH', 'EAFNOSUPPORT', 'EADDRNOTAVAIL'])

/** Dials receivers: their addresses are those that the lookup lets through. */
export function createDirectDial(lookup: VettedLookup): Dial {
  return async ({ host, port }, dialing) =>
    openFirst(await addressesOf(host, lookup, dialing), connectTo(port), dialing)
}

/** Of a name, those that are known by now, and those that come later. */
export interface Found {
  addresses: readonly LookupAddress[]
  later?: Later | undefined
}

/** One for a host that is an address; such hosts are vetted before anything is dialled. */
export async function addressesOf(
  host: string,
  lookup: LookupAddresses,
  dialing: Dialing,
): Promise<Found> {
  const family = net.isIP(host)
  if (family !== 0) return { addresses: [{ address: host, family }] }
  dialing.phase = 'dns'
  const startedAt = performance.now()
  const found = await new Promise<Found>((resolve, reject) => {
    lookup(host, { all: true }, (error, addresses, later) =>
      error ? reject(error) : resolve({ addresses, later } as Found),
    )
  })
  dialing.dnsMs = millisecondsSince(startedAt)
  dialing.phase = 'connect'
  return found
}

/** The part of a vetted lookup, or of any other, that is needed. */
type LookupAddresses = VettedLookup | LookupAll

/** Opens a connection by way of one address, unless it is aborted before; then nobody looks at the outcome. */
type Open = (address: LookupAddress, signal: AbortSignal) => Promise<net.Socket>

/**
 * Opens a connection by way of the first address that takes one. They are tried side by side, each 250 ms after
 * the one before or as soon as that has failed, the families in turn, and none is given up as long as somebody
 * waits: one may be slow where the others are dead. (Node gives each but the last 250 ms.) Those that come later
 * join in.
 *
 * @throws DialFailed, or the error of the only address
 */
export function openFirst(found: Found, open: Open, waiter: Waiter): Promise<net.Socket> {
  return new Race(found, open, waiter).run()
}

/** Who waits for a connection; a `Dialing` is one. */
interface Waiter {
  readonly signal: AbortSignal
  /** Gets the addresses that are tried. */
  readonly tried?: string[]
}

class Race {
  readonly #open: Open
  readonly #waiter: Waiter
  readonly #underWay = new Set<AbortController>()
  readonly #failures: AddressFailure[] = []
  readonly #outcome = Promise.withResolvers<net.Socket>()
  #waiting: LookupAddress[]
  #later: Later | undefined
  #triesLeft = ADDRESSES_MAX
  #timer: NodeJS.Timeout | undefined
  #isOver = false

  constructor({ addresses, later }: Found, open: Open, waiter: Waiter) {
    this.#waiting = interleaved(addresses)
    this.#later = later
    this.#open = open
    this.#waiter = waiter
  }

  run(): Promise<net.Socket> {
    const { signal } = this.#waiter
    signal.addEventListener('abort', this.#abandon)
    void this.#later?.then(this.#join)
    if (signal.aborted) this.#abandon()
    else this.#tryNext()
    return this.#outcome.promise
  }

  readonly #join = (addresses: LookupAddress[]) => {
    this.#later = undefined
    this.#waiting = interleaved([...addresses, ...this.#waiting])
    if (this.#isOver) return
    if (this.#underWay.size === 0) this.#tryNext()
    else this.#timer ??= setTimeout(this.#tryNext, STAGGER_MS)
    this.#failIfDone()
  }

  readonly #tryNext = () => {
    clearTimeout(this.#timer)
    this.#timer = undefined
    const next = this.#triesLeft > 0 ? this.#waiting.shift() : undefined
    if (!next) return
    this.#triesLeft -= 1
    const controller = new AbortController()
    this.#underWay.add(controller)
    this.#waiter.tried?.push(next.address)
    this.#open(next, controller.signal).then(
      (socket) => this.#win(controller, socket),
      (error) => this.#fail(controller, { address: next.address, error }),
    )
    if (this.#waiting.length > 0) this.#timer = setTimeout(this.#tryNext, STAGGER_MS)
  }

  #win(controller: AbortController, socket: net.Socket): void {
    if (this.#isOver) return void socket.destroy()
    this.#underWay.delete(controller)
    this.#end()
    this.#outcome.resolve(socket)
  }

  #fail(controller: AbortController, failure: AddressFailure): void {
    if (this.#isOver) return
    this.#underWay.delete(controller)
    this.#failures.push(failure)
    this.#tryNext()
    this.#failIfDone()
  }

  #failIfDone(): void {
    const [failure] = this.#failures
    if (this.#underWay.size > 0 || this.#later !== undefined || !failure) return
    this.#end()
    const isOnly = this.#failures.length === 1
    this.#outcome.reject(isOnly ? failure.error : new DialFailed(this.#failures))
  }

  readonly #abandon = () => {
    this.#end()
    this.#outcome.reject(this.#waiter.signal.reason)
  }

  #end(): void {
    this.#isOver = true
    clearTimeout(this.#timer)
    this.#waiter.signal.removeEventListener('abort', this.#abandon)
    for (const controller of this.#underWay) controller.abort()
  }
}

/** The families take turns, beginning with that of the first address; within one the order stays. */
function interleaved(addresses: readonly LookupAddress[]): LookupAddress[] {
  const family = addresses[0]?.family
  const first = addresses.filter((address) => address.family === family)
  const others = addresses.filter((address) => address.family !== family)
  const turns = addresses.map((_, n) => [first[n], others[n]])
  return turns.flat().filter((address) => address !== undefined)
}

/** Opens TCP connections to this port. */
export function connectTo(port: number): Open {
  return ({ address }, signal) =>
    new Promise((resolve, reject) => {
      const socket = net.connect({ host: address, port, noDelay: true })
      const stop = () => socket.destroy()
      signal.addEventListener('abort', stop)
      socket.once('connect', () => {
        signal.removeEventListener('abort', stop)
        resolve(socket)
      })
      // Stays on: under TLS nobody else listens to it, and an error nobody listens to ends the process.
      socket.on('error', reject)
    })
}

/** For SNI, which has no dot at the end (RFC 6066, 3) and no addresses. The look-up needs the dot, `Host` keeps it. */
export const serverNameOf = (host: string): string =>
  net.isIP(host) === 0 ? host.replace(/\.$/, '') : ''

/** As whole as those of got. */
export const millisecondsSince = (startedAt: number): number =>
  Math.round(performance.now() - startedAt)
