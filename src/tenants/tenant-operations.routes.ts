import { auditName } from '../access/caller.ts'
import { json, problems } from '../http/responses.ts'
import { addingRoutes, ofOperators, routesFor } from '../http/route.ts'
import { presentTenant, tenantSchema } from './tenant.fields.ts'
import { tenantParams, tenantTags } from './tenant.routes.ts'
import type { TenantOperations } from './tenant-operations.ts'
import type { Tenants } from './tenants.ts'

/** What a key of the tenant itself may not do: one that is suspended could resume itself. */
interface Options {
  tenants: Pick<Tenants, 'show'>
  tenantOperations: TenantOperations
}

const route = routesFor<Options>()
const shared = { tags: tenantTags, request: { params: tenantParams } } as const

const suspend = route({
  ...shared,
  method: 'post',
  path: '/api/tenants/{tenant}/suspend',
  summary: 'Suspend tenant',
  description:
    'Its keys become read-only (403 `tenant_suspended`), and its portal links are revoked. A key of no ' +
    'tenant can still manage it; an event that such a key publishes for it is rejected with 422.',
  responses: { 200: json(tenantSchema, 'It is suspended.'), ...problems(404, 409) },
  guards: ofOperators('manage'),
  async answer(c, { tenants, tenantOperations }) {
    const key = c.req.valid('param').tenant
    await tenantOperations.suspend(key, auditName(c.get('caller')))
    return c.json(await shown(tenants, key), 200)
  },
})

const resume = route({
  ...shared,
  method: 'post',
  path: '/api/tenants/{tenant}/resume',
  summary: 'Resume tenant',
  description: 'Resumes a suspended tenant. Held deliveries are released over time.',
  responses: { 200: json(tenantSchema, 'It is active.'), ...problems(404, 409) },
  guards: ofOperators('manage'),
  async answer(c, { tenants, tenantOperations }) {
    const key = c.req.valid('param').tenant
    await tenantOperations.resume(key, auditName(c.get('caller')))
    return c.json(await shown(tenants, key), 200)
  },
})

const remove = route({
  ...shared,
  method: 'delete',
  path: '/api/tenants/{tenant}',
  summary: 'Delete tenant',
  description:
    'Publishing and sending stop at once, and its keys are revoked. Runners delete its data in ' +
    'batches; GET shows the progress, and 404 when all is deleted.',
  responses: { 202: json(tenantSchema, 'It is being deleted.'), ...problems(404) },
  guards: ofOperators('manage'),
  async answer(c, { tenants, tenantOperations }) {
    const key = c.req.valid('param').tenant
    await tenantOperations.delete(key, auditName(c.get('caller')))
    return c.json(await shown(tenants, key), 202)
  },
})

export const addTenantOperationRoutes = addingRoutes([suspend, resume, remove])

async function shown(tenants: Pick<Tenants, 'show'>, key: string) {
  const { tenant, remaining } = await tenants.show(key)
  return presentTenant(tenant, remaining)
}
