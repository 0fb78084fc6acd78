import http from 'node:http'
import https from 'node:https'
import { isIP, type Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import tls from 'node:tls'
import ipaddr from 'ipaddr.js'
import { LRUCache } from 'lru-cache'
import { createDirectDial, type Dial, Dialing, millisecondsSince, serverNameOf } from './dial.ts'
import type { VettedLookup } from './egress.ts'
import type { Failure } from './failure.ts'
import type { LookupAll } from './lookup.ts'
import { createProxyDialer } from './proxy.ts'
import { readOnAfterClose } from './read-on.ts'

/** Shorter than the 60 s after which common balancers close an idle connection under us. */
const IDLE_SOCKET_MS = 30_000
/**
 * As the name may lead elsewhere by then: under a steady load a connection is never idle, and deliveries would go
 * to the old address for as long as somebody answers there. A handshake a minute costs nothing.
 */
export const CONNECTION_AGE_MS = 60_000
/** The part of it that is drawn, so that connections which were opened together do not end together. */
const AGE_JITTER = 0.25
/** About 0.1 MB each, mostly OpenSSL's; one that is made again costs less than a handshake. */
export const CERTIFICATES_MAX = 500

/** What an endpoint shows to a receiver that asks who is calling. */
export interface ClientCertificate {
  /** Equal for equal keys, and never for the keys of two endpoints. */
  id: string
  /** PEM: its own, then those of the authorities between. */
  chain: string
  /** Opens the private key, PEM. Called once for as long as its connections are kept. */
  openKey(): string
}

export interface Agents {
  http: http.Agent
  https: https.Agent
}

/** The connections that one request may use; to be given back when it has ended. */
interface Lease {
  /** Kept open between requests. */
  pooled: Agents
  /** A new one each time. */
  fresh: Agents
  release(): void
}

export interface Connections {
  /**
   * @returns a failure when the certificate cannot be used
   * @throws what `openKey` throws
   */
  lease(url: URL, certificate?: ClientCertificate | null): Lease | Failure
  destroy(): void
}

export interface ConnectionOptions {
  lookup: VettedLookup
  proxy: URL | undefined
  /** Finds the proxy. */
  proxyLookup: LookupAll
  /** How long a connection may be used, at most. */
  connectionAgeMs: number
  /** Client certificates whose connections are kept. */
  certificatesMax: number
}

/**
 * Keeps the connections to receivers: those without client certificates together, and a set for each
 * certificate, since a connection is authenticated for as long as it lives.
 *
 * Loopback is dialled directly even where there is a proxy, as everywhere (Go, curl's example): for the
 * proxy it would be another machine. It still has to be in EGRESS_ALLOW.
 */
export function createConnections(options: ConnectionOptions): Connections {
  const dialer = options.proxy && createProxyDialer(options.proxy, options)
  const ages = createAges(options.connectionAgeMs)
  const dialDirectly = createDirectDial(options.lookup)
  const direct = createAgentSet(dialDirectly, ages)
  const proxied = dialer && createAgentSet(dialer.dial, ages)
  const certified = createCertifiedSets(options.certificatesMax)

  return {
    lease(url, certificate) {
      const isProxied = dialer !== undefined && !isLoopback(url)
      if (!certificate || url.protocol !== 'https:') {
        return { ...((isProxied && proxied) || direct), release: () => {} }
      }
      const lease = certified.lease(`${isProxied} ${certificate.id}`, () => {
        const secureContext = secureContextOf(certificate)
        const dial = isProxied ? dialer.dial : dialDirectly
        return secureContext && createAgentSet(dial, ages, secureContext)
      })
      return lease ?? CERTIFICATE_UNUSABLE
    },
    destroy() {
      dialer?.close()
      certified.destroy()
      proxied?.destroy()
      direct.destroy()
    },
  }
}

const CERTIFICATE_UNUSABLE: Failure = {
  outcome: 'unreachable',
  reason: 'tls_client_certificate',
  error: 'the client certificate of the endpoint cannot be used',
}

/** It was checked when it was set; what was good enough then may be too weak for a newer OpenSSL. */
function secureContextOf({ chain, openKey }: ClientCertificate): tls.SecureContext | null {
  const key = openKey()
  try {
    return tls.createSecureContext({ cert: chain, key })
  } catch {
    return null
  }
}

function isLoopback({ hostname }: URL): boolean {
  const host = hostname.replace(/^\[|\]$|\.$/g, '')
  return isIP(host) === 0 ? host === 'localhost' : ipaddr.parse(host).range() === 'loopback'
}

interface AgentSet {
  pooled: Agents
  fresh: Agents
  destroy(): void
}

function createAgentSet(dial: Dial, ages: Ages, secureContext?: tls.SecureContext): AgentSet {
  const common = secureContext ? { secureContext } : {}
  const kept = { ...common, keepAlive: true, timeout: IDLE_SOCKET_MS }
  const pooled = createAgents(kept, dial, ages)
  const fresh = createAgents({ ...common, keepAlive: false }, dial, ages)
  return {
    pooled,
    fresh,
    destroy() {
      for (const agent of [pooled.http, pooled.https, fresh.http, fresh.https]) agent.destroy()
    },
  }
}

/** Agents of our own, since those of Node would dial through an unvetted lookup, and give up slow addresses. */
function createAgents(options: https.AgentOptions, dial: Dial, ages: Ages): Agents {
  return {
    http: new DialingAgent(options, dial, ages),
    https: new SecureDialingAgent(options, dial, ages),
  }
}

type CreateConnection = https.Agent['createConnection']

class DialingAgent extends http.Agent {
  readonly #dial: Dial
  readonly #ages: Ages
  constructor(options: http.AgentOptions, dial: Dial, ages: Ages) {
    super(options)
    this.#dial = dial
    this.#ages = ages
  }
  override createConnection(...[target, done = () => {}]: Parameters<CreateConnection>): null {
    const dialing = dialingOf(target)
    const dialled = dialTimed(this.#dial, target, dialing).then((socket) => {
      dialing.phase = 'answer'
      return this.#ages.begin(readOnAfterClose(socket))
    })
    answer(dialled, done)
    return null
  }
  override keepSocketAlive(socket: Socket): boolean {
    return isKept(super.keepSocketAlive(socket)) && this.#ages.keep(socket)
  }
}

class SecureDialingAgent extends https.Agent {
  readonly #dial: Dial
  readonly #ages: Ages
  constructor(options: https.AgentOptions, dial: Dial, ages: Ages) {
    super(options)
    this.#dial = dial
    this.#ages = ages
  }
  override createConnection(...[target, done = () => {}]: Parameters<CreateConnection>): null {
    const dialing = dialingOf(target)
    const dialled = dialTimed(this.#dial, target, dialing).then((socket) => {
      const servername = serverNameOf(target.host ?? '')
      // tls.connect takes the socket; the type of the agent's options does not know.
      const options = { ...target, socket, servername } as typeof target
      const secure = super.createConnection(options) as Socket
      timeHandshake(secure, dialing)
      return this.#ages.begin(readOnAfterClose(secure))
    })
    answer(dialled, done)
    return null
  }
  override keepSocketAlive(socket: Socket): boolean {
    return isKept(super.keepSocketAlive(socket)) && this.#ages.keep(socket)
  }
}

/** It is false for a connection that cannot be kept; the types say that there is nothing. */
const isKept = (kept: unknown): boolean => kept !== false

export const drawAge = (maxMs: number, random: () => number): number =>
  maxMs * (1 - AGE_JITTER * random())

/** Until when each connection is kept. */
function createAges(maxMs: number) {
  const ends = new WeakMap<Socket, number>()
  return {
    begin(socket: Socket): Socket {
      ends.set(socket, performance.now() + drawAge(maxMs, Math.random))
      return socket
    },
    /** Whether it may be used again; if so, it is closed at its end unless it is in use then. */
    keep(socket: Socket): boolean {
      const leftMs = (ends.get(socket) ?? 0) - performance.now()
      if (leftMs <= 0) return false
      const idleMs = socket.timeout || leftMs
      if (leftMs < idleMs) socket.setTimeout(Math.ceil(leftMs))
      return true
    },
  }
}
type Ages = ReturnType<typeof createAges>

/** That of the request; node:http hands its options on. */
function dialingOf(options: https.RequestOptions & { dialing?: Dialing }): Dialing {
  return options.dialing ?? new Dialing()
}

async function dialTimed(dial: Dial, target: https.RequestOptions, dialing: Dialing) {
  const startedAt = performance.now()
  const socket = await dial({ host: target.host ?? '', port: Number(target.port) }, dialing)
  dialing.connectMs = millisecondsSince(startedAt) - (dialing.dnsMs ?? 0)
  return socket
}

function timeHandshake(socket: Socket, dialing: Dialing): void {
  const startedAt = performance.now()
  dialing.phase = 'tls'
  socket.once('secureConnect', () => {
    dialing.tlsMs = millisecondsSince(startedAt)
    dialing.phase = 'answer'
  })
}

function answer(
  dialled: Promise<Socket>,
  done: NonNullable<Parameters<CreateConnection>[1]>,
): void {
  dialled.then(
    (socket) => done(null, socket),
    (error) => done(error, undefined as unknown as Duplex),
  )
}

/** Sets by certificate: the ones used least recently go, each when its last request has ended. */
function createCertifiedSets(setsMax: number) {
  interface Entry extends AgentSet {
    users: number
    isKept: boolean
  }
  const entries = new LRUCache<string, Entry>({
    max: setsMax,
    dispose(entry) {
      entry.isKept = false
      if (entry.users === 0) entry.destroy()
    },
  })
  return {
    lease(id: string, create: () => AgentSet | null): Lease | null {
      const found = entries.get(id)
      const made = found ?? create()
      if (!made) return null
      const entry: Entry = found ?? { ...made, users: 0, isKept: true }
      entry.users += 1
      if (!found) entries.set(id, entry)
      return {
        pooled: entry.pooled,
        fresh: entry.fresh,
        release() {
          entry.users -= 1
          if (entry.users === 0 && !entry.isKept) entry.destroy()
        },
      }
    },
    destroy() {
      for (const entry of entries.values()) entry.destroy()
      entries.clear()
    },
  }
}
