export class EndpointNotFound extends Error {
  override readonly name = 'EndpointNotFound'
  readonly code = 'endpoint_not_found'
  constructor() {
    super('the tenant has no endpoint with this id')
  }
}

export class TenantNotFound extends Error {
  override readonly name = 'TenantNotFound'
  readonly code = 'tenant_not_found'
  readonly field = 'tenant'
  constructor(options?: ErrorOptions) {
    super('there is no tenant with this key', options)
  }
}
