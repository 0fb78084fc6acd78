import type { Hono } from 'hono'
import type { Child } from 'hono/jsx'
import { AttemptLine } from '../attempts/attempt-strip.tsx'
import { AttemptSummary } from '../attempts/attempt-summary.tsx'
import { spanOf } from '../attempts/attempt-words.ts'
import { type Attempt, type Attempts, headersOf, lastSent } from '../attempts/attempts.ts'
import { RequestAndAnswer } from '../attempts/request-and-answer.tsx'
import { saidOf } from '../console/forms.ts'
import { phrase, say, sayAny, sayNumber } from '../console/language.ts'
import type { RenderPage } from '../console/layout.tsx'
import {
  Badge,
  Command,
  Confirm,
  CopyButton,
  Countdown,
  EndpointName,
  Facts,
  Id,
  Notice,
  Time,
} from '../console/parts.tsx'
import { SHOWN_CHARACTERS_MAX } from '../console/shown-text.ts'
import type { Area, PageEnv, Viewer } from '../console/viewer.ts'
import { sentenceOf } from '../events/event-answer.ts'
import { jsonFile, KeysLink, Why } from '../events/event-parts.tsx'
import type { DeliveryId, EventId } from '../ids.ts'
import { NothingFound } from '../not-found.ts'
import { VERIFIED_CHARACTERS_MAX, verifyCommand } from '../secrets/verify-command.ts'
import { formOf } from '../sending/signature-headers.ts'
import type { HandlerOf, Resource, ResourcePages } from '../tenants/resource-pages.ts'
import { TenantLink } from '../tenants/tenant.pages.tsx'
import {
  type Deliveries,
  type Delivery,
  type DeliveryWithUrl,
  isOneAttempt,
  nextAttemptAt,
} from './deliveries.ts'
import { HELD_REASONS } from './delivery.fields.ts'
import type { DeliveryOperations } from './delivery-operations.ts'
import { ticketOf } from './delivery-ticket.ts'
import { isAsSigned, RequestBody } from './request-body.tsx'
import type { createSentBody, SentBody } from './sent-body.ts'

/** What has just been done, by the word that stands in the address. */
const SAID: Record<string, string> = {
  retried: 'Delivery retried. The next attempt is sent now.',
  cancelled: 'Delivery cancelled. Nothing more is sent.',
}

/** Services work within the scope of the tenant that the delivery belongs to. */
export interface DeliveryPages {
  area: Area
  render: RenderPage
  resources: Pick<ResourcePages, 'deliveries'>
  /** With the answer of the latest attempt only. */
  deliveries: Pick<Deliveries, 'find' | 'get'>
  deliveryOperations: DeliveryOperations
  attempts: Pick<Attempts, 'get'>
  sentBody: ReturnType<typeof createSentBody>
}

type Thing = Resource<DeliveryId>
type Handler = HandlerOf<DeliveryId, DeliveryPages>

export function addDeliveryPage(app: Hono<PageEnv>, pages: DeliveryPages): void {
  const { reading, managing } = pages.resources.deliveries
  app.get('/deliveries/:id', reading(pages, showPage))
  app.get('/deliveries/:id/attempts/:number', reading(pages, showAttempt))
  app.get('/deliveries/:id/body.json', reading(pages, sendBody))
  app.post('/deliveries/:id/retry', managing(pages, retry))
  app.post('/deliveries/:id/cancel', managing(pages, cancel))
}

interface Shown extends SentBody {
  area: Area
  delivery: DeliveryWithUrl & { attempts: Attempt[] }
  tenant: Thing['tenant']
  path: string
}

const listOf = ({ area }: { area: Area }): string => `/${area}/deliveries`
const pathOf = (pages: DeliveryPages, { id }: Thing): string => `${listOf(pages)}/${id}`

async function find(
  { area, deliveries, sentBody }: DeliveryPages,
  { id, tenant }: Thing,
  charactersMax: number,
): Promise<Shown> {
  const delivery = await deliveries.get(tenant.id, id)
  const sent = await sentBody(tenant.id, eventOf(delivery), {
    ...{ id: delivery.id, endpointId: delivery.endpoint_id, charactersMax },
  })
  return { area, delivery, tenant, path: `${listOf({ area })}/${id}`, ...sent }
}

const showPage: Handler = async (c, thing, pages) => {
  // The body of the request does not change, so it does not come along each time that the rest is asked for again.
  const isPoll = c.req.header('hx-request') !== undefined
  const shown = await find(pages, thing, isPoll ? VERIFIED_CHARACTERS_MAX : SHOWN_CHARACTERS_MAX)
  const said = saidOf(SAID, c)
  return pages.render(
    c,
    { title: say('Delivery {id}', { id: thing.id }), at: listOf(pages) },
    <>
      <Heading {...shown} />
      {said && <Notice tone="good">{said}</Notice>}
      <Actions {...shown} viewer={c.get('viewer')} />
      <Progress {...shown} />
      {!isPoll && <RequestBody {...shown} />}
    </>,
  )
}

function Heading({ type }: { type: string | null }) {
  return (
    <h1>
      {type === null ? say('Delivery of a deleted event') : say('Delivery of {type}', { type })}
    </h1>
  )
}

const showAttempt: Handler = async (c, thing, pages) => {
  const number = Number(c.req.param('number'))
  const attempt = isAttemptNumber(number) ? await pages.attempts.get(thing.id, number) : undefined
  if (!attempt) throw new NothingFound()
  const link = <a href={pathOf(pages, thing)}>{say('the delivery')}</a>
  return pages.render(
    c,
    { title: say('Attempt {number}', { number }), at: listOf(pages) },
    <>
      <h1>{phrase('Attempt {number} of {link}', { number, link })}</h1>
      <article class="attempt">
        <AttemptSummary attempt={attempt} area={pages.area} />
        <RequestAndAnswer attempt={attempt} />
      </article>
    </>,
  )
}

const sendBody: Handler = async (c, { id, tenant }, pages) => {
  const delivery = await pages.deliveries.find(tenant.id, id)
  const { type, body } = await pages.sentBody(tenant.id, eventOf(delivery), {
    ...{ id: delivery.id, endpointId: delivery.endpoint_id },
  })
  if (type === null) throw new NothingFound()
  return jsonFile(c, 'body.json', body)
}

const retry: Handler = async (c, thing, pages) => {
  await pages.deliveryOperations.retry(thing.tenant.id, thing.id, c.get('viewer').who)
  return c.redirect(`${pathOf(pages, thing)}?said=retried`, 303)
}

const cancel: Handler = async (c, thing, pages) => {
  await pages.deliveryOperations.cancel(thing.tenant.id, thing.id, c.get('viewer').who)
  return c.redirect(`${pathOf(pages, thing)}?said=cancelled`, 303)
}

const eventOf = ({ event_id: id }: Delivery) => id as EventId

function Actions(shown: Shown & { viewer: Viewer }) {
  const { area, delivery, viewer, path } = shown
  if (area === 'portal' && !viewer.may('manage')) return null
  return (
    <div class="actions">
      {viewer.may('manage') && <Operations delivery={delivery} path={path} />}
      {area === 'console' && <TicketButton {...shown} />}
    </div>
  )
}

function TicketButton({ delivery, tenant, type }: Shown) {
  const ticket = ticketOf(
    { ...delivery, type, tenantKey: tenant.key },
    sentenceOf(explainedBy(delivery)),
  )
  return <CopyButton text={ticket} what="text for a ticket" label="Copy for a ticket" />
}

function Operations({ delivery, path }: Pick<Shown, 'delivery' | 'path'>) {
  const isOver = delivery.finished_at !== null
  return (
    <>
      <Confirm
        label="Retry now"
        action={`${path}/retry`}
        question={
          isOver
            ? 'The delivery is finished. Its retry schedule restarts.'
            : 'The next attempt is sent now instead of waiting for the schedule.'
        }
        yes="Retry delivery"
      />
      {!isOver && (
        <Confirm
          label="Cancel"
          action={`${path}/cancel`}
          question="No further attempt is sent. You can retry the delivery later."
          yes="Cancel delivery"
          isDangerous
        />
      )}
    </>
  )
}

/** `integer` in the database. */
const isAttemptNumber = (number: number): boolean =>
  Number.isInteger(number) && number > 0 && number < 2 ** 31

/** What changes until it is over; the browser then stops to ask. */
function Progress(shown: Shown) {
  const asking = shown.delivery.finished_at === null && {
    'hx-get': shown.path,
    'hx-trigger': 'every 2s',
    'hx-select': '#delivery',
    'hx-swap': 'outerMorph',
  }
  return (
    <div id="delivery" {...asking}>
      <Answer {...shown} />
      <State {...shown} />
      <h2>{say('Attempts')}</h2>
      <AttemptLine attempts={shown.delivery.attempts} />
      <Timeline {...shown} />
      {shown.body !== null && isAsSigned(shown) && <Verification {...shown} body={shown.body} />}
    </div>
  )
}

function explainedBy(delivery: Shown['delivery']) {
  const last = delivery.attempts.at(-1)
  return {
    ...delivery,
    lastOutcome: last?.outcome ?? null,
    lastStatusCode: last?.status_code ?? null,
    lastMs: last?.duration_ms ?? null,
    lastReason: last?.reason ?? null,
  }
}

/** What became of it, before anything about it. */
function Answer({ area, delivery }: Shown) {
  const explained = explainedBy(delivery)
  return (
    <p class="answer" role="status">
      {area === 'console' ? (
        sentenceOf(explained)
      ) : (
        <>
          <Badge of={delivery.state} /> <Why delivery={explained} area={area} />
        </>
      )}
    </p>
  )
}

function State({ area, delivery, tenant, type, messageId }: Shown) {
  const isOperator = area === 'console'
  const { event_id: event, collapsed_by: newer } = delivery
  const sentAs = headersOf(lastSent(delivery.attempts))['webhook-id'] ?? messageId
  const facts: [name: string, value: Child][] = [
    ['State', <Badge of={delivery.state} />],
    ['Next attempt', <Next delivery={delivery} area={area} />],
    ['Attempts', sayNumber(delivery.attempt_count)],
    ['Retries', isOneAttempt(delivery) && say('None: one attempt only')],
    ['Delivery', <Id of={delivery.id} />],
    [
      'Event',
      type !== null ? <Id of={event} href={`/${area}/events/${event}`} /> : <Id of={event} />,
    ],
    ['Sent as (webhook-id)', sentAs !== event && <Id of={sentAs} />],
    [
      'Endpoint',
      <EndpointName {...delivery} href={`/${area}/endpoints/${delivery.endpoint_id}`} />,
    ],
    ['Ordering key', delivery.ordering_key],
    ['Replaced by', newer && <NewerEvent id={newer} isOperator={isOperator} />],
    ['Tenant', isOperator && <TenantLink of={tenant.key} name={tenant.name} />],
    ['Created', <Time at={delivery.created_at} />],
    ['Finished', <Time at={delivery.finished_at} />],
  ]
  return <Facts of={facts} />
}

const NewerEvent = ({ id, isOperator }: { id: string; isOperator: boolean }) => {
  const href = `${isOperator ? '/console' : '/portal'}/events/${id}`
  return (
    <>{phrase('a newer event of its ordering key: {link}', { link: <Id of={id} href={href} /> })}</>
  )
}

function Next({ delivery, area }: { delivery: DeliveryWithUrl; area: Area }) {
  const { held_reason: reason, finished_at: end } = delivery
  const at = nextAttemptAt(delivery)
  if (end !== null) return <>{say('None – finished')}</>
  if (reason !== null) {
    return (
      <>
        {`${say('None yet.')} ${sayAny(HELD_REASONS[reason])} `}
        {reason === 'circuit' &&
          delivery.probe_at !== null &&
          phrase('Next attempt {time}', { time: <Countdown to={delivery.probe_at} /> })}
        {reason === 'order' && <KeysLink area={area} endpointId={delivery.endpoint_id} />}
      </>
    )
  }
  return at === null ? <>–</> : <Countdown to={at} />
}

function Timeline(shown: Shown) {
  const { attempts } = shown.delivery
  if (attempts.length === 0) return <p>{say('No attempt yet')}.</p>
  const groups = alikeIn(attempts)
  return (
    <ol class="timeline">
      {groups.map((group, index) => {
        const steps = <Steps {...shown} of={group} before={groups[index - 1]?.at(-1)} />
        return group.length > 1 ? <Folded of={group}>{steps}</Folded> : steps
      })}
    </ol>
  )
}

/** Attempts that failed alike one after the other, together; the latest stands alone. */
function alikeIn(attempts: readonly Attempt[]): Attempt[][] {
  const groups: Attempt[][] = []
  for (const attempt of attempts) {
    const group = groups.at(-1)
    if (attempt !== attempts.at(-1) && group?.[0] && areAlike(group[0], attempt)) {
      group.push(attempt)
    } else {
      groups.push([attempt])
    }
  }
  return groups
}

const ALIKE = ['outcome', 'status_code', 'reason', 'error', 'error_detail', 'trigger'] as const
const areAlike = (one: Attempt, other: Attempt): boolean =>
  one.outcome !== 'delivered' && ALIKE.every((name) => one[name] === other[name])

/** A line for all of them, which opens. */
function Folded({ of: group, children }: { of: readonly Attempt[]; children: Child }) {
  const [first, last] = [group[0], group.at(-1)]
  if (!first || !last) return null
  return (
    <li>
      <details class="attempt">
        <summary>
          <strong>{say('{count} attempts alike', { count: group.length })}</strong>{' '}
          <Badge of={first.outcome} /> {first.status_code !== null && `HTTP ${first.status_code} ·`}{' '}
          <Time at={first.started_at} /> – <Time at={last.started_at} />
        </summary>
        <ol class="timeline">{children}</ol>
      </details>
    </li>
  )
}

function Steps(props: Shown & { of: readonly Attempt[]; before: Attempt | undefined }) {
  const { area, delivery, path, of: attempts, before } = props
  return (
    <>
      {attempts.map((attempt, index) => (
        <>
          <Wait from={attempts[index - 1] ?? before} to={attempt} />
          <li id={`attempt-${attempt.number}`}>
            <article class="attempt">
              <AttemptSummary attempt={attempt} area={area} />
              <Details
                attempt={attempt}
                isLast={attempt === delivery.attempts.at(-1)}
                path={path}
              />
            </article>
          </li>
        </>
      ))}
    </>
  )
}

/** Of the latest attempt at once; many of them would make a page of megabytes. */
function Details(props: { attempt: Attempt; isLast: boolean; path: string }) {
  const { attempt, isLast, path } = props
  if (!isLast) {
    return (
      <p>
        <a href={`${path}/attempts/${attempt.number}`}>
          {say('Request and response of attempt {number}', { number: attempt.number })}
        </a>
      </p>
    )
  }
  return (
    <details open>
      <summary>{say('Request and response')}</summary>
      <RequestAndAnswer attempt={attempt} />
    </details>
  )
}

/** The time between two attempts, from the end of the one to the start of the other. */
function Wait({ from, to }: { from: Attempt | undefined; to: Attempt }) {
  if (!from) return null
  const since = from.finished_at ?? from.started_at
  return (
    <li class="wait">
      {say('{span} later', {
        span: spanOf(Math.max(0, to.started_at.getTime() - since.getTime())),
      })}
    </li>
  )
}

function Verification({ delivery, body, messageId, signatureHeaders }: Shown & { body: string }) {
  const last = lastSent(delivery.attempts)
  const headers = headersOf(last)
  const id = headers['webhook-id'] ?? messageId
  const timestamp = headers['webhook-timestamp'] ?? '<webhook-timestamp>'
  const isStandard = !last || headers['webhook-signature'] !== undefined
  const others = Object.entries(signatureHeaders).map(([name, template]) => ({
    name: name.toLowerCase(),
    form: formOf(template),
  }))
  return (
    <>
      <h2>{say('Verify the signature')}</h2>
      {!last && <p>{say('Not sent yet. Insert the timestamp from the request.')}</p>}
      {isStandard && (
        <Verified header="webhook-signature" last={last}>
          {verifyCommand({ id, timestamp, body })}
        </Verified>
      )}
      {others.map(
        ({ name, form }) =>
          form && (
            <Verified header={name} last={last}>
              {verifyCommand({ id, timestamp, body }, form)}
            </Verified>
          ),
      )}
    </>
  )
}

function Verified({
  header,
  last,
  children,
}: {
  header: string
  last: Attempt | undefined
  children: string
}) {
  const value = headersOf(last)[header] ?? `(${say('not kept')})`
  const shown = (
    <code>
      {header}: {value}
    </code>
  )
  return (
    <>
      <p>
        {last &&
          phrase('Of attempt {number}, whose header is {header}.', {
            number: last.number,
            header: shown,
          })}{' '}
        {say('The command prints one of the signatures in it if the secret is right.')}
      </p>
      <Command>{children}</Command>
    </>
  )
}
