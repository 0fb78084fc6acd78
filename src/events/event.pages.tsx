import type { Context, Hono } from 'hono'
import { isShownWhole, SHOWN_CHARACTERS_MAX } from '../attempts/attempt-words.ts'
import { type FormState, TextField } from '../console/fields.tsx'
import { type Filters, PAGE_ROWS, readFilters } from '../console/filters.ts'
import { jsonFile } from '../console/json-file.ts'
import type { RenderPage } from '../console/layout.tsx'
import {
  EndpointFilter,
  FilterForm,
  Older,
  StateFilter,
  TenantFilter,
  TimeFilters,
  TypeFilter,
} from '../console/list-parts.tsx'
import type { Owner, Owners } from '../console/owners.ts'
import {
  Badge,
  Body,
  Command,
  CopyButton,
  Empty,
  ERASED,
  Facts,
  Id,
  Table,
  Time,
} from '../console/parts.tsx'
import type { PageEnv } from '../console/viewer.ts'
import type { Delivery } from '../deliveries/deliveries.ts'
import type { Tenants } from '../tenants/tenants.ts'
import type { AllEventsQuery, createAllEvents, FoundEvent } from './all-events.ts'
import type { Event, Events } from './events.ts'
import { REASONS, type Route, type Routing } from './routing.ts'

const PATH = '/console/events'

export function addEventPages(
  app: Hono<PageEnv>,
  options: {
    render: RenderPage
    tenants: Pick<Tenants, 'get'>
    allEvents: ReturnType<typeof createAllEvents>
    owners: Pick<Owners, 'ofEvent'>
    events: Pick<Events, 'get' | 'dataOf'>
    routing: Pick<Routing, 'explain'>
  },
): void {
  const { render, tenants, allEvents, owners, events, routing } = options

  app.get('/events', async (c) => {
    const { form, filters } = await readFilters(c, tenants)
    const page = filters && (await allEvents(queryOf(filters)))
    return render(
      c,
      { title: 'Events', at: PATH, status: page ? 200 : 422 },
      <>
        <h1>Events</h1>
        <EventFilters form={form} />
        {page && page.rows.length > 0 && <EventTable events={page.rows} />}
        {page?.rows.length === 0 && !page.isCutShort && <Nothing form={form} />}
        {page && <Older path={PATH} form={form} {...page} />}
      </>,
    )
  })

  app.get('/events/:id/data.json', async (c) => {
    const { id, owner } = await owners.ofEvent(c.req.param('id'))
    return jsonFile(c, 'data.json', await events.dataOf(owner.id, id))
  })

  app.get('/events/:id', async (c: Context<PageEnv>) => {
    const { id, owner } = await owners.ofEvent(c.req.param('id') ?? '')
    const [event, routes] = await Promise.all([
      events.get(owner.id, id, { charactersMax: SHOWN_CHARACTERS_MAX }),
      routing.explain(owner.id, id),
    ])
    return render(
      c,
      { title: `Event ${id}`, at: PATH },
      <>
        <h1>Event {event.type}</h1>
        <EventFacts event={event} owner={owner} />
        <h2>Data</h2>
        <Data of={event.data} path={`${PATH}/${id}`} />
        <h2>Where it went</h2>
        <Routes routes={routes} deliveries={event.deliveries} />
      </>,
    )
  })
}

function Data({ of: data, path }: { of: string | null; path: string }) {
  if (data === null) return <p>{ERASED}.</p>
  const file = `${path}/data.json`
  return (
    <>
      <p>
        {isShownWhole(data) && <CopyButton text={data} what="the data" />}{' '}
        <a href={file}>data.json</a>, as the producer gave it
      </p>
      <Body of={data} label="Data" whole={file} />
    </>
  )
}

function queryOf(filters: Filters): AllEventsQuery {
  const { tenantRow, endpoint, before, type, state, since, until, search } = filters
  return {
    type,
    state,
    since,
    until,
    search,
    tenantId: tenantRow?.id,
    endpointId: endpoint,
    before: before ?? null,
    limit: PAGE_ROWS,
  }
}

function EventFilters({ form }: { form: FormState }) {
  return (
    <FilterForm action={PATH} form={form}>
      <TextField form={form} name="search" label="Id, key or text in the data" />
      <TenantFilter form={form} />
      <TypeFilter form={form} />
      <EndpointFilter form={form} />
      <StateFilter form={form} label="With a delivery that is" />
      <TimeFilters form={form} />
    </FilterForm>
  )
}

function Nothing({ form }: { form: FormState }) {
  if (Object.keys(form.values).length > 0) {
    return (
      <Empty title="No event is like that">
        <p>
          Widen the filter, or <a href={PATH}>look at all events</a>.
        </p>
      </Empty>
    )
  }
  return (
    <Empty title="No event has been published yet">
      <p>In the transaction that changes your own data:</p>
      <Command>{`select postrider.publish('acme', 'invoice.paid', '{"id": 1}');`}</Command>
      <p>or from a shell:</p>
      <Command>{`scripts/postrider publish acme invoice.paid '{"id": 1}'`}</Command>
    </Empty>
  )
}

function EventTable({ events }: { events: readonly FoundEvent[] }) {
  return (
    <Table
      label="Events"
      head={['Event', 'Published', 'Type', 'Tenant', 'Deliveries', 'Idempotency key']}
    >
      {events.map((event) => (
        <tr>
          <td>
            <Id of={event.id} href={`${PATH}/${event.id}`} isShort />
          </td>
          <td>
            <Time at={event.created_at} />
          </td>
          <td>{event.type}</td>
          <td>
            <a href={`/console/tenants/${encodeURIComponent(event.tenantKey)}`}>
              {event.tenantKey}
            </a>
          </td>
          <td>
            <HowFar {...event} />
          </td>
          <td>{event.idempotency_key ?? <span class="muted">–</span>}</td>
        </tr>
      ))}
    </Table>
  )
}

function HowFar({ deliveries, delivered, ended }: FoundEvent) {
  if (deliveries === 0) return <span class="muted">no endpoint wanted it</span>
  const open = deliveries - delivered - ended
  return (
    <>
      {delivered > 0 && <Badge of="delivered" label={`${delivered} delivered`} />}{' '}
      {open > 0 && <Badge of="pending" label={`${open} open`} />}{' '}
      {ended > 0 && <Badge of="failed" label={`${ended} failed or cancelled`} />}
    </>
  )
}

function EventFacts({ event, owner }: { event: Event; owner: Owner }) {
  return (
    <Facts
      of={[
        ['Event (webhook-id)', <Id of={event.id} />],
        ['Type', event.type],
        ['Tenant', <a href={`/console/tenants/${encodeURIComponent(owner.key)}`}>{owner.key}</a>],
        ['Idempotency key', event.idempotency_key ?? '–'],
        ['Happened', <Time at={event.occurred_at} />],
        ['Published', <Time at={event.created_at} />],
        ['Not before', <Time at={event.deliver_at} />],
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
    <Table label="Where it went" head={['Endpoint', 'Outcome', 'Delivery']}>
      {routes.map(({ endpointId, url, deliveryId, reason, changedSince }) => (
        <tr>
          <td class="url">
            <a href={`/console/endpoints/${endpointId}`}>{url}</a>
          </td>
          <td>
            {reason === null ? (
              <Badge of={states.get(deliveryId ?? '') ?? 'pending'} />
            ) : (
              <>
                not sent: {REASONS[reason]}
                {changedSince && <span class="muted"> (it was changed since)</span>}
              </>
            )}
          </td>
          <td>
            {deliveryId && (
              <Id of={deliveryId} href={`/console/deliveries/${deliveryId}`} isShort />
            )}
          </td>
        </tr>
      ))}
    </Table>
  )
}
