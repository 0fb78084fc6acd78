import { auditName } from '../access/caller.ts'
import type { EndpointSecrets, LiveSecret, ShowSecrets } from '../secrets/endpoint-secrets.ts'
import { TooManySecrets } from '../secrets/endpoint-secrets.ts'
import { publicKeyOf } from '../sending/signature.ts'
import { keyBytesOf, storedForm } from '../sending/signing-secret.ts'
import { svixRotationInput, svixSecretSchema } from './svix-endpoint.fields.ts'
import { endpointOfPath, svixEndpointParams } from './svix-endpoint.routes.ts'
import type { SvixEndpoints } from './svix-endpoints.ts'
import { SvixError } from './svix-error.ts'
import { addingSvixRoutes, svixBody, svixJson, svixNothing, svixRoutesFor } from './svix-route.ts'

interface Options {
  secrets: Pick<EndpointSecrets, 'rotate'>
  showSecrets: ShowSecrets
  svixEndpoints: Pick<SvixEndpoints, 'find'>
}

const route = svixRoutesFor<Options>()

const get = route({
  method: 'get',
  path: '/app/{app_id}/endpoint/{endpoint_id}/secret',
  operationId: 'v1.endpoint.get-secret',
  summary: 'Get endpoint secret',
  description: 'The current secret. Reading it is recorded in the audit log.',
  scope: 'manage',
  of: 'app',
  request: { params: svixEndpointParams },
  responses: { 200: svixJson(svixSecretSchema, 'The secret.') },
  async answer(c, options) {
    const { tenantId, id } = await endpointOfPath(c, options)
    const live = await options.showSecrets(tenantId, id, auditName(c.get('caller')))
    return c.json({ key: shownKeyOf(live) }, 200)
  },
})

const rotate = route({
  method: 'post',
  path: '/app/{app_id}/endpoint/{endpoint_id}/secret/rotate',
  operationId: 'v1.endpoint.rotate-secret',
  summary: 'Rotate endpoint secret',
  description:
    'The old secret also signs during the grace period. A generated one is of the same kind.',
  scope: 'manage',
  of: 'app',
  request: { params: svixEndpointParams, body: svixBody(svixRotationInput) },
  responses: { 204: svixNothing('Rotated.') },
  async answer(c, options) {
    const { tenantId, id } = await endpointOfPath(c, options)
    const { key, gracePeriodSeconds: overlapSeconds } = c.req.valid('json')
    await options.secrets
      .rotate(tenantId, id, {
        ...(key && { secret: key, encoding: 'base64' }),
        ...(overlapSeconds != null && { overlapSeconds }),
      })
      .catch(refuseTooMany)
    return c.body(null, 204)
  },
})

export const addSvixEndpointSecretRoutes = addingSvixRoutes([get, rotate])

function shownKeyOf([current]: LiveSecret[]): string {
  if (!current) throw new Error('the endpoint has no live secret')
  return publicKeyOf(storedForm(current)) ?? standardForm(current)
}

/** As libraries that verify read a key, however it was brought along: they know base64 only. */
const standardForm = (secret: LiveSecret): string =>
  secret.encoding === 'base64' ? secret.secret : `whsec_${keyBytesOf(secret).toString('base64')}`

function refuseTooMany(error: unknown): never {
  if (!(error instanceof TooManySecrets)) throw error
  throw new SvixError(400, 'limit_reached', error.message, { cause: error })
}
