import type { Context, Hono } from 'hono'
import { urlWith } from '../console/forms.ts'
import type { RenderPage } from '../console/layout.tsx'
import { Command, Confirm, CopyButton, Empty, Notice, Raw } from '../console/parts.tsx'
import { SHOWN_CHARACTERS_MAX, shownText } from '../console/shown-text.ts'
import { type PageEnv, viewerWith } from '../console/viewer.ts'
import type { Deliveries } from '../deliveries/deliveries.ts'
import type { EventId } from '../ids.ts'
import { PortalLinkButton } from '../portal-links/portal-link.pages.tsx'
import type { Resource, ResourcePages } from '../tenants/resource-pages.ts'
import type { Tenants } from '../tenants/tenants.ts'
import { explainEvent } from './event-answer.ts'
import { Data, EventFacts, eventPath, sendData, showEvents, WhereItWent } from './event-parts.tsx'
import type { Event, Events, RevealEvent } from './events.ts'
import type { Routing } from './routing.ts'

const PATH = eventPath('console')

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
  app.get('/events', (c) => showEvents(c, { ...pages, area: 'console', teaching: <Teaching /> }))
  app.get('/events/:id/data.json', reading(pages, sendData))
  app.get('/events/:id', reading(pages, showPage))
  app.post('/events/:id/reveal', reading(pages, reveal))
}

const Teaching = () => (
  <>
    <p>In the transaction that changes your own data:</p>
    <Command>{`select postrider.publish('default', 'invoice.paid', '{"id": 1}');`}</Command>
    <p>or from a shell:</p>
    <Command>{`scripts/postrider publish default invoice.paid '{"id": 1}'`}</Command>
  </>
)

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
      {routes.length + deliveries.length === 0 && <NoEndpoint />}
      <WhereItWent
        area="console"
        deliveries={deliveries}
        notSent={routes.filter(({ reason }) => reason !== null)}
      />
      <EventFacts event={event} tenantKey={tenant.key} />
      <Alike event={event} tenantKey={tenant.key} />
      <h2>Data</h2>
      {event.isMasked && revealed === undefined && (
        <Masked path={`${PATH}/${id}`} mayReveal={c.get('viewer').may('reveal')} />
      )}
      {revealed == null ? (
        <Data of={event.data} path={`${PATH}/${id}`} />
      ) : (
        <Raw label="Data without its mask">{shownText(revealed).text}</Raw>
      )}
    </>,
  )
}

/** What is looked for next: whether it is only this one. */
function Alike({ event: { type, ordering_key: key }, tenantKey: tenant }: AlikeProps) {
  return (
    <p class="actions">
      <a class="button" href={urlWith(PATH, { tenant, type })}>
        Events of this type
      </a>
      {key !== null && (
        <a class="button" href={urlWith(PATH, { tenant, orderingKey: key })}>
          Events of this ordering key
        </a>
      )}
    </p>
  )
}

interface AlikeProps {
  event: Event
  tenantKey: string
}

const NoEndpoint = () => (
  <Empty title="The tenant has no endpoint">
    <p>
      <a href="/console/endpoints/new">Create an endpoint</a>. A replay of missed events then
      delivers this event to it.
    </p>
  </Empty>
)

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
