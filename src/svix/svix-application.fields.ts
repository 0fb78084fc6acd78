import { z } from '@hono/zod-openapi'
import type { Tenant } from '../tenants/tenants.ts'
import { shownSvixId } from './svix-id.ts'

export const svixApplicationSchema = z
  .object({
    id: z.string().openapi({ example: 'app_1srOrx2ZWZBpBUvZwXKQmoEYga2' }),
    uid: z.string().nullable().openapi({ example: 'acme' }),
    name: z.string().openapi({ example: 'Acme' }),
    metadata: z.record(z.string(), z.string()),
    rateLimit: z.int().nullable(),
    throttleRate: z.int().nullable(),
    createdAt: z.iso.datetime(),
    updatedAt: z.iso.datetime(),
  })
  .openapi('ApplicationOut')

export const presentSvixApplication = (tenant: Tenant): z.output<typeof svixApplicationSchema> => ({
  id: shownSvixId('app', tenant),
  uid: tenant.uid,
  name: tenant.name,
  metadata: tenant.metadata,
  rateLimit: null,
  throttleRate: null,
  createdAt: tenant.created_at.toISOString(),
  updatedAt: tenant.updated_at.toISOString(),
})
