import type { Context } from 'hono'
import { z } from 'zod'
import { CLASS_CHOICES, labelOf } from '../attempts/attempt-words.ts'
import { type Choice, type FormState, SelectField, TextField } from '../console/fields.tsx'
import { unlessNoTenant } from '../console/forms.ts'
import { PAGE_ROWS } from '../console/list-parts.tsx'
import { stateLabel } from '../console/parts.tsx'
import type { PageEnv } from '../console/viewer.ts'
import { endpointId, eventId } from '../ids.ts'
import { ATTEMPT_REASONS } from '../sending/reason.ts'
import type { ListedTenants } from '../tenants/listed-tenants.ts'
import { listedBy } from '../tenants/tenant-access.ts'
import type { Tenants } from '../tenants/tenants.ts'

const STATES = ['pending', 'delivering', 'delivered', 'failed', 'held', 'cancelled'] as const
const STATE_CHOICES: readonly Choice[] = [
  ['', 'Any state'],
  ...STATES.map((state): Choice => [state, stateLabel(state)]),
]
const REASON_CHOICES: readonly Choice[] = [
  ['', 'Any reason'],
  ...ATTEMPT_REASONS.map((reason): Choice => [reason, labelOf(reason)]),
]

const TYPE = /^[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)*(?:\.\*)?$/

const id = <Id extends string>(schema: z.ZodType<Id, string>, mistake: string) =>
  z
    .string()
    .transform((text, context) => {
      const { data } = schema.safeParse(text)
      if (data !== undefined) return data
      context.addIssue(mistake)
      return z.NEVER
    })
    .optional()

/** As `<input type="datetime-local">` writes it; in UTC, so that an address means one time to everybody. */
const time = z
  .string()
  .regex(/^\d{4}-\d\d-\d\dT\d\d:\d\d(?::\d\d)?$/, 'This is not a time such as 2026-01-31T09:30.')
  .transform((text) => new Date(`${text}Z`))
  .refine((at) => !Number.isNaN(at.getTime()), 'Invalid time.')
  .optional()

/** Back from now, in minutes. */
const RANGES = { '15m': 15, '1h': 60, '24h': 1_440, '7d': 10_080 } as const
const RANGE_CHOICES: readonly Choice[] = [
  ['', 'Any time'],
  ['15m', 'Last 15 minutes'],
  ['1h', 'Last hour'],
  ['24h', 'Last 24 hours'],
  ['7d', 'Last 7 days'],
]

/** A time that is named goes before one that is counted back from now. */
const sinceOf = ({ since, last }: Pick<Asked, 'since' | 'last'>): Date | undefined =>
  since ?? (last && new Date(Date.now() - RANGES[last] * 60_000))

/** Of every list; each takes those that it has a use for. */
const filters = z.object({
  tenant: z.string().optional(),
  type: z
    .string()
    .max(128)
    .regex(TYPE, 'Write a type such as invoice.paid or invoice.*')
    .optional(),
  endpoint: id(endpointId, 'This is not the id of an endpoint.'),
  event: id(eventId, 'This is not the id of an event.'),
  state: z.enum(STATES, { error: 'Unknown state.' }).optional(),
  class: z
    .string()
    .regex(/^[1-5]$/, 'Unknown status class.')
    .transform(Number)
    .optional(),
  reason: z.enum(ATTEMPT_REASONS, { error: 'Unknown reason.' }).optional(),
  last: z
    .enum(Object.keys(RANGES) as (keyof typeof RANGES)[], { error: 'Unknown range.' })
    .optional(),
  since: time,
  until: time,
  search: z.string().max(500, 'This is too long.').optional(),
  before: id(z.guid().toLowerCase(), 'This is no place in the list.'),
})

type Asked = z.output<typeof filters>

export interface Filters extends Omit<Asked, 'tenant' | 'last' | 'endpoint' | 'event' | 'class'> {
  /** Those that are asked for, of those that the viewer sees. */
  tenants: ListedTenants
  endpointId: Asked['endpoint']
  eventId: Asked['event']
  statusClass: Asked['class']
}

/** As lists take it; `before` is the last row of the page before, whatever the list is of. */
export const queryOf = <Id extends string>(filters: Filters, limit = PAGE_ROWS) => ({
  ...filters,
  before: (filters.before ?? null) as Id | null,
  limit,
})

/**
 * What the address asks for, and the form that says so. `filters` is null where something cannot be meant;
 * the form then says what.
 */
export async function readFilters(
  c: Context<PageEnv>,
  tenants: Pick<Tenants, 'get' | 'reservedIds'>,
): Promise<{ form: FormState; filters: Filters | null }> {
  const prefix = 'filter'
  const values = Object.fromEntries(
    Object.entries(c.req.query())
      .map(([name, value]): [string, string] => [name, value.trim()])
      .filter(([, value]) => value !== ''),
  )
  const refuse = (mistakes: Record<string, string>) => ({
    form: { values, mistakes, prefix },
    filters: null,
  })
  const parsed = filters.safeParse(values)
  if (!parsed.success) {
    return refuse(
      Object.fromEntries(parsed.error.issues.map(({ path, message }) => [path[0], message])),
    )
  }
  const {
    tenant,
    endpoint: endpointId,
    event: eventId,
    class: statusClass,
    last,
    ...others
  } = parsed.data
  const { caller } = c.get('viewer')
  const listed = await unlessNoTenant(listedBy(caller, tenants, tenant))
  if (listed === null) return refuse({ tenant: 'Tenant not found.' })
  return {
    form: { values, mistakes: {}, prefix },
    filters: {
      ...others,
      since: sinceOf({ since: others.since, last }),
      endpointId,
      eventId,
      statusClass,
      tenants: listed,
    },
  }
}

export const TenantFilter = ({ form }: { form: FormState }) => (
  <TextField form={form} name="tenant" label="Tenant" placeholder="Tenant" />
)
export const TypeFilter = ({ form }: { form: FormState }) => (
  <TextField form={form} name="type" label="Event type" placeholder="Event type" />
)
export const EndpointFilter = ({ form }: { form: FormState }) => (
  <TextField form={form} name="endpoint" label="Endpoint" placeholder="Endpoint" />
)
export const StateFilter = ({ form, label = 'State' }: { form: FormState; label?: string }) => (
  <SelectField form={form} name="state" label={label} choices={STATE_CHOICES} />
)
export const ClassFilter = ({ form }: { form: FormState }) => (
  <SelectField form={form} name="class" label="Last response" choices={CLASS_CHOICES} />
)
export const ReasonFilter = ({ form }: { form: FormState }) => (
  <SelectField form={form} name="reason" label="Reason" choices={REASON_CHOICES} />
)
export const RangeFilter = ({ form }: { form: FormState }) => (
  <SelectField form={form} name="last" label="Time range" choices={RANGE_CHOICES} />
)
export const TimeFilters = ({ form }: { form: FormState }) => (
  <>
    <TextField form={form} name="since" label="From (UTC)" type="datetime-local" isUtc />
    <TextField form={form} name="until" label="Before (UTC)" type="datetime-local" isUtc />
  </>
)
