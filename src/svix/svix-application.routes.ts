import { z } from '@hono/zod-openapi'
import { presentSvixApplication, svixApplicationSchema } from './svix-application.fields.ts'
import type { SvixApplications } from './svix-applications.ts'
import { addingSvixRoutes, svixJson, svixRoutesFor } from './svix-route.ts'

interface Options {
  svixApplications: SvixApplications
}

const route = svixRoutesFor<Options>()

/** Of every path about an application. */
export const svixAppParams = z.object({
  app_id: z.string().openapi({ description: 'Its id or uid.' }),
})

const get = route({
  method: 'get',
  path: '/app/{app_id}',
  operationId: 'v1.application.get',
  summary: 'Get application',
  scope: 'read',
  of: 'app',
  request: { params: svixAppParams },
  responses: { 200: svixJson(svixApplicationSchema, 'The application.') },
  answer: async (c) => c.json(presentSvixApplication(c.get('app')), 200),
})

export const addSvixApplicationRoutes = addingSvixRoutes([get])
