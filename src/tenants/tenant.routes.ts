import { z } from '@hono/zod-openapi'
import type { Authenticate } from '../http/authenticate.ts'
import { pageQuery, pageSchema, readPage } from '../http/pages.ts'
import { json, jsonBody, OF_BODY, problems } from '../http/responses.ts'
import { addingRoutes, ofScope, routesFor } from '../http/route.ts'
import { withHidden } from '../http/validation.ts'
import { type TenantId, tenantId } from '../ids.ts'
import { TenantNotFound } from '../not-found.ts'
import { Problem } from '../problem.ts'
import { presentTenant, tenantInput, tenantSchema } from './tenant.fields.ts'
import { assertMayManage, mayTouch } from './tenant-access.ts'
import { TENANT_KEY, type Tenants } from './tenants.ts'

export const tenantTags = ['Tenants']
export const tenantParams = z.object({
  tenant: z.string().openapi({ description: 'Its key.' }),
})
const tags = tenantTags
const params = tenantParams
const listQuery = pageQuery(tenantId).extend({
  reserved: z.enum(['true', 'false']).optional().openapi({
    description: 'Whether admins see those of the service itself (`postrider:…`) too.',
  }),
})

interface Options {
  tenants: Tenants
  authenticate: Authenticate
}

const route = routesFor<Options>()

const put = route({
  method: 'put',
  path: '/api/tenants/{tenant}',
  summary: 'Create or update tenant',
  description: 'Creates the tenant, or changes its name.',
  tags,
  request: { params, body: jsonBody(tenantInput) },
  responses: {
    200: json(tenantSchema, 'Updated.'),
    201: json(tenantSchema, 'Created.'),
    ...problems(404, 409, ...OF_BODY),
  },
  guards: ofScope('manage'),
  async answer(c, { tenants }) {
    const key = c.req.valid('param').tenant
    await assertMayManage(c.get('caller'), key, tenants)
    if (!TENANT_KEY.test(key)) throw keyInvalid(key)
    const { tenant, isNew } = await tenants.put(key, c.req.valid('json'))
    return c.json(presentTenant(tenant), isNew ? 201 : 200)
  },
})

const get = route({
  method: 'get',
  path: '/api/tenants/{tenant}',
  summary: 'Get tenant',
  tags,
  request: { params },
  responses: { 200: json(tenantSchema, 'The tenant.'), ...problems(404) },
  guards: ofScope('read'),
  async answer(c, { tenants }) {
    const key = c.req.valid('param').tenant
    if (!mayTouch(c.get('caller'), key)) throw new TenantNotFound()
    const { tenant, remaining } = await tenants.show(key)
    return c.json(presentTenant(tenant, remaining), 200)
  },
})

const change = route({
  method: 'patch',
  path: '/api/tenants/{tenant}',
  summary: 'Update tenant',
  description: 'Changes its name.',
  tags,
  request: {
    params,
    body: { required: true, ...jsonBody(tenantInput) },
  },
  responses: { 200: json(tenantSchema, 'As it is now.'), ...problems(404, 409, ...OF_BODY) },
  guards: ofScope('manage'),
  async answer(c, { tenants }) {
    const key = c.req.valid('param').tenant
    await assertMayManage(c.get('caller'), key, tenants)
    return c.json(presentTenant(await tenants.change(key, c.req.valid('json'))), 200)
  },
})

const list = route({
  method: 'get',
  path: '/api/tenants',
  summary: 'List tenants',
  description: 'Newest first.',
  tags,
  request: { query: listQuery },
  responses: { 200: json(pageSchema(tenantSchema), 'A page.'), ...problems(422) },
  guards: ofScope('read'),
  async answer(c, { tenants }) {
    const { reserved, ...page } = c.req.valid('query')
    const { tenant: own, scopes } = c.get('caller')
    // To a key of one tenant there are no others.
    if (own) {
      return c.json({ data: [presentTenant(await tenants.get(own.key))], nextCursor: null }, 200)
    }
    const withReserved = reserved === 'true' && scopes.has('admin')
    const read = (of: { limit: number; before: TenantId | null }) =>
      tenants.list({ ...of, withReserved })
    return c.json(await readPage(page, read, (tenant) => presentTenant(tenant)), 200)
  },
})

export const addTenantRoutes = addingRoutes([put, get, change, list])

const NO_KEY =
  'is not a key: 1 to 128 of letters, digits and . _ : -, beginning with a letter or digit'

function keyInvalid(key: string): Problem {
  const message = withHidden(NO_KEY, key)
  return new Problem('request_invalid', { errors: [{ field: 'tenant', message }] })
}
