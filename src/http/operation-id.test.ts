import t from 'tap'
import { operationId } from './operation-id.ts'

t.test('names say what is done to what', async (t) => {
  const cases: [string, string, boolean, string][] = [
    ['get', '/api/tenants', true, 'listTenants'],
    ['put', '/api/tenants/{tenant}', false, 'putTenant'],
    ['get', '/api/tenants/{tenant}', false, 'getTenant'],
    ['post', '/api/tenants/{tenant}/suspend', false, 'suspendTenant'],
    ['get', '/api/tenants/{tenant}/deliveries', true, 'listDeliveries'],
    ['post', '/api/tenants/{tenant}/deliveries/{id}/retry', false, 'retryDelivery'],
    ['post', '/api/tenants/{tenant}/endpoints', false, 'createEndpoint'],
    ['patch', '/api/tenants/{tenant}/endpoints/{id}', false, 'updateEndpoint'],
    ['delete', '/api/tenants/{tenant}/endpoints/{id}', false, 'deleteEndpoint'],
    ['post', '/api/tenants/{tenant}/endpoints/match', false, 'matchEndpoints'],
    ['post', '/api/tenants/{tenant}/endpoints/{id}/match', false, 'matchEndpoint'],
    ['get', '/api/tenants/{tenant}/endpoints/{id}/stats', false, 'getEndpointStats'],
    ['post', '/api/tenants/{tenant}/endpoints/{id}/secret/rotate', false, 'rotateEndpointSecret'],
    ['post', '/api/tenants/{tenant}/portal-links', false, 'createPortalLink'],
    ['get', '/api/event-types/{name}/example', false, 'getEventTypeExample'],
    ['get', '/ready', false, 'getReady'],
  ]
  for (const [method, path, isList, name] of cases) {
    t.equal(operationId(method, path, isList), name)
  }
})
