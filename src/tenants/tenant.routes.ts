import { createRoute, type OpenAPIHono, z } from '@hono/zod-openapi'
import type { ApiEnv, Authenticate } from '../http/authenticate.ts'
import { pageQuery, pageSchema, readPage } from '../http/pages.ts'
import { presentTenant } from '../http/present.ts'
import { settingsBody } from '../http/request-body.ts'
import { json, OF_BODY, problems } from '../http/responses.ts'
import { tenantSchema } from '../http/schemas.ts'
import { visibleText, withHidden } from '../http/validation.ts'
import { type TenantId, tenantId } from '../ids.ts'
import { TenantNotFound } from '../not-found.ts'
import { Problem } from '../problem.ts'
import { assertMayManage, mayTouch } from './tenant-access.ts'
import { TENANT_KEY, type Tenants } from './tenants.ts'

const NAME_LENGTH_MAX = 200
export const tenantTags = ['Tenants']
export const tenantParams = z.object({
  tenant: z.string().openapi({ description: 'Its key.' }),
})
const tags = tenantTags
const params = tenantParams
export const tenantInput = z
  .strictObject({ name: visibleText(NAME_LENGTH_MAX, 'name').min(1).optional() })
  .openapi('TenantInput')
const listQuery = pageQuery(tenantId).extend({
  reserved: z.enum(['true', 'false']).optional().openapi({
    description: 'Whether admins see those of the service itself (`postrider:…`) too.',
  }),
})

export function addTenantRoutes(
  app: OpenAPIHono<ApiEnv>,
  { tenants, authenticate }: { tenants: Tenants; authenticate: Authenticate },
): void {
  const put = createRoute({
    method: 'put',
    path: '/api/tenants/{tenant}',
    summary: 'Create a tenant, or change its name',
    tags,
    middleware: [authenticate('manage'), settingsBody],
    request: { params, body: { content: { 'application/json': { schema: tenantInput } } } },
    responses: {
      200: json(tenantSchema, 'It was there.'),
      201: json(tenantSchema, 'It is new.'),
      ...problems(404, 409, ...OF_BODY),
    },
  })
  app.openapi(put, async (c) => {
    const key = c.req.valid('param').tenant
    await assertMayManage(c.get('caller'), key, tenants)
    if (!TENANT_KEY.test(key)) throw keyInvalid(key)
    const { tenant, isNew } = await tenants.put(key, c.req.valid('json'))
    return c.json(presentTenant(tenant), isNew ? 201 : 200)
  })

  const get = createRoute({
    method: 'get',
    path: '/api/tenants/{tenant}',
    summary: 'Show a tenant',
    tags,
    middleware: [authenticate('read')],
    request: { params },
    responses: { 200: json(tenantSchema, 'The tenant.'), ...problems(404) },
  })
  app.openapi(get, async (c) => {
    const key = c.req.valid('param').tenant
    if (!mayTouch(c.get('caller'), key)) throw new TenantNotFound()
    const { tenant, remaining } = await tenants.show(key)
    return c.json(presentTenant(tenant, remaining), 200)
  })

  const change = createRoute({
    method: 'patch',
    path: '/api/tenants/{tenant}',
    summary: 'Change the name of a tenant',
    tags,
    middleware: [authenticate('manage'), settingsBody],
    request: {
      params,
      body: { required: true, content: { 'application/json': { schema: tenantInput } } },
    },
    responses: { 200: json(tenantSchema, 'As it is now.'), ...problems(404, 409, ...OF_BODY) },
  })
  app.openapi(change, async (c) => {
    const key = c.req.valid('param').tenant
    await assertMayManage(c.get('caller'), key, tenants)
    return c.json(presentTenant(await tenants.change(key, c.req.valid('json'))), 200)
  })

  const list = createRoute({
    method: 'get',
    path: '/api/tenants',
    summary: 'List tenants, newest first',
    tags,
    middleware: [authenticate('read')],
    request: { query: listQuery },
    responses: { 200: json(pageSchema(tenantSchema), 'A page.'), ...problems(422) },
  })
  app.openapi(list, async (c) => {
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
  })
}

const NO_KEY =
  'is not a key: 1 to 128 of letters, digits and . _ : -, beginning with a letter or digit'

function keyInvalid(key: string): Problem {
  const message = withHidden(NO_KEY, key)
  return new Problem('request_invalid', { errors: [{ field: 'tenant', message }] })
}
