import type { Context } from 'hono'
import { z } from 'zod'
import { labelOf } from '../attempts/attempt-words.ts'
import type { DeliveryId, EndpointId, EventId } from '../ids.ts'
import { ATTEMPT_REASONS } from '../sending/reason.ts'
import type { Tenant, Tenants } from '../tenants/tenants.ts'
import type { Choice, FormState } from './fields.tsx'
import { unlessNoTenant } from './forms.ts'

/** Rows of a page: enough to scroll through, few enough for a phone. */
export const PAGE_ROWS = 50

const STATES = ['pending', 'delivering', 'delivered', 'failed', 'held', 'cancelled'] as const
export const STATE_CHOICES: readonly Choice[] = [
  ['', 'Any'],
  ...STATES.map((state): Choice => [state, state]),
]
export const CLASS_CHOICES: readonly Choice[] = [
  ['', 'Any'],
  ['2', '2xx'],
  ['3', '3xx'],
  ['4', '4xx'],
  ['5', '5xx'],
]
export const REASON_CHOICES: readonly Choice[] = [
  ['', 'Any'],
  ...ATTEMPT_REASONS.map((reason): Choice => [reason, labelOf(reason)]),
]

const UUID = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i
const TYPE = /^[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)*(?:\.\*)?$/

const id = <Id extends string>(mistake: string) =>
  z
    .string()
    .regex(UUID, mistake)
    .transform((text) => text.toLowerCase() as Id)
    .optional()

/** As `<input type="datetime-local">` writes it; in UTC, so that an address means one time to everybody. */
const time = z
  .string()
  .regex(/^\d{4}-\d\d-\d\dT\d\d:\d\d(?::\d\d)?$/, 'This is not a time such as 2026-01-31T09:30.')
  .transform((text) => new Date(`${text}Z`))
  .refine((at) => !Number.isNaN(at.getTime()), 'There is no such time.')
  .optional()

/** Of every list; each takes those that it has a use for. */
const filters = z.object({
  tenant: z.string().optional(),
  type: z
    .string()
    .max(128)
    .regex(TYPE, 'Write a type such as invoice.paid or invoice.*')
    .optional(),
  endpoint: id<EndpointId>('This is not the id of an endpoint.'),
  event: id<EventId>('This is not the id of an event.'),
  state: z.enum(STATES, { error: 'There is no such state.' }).optional(),
  class: z
    .string()
    .regex(/^[1-5]$/, 'There is no such class.')
    .transform(Number)
    .optional(),
  reason: z.enum(ATTEMPT_REASONS, { error: 'There is no such reason.' }).optional(),
  since: time,
  until: time,
  search: z.string().max(500, 'This is too long.').optional(),
  before: id<DeliveryId & EventId>('This is no place in the list.'),
})

export type Filters = z.output<typeof filters> & { tenantRow: Tenant | undefined }

/**
 * What the address asks for, and the form that says so. `filters` is null where something cannot be meant;
 * the form then says what.
 */
export async function readFilters(
  c: Context,
  tenants: Pick<Tenants, 'get'>,
): Promise<{ form: FormState; filters: Filters | null }> {
  const prefix = 'filter'
  const values = Object.fromEntries(
    Object.entries(c.req.query())
      .map(([name, value]): [string, string] => [name, value.trim()])
      .filter(([, value]) => value !== ''),
  )
  const parsed = filters.safeParse(values)
  if (!parsed.success) {
    const mistakes = Object.fromEntries(
      parsed.error.issues.map(({ path, message }) => [String(path[0]), message]),
    )
    return { form: { values, mistakes, prefix }, filters: null }
  }
  const { tenant } = parsed.data
  const found = tenant === undefined ? undefined : await unlessNoTenant(tenants.get(tenant))
  if (found === null) {
    const mistakes = { tenant: 'There is no such tenant.' }
    return { form: { values, mistakes, prefix }, filters: null }
  }
  return {
    form: { values, mistakes: {}, prefix },
    filters: { ...parsed.data, tenantRow: found },
  }
}
