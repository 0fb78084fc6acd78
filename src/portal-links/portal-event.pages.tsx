import type { Context, Hono } from 'hono'
import { say, sayNumber, type Text } from '../console/language.ts'
import { SHOWN_CHARACTERS_MAX } from '../console/shown-text.ts'
import type { PageEnv } from '../console/viewer.ts'
import type { FoundDelivery } from '../deliveries/deliveries.ts'
import type { EventPages } from '../events/event.pages.tsx'
import { explainEvent } from '../events/event-answer.ts'
import {
  Data,
  EventFacts,
  eventPath,
  sendData,
  showEvents,
  WhereItWent,
} from '../events/event-parts.tsx'
import type { Events } from '../events/events.ts'
import type { Route } from '../events/routing.ts'
import type { EventId } from '../ids.ts'
import type { Resource } from '../tenants/resource-pages.ts'

const PATH = eventPath('portal')

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
  app.get('/events', (c) => showEvents(c, { ...pages, area: 'portal', teaching: <Teaching /> }))
  app.get('/events/:id/data.json', reading(pages, sendData))
  app.get('/events/:id', reading(pages, showPage))
}

const Teaching = () => (
  <p>{say('Events appear here when they are published, even if no endpoint gets them.')}</p>
)

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
      <WhereItWent area="portal" deliveries={deliveries} notSent={notSent} />
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
  if (counts.length === 0) return say('No endpoint could have received it.')
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
