import { z } from '@hono/zod-openapi'
import { auditName } from '../access/caller.ts'
import type { TenantId } from '../ids.ts'
import type { TenantOperations } from '../tenants/tenant-operations.ts'
import {
  presentSvixApplication,
  svixApplicationInput,
  svixApplicationPatch,
  svixApplicationSchema,
} from './svix-application.fields.ts'
import type { SvixApplications } from './svix-applications.ts'
import { SvixError } from './svix-error.ts'
import { readSvixPage, svixPageQuery, svixPageSchema } from './svix-page.ts'
import {
  addingSvixRoutes,
  svixBody,
  svixFlag,
  svixJson,
  svixNothing,
  svixRoutesFor,
} from './svix-route.ts'

interface Options {
  svixApplications: SvixApplications
  tenantOperations: Pick<TenantOperations, 'delete'>
}

const route = svixRoutesFor<Options>()

/** Of every path about an application. */
export const svixAppParams = z.object({
  app_id: z.string().openapi({ description: 'Its id or uid, or the key of a tenant without uid.' }),
})
const params = svixAppParams

const list = route({
  method: 'get',
  path: '/app',
  operationId: 'v1.application.list',
  summary: 'List applications',
  scope: 'read',
  of: 'organisation',
  request: { query: svixPageQuery({ order: 'ascending' }) },
  responses: { 200: svixJson(svixPageSchema(svixApplicationSchema), 'A page.') },
  answer: async (c, { svixApplications }) =>
    c.json(
      await readSvixPage(
        'app',
        c.req.valid('query'),
        svixApplications.list,
        presentSvixApplication,
      ),
      200,
    ),
})

const create = route({
  method: 'post',
  path: '/app',
  operationId: 'v1.application.create',
  summary: 'Create application',
  description:
    'A tenant. Its key is the uid where that is free and can be one, otherwise the id. With `get_if_exists`, ' +
    'a tenant whose key is the uid, and that has none, is given it; without, it is a conflict.',
  scope: 'manage',
  of: 'organisation',
  request: {
    query: z.object({ get_if_exists: svixFlag }),
    body: svixBody(svixApplicationInput),
  },
  responses: {
    200: svixJson(svixApplicationSchema, 'It was there.'),
    201: svixJson(svixApplicationSchema, 'It is new.'),
  },
  async answer(c, { svixApplications }) {
    const { name, uid = null, metadata } = c.req.valid('json')
    const takes = c.req.valid('query').get_if_exists === 'true'
    const take = async () => (takes && uid !== null ? await svixApplications.take(uid) : null)
    const there = await take()
    if (there) return c.json(presentSvixApplication(there), 200)
    try {
      const made = await svixApplications.create({ name, uid, metadata: metadata ?? {} })
      return c.json(presentSvixApplication(made), 201)
    } catch (error) {
      // Another request may have made it in the meantime.
      const madeByOther = error instanceof SvixError && (await take())
      if (!madeByOther) throw error
      return c.json(presentSvixApplication(madeByOther), 200)
    }
  },
})

const get = route({
  method: 'get',
  path: '/app/{app_id}',
  operationId: 'v1.application.get',
  summary: 'Get application',
  scope: 'read',
  of: 'app',
  request: { params },
  responses: { 200: svixJson(svixApplicationSchema, 'The application.') },
  answer: async (c) => c.json(presentSvixApplication(c.get('app')), 200),
})

const update = route({
  method: 'put',
  path: '/app/{app_id}',
  operationId: 'v1.application.update',
  summary: 'Update application',
  description: 'Replaces the application. If it does not exist, it is created with a new id.',
  scope: 'manage',
  of: 'organisation',
  request: { params, body: svixBody(svixApplicationInput) },
  responses: {
    200: svixJson(svixApplicationSchema, 'As it is now.'),
    201: svixJson(svixApplicationSchema, 'It is new.'),
  },
  async answer(c, { svixApplications }) {
    const { name, uid = null, metadata } = c.req.valid('json')
    const values = { name, uid, metadata: metadata ?? {} }
    const found = await svixApplications.find(c.req.valid('param').app_id)
    if (!found) return c.json(presentSvixApplication(await svixApplications.create(values)), 201)
    const changed = await svixApplications.change(found.id as TenantId, values)
    return c.json(presentSvixApplication(changed), 200)
  },
})

const patch = route({
  method: 'patch',
  path: '/app/{app_id}',
  operationId: 'v1.application.patch',
  summary: 'Change application',
  description: 'Members that are left out keep their values; metadata is replaced as a whole.',
  scope: 'manage',
  of: 'app of the organisation',
  request: { params, body: svixBody(svixApplicationPatch) },
  responses: { 200: svixJson(svixApplicationSchema, 'As it is now.') },
  async answer(c, { svixApplications }) {
    const { name, uid, metadata } = c.req.valid('json')
    const change = { name, uid, metadata: metadata === null ? {} : metadata }
    return c.json(
      presentSvixApplication(await svixApplications.change(c.get('app').id, change)),
      200,
    )
  },
})

const remove = route({
  method: 'delete',
  path: '/app/{app_id}',
  operationId: 'v1.application.delete',
  summary: 'Delete application',
  description:
    'It is gone at once, and its uid free. Its events are deleted in the background; until that is done, its key is not.',
  scope: 'manage',
  of: 'app of the organisation',
  request: { params },
  responses: { 204: svixNothing('Deleted.') },
  async answer(c, { tenantOperations }) {
    await tenantOperations.delete(c.get('app').key, auditName(c.get('caller')))
    return c.body(null, 204)
  },
})

export const addSvixApplicationRoutes = addingSvixRoutes([
  ...[list, create, get, update, patch, remove],
])
