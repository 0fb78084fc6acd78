import type { Context, Hono } from 'hono'
import { adviceOf } from '../attempts/advice.ts'
import { labelOf, spanOf } from '../attempts/attempt-words.ts'
import { type Column, ColumnMenu, DataTable } from '../console/data-table.tsx'
import { type FormState, TextField } from '../console/fields.tsx'
import { phrase, say, sayAny, sayNumber, type Text } from '../console/language.ts'
import { FilterForm, ID_COLUMN, isFiltered, Older, sortByTime } from '../console/list-parts.tsx'
import { Badge, Empty, EndpointName, Facts, Id, Time } from '../console/parts.tsx'
import { SHOWN_CHARACTERS_MAX } from '../console/shown-text.ts'
import type { PageEnv } from '../console/viewer.ts'
import { type FoundDelivery, nextAttemptAt } from '../deliveries/deliveries.ts'
import { HELD_REASONS } from '../deliveries/delivery.fields.ts'
import {
  queryOf,
  RangeFilter,
  readFilters,
  StateFilter,
  TimeFilters,
  TypeFilter,
} from '../deliveries/list-filters.tsx'
import { Data, type EventPages, HowFar, sendData } from '../events/event.pages.tsx'
import { explainEvent } from '../events/event-answer.ts'
import type { Event, Events, FoundEvent } from '../events/events.ts'
import { REASONS, type Route } from '../events/routing.ts'
import type { EventId } from '../ids.ts'
import type { Resource } from '../tenants/resource-pages.ts'

const PATH = '/portal/events'

/** Services see the tenant of the link, and no other. */
export interface PortalEventPages
  extends Pick<
    EventPages,
    'render' | 'tenants' | 'resources' | 'events' | 'deliveries' | 'routing'
  > {
  lists: { events: Pick<Events, 'search'> }
}

/** What was published for a customer, also what was sent nowhere: an event says itself why it did not come. */
export function addPortalEventPages(app: Hono<PageEnv>, pages: PortalEventPages): void {
  const { reading } = pages.resources.events
  app.get('/events', (c) => showList(c, pages))
  app.get('/events/:id/data.json', reading(pages, sendData))
  app.get('/events/:id', reading(pages, showPage))
}

async function showList(c: Context<PageEnv>, { render, tenants, lists }: PortalEventPages) {
  const { form, filters } = await readFilters(c, tenants)
  const page = filters && (await lists.events.search(filters.tenants, queryOf(filters)))
  return render(
    c,
    { title: say('Events'), at: PATH, status: page ? 200 : 422 },
    <>
      <div class="head">
        <h1>{say('Events')}</h1>
        <EventFilters form={form} />
        <ColumnMenu name="events" columns={COLUMNS} />
      </div>
      {page && page.rows.length > 0 && (
        <DataTable
          name="events"
          label="Events"
          columns={COLUMNS}
          rows={page.rows}
          hrefOf={({ id }) => `${PATH}/${id}`}
          sorts={{ published: sortByTime(PATH, form) }}
        />
      )}
      {page?.rows.length === 0 && !page.isCutShort && <Nothing form={form} />}
      {page && <Older path={PATH} form={form} {...page} />}
    </>,
  )
}

function EventFilters({ form }: { form: FormState }) {
  return (
    <FilterForm
      action={PATH}
      form={form}
      moreNames={['type', 'since', 'until']}
      more={
        <>
          <TypeFilter form={form} />
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
      <StateFilter form={form} label="With a delivery that is" />
      <RangeFilter form={form} />
    </FilterForm>
  )
}

function Nothing({ form }: { form: FormState }) {
  if (!isFiltered(form)) {
    return (
      <Empty title="No events yet">
        <p>{say('Events appear here when they are published, even if no endpoint gets them.')}</p>
      </Empty>
    )
  }
  return (
    <Empty title="No events match these filters">
      <p>
        {phrase('Widen the filters, or {link}.', {
          link: <a href={PATH}>{say('show all events')}</a>,
        })}
      </p>
    </Empty>
  )
}

const COLUMNS: Column<FoundEvent>[] = [
  { name: 'type', label: 'Event type', kind: 'main', cell: ({ type }) => type },
  { name: 'deliveries', label: 'Deliveries', cell: HowFar },
  {
    name: 'key',
    label: 'Idempotency key',
    kind: 'name',
    cell: ({ idempotency_key: key }) => key ?? '',
  },
  { name: 'published', label: 'Published', cell: ({ created_at: at }) => <Time at={at} /> },
  { ...ID_COLUMN, isMinor: false },
]

async function showPage(
  c: Context<PageEnv>,
  { id, tenant }: Resource<EventId>,
  pages: PortalEventPages,
) {
  const [event, { routes, deliveries }] = await Promise.all([
    pages.events.find(tenant.id, id, { charactersMax: SHOWN_CHARACTERS_MAX }),
    explainEvent(pages, tenant.id, id),
  ])
  const notSent = routes.filter(({ reason }) => reason !== null)
  return pages.render(
    c,
    { title: say('Event {type}', { type: event.type }), at: PATH },
    <>
      <h1>{say('Event {type}', { type: event.type })}</h1>
      <p class="answer">{summaryOf(deliveries, notSent)}</p>
      <WhereItWent deliveries={deliveries} notSent={notSent} />
      <EventFacts event={event} />
      <h2>{say('Data')}</h2>
      <Data of={event.data} path={`${PATH}/${id}`} />
    </>,
  )
}

/** How many endpoints it went to, and how far. */
function summaryOf(deliveries: readonly FoundDelivery[], notSent: readonly Route[]): string {
  const groups = Map.groupBy(deliveries, ({ state }) => STATE_COUNTS[state])
  const counts = [...groups].map(([text, group]): [Text, number] => [text, group.length])
  if (notSent.length > 0) counts.push(['not sent to {count}', notSent.length])
  if (counts.length === 0) return say('There is no endpoint that could have got it.')
  const parts = counts.map(([text, count]) => say(text, { count: sayNumber(count) }))
  return `${say('Endpoints')}: ${parts.join(', ')}.`
}

const STATE_COUNTS = {
  delivered: 'delivered to {count}',
  failed: 'failed for {count}',
  cancelled: 'cancelled for {count}',
  pending: 'in progress for {count}',
  delivering: 'in progress for {count}',
  held: 'on hold for {count}',
  collapsed: 'collapsed for {count}',
} as const satisfies Record<FoundDelivery['state'], Text>

interface Went {
  endpoint: { url: string; description: string }
  /** The delivery, or the endpoint where there is none. */
  href: string
  delivery: FoundDelivery | null
  /** Null where it was sent. */
  notSent: Route | null
}

/** A line for each endpoint: what came of it and why, and what happens next. */
function WhereItWent(props: { deliveries: readonly FoundDelivery[]; notSent: readonly Route[] }) {
  const rows = [
    ...props.deliveries.toReversed().map(
      (delivery): Went => ({
        ...{ endpoint: delivery, delivery, notSent: null },
        href: `/portal/deliveries/${delivery.id}`,
      }),
    ),
    ...props.notSent.map(
      (route): Went => ({
        ...{ endpoint: route, delivery: null, notSent: route },
        href: `/portal/endpoints/${route.endpointId}`,
      }),
    ),
  ]
  if (rows.length === 0) return null
  return (
    <DataTable
      name="went"
      label="Where it went"
      columns={WENT_COLUMNS}
      rows={rows}
      hrefOf={({ href }) => href}
    />
  )
}

const WENT_COLUMNS: Column<Went>[] = [
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
    label: 'Why, and what comes next',
    kind: 'text',
    cell: ({ delivery, notSent }) =>
      delivery ? <Why {...delivery} /> : notSent && <WhyNot {...notSent} />,
  },
]

function WhyNot({ reason, changedSince }: Route) {
  const words = reason === null ? '' : sayAny(REASONS[reason])
  return (
    <>
      {words && `${words.charAt(0).toUpperCase()}${words.slice(1)}. `}
      {changedSince && <span class="muted">{say('It was changed since.')}</span>}
    </>
  )
}

/** Why it is in its state, when it is tried next, and what to do where it is not. */
function Why(delivery: FoundDelivery) {
  const { state, attempt_count: tries, held_reason: held, lastReason, lastStatusCode } = delivery
  const next = state === 'pending' ? nextAttemptAt(delivery) : null
  const newer = delivery.collapsed_by
  const advice = adviceOf({ reason: lastReason, statusCode: lastStatusCode })
  return (
    <>
      {tries > 0 && <>{lastOf(delivery)}. </>}
      {held !== null && `${sayAny(HELD_REASONS[held])} `}
      {newer !== null &&
        phrase(
          'The endpoint gets only the newest event of an ordering key: {link} replaced this one.',
          {
            link: <a href={`${PATH}/${newer}`}>{say('a newer event')}</a>,
          },
        )}
      {next && phrase('Next attempt {time}', { time: <Time at={next} /> })}{' '}
      {state !== 'delivered' && advice && <span class="muted">{sayAny(advice)}</span>}
    </>
  )
}

/** Such as “HTTP 503 in 72 ms, attempt 2”. */
function lastOf({
  lastStatusCode,
  lastReason,
  lastMs,
  attempt_count: tries,
}: FoundDelivery): string {
  const words =
    lastStatusCode !== null
      ? `HTTP ${lastStatusCode}`
      : lastReason === null
        ? say('In progress')
        : sayAny(labelOf(lastReason))
  const span = lastMs === null ? '' : ` ${say('in {span}', { span: spanOf(lastMs) })}`
  return `${words}${span}, ${say('attempt {number}', { number: sayNumber(tries) })}`
}

function EventFacts({ event }: { event: Event }) {
  return (
    <Facts
      of={[
        ['Event (webhook-id)', <Id of={event.id} />],
        ['Type', event.type],
        ['Idempotency key', event.idempotency_key ?? '–'],
        ['Happened', <Time at={event.occurred_at} />],
        ['Published', <Time at={event.created_at} />],
        ['Not before', <Time at={event.deliver_at} />],
        ...(event.channels ? [['Channels', event.channels.join(' ')] as const] : []),
      ]}
    />
  )
}
