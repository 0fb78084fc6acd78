import type { Context, Hono } from 'hono'
import { HTTPException } from 'hono/http-exception'
import { EMPTY_FORM, type FormState } from '../console/fields.tsx'
import { readForm, saidOf, urlWith } from '../console/forms.ts'
import { phrase, say, sayAny, sayNumber, type Text } from '../console/language.ts'
import type { RenderPage } from '../console/layout.tsx'
import { Older, PAGE_ROWS, pageOf } from '../console/list-parts.tsx'
import { Badge, Confirm, Empty, Id, Notice, stateLabel, Table, Time } from '../console/parts.tsx'
import type { Area, PageEnv } from '../console/viewer.ts'
import type { Endpoints } from '../endpoints/endpoints.ts'
import { deliveryId, type EndpointId, eventId } from '../ids.ts'
import { OperationRefused } from '../postgres/operate.ts'
import type { HandlerOf, Resource, ResourcePages } from '../tenants/resource-pages.ts'
import {
  type OrderingKey,
  OrderingKeyNotFound,
  type OrderingKeys,
  WAITING_COUNTED_MAX,
} from './ordering-keys.ts'

const SAID: Record<string, string> = {
  retried: 'The event is being sent again. When it is delivered, the next one follows.',
  skipped: 'Skipped. The next event follows.',
  skipping: 'Some are skipped. Skip again for the rest.',
  released: 'Events are now sent in no particular order. Waiting events are being sent.',
  gone: 'Nothing is waiting for this key, or this event is not waiting. The list shows the current state.',
}

const REFUSED: Record<OperationRefused['code'], string> = {
  in_flight: 'An attempt is in progress. Try again when it has ended.',
  state_conflict: 'The state of the event does not allow this. The list shows the current state.',
}

const refusedOf = (code: string): string | null =>
  Object.hasOwn(REFUSED, code) ? REFUSED[code as keyof typeof REFUSED] : null

/** Services work within the scope of the tenant that the endpoint belongs to. */
export interface OrderingPages {
  area: Area
  render: RenderPage
  resources: Pick<ResourcePages, 'endpoints'>
  endpoints: Pick<Endpoints, 'get'>
  orderingKeys: OrderingKeys
}

type Handler = HandlerOf<EndpointId, OrderingPages>

export function addOrderingPages(app: Hono<PageEnv>, pages: OrderingPages): void {
  const { reading, managing } = pages.resources.endpoints
  app.get('/endpoints/:id/keys', reading(pages, showKeys))
  app.post('/endpoints/:id/keys', managing(pages, act))
  app.post('/endpoints/:id/release-ordering', managing(pages, release))
}

const pathOf = ({ area }: { area: Area }, { id }: { id: EndpointId }): string =>
  `/${area}/endpoints/${id}/keys`

const showKeys: Handler = async (c, thing, pages) => {
  const { orderingKeys, endpoints, render, area } = pages
  const values = c.req.query()
  const before = deliveryId.safeParse(values['before']).data ?? null
  const isBlocked = values['state'] === 'blocked'
  const [endpoint, listed] = await Promise.all([
    endpoints.get(thing.tenant.id, thing.id),
    orderingKeys.list(thing.tenant.id, {
      ...{ limit: PAGE_ROWS + 1, before, endpointId: thing.id },
      ...(isBlocked && { state: 'blocked' as const }),
    }),
  ])
  const { shown, next } = pageOf(listed)
  const said = saidOf(SAID, c)
  const refused = refusedOf(values['refused'] ?? '')
  const path = pathOf(pages, thing)
  return render(
    c,
    { title: 'Ordering keys', at: `/${area}/endpoints` },
    <>
      <h1>{say('Ordering keys')}</h1>
      <p>
        <a href={`/${area}/endpoints/${thing.id}`}>{endpoint.url}</a>
      </p>
      {said && <Notice tone={values['said'] === 'gone' ? 'busy' : 'good'}>{said}</Notice>}
      {refused && <Notice tone="bad">{sayAny(refused)}</Notice>}
      {c.get('viewer').may('manage') && endpoint.ordering === 'key' && (
        <div class="actions">
          <Confirm
            label="Send in no particular order"
            action={`/${area}/endpoints/${thing.id}/release-ordering`}
            question="Send events as they come, in no particular order? Waiting events are sent, 100 a second."
            yes="Send in no particular order"
            isDangerous
          />
        </div>
      )}
      <KeyTable keys={shown} area={area} path={path} mayAct={c.get('viewer').may('manage')} />
      <Older path={path} form={formOf(values)} next={next} isCutShort={false} />
    </>,
  )
}

const formOf = ({ state, before }: Record<string, string>): FormState => ({
  ...EMPTY_FORM,
  values: { ...(state && { state }), ...(before && { before }) },
})

interface KeyTableProps {
  keys: readonly OrderingKey[]
  area: Area
  path: string
  mayAct: boolean
}

function KeyTable({ keys, area, path, mayAct }: KeyTableProps) {
  if (keys.length === 0) {
    return (
      <Empty title="Nothing is waiting">
        <p>{say('A key is listed while one of its events waits for delivery.')}</p>
      </Empty>
    )
  }
  const head = ['Key', 'State', 'Waiting', 'Delivery', 'Last response']
  return (
    <Table label="Ordering keys" head={[...head, ...(mayAct ? ['Action'] : [])]}>
      {keys.map((one) => (
        <tr>
          <td>
            <code>{one.ordering_key}</code>
          </td>
          <td class="nowrap">
            <KeyState {...one} />
          </td>
          <td class="number">{waitingOf(one)}</td>
          <td>
            <Id of={one.id} href={`/${area}/deliveries/${one.id}`} isShort />
          </td>
          <td>
            <LastResponse {...one} />
          </td>
          {mayAct && (
            <td>
              <KeyActions one={one} path={path} />
            </td>
          )}
        </tr>
      ))}
    </Table>
  )
}

const BADGES = { blocked: 'failed', held: 'held', moving: 'pending' } as const

export const waitingOf = ({ waiting }: OrderingKey): string =>
  `${sayNumber(waiting)}${waiting === WAITING_COUNTED_MAX ? '+' : ''}`

export function KeyState({ state, blocked_at: at }: OrderingKey) {
  return (
    <>
      <Badge of={BADGES[state]} label={stateLabel(state)} />
      {at && <> {phrase('since {time}', { time: <Time at={at} isExact /> })}</>}
    </>
  )
}

/** What became of the attempt that the others wait for. */
export function LastResponse({ last_error: error, last_status_code: status }: OrderingKey) {
  const words = error === null ? status : `${error.charAt(0).toUpperCase()}${error.slice(1)}`
  return words === null ? <span class="muted">{say('none yet')}</span> : <span>{words}</span>
}

function KeyActions({ one, path }: { one: OrderingKey; path: string }) {
  const press = (verb: string, label: Text) => (
    <form method="post" action={path}>
      <input type="hidden" name="key" value={one.ordering_key} />
      <button type="submit" name="verb" value={verb}>
        {say(label)}
      </button>
    </form>
  )
  return (
    <div class="actions">
      {press('retry', 'Retry')}
      {press('skip', 'Skip')}
      {one.waiting > 0 && (
        <details>
          <summary>{say('Skip to')}</summary>
          <form method="post" action={path}>
            <input type="hidden" name="key" value={one.ordering_key} />
            <label>
              {say('Event that is sent next')}
              <input name="event" value={one.next_event_id ?? ''} required />
            </label>
            <button type="submit" name="verb" value="skip-to">
              {say('Skip to it')}
            </button>
          </form>
        </details>
      )}
    </div>
  )
}

const act: Handler = async (c, thing, pages) => {
  const values = await readForm(c)
  const path = pathOf(pages, thing)
  try {
    const said = await press(c, thing, pages, values)
    return c.redirect(urlWith(path, { said }), 303)
  } catch (error) {
    if (error instanceof OrderingKeyNotFound)
      return c.redirect(urlWith(path, { said: 'gone' }), 303)
    if (!(error instanceof OperationRefused)) throw error
    return c.redirect(urlWith(path, { refused: error.code }), 303)
  }
}

async function press(
  c: Context<PageEnv>,
  { id, tenant }: Resource<EndpointId>,
  { orderingKeys }: OrderingPages,
  { key = '', verb, event }: Record<string, string>,
): Promise<string> {
  const [of, who] = [{ endpointId: id, key }, c.get('viewer').who]
  if (verb === 'retry') {
    await orderingKeys.retry(tenant.id, of, who)
    return 'retried'
  }
  if (verb === 'skip-to') {
    const next = eventId.safeParse(event).data
    if (next === undefined) throw new OrderingKeyNotFound()
    return (await orderingKeys.skipTo(tenant.id, of, next, who)) ? 'skipped' : 'skipping'
  }
  if (verb !== 'skip') throw new HTTPException(422, { message: 'Choose what to do with the key.' })
  await orderingKeys.skip(tenant.id, of, who)
  return 'skipped'
}

const release: Handler = async (c, thing, pages) => {
  await pages.orderingKeys.release(thing.tenant.id, thing.id, c.get('viewer').who)
  return c.redirect(urlWith(pathOf(pages, thing), { said: 'released' }), 303)
}
