import { createRoute, type OpenAPIHono, z } from '@hono/zod-openapi'
import { auditName } from '../access/caller.ts'
import { type ApiEnv, type Authenticate, ofNoTenant } from '../http/authenticate.ts'
import { pageQuery, pageSchema, readPage } from '../http/pages.ts'
import { presentApiKey } from '../http/present.ts'
import { settingsBody } from '../http/request-body.ts'
import { json, OF_BODY, problems } from '../http/responses.ts'
import { apiKeySchema, newApiKeySchema } from '../http/schemas.ts'
import { unfit, visibleText } from '../http/validation.ts'
import { type ApiKeyId, apiKeyId, type TenantId } from '../ids.ts'
import { TenantNotFound } from '../not-found.ts'
import { Problem } from '../problem.ts'
import { isReserved, TENANT_KEY, type Tenants } from '../tenants/tenants.ts'
import { ApiKeyNotFound, type ApiKeys } from './api-keys.ts'

const NAME_LENGTH_MAX = 200
const tags = ['Keys']
const tenantKey = z.string().regex(TENANT_KEY, unfit('is not the key of a tenant'))

export const newKeyInput = z
  .strictObject({
    name: visibleText(NAME_LENGTH_MAX, 'name')
      .min(1)
      .openapi({ description: 'What it is for.', example: 'invoice service' }),
    scopes: apiKeySchema.shape.scopes
      .min(1)
      .transform((scopes) => [...new Set(scopes)])
      .openapi({ description: '`admin` includes the others, and may make keys.' }),
    tenant: tenantKey.nullish().openapi({
      description: 'Key of the one tenant that it may touch. Left out: every tenant.',
    }),
    expiresAt: z.iso
      .datetime({ offset: true })
      .transform((time) => new Date(time))
      .refine((time) => time.getTime() > Date.now(), 'is not in the future')
      .nullish()
      .openapi({
        type: ['string', 'null'],
        format: 'date-time',
        description: 'Left out: never.',
      }),
  })
  .openapi('NewApiKey')

export function addKeyRoutes(
  app: OpenAPIHono<ApiEnv>,
  options: {
    apiKeys: Pick<ApiKeys, 'issue' | 'list' | 'revoke'>
    tenants: Pick<Tenants, 'find'>
    authenticate: Authenticate
  },
): void {
  const { apiKeys, authenticate } = options
  const managing = [authenticate('admin'), ofNoTenant]
  const collection = { path: '/api/keys', tags } as const

  const create = createRoute({
    ...collection,
    method: 'post',
    summary: 'Create an API key',
    middleware: [...managing, settingsBody],
    request: { body: { required: true, content: { 'application/json': { schema: newKeyInput } } } },
    responses: {
      201: json(newApiKeySchema, 'The key, which is not stored and not shown again.'),
      ...problems(...OF_BODY),
    },
  })
  app.openapi(create, async (c) => {
    const who = auditName(c.get('caller'))
    const { key, apiKey } = await issueKey(options, c.req.valid('json'), who)
    return c.json({ ...presentApiKey(apiKey), key }, 201)
  })

  const list = createRoute({
    ...collection,
    method: 'get',
    summary: 'List API keys, newest first, those that are over too',
    middleware: managing,
    request: {
      query: pageQuery(apiKeyId).extend({
        tenant: tenantKey.optional().openapi({ description: 'Only those of this tenant.' }),
      }),
    },
    responses: { 200: json(pageSchema(apiKeySchema), 'A page.'), ...problems(422) },
  })
  app.openapi(list, async (c) => {
    const { tenant, ...page } = c.req.valid('query')
    const read = (of: { limit: number; before: ApiKeyId | null }) => apiKeys.list({ ...of, tenant })
    return c.json(await readPage(page, read, presentApiKey), 200)
  })

  const revoke = createRoute({
    method: 'delete',
    path: '/api/keys/{id}',
    tags,
    summary: 'Revoke an API key: it is refused within five seconds',
    middleware: managing,
    request: { params: z.object({ id: z.string() }) },
    responses: { 204: { description: 'It is revoked.' }, ...problems(404) },
  })
  app.openapi(revoke, async (c) => {
    await apiKeys.revoke(keyOf(c.req.valid('param')), auditName(c.get('caller')))
    return c.body(null, 204)
  })
}

/** @throws Problem where the tenant that it is to be bound to cannot be one */
export async function issueKey(
  { apiKeys, tenants }: { apiKeys: Pick<ApiKeys, 'issue'>; tenants: Pick<Tenants, 'find'> },
  { tenant, ...values }: z.output<typeof newKeyInput>,
  who: string,
): ReturnType<ApiKeys['issue']> {
  const tenantId = tenant ? await tenantIdOf(tenants, tenant) : null
  return await apiKeys.issue({ ...values, tenantId }, who)
}

/** What is no id at all names no key either. */
export function keyOf({ id }: { id: string }): ApiKeyId {
  const parsed = apiKeyId.safeParse(id)
  if (!parsed.success) throw new ApiKeyNotFound()
  return parsed.data
}

/** It is a field of the body that names a tenant which is not there, so it is 422. */
async function tenantIdOf(tenants: Pick<Tenants, 'find'>, key: string): Promise<TenantId> {
  const refuse = (message: string, cause?: unknown) =>
    new Problem('request_invalid', { errors: [{ field: 'tenant', message }], cause })
  if (isReserved(key)) throw refuse('is reserved for the service itself')
  try {
    return (await tenants.find(key)).id
  } catch (error) {
    throw error instanceof TenantNotFound ? refuse(error.message, error) : error
  }
}
