import type { Context } from 'hono'
import { z } from 'zod'
import { CLASS_CHOICES, labelOf } from '../attempts/attempt-words.ts'
import {
  type Choice,
  ChoicesField,
  type FormState,
  SelectField,
  SuggestingField,
  TextField,
} from '../console/fields.tsx'
import { unlessNoTenant } from '../console/forms.ts'
import { PAGE_ROWS } from '../console/list-parts.tsx'
import { stateLabel } from '../console/parts.tsx'
import type { PageEnv } from '../console/viewer.ts'
import { endpointId, eventId } from '../ids.ts'
import { OUTCOMES } from '../sending/outcome.ts'
import { ATTEMPT_REASONS } from '../sending/reason.ts'
import type { ListedTenants } from '../tenants/listed-tenants.ts'
import { listedBy } from '../tenants/tenant-access.ts'
import type { Tenants } from '../tenants/tenants.ts'

const STATES = [
  ...(['pending', 'delivering', 'delivered', 'failed', 'held', 'cancelled', 'collapsed'] as const),
] as const
const STATE_CHOICES = STATES.map((state): Choice => [state, stateLabel(state)])
/** What an endpoint is, and how it fares. */
export const ENDPOINT_STATES = ['active', 'failing', 'paused', 'disabled'] as const
const ENDS = OUTCOMES.filter((outcome) => outcome !== 'started')
export const OUTCOME_CHOICES: readonly Choice[] = [
  ['', 'Any outcome'],
  ...ENDS.map((word): Choice => [word, stateLabel(word)]),
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
  .regex(
    /^\d{4}-\d\d-\d\dT\d\d:\d\d(?::\d\d)?$/,
    'Invalid time. Use a time such as 2026-01-31T09:30.',
  )
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

/** The last row of the page before in a list that is not ordered by time: a key, or a time with an id. */
const PLACE = /^[A-Za-z0-9._:~-]{1,128}$/
const NO_PLACE = 'Invalid cursor. Open the first page.'

/** Of every list; each takes those that it has a use for. */
const filters = z.object({
  tenant: z.string().optional(),
  type: z
    .string()
    .max(128)
    .regex(TYPE, 'Write a type such as invoice.paid or invoice.*')
    .optional(),
  endpoint: id(endpointId, 'Invalid endpoint ID.'),
  event: id(eventId, 'Invalid event ID.'),
  state: z
    .string()
    .transform((text) => [...new Set(text.split(','))])
    .pipe(z.array(z.enum(STATES, { error: 'Unknown state.' })))
    .optional(),
  is: z.enum(ENDPOINT_STATES, { error: 'Unknown state.' }).optional(),
  outcome: z.enum(ENDS, { error: 'Unknown outcome.' }).optional(),
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
  orderingKey: z.string().max(255, 'This is too long.').optional(),
  search: z.string().max(500, 'This is too long.').optional(),
  sort: z
    .string()
    .regex(/^(?:oldest|-?(?:key|next))$/, 'Unknown order.')
    .optional(),
  before: id(z.guid().toLowerCase(), NO_PLACE),
  newer: id(z.guid().toLowerCase(), NO_PLACE),
  after: z.string().regex(PLACE, NO_PLACE).optional(),
})

type Asked = z.output<typeof filters>
type Place = 'sort' | 'before' | 'newer' | 'after'

/** What a list can be ordered by next to the time of its rows, where an index leads to it. */
export type OrderedBy = 'key' | 'next'

export interface Filters extends Omit<Asked, 'tenant' | 'last' | 'endpoint' | 'event' | 'class'> {
  /** Those that are asked for, of those that the viewer sees. */
  tenants: ListedTenants
  endpointId: Asked['endpoint']
  eventId: Asked['event']
  statusClass: Asked['class']
}

/** As lists take it; `before` is the last row of the page before, whatever the list is of and how it is ordered. */
export function queryOf<Id extends string, By extends OrderedBy = never>(
  filters: Filters,
  limit = PAGE_ROWS,
) {
  return { ...filters, ...placeOf<Id, By>(filters), limit }
}

const places = filters.pick({ sort: true, before: true, newer: true, after: true })

/** Part of a list, as its service takes it. */
interface PlaceInList<Id extends string, By extends OrderedBy> {
  before: Id | null
  isOldestFirst: boolean
  /** By time where it is undefined. */
  by: By | undefined
}

/**
 * The part of a list without filters that the address asks for; null where it cannot be meant.
 *
 * @param orders that the list has next to that by time
 */
export function readPlace<Id extends string, By extends OrderedBy = never>(
  c: Context<PageEnv>,
  orders: readonly By[] = [],
): { form: FormState; place: PlaceInList<Id, By> | null } {
  const values = valuesIn(c)
  const { data, error } = places.safeParse(values)
  const mistakes = data ? unknownOrder(data, orders) : mistakesOf(error)
  if (!data || mistakes) return { form: { values, mistakes: mistakes ?? {} }, place: null }
  return { form: { values, mistakes: {} }, place: placeOf<Id, By>(data) }
}

/** A list is not silently in another order than its address says. */
const unknownOrder = ({ sort }: Pick<Asked, 'sort'>, orders: readonly OrderedBy[]) =>
  sort === undefined || sort === 'oldest' || orders.some((by) => sort === by || sort === `-${by}`)
    ? null
    : { sort: 'Unknown order.' }

function placeOf<Id extends string, By extends OrderedBy>(
  asked: Pick<Asked, Place>,
): PlaceInList<Id, By> {
  const { sort = 'newest', before, newer, after } = asked
  if (sort === 'newest')
    return { before: (before ?? null) as Id | null, isOldestFirst: false, by: undefined }
  if (sort === 'oldest')
    return { before: (newer ?? null) as Id | null, isOldestFirst: true, by: undefined }
  const isOldestFirst = !sort.startsWith('-')
  return { before: (after ?? null) as Id | null, isOldestFirst, by: sort.replace('-', '') as By }
}

const mistakesOf = ({ issues }: z.ZodError): Record<string, string> =>
  Object.fromEntries(issues.map(({ path, message }) => [path[0], message]))

/** Boxes that are checked come one by one, in an address that somebody was sent with commas between. */
function valuesIn(c: Context<PageEnv>): Record<string, string> {
  const given = Object.entries(c.req.queries()).map(([name, all]): [string, string] => [
    name,
    (name === 'state' ? all.filter(Boolean).join(',') : (all[0] ?? '')).trim(),
  ])
  return Object.fromEntries(given.filter(([, value]) => value !== ''))
}

/**
 * What the address asks for, and the form that says so. `filters` is null where something cannot be meant;
 * the form then says what.
 */
export async function readFilters(
  c: Context<PageEnv>,
  tenants: Pick<Tenants, 'get' | 'reservedIds'>,
  orders: readonly OrderedBy[] = [],
): Promise<{ form: FormState; filters: Filters | null }> {
  const prefix = 'filter'
  const values = valuesIn(c)
  const refuse = (mistakes: Record<string, string>) => ({
    form: { values, mistakes, prefix },
    filters: null,
  })
  const parsed = filters.safeParse(values)
  if (!parsed.success) return refuse(mistakesOf(parsed.error))
  const noOrder = unknownOrder(parsed.data, orders)
  if (noOrder) return refuse(noOrder)
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
  <SuggestingField form={form} name="tenant" label="Tenant" of="tenants" />
)
export const TypeFilter = ({ form }: { form: FormState }) => (
  <SuggestingField form={form} name="type" label="Event type" of="types" />
)
export const EndpointFilter = ({ form }: { form: FormState }) => (
  <SuggestingField form={form} name="endpoint" label="Endpoint" of="endpoints" />
)
export const StateFilter = ({ form, label = 'State' }: { form: FormState; label?: string }) => (
  <ChoicesField form={form} name="state" label={label} choices={STATE_CHOICES} />
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
