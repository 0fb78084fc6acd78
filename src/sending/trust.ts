import tls from 'node:tls'

/**
 * Trusts more authorities than Node's own, in every TLS connection that this process opens from now on.
 *
 * For the whole process, and so for its database and Redis as well, because a separate list costs each
 * client certificate 30 ms and 1.4 MB to parse Node's 265 authorities again (measured), and Node shares only
 * its default list. Who may sign for receivers is the operator's choice as much as who may sign for Postgres.
 */
export function trustCertificates(certificates: readonly string[]): void {
  if (certificates.length === 0) return
  tls.setDefaultCACertificates([...tls.getCACertificates('default'), ...certificates])
}
