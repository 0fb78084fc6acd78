import http from 'node:http'
import https from 'node:https'
import { isIP, type Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import tls from 'node:tls'
import ipaddr from 'ipaddr.js'
import type { VettedLookup } from './egress.ts'
import type { Failure } from './failure.ts'
import { createProxyDialer, type Dial, type Target } from './proxy.ts'

/** Shorter than the 60 s after which common balancers close an idle connection under us. */
const IDLE_SOCKET_MS = 30_000
/** About 0.1 MB each, mostly OpenSSL's; one that is made anew costs less than a handshake. */
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
export interface Lease {
  isProxied: boolean
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
  /** Per origin. */
  maxSockets: number
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
  const dialer = options.proxy && createProxyDialer(options.proxy, options.lookup)
  const direct = createAgentSet(options)
  const proxied = dialer && createAgentSet(options, dialer.dial)
  const certified = createCertifiedSets(options.certificatesMax)

  return {
    lease(url, certificate) {
      const isProxied = dialer !== undefined && !isLoopback(url)
      if (!certificate || url.protocol !== 'https:') {
        return { isProxied, ...((isProxied && proxied) || direct), release: () => {} }
      }
      const lease = certified.lease(`${isProxied} ${certificate.id}`, () => {
        const secureContext = secureContextOf(certificate)
        return (
          secureContext &&
          createAgentSet({ ...options, secureContext }, isProxied ? dialer?.dial : undefined)
        )
      })
      return lease ? { isProxied, ...lease } : CERTIFICATE_UNUSABLE
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
  const host = hostname.replace(/^\[|\]$/g, '')
  return isIP(host) === 0 ? host === 'localhost' : ipaddr.parse(host).range() === 'loopback'
}

interface AgentSet {
  pooled: Agents
  fresh: Agents
  destroy(): void
}

function createAgentSet(
  { lookup, maxSockets, secureContext }: ConnectionOptions & { secureContext?: tls.SecureContext },
  dial?: Dial,
): AgentSet {
  const common = { lookup, maxSockets, ...(secureContext && { secureContext }) }
  const pooled = createAgents({ ...common, keepAlive: true, timeout: IDLE_SOCKET_MS }, dial)
  const fresh = createAgents({ ...common, keepAlive: false }, dial)
  return {
    pooled,
    fresh,
    destroy() {
      for (const agent of [pooled.http, pooled.https, fresh.http, fresh.https]) agent.destroy()
    },
  }
}

/** Agents of our own, since those of Node would dial through an unvetted lookup. */
function createAgents(options: https.AgentOptions, dial?: Dial): Agents {
  if (!dial) return { http: new http.Agent(options), https: new https.Agent(options) }
  return { http: new TunnelAgent(options, dial), https: new SecureTunnelAgent(options, dial) }
}

type CreateConnection = https.Agent['createConnection']

class TunnelAgent extends http.Agent {
  readonly #dial: Dial
  constructor(options: http.AgentOptions, dial: Dial) {
    super(options)
    this.#dial = dial
  }
  override createConnection(...[target, done = () => {}]: Parameters<CreateConnection>): null {
    answer(this.#dial(targetOf(target)), done)
    return null
  }
}

class SecureTunnelAgent extends https.Agent {
  readonly #dial: Dial
  constructor(options: https.AgentOptions, dial: Dial) {
    super(options)
    this.#dial = dial
  }
  override createConnection(...[target, done = () => {}]: Parameters<CreateConnection>): null {
    // tls.connect takes the socket; the type of the agent's options does not know.
    const secure = (socket: Socket) =>
      super.createConnection({ ...target, socket } as typeof target)
    answer(this.#dial(targetOf(target)).then(secure), done)
    return null
  }
}

function answer(
  dialled: Promise<Duplex | null | undefined>,
  done: NonNullable<Parameters<CreateConnection>[1]>,
): void {
  dialled.then(
    (socket) => done(null, socket as Duplex),
    (error) => done(error, undefined as unknown as Duplex),
  )
}

function targetOf({ host, port }: https.RequestOptions): Target {
  return { host: host ?? '', port: Number(port) }
}

/** Sets by certificate: the ones used least recently go, each when its last request has ended. */
function createCertifiedSets(setsMax: number) {
  interface Entry extends AgentSet {
    users: number
    isKept: boolean
  }
  const entries = new Map<string, Entry>()
  const drop = (id: string, entry: Entry) => {
    entries.delete(id)
    entry.isKept = false
    if (entry.users === 0) entry.destroy()
  }
  return {
    lease(id: string, create: () => AgentSet | null): Omit<Lease, 'isProxied'> | null {
      const found = entries.get(id)
      const made = found ?? create()
      if (!made) return null
      const entry: Entry = found ?? { ...made, users: 0, isKept: true }
      entry.users += 1
      entries.delete(id)
      entries.set(id, entry)
      const [oldest] = entries
      if (entries.size > setsMax && oldest) drop(...oldest)
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
