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
import { visibleText } from '../http/validation.ts'
import type { Remaining, Tenant } from './tenants.ts'

const NAME_LENGTH_MAX = 200

export const tenantFields = {
  id: { column: 'id', output: shownId },
  key: {
    column: 'key',
    output: z.string(),
    example: 'acme',
    form: {
      label: 'Key',
      required: true,
      isCode: true,
      placeholder: 'acme',
      hint: 'Your own ID for this customer. It cannot be changed later.',
    },
  },
  name: {
    column: 'name',
    input: visibleText(NAME_LENGTH_MAX, 'name').min(1).optional(),
    output: z.string(),
    example: 'Acme',
    option: { value: '<name>', about: 'shown in the console and the portal' },
    form: { label: 'Name', placeholder: 'Acme Corporation', empty: undefined },
  },
  uid: {
    column: 'uid',
    output: z.string().nullable().openapi({
      description: 'The second id that you gave it through a Svix SDK, which sets it; null = none.',
    }),
    example: null,
  },
  createdAt: { column: 'created_at', output: shownTime },
  suspendedAt: { column: 'suspended_at', output: shownTime.nullable(), example: null },
  deleting: {
    output: z
      .object({
        startedAt: shownTime,
        deletedRows: z.int(),
        remaining: z.object({ events: z.int(), deliveries: z.int() }).nullable().openapi({
          description: 'Rows that are left; 10000 stands for that many or more. Null in lists.',
        }),
      })
      .nullable()
      .openapi({ description: 'Progress of its deletion; null = it is not being deleted.' }),
    show: ({ deletion_started_at: startedAt, deletion_rows: rows, remaining }) =>
      startedAt && { startedAt: startedAt.toISOString(), deletedRows: Number(rows), remaining },
  },
} as const satisfies Fields<Tenant & { remaining: Remaining | null }>

/** What a list of tenants has in columns. */
export const TENANT_COLUMNS: (keyof Shown<typeof tenantFields>)[] = [
  ...(['key', 'name', 'createdAt', 'suspendedAt'] as const),
]

export const tenantSchema = z.object(outputsOf(tenantFields)).openapi('Tenant')
export const tenantInput = z.strictObject(inputsOf(tenantFields)).openapi('TenantInput')

export const presentTenant = (
  tenant: Tenant,
  remaining: Remaining | null = null,
): z.output<typeof tenantSchema> => shownOf(tenantFields, { ...tenant, remaining })
