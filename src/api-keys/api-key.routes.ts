import { z } from '@hono/zod-openapi'
import { auditName } from '../access/caller.ts'
import { inputsOf } from '../fields.ts'
import { pageQuery, pageSchema, readPage } from '../http/pages.ts'
import { json, jsonBody, OF_BODY, problems } from '../http/responses.ts'
import { addingRoutes, ofOperators, routesFor } from '../http/route.ts'
import { idOfPath } from '../http/validation.ts'
import { type ApiKeyId, apiKeyId, type TenantId } from '../ids.ts'
import { TenantNotFound } from '../not-found.ts'
import { Problem } from '../problem.ts'
import { isReserved, type Tenants } from '../tenants/tenants.ts'
import {
  apiKeyFilters,
  apiKeySchema,
  newApiKeySchema,
  newKeyInput,
  presentApiKey,
} from './api-key.fields.ts'
import { ApiKeyNotFound, type ApiKeys } from './api-keys.ts'

const tags = ['Keys']

interface Options {
  apiKeys: Pick<ApiKeys, 'issue' | 'list' | 'revoke'>
  tenants: Pick<Tenants, 'find'>
}

export const keyOf = idOfPath(apiKeyId, ApiKeyNotFound)
const route = routesFor<Options>()
const collection = { path: '/api/keys', tags } as const

const create = route({
  ...collection,
  method: 'post',
  summary: 'Create API key',
  description: 'Only this response contains the key itself.',
  request: { body: { required: true, ...jsonBody(newKeyInput) } },
  responses: {
    201: json(newApiKeySchema, 'The key, which is not stored and not shown again.'),
    ...problems(...OF_BODY),
  },
  guards: ofOperators('admin'),
  async answer(c, options) {
    const who = auditName(c.get('caller'))
    const { key, apiKey } = await issueKey(options, c.req.valid('json'), who)
    return c.json({ ...presentApiKey(apiKey), key }, 201)
  },
})

const list = route({
  ...collection,
  method: 'get',
  summary: 'List API keys',
  description: 'Newest first, revoked and expired ones included.',
  request: {
    query: pageQuery(apiKeyId).extend({
      ...inputsOf(apiKeyFilters),
    }),
  },
  responses: { 200: json(pageSchema(apiKeySchema), 'A page.'), ...problems(422) },
  guards: ofOperators('admin'),
  async answer(c, { apiKeys }) {
    const { tenant, ...page } = c.req.valid('query')
    const read = (of: { limit: number; before: ApiKeyId | null }) => apiKeys.list({ ...of, tenant })
    return c.json(await readPage(page, read, presentApiKey), 200)
  },
})

const revoke = route({
  method: 'delete',
  path: '/api/keys/{id}',
  tags,
  summary: 'Revoke API key',
  description: 'It is refused within five seconds.',
  request: { params: z.object({ id: z.string() }) },
  responses: { 204: { description: 'It is revoked.' }, ...problems(404) },
  guards: ofOperators('admin'),
  async answer(c, { apiKeys }) {
    await apiKeys.revoke(keyOf(c.req.valid('param')), auditName(c.get('caller')))
    return c.body(null, 204)
  },
})

export const addKeyRoutes = addingRoutes([create, list, revoke])

/** @throws Problem where the tenant that it is to be bound to cannot be one */
export async function issueKey(
  { apiKeys, tenants }: { apiKeys: Pick<ApiKeys, 'issue'>; tenants: Pick<Tenants, 'find'> },
  { tenant, ...values }: z.output<typeof newKeyInput>,
  who: string,
): ReturnType<ApiKeys['issue']> {
  const tenantId = tenant ? await tenantIdOf(tenants, tenant) : null
  return await apiKeys.issue({ ...values, tenantId }, who)
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
