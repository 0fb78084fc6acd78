export class EndpointNotFound extends Error {
  override readonly name = 'EndpointNotFound'
  readonly code = 'endpoint_not_found'
  constructor() {
    super('the tenant has no endpoint with this id')
  }
}
