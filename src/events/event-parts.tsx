import type { Context } from 'hono'
import { HTTPException } from 'hono/http-exception'
import type { Child } from 'hono/jsx'
import { adviceOf } from '../attempts/advice.ts'
import { labelOf, spanOf } from '../attempts/attempt-words.ts'
import { type Column, ColumnMenu, DataTable } from '../console/data-table.tsx'
import { type FormState, TextField } from '../console/fields.tsx'
import { phrase, say, sayAny, sayNumber } from '../console/language.ts'
import type { RenderPage } from '../console/layout.tsx'
import {
  FilterForm,
  ID_COLUMN,
  isFiltered,
  Older,
  SavedViews,
  sortByTime,
  type Views,
} from '../console/list-parts.tsx'
import { Badge, Body, CopyButton, Empty, EndpointName, Facts, Id, Time } from '../console/parts.tsx'
import { isShownWhole } from '../console/shown-text.ts'
import type { Area, PageEnv } from '../console/viewer.ts'
import { type FoundDelivery, nextAttemptAt } from '../deliveries/deliveries.ts'
import { HELD_REASONS } from '../deliveries/delivery.fields.ts'
import {
  EndpointFilter,
  queryOf,
  RangeFilter,
  readFilters,
  StateFilter,
  TenantFilter,
  TimeFilters,
  TypeFilter,
} from '../deliveries/list-filters.tsx'
import type { EventId } from '../ids.ts'
import type { Resource } from '../tenants/resource-pages.ts'
import { TenantLink } from '../tenants/tenant.pages.tsx'
import type { Tenants } from '../tenants/tenants.ts'
import type { Explained } from './event-answer.ts'
import type { Event, Events, FoundEvent } from './events.ts'
import { REASONS, type Route } from './routing.ts'

/** Of console and portal; the services of the portal see the tenant of the link, and no other. */
export interface EventListPages {
  area: Area
  render: RenderPage
  tenants: Pick<Tenants, 'get' | 'reservedIds'>
  lists: { events: Pick<Events, 'search'> }
  /** What is shown where nothing was published yet. */
  teaching: Child
}

export const eventPath = (area: Area): string => `/${area}/events`

/** Answers with the list of events that the address asks for. */
export async function showEvents(c: Context<PageEnv>, pages: EventListPages) {
  const { area, render, tenants, lists, teaching } = pages
  const path = eventPath(area)
  const { form, filters } = await readFilters(c, tenants)
  const page = filters && (await lists.events.search(filters.tenants, queryOf(filters)))
  const columns = columnsOf(area)
  return render(
    c,
    { title: say('Events'), at: path, status: page ? 200 : 422 },
    <>
      <div class="head">
        <h1>{say('Events')}</h1>
        <EventFilters form={form} area={area} />
        <SavedViews name="events" path={path} form={form} views={VIEWS} />
        <ColumnMenu name="events" columns={columns} />
      </div>
      {page && page.rows.length > 0 && (
        <DataTable
          name="events"
          label="Events"
          columns={columns}
          rows={page.rows}
          sorts={{ published: sortByTime(path, form) }}
          hrefOf={({ id }) => `${path}/${id}`}
        />
      )}
      {page?.rows.length === 0 &&
        !page.isCutShort &&
        (isFiltered(form) ? (
          <NoMatch path={path} />
        ) : (
          <Empty title="No events yet">{teaching}</Empty>
        ))}
      {page && <Older path={path} form={form} {...page} />}
    </>,
  )
}

const VIEWS: Views = [
  ['All', {}],
  ['With a failed delivery', { state: 'failed' }],
  ['With an open delivery', { state: 'pending,delivering,held' }],
]

function EventFilters({ form, area }: { form: FormState; area: Area }) {
  return (
    <FilterForm
      action={eventPath(area)}
      form={form}
      moreNames={['type', 'orderingKey', 'endpoint', 'since', 'until']}
      more={
        <>
          <TypeFilter form={form} />
          <TextField form={form} name="orderingKey" label="Ordering key" />
          <EndpointFilter form={form} />
          <TimeFilters form={form} />
        </>
      }
    >
      <TextField
        form={form}
        name="search"
        label="ID, key or text in the data"
        placeholder="ID, key or text in the data"
      />
      {area === 'console' && <TenantFilter form={form} />}
      <StateFilter form={form} label="Delivery state" />
      <RangeFilter form={form} />
    </FilterForm>
  )
}

const NoMatch = ({ path }: { path: string }) => (
  <Empty title="No events match these filters">
    <p>
      {phrase('Widen the filters, or {link}.', {
        link: <a href={path}>{say('show all events')}</a>,
      })}
    </p>
  </Empty>
)

const columnsOf = (area: Area): Column<FoundEvent>[] => [
  { name: 'type', label: 'Event type', kind: 'main', cell: ({ type }) => type },
  ...(area === 'console' ? [TENANT] : []),
  { name: 'deliveries', label: 'Deliveries', cell: HowFar },
  { name: 'data', label: 'Data', kind: 'name', isMinor: true, cell: Preview },
  {
    name: 'key',
    label: 'Idempotency key',
    kind: 'name',
    isMinor: true,
    cell: ({ idempotency_key: key }) => key ?? '',
  },
  { name: 'published', label: 'Published', cell: ({ created_at: at }) => <Time at={at} /> },
  {
    name: 'occurred',
    label: 'Occurred',
    isExtra: true,
    cell: ({ occurred_at: at }) => <Time at={at} />,
  },
  ID_COLUMN,
]

const TENANT: Column<FoundEvent> = {
  name: 'tenant',
  label: 'Tenant',
  kind: 'name',
  cell: ({ tenantKey, tenantName }) => <TenantLink of={tenantKey} name={tenantName} />,
}

/** What tells one event of a type from the next. */
function Preview({ preview }: FoundEvent) {
  if (preview === null) return ''
  const line = preview.replace(/\s+/g, ' ')
  return (
    <code class="preview" title={line}>
      {line}
    </code>
  )
}

function HowFar({ deliveries, delivered, ended, collapsed }: FoundEvent) {
  if (deliveries === 0) return <span class="muted">{say('no subscription')}</span>
  const open = deliveries - delivered - ended - collapsed
  return (
    <>
      {delivered > 0 && (
        <Badge of="delivered" label={say('{count} delivered', { count: delivered })} />
      )}{' '}
      {open > 0 && <Badge of="pending" label={say('{count} open', { count: open })} />}{' '}
      {ended > 0 && (
        <Badge of="failed" label={say('{count} failed or cancelled', { count: ended })} />
      )}{' '}
      {collapsed > 0 && (
        <Badge of="collapsed" label={say('{count} collapsed', { count: collapsed })} />
      )}
    </>
  )
}

/** @param props.tenantKey where it says whose the event is */
export function EventFacts({ event, tenantKey }: { event: Event; tenantKey?: string }) {
  const traceId = tenantKey === undefined ? null : traceIdOf(event)
  return (
    <Facts
      of={[
        ['Event (webhook-id)', <Id of={event.id} />],
        ['Type', event.type],
        ...(tenantKey === undefined ? [] : [['Tenant', <TenantLink of={tenantKey} />] as const]),
        ['Idempotency key', event.idempotency_key ?? '–'],
        ['Ordering key', event.ordering_key],
        ['Trace', traceId !== null && <Id of={traceId} />],
        ['Happened', <Time at={event.occurred_at} />],
        ['Published', <Time at={event.created_at} />],
        ['Not before', <Time at={event.deliver_at} />],
        ...(event.channels ? [['Channels', event.channels.join(' ')] as const] : []),
      ]}
    />
  )
}

/** Of the trace of the producer (`00-<trace>-<span>-<flags>`), for operators. */
const traceIdOf = ({ traceparent }: Event): string | null => traceparent?.split('-')[1] ?? null

interface Went {
  endpoint: { url: string; description: string }
  /** The delivery, or the endpoint where there is none. */
  href: string
  delivery: FoundDelivery | null
  /** Null where it was sent. */
  notSent: Route | null
}

/** A line for each endpoint: what came of it and why, and what happens next. */
export function WhereItWent(props: {
  area: Area
  deliveries: readonly FoundDelivery[]
  notSent: readonly Route[]
}) {
  const { area, deliveries, notSent } = props
  const rows = [
    ...deliveries.toReversed().map(
      (delivery): Went => ({
        ...{ endpoint: delivery, delivery, notSent: null },
        href: `/${area}/deliveries/${delivery.id}`,
      }),
    ),
    ...notSent.map(
      (route): Went => ({
        ...{ endpoint: route, delivery: null, notSent: route },
        href: `/${area}/endpoints/${route.endpointId}`,
      }),
    ),
  ]
  if (rows.length === 0) return null
  return (
    <DataTable
      name="went"
      label="Where it went"
      columns={wentColumns(area)}
      rows={rows}
      hrefOf={({ href }) => href}
    />
  )
}

const wentColumns = (area: Area): Column<Went>[] => [
  {
    name: 'endpoint',
    label: 'Endpoint',
    kind: 'main',
    cell: ({ endpoint: { url, description } }) => (
      <EndpointName url={url} description={description} />
    ),
  },
  {
    name: 'result',
    label: 'Result',
    cell: ({ delivery }) =>
      delivery ? <Badge of={delivery.state} /> : <Badge of="off" label="Not sent" />,
  },
  {
    name: 'why',
    label: 'Reason and next step',
    kind: 'text',
    cell: ({ delivery, notSent }) =>
      delivery ? <Why delivery={delivery} area={area} /> : notSent && <WhyNot {...notSent} />,
  },
]

function WhyNot({ reason, changedSince }: Route) {
  const words = reason === null ? '' : sayAny(REASONS[reason])
  return (
    <>
      {words && `${words.charAt(0).toUpperCase()}${words.slice(1)}. `}
      {changedSince && <span class="muted">{say('The endpoint has changed since.')}</span>}
    </>
  )
}

type InProgress = Explained &
  Pick<FoundDelivery, 'endpoint_id'> &
  Parameters<typeof nextAttemptAt>[0]

/** Why it is in its state, when it is tried next, and what its receiver can do. */
export function Why({ delivery, area }: { delivery: InProgress; area: Area }) {
  const { state, attempt_count: tries, held_reason: held, lastReason, lastStatusCode } = delivery
  const next = state === 'pending' ? nextAttemptAt(delivery) : null
  const newer = delivery.collapsed_by
  const advice = adviceOf({ reason: lastReason, statusCode: lastStatusCode })
  return (
    <>
      {tries > 0 && <>{lastOf(delivery)}. </>}
      {held !== null && `${sayAny(HELD_REASONS[held])} `}
      {held === 'order' && <KeysLink area={area} endpointId={delivery.endpoint_id} />}
      {newer !== null &&
        phrase(
          'The endpoint gets only the newest event of an ordering key: {link} replaced this one.',
          {
            link: <a href={`${eventPath(area)}/${newer}`}>{say('a newer event')}</a>,
          },
        )}
      {next && phrase('Next attempt {time}', { time: <Time at={next} /> })}{' '}
      {area === 'portal' && state !== 'delivered' && advice && (
        <span class="muted">{sayAny(advice)}</span>
      )}
    </>
  )
}

/** Where the event that has its turn can be retried or skipped. */
export function KeysLink({ area, endpointId }: { area: Area; endpointId: string }) {
  return (
    <>
      <a href={`/${area}/endpoints/${endpointId}/keys`}>{say('Ordering keys')}</a>{' '}
    </>
  )
}

/** Such as “HTTP 503 in 72 ms, attempt 2”. */
function lastOf({ lastStatusCode, lastReason, lastMs, attempt_count: tries }: Explained): string {
  const words =
    lastStatusCode !== null
      ? `HTTP ${lastStatusCode}`
      : lastReason === null
        ? say('In progress')
        : sayAny(labelOf(lastReason))
  const span = lastMs === null ? '' : ` ${say('in {span}', { span: spanOf(lastMs) })}`
  return `${words}${span}, ${say('attempt {number}', { number: sayNumber(tries) })}`
}

/** Said where somebody asked for it to be forgotten. */
export const ERASED = 'The data of this event was erased'

/** Answers with JSON of an event to be kept, byte for byte; with 410 where it was erased. */
export function jsonFile(c: Context, name: string, text: string | null): Response {
  if (text === null) throw new HTTPException(410, { message: `${ERASED}.` })
  return c.body(text, 200, {
    'content-type': 'application/json; charset=utf-8',
    'content-disposition': `attachment; filename="${name}"`,
  })
}

export function Data({ of: data, path }: { of: string | null; path: string }) {
  if (data === null) return <p>{sayAny(ERASED)}.</p>
  const file = `${path}/data.json`
  return (
    <>
      <p>
        {isShownWhole(data) && <CopyButton text={data} what="the data" />}{' '}
        <a href={file}>data.json</a>
      </p>
      <Body of={data} label="Data" whole={file} />
    </>
  )
}

export async function sendData(
  c: Context<PageEnv>,
  { id, tenant }: Resource<EventId>,
  { events }: { events: Pick<Events, 'dataOf'> },
) {
  return jsonFile(c, 'data.json', await events.dataOf(tenant.id, id))
}
