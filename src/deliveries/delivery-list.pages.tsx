import type { Context, Hono } from 'hono'
import type { AttemptRates, createAttemptRates } from '../attempts/attempt-rates.ts'
import { labelOf, spanOf } from '../attempts/attempt-words.ts'
import { Chart } from '../console/chart.tsx'
import { type Column, ColumnMenu, DataTable, type Sort } from '../console/data-table.tsx'
import { type FormState, TextField } from '../console/fields.tsx'
import { urlWith } from '../console/forms.ts'
import { Icon } from '../console/icons.tsx'
import { phrase, say, sayAny, type Text } from '../console/language.ts'
import type { RenderPage } from '../console/layout.tsx'
import {
  FilterForm,
  ID_COLUMN,
  isFiltered,
  Older,
  SavedViews,
  sortBy,
  sortByTime,
  type Views,
} from '../console/list-parts.tsx'
import { Badge, Command, Empty, EndpointName, stateLabel, Time } from '../console/parts.tsx'
import type { Area, PageEnv } from '../console/viewer.ts'
import type { DeliveryId } from '../ids.ts'
import type { HeldReason } from '../postgres/schema.ts'
import { BULK_ACTIONS } from '../replays/bulk.ts'
import { ACTION_LABELS, BulkBar, SelectBox } from '../replays/bulk-bar.tsx'
import { oneOf } from '../tenants/listed-tenants.ts'
import { TenantLink } from '../tenants/tenant.pages.tsx'
import type { Tenants } from '../tenants/tenants.ts'
import { type Deliveries, type FoundDelivery, nextAttemptAt } from './deliveries.ts'
import {
  ClassFilter,
  EndpointFilter,
  type Filters,
  queryOf,
  RangeFilter,
  ReasonFilter,
  readFilters,
  StateFilter,
  TenantFilter,
  TimeFilters,
  TypeFilter,
} from './list-filters.tsx'

export interface DeliveryListPages {
  area: Area
  render: RenderPage
  tenants: Pick<Tenants, 'get' | 'reservedIds'>
  /** Of every tenant, but in the portal. */
  lists: { deliveries: Pick<Deliveries, 'search'> }
  ratesOf: ReturnType<typeof createAttemptRates>
}

export function addDeliveriesPage(app: Hono<PageEnv>, pages: DeliveryListPages): void {
  app.get('/deliveries', (c) => showList(c, pages))
}

async function showList(c: Context<PageEnv>, pages: DeliveryListPages) {
  const { area, render, tenants, lists } = pages
  const path = `/${area}/deliveries`
  const { form, filters } = await readFilters(c, tenants, ORDERS[area])
  const query = filters && queryOf<DeliveryId, 'next'>(filters)
  const page = query && (await lists.deliveries.search(query.tenants, query))
  const mayAct = area === 'console' && c.get('viewer').may('manage')
  const timeline = filters && (await timelineOf(c, filters, pages))
  return render(
    c,
    { title: 'Deliveries', at: path, status: page ? 200 : 422, hasCharts: timeline !== null },
    <>
      <div class="head">
        <h1>{say('Deliveries')}</h1>
        <ListFilters form={form} area={area} path={path} />
        <TimelineLink path={path} form={form} />
        <SavedViews name="deliveries" path={path} form={form} views={VIEWS[area]} />
        <ColumnMenu name="deliveries" columns={columnsOf(area, form)} />
      </div>
      {timeline && <Timeline {...timeline} path={path} form={form} />}
      {page && page.rows.length > 0 && (
        <>
          {mayAct && <DeliveryBulkBar form={form} since={filters.since} />}
          <DeliveryTable
            deliveries={page.rows}
            sorts={sortsOf({ form, area, path })}
            form={form}
            area={area}
            isSelectable={mayAct}
          />
        </>
      )}
      {page?.rows.length === 0 && (
        <Nothing form={form} area={area} path={path} isCutShort={page.isCutShort} />
      )}
      {page && <Older path={path} form={form} {...page} />}
    </>,
  )
}

/**
 * What it can be ordered by next to time. In the scope of a tenant Postgres would read what is open of all tenants, up to
 * the last row that is shown: the index has no tenant in it (measured: 1.1 s for 21 rows next to 300,000 of another).
 */
const ORDERS = { console: ['next'], portal: [] } as const satisfies Record<Area, readonly string[]>

const sortsOf = ({ form, area, path }: Listing): Readonly<Record<string, Sort>> => ({
  created: sortByTime(path, form),
  ...Object.fromEntries(ORDERS[area].map((name) => [name, sortBy(name, path, form)])),
})

const OF_BOTH: Views = [
  ['All', {}],
  ['Failed in 24 hours', { state: 'failed', last: '24h' }],
  ['On hold', { state: 'held' }],
  ['Open', { state: 'pending,delivering,held' }],
]
const VIEWS: Record<Area, Views> = {
  console: [...OF_BOTH, ['Next attempts', { state: 'pending', sort: 'next' }]],
  portal: OF_BOTH,
}

const TIMELINE = { minutes: 1_440, stepMinutes: 30 }

/** Of the tenant and endpoint that are asked for, where the address asks for it. */
async function timelineOf(
  c: Context<PageEnv>,
  { tenants, endpointId }: Filters,
  { ratesOf }: DeliveryListPages,
): Promise<AttemptRates | null> {
  if (c.req.query('timeline') !== 'on') return null
  const tenantId = oneOf(tenants)
  return await ratesOf({
    ...TIMELINE,
    of: tenantId === null ? undefined : { tenantId, endpointId },
  })
}

/** The rows get the room, unless somebody asks for the histogram. */
function TimelineLink({ path, form: { values } }: { path: string; form: FormState }) {
  const isOn = values['timeline'] === 'on'
  const href = urlWith(path, { ...values, timeline: isOn ? undefined : 'on' })
  return (
    <a
      class="button quiet"
      href={href}
      title={say('Timeline')}
      aria-current={isOn ? 'true' : undefined}
    >
      <Icon of="chart" />
      <span class="hidden">{say('Timeline')}</span>
    </a>
  )
}

const OF_ANY_TIME = { last: undefined, before: undefined, newer: undefined, after: undefined }

function Timeline(props: AttemptRates & { path: string; form: FormState }) {
  const { steps, path, form } = props
  return (
    <Chart
      id="timeline"
      title="Attempts in the last 24 hours"
      kind="bars"
      at={steps.map(({ at }) => at)}
      series={[
        { label: 'Delivered', tone: 'good', values: steps.map(({ delivered }) => delivered) },
        { label: 'Failed', tone: 'bad', values: steps.map(({ failed }) => failed) },
      ]}
      rangeHref={urlWith(path, { ...form.values, ...OF_ANY_TIME })}
      isLow
    />
  )
}

const isByNextAttempt = ({ values }: FormState): boolean =>
  values['sort']?.endsWith('next') ?? false

interface Listing {
  form: FormState
  area: Area
  path: string
}

const MORE = ['type', 'endpoint', 'class', 'reason', 'since', 'until']

function ListFilters({ form, area, path }: Listing) {
  return (
    <FilterForm
      action={path}
      form={form}
      moreNames={MORE}
      more={
        <>
          <TypeFilter form={form} />
          <EndpointFilter form={form} />
          <ClassFilter form={form} />
          <ReasonFilter form={form} />
          <TimeFilters form={form} />
        </>
      }
    >
      <TextField
        form={form}
        name="search"
        label="ID or idempotency key"
        placeholder="ID or idempotency key"
      />
      {area === 'console' && <TenantFilter form={form} />}
      <StateFilter form={form} />
      <RangeFilter form={form} />
    </FilterForm>
  )
}

function Nothing({ form, area, path, isCutShort }: Listing & { isCutShort: boolean }) {
  if (isCutShort) return <p>{say('Nothing so far.')}</p>
  if (isFiltered(form) || isByNextAttempt(form)) {
    return (
      <Empty title="No deliveries match these filters">
        <p>
          {phrase('Widen the filters, or {link}.', {
            link: <a href={path}>{say('show all deliveries')}</a>,
          })}
          {isByNextAttempt(form) &&
            ` ${say('Only pending deliveries are listed by their next attempt.')}`}
          {area === 'console' && ' To find an idempotency key, choose its tenant too.'}
        </p>
      </Empty>
    )
  }
  if (area === 'portal') {
    return (
      <Empty title="No deliveries yet">
        <p>
          {phrase(
            'Deliveries appear here when an event matches one of your endpoints. To see the first, open one of {link} and send a test event.',
            { link: <a href="/portal/endpoints">{say('your endpoints')}</a> },
          )}
        </p>
      </Empty>
    )
  }
  return (
    <Empty title="No deliveries yet">
      <p>
        Deliveries appear here when an event matches an endpoint. Publish an event from a shell:
      </p>
      <Command>{`scripts/postrider publish default invoice.paid '{"id": 1}'`}</Command>
    </Empty>
  )
}

/** Acts on the selected rows, or on all that match the filters; the filters go along, a range by the time it began at. */
function DeliveryBulkBar({ form, since }: { form: FormState; since: Date | undefined }) {
  const { last: _, ...others } = form.values
  const filters = {
    ...others,
    // Only what is pending has a next attempt to be listed by.
    ...(isByNextAttempt(form) && { state: 'pending' }),
    ...(since && { since: since.toISOString().slice(0, 19) }),
  }
  return (
    <BulkBar action="/console/deliveries/bulk" label="Selected deliveries" filters={filters}>
      {BULK_ACTIONS.map((action) => (
        <button type="submit" name="action" value={action}>
          {ACTION_LABELS[action]}
        </button>
      ))}
      <label class="check">
        <input type="checkbox" name="all" value="yes" /> All that match the filters
      </label>
    </BulkBar>
  )
}

const SELECT: Column<FoundDelivery> = {
  name: 'select',
  label: 'Select',
  cell: ({ id, tenantKey, eventType }) => (
    <SelectBox
      name={`d.${id}`}
      tenantKey={tenantKey}
      label={`${eventType ?? 'delivery'} …${id.slice(-6)}`}
    />
  ),
}

const columnsOf = (area: Area, form: FormState): Column<FoundDelivery>[] => [
  { name: 'type', label: 'Event type', kind: 'main', cell: TypeCell },
  { name: 'state', label: 'State', cell: StateCell },
  ...(area === 'console'
    ? [{ name: 'tenant', label: 'Tenant', kind: 'name', cell: TenantCell } as Column<FoundDelivery>]
    : []),
  {
    name: 'endpoint',
    label: 'Endpoint',
    kind: 'name',
    cell: (row) => <EndpointCell row={row} area={area} />,
  },
  { name: 'result', label: 'Result', cell: LastAttempt },
  {
    name: 'tries',
    label: 'Tries',
    kind: 'number',
    isMinor: true,
    cell: ({ attempt_count: tries }) => tries,
  },
  { name: 'created', label: 'Created', cell: ({ created_at: at }) => <Time at={at} /> },
  {
    name: 'next',
    label: 'Next attempt',
    isExtra: !isByNextAttempt(form),
    cell: isByNextAttempt(form) ? PlaceInOrder : NextAttempt,
  },
  {
    name: 'finished',
    label: 'Finished',
    isExtra: true,
    cell: ({ finished_at: at }) => <Time at={at} />,
  },
  ID_COLUMN,
]

interface DeliveryTableProps {
  deliveries: readonly FoundDelivery[]
  sorts: Readonly<Record<string, Sort>>
  form: FormState
  area?: Area
  isSelectable?: boolean
}

function DeliveryTable(props: DeliveryTableProps) {
  const { deliveries, sorts, form, area = 'console', isSelectable = false } = props
  return (
    <DataTable
      name="deliveries"
      label="Deliveries"
      columns={[...(isSelectable ? [SELECT] : []), ...columnsOf(area, form)]}
      rows={deliveries}
      sorts={sorts}
      hrefOf={({ id }) => `/${area}/deliveries/${id}`}
    />
  )
}

const TypeCell = ({ eventType }: FoundDelivery) =>
  eventType ?? <span class="muted">{say('event deleted')}</span>

const StateCell = ({ state, held_reason: reason }: FoundDelivery) => (
  <>
    <Badge of={state} /> {reason && <span class="muted aside">{say(WHY_HELD[reason])}</span>}
  </>
)

/** Beside “On hold”; the page of the delivery has the sentence. */
const WHY_HELD: Record<HeldReason, Text> = {
  disabled: 'disabled',
  paused: 'paused',
  suspended: 'suspended',
  secret: 'secret unreadable',
  circuit: 'backing off',
  order: 'in order',
}

const NextAttempt = (row: FoundDelivery) => (
  <Time at={row.finished_at ? null : nextAttemptAt(row)} />
)

/** What the list is sorted by: when an attempt is due, beside the time that a limit has put it off to. */
function PlaceInOrder(row: FoundDelivery) {
  const [due, next] = [row.next_attempt_at, nextAttemptAt(row)]
  return (
    <>
      <Time at={due} />{' '}
      {next !== due && (
        <span class="muted">
          put off: <Time at={next} />
        </span>
      )}
    </>
  )
}

const TenantCell = ({ tenantKey, tenantName }: FoundDelivery) => (
  <TenantLink of={tenantKey} name={tenantName} />
)

const EndpointCell = ({ row, area }: { row: FoundDelivery; area: Area }) => (
  <EndpointName {...row} href={`/${area}/endpoints/${row.endpoint_id}`} />
)

function LastAttempt({ lastOutcome, lastStatusCode, lastMs, lastReason }: FoundDelivery) {
  if (lastOutcome === null) return <span class="muted">{say('No attempt yet')}</span>
  const what =
    lastStatusCode ?? sayAny(lastReason === null ? stateLabel(lastOutcome) : labelOf(lastReason))
  return (
    <>
      {what}{' '}
      {lastMs !== null && (
        <span class="muted aside">{say('in {span}', { span: spanOf(lastMs) })}</span>
      )}
    </>
  )
}
