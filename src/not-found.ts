export class EndpointNotFound extends Error {
  override readonly name = 'EndpointNotFound'
  readonly code = 'endpoint_not_found'
  constructor(options?: ErrorOptions) {
    super('the tenant has no endpoint with this id', options)
  }
}

export class TenantNotFound extends Error {
  override readonly name = 'TenantNotFound'
  readonly code = 'tenant_not_found'
  readonly field = 'tenant'
  constructor(options?: ErrorOptions) {
    super('no tenant has this key; create it first: postrider tenant create', options)
  }
}

/** Of an address that names something by its id alone. */
export class NothingFound extends Error {
  override readonly name = 'NothingFound'
  readonly code = 'thing_not_found'
}
