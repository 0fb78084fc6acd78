const DEFAULT_PORT = 5432

/** A server that a database URL names. */
export interface DatabaseHost {
  host: string
  port: number
  /** `host:port`, for people. */
  name: string
  /** The same URL with this host alone. */
  url: string
}

export interface DatabaseHosts {
  /** At least one. */
  hosts: readonly [DatabaseHost, ...DatabaseHost[]]
  /** Only a server that can be written to will do; without it, a standby under a single name is read from. */
  mustWrite: boolean
}

/** Why a text is no URL of a database; to be read behind the name of its variable. */
export class DatabaseUrlMistake extends Error {
  override readonly name = 'DatabaseUrlMistake'
}

const LIKE =
  'is not a URL like postgres://user@host:5432/name or postgres://user@a:5432,b:5432/name?target_session_attrs=read-write'
const SEVERAL_SOCKETS =
  'names several hosts, one of which is a directory of a socket; name hosts only, or one directory'
const PARTS = /^(postgres(?:ql)?:\/\/)([^/?#]*)(\/[^?#]*)?(\?[^#]*)?$/
/** Of libpq's, those with which it finds a server that can be written to. */
const WRITABLE = ['read-write', 'primary']

/**
 * Takes a URL apart as libpq does: several hosts, separated by commas, each with its port, or in the parameters
 * `host` and `port`.
 *
 * @throws DatabaseUrlMistake
 * @example
 * parseDatabaseUrl('postgres://me@a,b:5433/it?target_session_attrs=read-write').hosts.map(({ name }) => name) // a:5432, b:5433
 */
export function parseDatabaseUrl(text: string): DatabaseHosts {
  const [, scheme = '', authority = '', path = '', query = ''] = PARTS.exec(text) ?? []
  if (scheme === '') throw new DatabaseUrlMistake(LIKE)
  const parameters = new URLSearchParams(query)
  const wanted = parameters.get('target_session_attrs') ?? 'any'
  refuseReadOnly(wanted)
  const at = authority.lastIndexOf('@') + 1
  const user = authority.slice(0, at)
  const named = parameters.get('host')?.split(',') ?? authority.slice(at).split(',')
  const ports = parameters.get('port')?.split(',') ?? []
  for (const own of ['target_session_attrs', 'load_balance_hosts']) parameters.delete(own)
  const isSocket = named.some((host) => host.startsWith('/') || /^%2f/i.test(host))
  if (isSocket && named.length > 1) throw new DatabaseUrlMistake(SEVERAL_SOCKETS)
  const isLocal = isSocket || (named.length === 1 && named[0] === '')
  if (!isLocal) for (const own of ['host', 'port']) parameters.delete(own)
  const rest = path + (parameters.size > 0 ? `?${parameters}` : '')
  const mustWrite = WRITABLE.includes(wanted) || named.length > 1
  if (isLocal) {
    const url = scheme + authority + rest
    return { hosts: [{ host: named[0] ?? '', port: DEFAULT_PORT, name: 'local', url }], mustWrite }
  }
  const [first, ...others] = named.map((one, index) => {
    const { host, port } = hostOf(one, ports[index] ?? ports[0])
    const name = `${host}:${port}`
    const url = `${scheme}${user}${name}${rest}`
    if (!URL.canParse(url)) throw new DatabaseUrlMistake(LIKE)
    return { host: host.replace(/^\[(.*)\]$/, '$1'), port, name, url }
  })
  if (!first) throw new DatabaseUrlMistake(LIKE)
  return { hosts: [first, ...others], mustWrite }
}

function refuseReadOnly(wanted: string): void {
  if (wanted === 'any' || WRITABLE.includes(wanted)) return
  throw new DatabaseUrlMistake(
    `asks with target_session_attrs=${wanted} for a read-only server; remove it, or use read-write`,
  )
}

function hostOf(text: string, given: string | undefined): { host: string; port: number } {
  const [, host = '', own] = /^(\[[0-9a-f:.%]+\]|[^:[\]]+)(?::(\d+))?$/i.exec(text) ?? []
  const port = Number(own ?? (given || DEFAULT_PORT))
  if (host === '' || !(port > 0 && port < 65_536)) throw new DatabaseUrlMistake(LIKE)
  return { host, port }
}
