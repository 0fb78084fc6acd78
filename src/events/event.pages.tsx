import type { Context, Hono } from 'hono'
import { HTTPException } from 'hono/http-exception'
import { type Column, ColumnMenu, DataTable } from '../console/data-table.tsx'
import { type FormState, TextField } from '../console/fields.tsx'
import { say, sayAny } from '../console/language.ts'
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
import {
  Badge,
  Body,
  Command,
  Confirm,
  CopyButton,
  Empty,
  EndpointName,
  Facts,
  Id,
  Notice,
  Raw,
  Time,
} from '../console/parts.tsx'
import { isShownWhole, SHOWN_CHARACTERS_MAX, shownText } from '../console/shown-text.ts'
import { type PageEnv, viewerWith } from '../console/viewer.ts'
import type { Deliveries, Delivery } from '../deliveries/deliveries.ts'
import {
  EndpointFilter,
  queryOf,
  readFilters,
  StateFilter,
  TenantFilter,
  TimeFilters,
  TypeFilter,
} from '../deliveries/list-filters.tsx'
import type { EventId } from '../ids.ts'
import { PortalLinkButton } from '../portal-links/portal-link.pages.tsx'
import type { Resource, ResourcePages } from '../tenants/resource-pages.ts'
import { TenantLink } from '../tenants/tenant.pages.tsx'
import type { Tenants } from '../tenants/tenants.ts'
import { explainEvent } from './event-answer.ts'
import type { Event, Events, FoundEvent } from './events.ts'
import type { RevealEvent } from './reveal-event.ts'
import { REASONS, type Route, type Routing } from './routing.ts'

const PATH = '/console/events'

/** Services work within the scope of the tenant that the event belongs to. */
export interface EventPages {
  render: RenderPage
  tenants: Pick<Tenants, 'get' | 'reservedIds'>
  resources: Pick<ResourcePages, 'events'>
  events: Pick<Events, 'find' | 'dataOf'>
  deliveries: Pick<Deliveries, 'search'>
  routing: Pick<Routing, 'explain'>
  revealEvent: RevealEvent
  /** Of every tenant. */
  lists: { events: Pick<Events, 'search'> }
}

type Thing = Resource<EventId>

export function addEventPages(app: Hono<PageEnv>, pages: EventPages): void {
  const { reading } = pages.resources.events
  app.get('/events', (c) => showList(c, pages))
  app.get('/events/:id/data.json', reading(pages, sendData))
  app.get('/events/:id', reading(pages, showPage))
  app.post('/events/:id/reveal', reading(pages, reveal))
}

async function showList(c: Context<PageEnv>, { render, tenants, lists }: EventPages) {
  const { form, filters } = await readFilters(c, tenants)
  const page = filters && (await lists.events.search(filters.tenants, queryOf(filters)))
  return render(
    c,
    { title: 'Events', at: PATH, status: page ? 200 : 422 },
    <>
      <div class="head">
        <h1>Events</h1>
        <EventFilters form={form} />
        <SavedViews name="events" path={PATH} form={form} views={VIEWS} />
        <ColumnMenu name="events" columns={COLUMNS} />
      </div>
      {page && page.rows.length > 0 && <EventTable events={page.rows} form={form} />}
      {page?.rows.length === 0 && !page.isCutShort && <Nothing form={form} />}
      {page && <Older path={PATH} form={form} {...page} />}
    </>,
  )
}

export async function sendData(
  c: Context<PageEnv>,
  { id, tenant }: Thing,
  { events }: Pick<EventPages, 'events'>,
) {
  return jsonFile(c, 'data.json', await events.dataOf(tenant.id, id))
}

async function showPage(
  c: Context<PageEnv>,
  { id, tenant }: Thing,
  pages: EventPages,
  revealed?: string | null,
) {
  const [event, { routes, deliveries, sentence, lines }] = await Promise.all([
    pages.events.find(tenant.id, id, { charactersMax: SHOWN_CHARACTERS_MAX }),
    explainEvent(pages, tenant.id, id),
  ])
  const ticket = ticketOf(event, tenant.key, lines)
  return pages.render(
    c,
    { title: `Event ${id}`, at: PATH },
    <>
      <h1>Event {event.type}</h1>
      <p class="answer">{sentence}</p>
      <div class="actions">
        <CopyButton text={ticket} what="text for a ticket" label="Copy for a ticket" />
        {c.get('viewer').may('manage') && <PortalLinkButton tenant={tenant.key} />}
      </div>
      <EventFacts event={event} tenantKey={tenant.key} />
      <h2>Data</h2>
      {event.isMasked && revealed === undefined && (
        <Masked path={`${PATH}/${id}`} mayReveal={c.get('viewer').may('reveal')} />
      )}
      {revealed == null ? (
        <Data of={event.data} path={`${PATH}/${id}`} />
      ) : (
        <Raw label="Data without its mask">{shownText(revealed).text}</Raw>
      )}
      <h2>Where it went</h2>
      <Routes routes={routes} deliveries={deliveries} />
    </>,
  )
}

/** Answers with the page: an address that shows it would be opened again without anybody being asked. */
async function reveal(c: Context<PageEnv>, thing: Thing, pages: EventPages) {
  const { who } = viewerWith(c, 'reveal')
  const data = await pages.revealEvent(thing.tenant.id, thing.id, who, {
    charactersMax: SHOWN_CHARACTERS_MAX,
  })
  return await showPage(c, thing, pages, data)
}

function Masked({ path, mayReveal }: { path: string; mayReveal: boolean }) {
  return (
    <Notice tone="busy">
      <p>
        Some of the data is masked. {!mayReveal && 'A key with the scope “reveal” can show it.'}
      </p>
      {mayReveal && (
        <Confirm
          label="Reveal"
          action={`${path}/reveal`}
          question="The data is shown as it was published. The audit log records who saw it."
          yes="Reveal data"
        />
      )}
    </Notice>
  )
}

/** What support writes to a customer; without the data, which may be nobody else's business. */
function ticketOf({ id, type, created_at: at }: Event, tenantKey: string, lines: string[]): string {
  const head = `Event ${type} (${id}) of ${tenantKey}, published ${at.toISOString()}`
  return [head, ...lines.map((line) => `- ${line}`)].join('\n')
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

function EventFilters({ form }: { form: FormState }) {
  return (
    <FilterForm
      action={PATH}
      form={form}
      moreNames={['type', 'endpoint', 'since', 'until']}
      more={
        <>
          <TypeFilter form={form} />
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
      <TenantFilter form={form} />
      <StateFilter form={form} label="With a delivery that is" />
    </FilterForm>
  )
}

function Nothing({ form }: { form: FormState }) {
  if (isFiltered(form)) {
    return (
      <Empty title="No events match these filters">
        <p>
          Widen the filters, or <a href={PATH}>show all events</a>.
        </p>
      </Empty>
    )
  }
  return (
    <Empty title="No events yet">
      <p>In the transaction that changes your own data:</p>
      <Command>{`select postrider.publish('acme', 'invoice.paid', '{"id": 1}');`}</Command>
      <p>or from a shell:</p>
      <Command>{`scripts/postrider publish acme invoice.paid '{"id": 1}'`}</Command>
    </Empty>
  )
}

const VIEWS: Views = [
  ['All', {}],
  ['With a failed delivery', { state: 'failed' }],
  ['With an open delivery', { state: 'pending,delivering,held' }],
]

const COLUMNS: Column<FoundEvent>[] = [
  { name: 'type', label: 'Event type', kind: 'main', cell: ({ type }) => type },
  { name: 'tenant', label: 'Tenant', kind: 'name', cell: TenantCell },
  { name: 'deliveries', label: 'Deliveries', cell: HowFar },
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

function EventTable({ events, form }: { events: readonly FoundEvent[]; form: FormState }) {
  return (
    <DataTable
      name="events"
      label="Events"
      columns={COLUMNS}
      rows={events}
      sorts={{ published: sortByTime(PATH, form) }}
      hrefOf={({ id }) => `${PATH}/${id}`}
    />
  )
}

function TenantCell({ tenantKey, tenantName }: FoundEvent) {
  return <TenantLink of={tenantKey} name={tenantName} />
}

export function HowFar({ deliveries, delivered, ended, collapsed }: FoundEvent) {
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

function EventFacts({ event, tenantKey }: { event: Event; tenantKey: string }) {
  return (
    <Facts
      of={[
        ['Event (webhook-id)', <Id of={event.id} />],
        ['Type', event.type],
        ['Tenant', <TenantLink of={tenantKey} />],
        ['Idempotency key', event.idempotency_key ?? '–'],
        ['Happened', <Time at={event.occurred_at} />],
        ['Published', <Time at={event.created_at} />],
        ['Not before', <Time at={event.deliver_at} />],
        ...(event.channels ? [['Channels', event.channels.join(' ')] as const] : []),
      ]}
    />
  )
}

function Routes({ routes, deliveries }: { routes: Route[]; deliveries: Delivery[] }) {
  if (routes.length === 0) {
    return (
      <Empty title="The tenant has no endpoint">
        <p>
          <a href="/console/endpoints/new">Make one</a>; a replay of the kind “missed” then delivers
          this event to it.
        </p>
      </Empty>
    )
  }
  const states = new Map(deliveries.map(({ id, state }) => [String(id), state]))
  return (
    <DataTable
      name="routes"
      label="Where it went"
      columns={routeColumns(states)}
      rows={routes}
      hrefOf={({ endpointId, deliveryId }) =>
        deliveryId ? `/console/deliveries/${deliveryId}` : `/console/endpoints/${endpointId}`
      }
    />
  )
}

const routeColumns = (states: ReadonlyMap<string, Delivery['state']>): Column<Route>[] => [
  {
    name: 'endpoint',
    label: 'Endpoint',
    kind: 'main',
    cell: (route) => <EndpointName {...route} />,
  },
  {
    name: 'outcome',
    label: 'Outcome',
    cell: ({ reason, deliveryId, changedSince }) =>
      reason === null ? (
        <Badge of={states.get(deliveryId ?? '') ?? 'pending'} />
      ) : (
        <>
          not sent: {REASONS[reason]}
          {changedSince && <span class="muted"> (it was changed since)</span>}
        </>
      ),
  },
  {
    name: 'delivery',
    label: 'Delivery',
    cell: ({ deliveryId }) =>
      deliveryId && <Id of={deliveryId} href={`/console/deliveries/${deliveryId}`} isShort />,
  },
]
