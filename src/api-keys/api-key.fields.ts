import { z } from '@hono/zod-openapi'
import {
  type Fields,
  inputsOf,
  outputsOf,
  type Shown,
  shownId,
  shownOf,
  shownTime,
} from '../fields.ts'
import { unfit, visibleText } from '../http/validation.ts'
import { TENANT_KEY } from '../tenants/tenants.ts'
import type { ApiKey } from './api-keys.ts'

const NAME_LENGTH_MAX = 200
const scopes = z.array(z.enum(['publish', 'read', 'reveal', 'manage', 'admin']))
const SCOPE_CHOICES = [
  ['publish', 'publish: store events'],
  ['read', 'read: look at everything'],
  ['reveal', 'reveal: see masked data of events'],
  ['manage', 'manage: tenants, endpoints, deliveries'],
  ['admin', 'admin: all of these, and keys'],
] as const
const tenantKey = z.string().regex(TENANT_KEY, unfit('is not the key of a tenant'))

export const apiKeyFields = {
  id: { column: 'id', output: shownId },
  name: {
    column: 'name',
    input: visibleText(NAME_LENGTH_MAX, 'name').min(1).openapi({ description: 'What it is for.' }),
    output: z.string(),
    example: 'invoice service',
    form: { label: 'Name', required: true, placeholder: 'invoice service' },
  },
  scopes: {
    column: 'scopes',
    input: scopes
      .min(1)
      .transform((given) => [...new Set(given)])
      .openapi({ description: '`admin` includes the others, and can create keys.' }),
    output: scopes,
    option: {
      value: '<scopes>',
      about: 'comma separated: publish, read, reveal, manage, admin',
      isRequired: true,
    },
    form: { label: 'Permissions', choices: SCOPE_CHOICES },
  },
  tenant: {
    column: 'tenant',
    input: tenantKey.nullish().openapi({
      description: 'Key of the only tenant it can access. Default: every tenant.',
    }),
    output: z
      .string()
      .nullable()
      .openapi({ description: 'Key of the only tenant it can access; null = every tenant.' }),
    example: 'acme',
    option: {
      value: '<key>',
      about: 'the only tenant it can access; default: every tenant',
    },
    form: {
      label: 'Tenant (key)',
      hint: 'Limits the key to one tenant. Leave empty for all tenants. Signing in to the console needs a key for all tenants.',
    },
  },
  expiresAt: {
    column: 'expires_at',
    input: z.iso
      .datetime({ offset: true })
      .transform((time) => new Date(time))
      .refine((time) => time.getTime() > Date.now(), 'is not in the future')
      .nullish()
      .openapi({
        type: ['string', 'null'],
        format: 'date-time',
        description: 'Left out: never.',
      }),
    output: shownTime.nullable(),
    example: '2099-12-31T23:59:59.000Z',
    option: {
      value: '<time>',
      about: 'ISO 8601, such as 2027-01-31T12:00:00Z; default: never',
    },
    form: { label: 'Expires (UTC)', isTime: true, hint: 'Leave empty for no expiry.' },
  },
  lastUsedAt: {
    column: 'last_used_at',
    output: shownTime.nullable().openapi({ description: 'To the minute.' }),
  },
  revokedAt: { column: 'revoked_at', output: shownTime.nullable() },
  createdAt: { column: 'created_at', output: shownTime },
} as const satisfies Fields<ApiKey>

/** What keys are chosen by. */
export const apiKeyFilters = {
  tenant: {
    input: tenantKey.optional().openapi({ description: 'Only those of this tenant.' }),
    option: { value: '<key>', about: 'only those of this tenant' },
  },
} as const satisfies Fields

/** What a list of keys has in columns. */
export const API_KEY_COLUMNS: (keyof Shown<typeof apiKeyFields>)[] = [
  ...(['id', 'name', 'tenant', 'scopes', 'expiresAt', 'lastUsedAt', 'revokedAt'] as const),
]

export const apiKeySchema = z.object(outputsOf(apiKeyFields)).openapi('ApiKey')
export const newApiKeySchema = apiKeySchema
  .extend({
    key: z.string().openapi({
      description: 'Shown this once.',
      example: 'pr_rX1cWbS2mJ8VQk0fT5nYhL3dA7uEo9gZpK4iCvB6tNw',
    }),
  })
  .openapi('ApiKeyWithKey')
export const newKeyInput = z.strictObject(inputsOf(apiKeyFields)).openapi('NewApiKey')

export const presentApiKey = (apiKey: ApiKey): z.output<typeof apiKeySchema> =>
  shownOf(apiKeyFields, apiKey)
