import type { Context, Hono } from 'hono'
import type { Attempt } from '../../attempts/attempts.ts'
import type { Deliveries, Delivery } from '../../events/deliveries.ts'
import type { createSentBody } from '../../events/sent-body.ts'
import type { Area } from '../../tenants/sessions.ts'
import type { RenderPage } from '../layout.tsx'
import type { Owner, Owners } from '../owners.ts'
import {
  Badge,
  Command,
  Confirm,
  CopyButton,
  Countdown,
  Facts,
  Id,
  Notice,
  Raw,
  TenantLink,
  Time,
} from '../parts.tsx'
import { verifyCommand } from '../verify-command.ts'
import { type PageEnv, requireScope, type Viewer } from '../viewer.ts'
import { inWords, prettyJson, spanOf } from '../words.ts'

/** What has just been done, by the word that stands in the address. */
const SAID: Record<string, string> = {
  retried: 'The next attempt is due now.',
  cancelled: 'The delivery is cancelled; nothing more is sent.',
}

interface Shown {
  area: Area
  delivery: Delivery & { attempts: Attempt[] }
  owner: Owner
  url: string
  type: string
  body: string
}

export function addDeliveryPage(
  app: Hono<PageEnv>,
  options: {
    area?: Area
    render: RenderPage
    owners: Pick<Owners, 'ofDelivery' | 'urlOf'>
    deliveries: Pick<Deliveries, 'get'>
    sentBody: ReturnType<typeof createSentBody>
  },
): void {
  const { area = 'console', render, owners, deliveries, sentBody } = options
  const list = `/${area}/deliveries`

  const show = async (c: Context<PageEnv>): Promise<Shown> => {
    const { id, owner } = await owners.ofDelivery(c.req.param('id') ?? '')
    const delivery = await deliveries.get(owner.id, id)
    const [url, sent] = await Promise.all([
      owners.urlOf(delivery.endpoint_id),
      sentBody(owner.id, delivery.event_id as Parameters<typeof sentBody>[1]),
    ])
    return { area, delivery, owner, url, ...sent }
  }

  app.get('/deliveries/:id', async (c) => {
    const shown = await show(c)
    const path = `${list}/${shown.delivery.id}`
    const said = SAID[c.req.query('said') ?? '']
    return render(
      c,
      { title: `Delivery ${shown.delivery.id}`, at: list },
      <>
        <h1>Delivery of {shown.type}</h1>
        {said && <Notice tone="good">{said}</Notice>}
        <Actions {...shown} viewer={c.get('viewer')} path={path} />
        <div
          id="delivery"
          hx-get={path}
          hx-trigger={shown.delivery.finished_at ? 'every 10s' : 'every 2s'}
          hx-select="#delivery"
          hx-swap="outerMorph"
        >
          <State {...shown} />
          <h2>Attempts</h2>
          <Timeline {...shown} />
          <RequestBody {...shown} path={path} />
        </div>
      </>,
    )
  })

  app.get('/deliveries/:id/body.json', async (c) => {
    const { body } = await show(c)
    return c.body(body, 200, {
      'content-type': 'application/json; charset=utf-8',
      'content-disposition': 'attachment; filename="body.json"',
    })
  })

  for (const [operation, said] of [
    ['retry', 'retried'],
    ['cancel', 'cancelled'],
  ] as const) {
    app.post(`/deliveries/:id/${operation}`, requireScope('manage'), async (c) => {
      const { id, owner } = await owners.ofDelivery(c.req.param('id'))
      const path = { tenant: owner.key, id }
      await c.get('viewer').api.request(`POST /api/tenants/{tenant}/deliveries/{id}/${operation}`, {
        path,
      })
      return c.redirect(`${list}/${id}?said=${said}`, 303)
    })
  }
}

function Actions({ delivery, viewer, path }: Shown & { viewer: Viewer; path: string }) {
  if (!viewer.may('manage')) return null
  const isOver = delivery.finished_at !== null
  return (
    <div class="actions">
      <Confirm
        label="Retry now"
        action={`${path}/retry`}
        question={
          isOver
            ? 'It is over. Send it again, with its schedule from the start?'
            : 'Make the next attempt at once, whatever the schedule says?'
        }
        yes="Yes, retry now"
      />
      {!isOver && (
        <Confirm
          label="Cancel"
          action={`${path}/cancel`}
          question="End it? Nothing more is sent, unless somebody retries it."
          yes="Yes, cancel it"
          isDangerous
        />
      )}
    </div>
  )
}

function State({ area, delivery, owner, url }: Shown) {
  const isOperator = area === 'console'
  return (
    <Facts
      of={[
        ['State', <Badge of={delivery.state} />],
        ['Next attempt', <Next {...delivery} />],
        ['Attempts', String(delivery.attempt_count)],
        ['Delivery', <Id of={delivery.id} />],
        [
          'Event',
          isOperator ? (
            <Id of={delivery.event_id} href={`/console/events/${delivery.event_id}`} />
          ) : (
            <Id of={delivery.event_id} />
          ),
        ],
        ['Endpoint', <a href={`/${area}/endpoints/${delivery.endpoint_id}`}>{url}</a>],
        ...(isOperator ? [['Tenant', <TenantLink of={owner.key} />] as const] : []),
        ['Made', <Time at={delivery.created_at} />],
        ['Over', <Time at={delivery.finished_at} />],
      ]}
    />
  )
}

function Next({ state, next_attempt_at: at, finished_at: end }: Delivery) {
  if (end !== null) return <>none, it is over</>
  if (state === 'held') return <>when its endpoint accepts work again</>
  return at === null ? <>–</> : <Countdown to={at} />
}

function Timeline({ delivery }: Shown) {
  const { attempts } = delivery
  if (attempts.length === 0) return <p>None has been made yet.</p>
  return (
    <ol class="timeline">
      {attempts.map((attempt, index) => (
        <>
          <Wait from={attempts[index - 1]} to={attempt} />
          <li>
            <AttemptDetails
              attempt={attempt}
              isLast={index === attempts.length - 1}
              delivery={delivery}
            />
          </li>
        </>
      ))}
    </ol>
  )
}

/** The time between two attempts, from the end of the one to the start of the other. */
function Wait({ from, to }: { from: Attempt | undefined; to: Attempt }) {
  if (!from) return null
  const since = from.finished_at ?? from.started_at
  return (
    <li class="wait">{spanOf(Math.max(0, to.started_at.getTime() - since.getTime()))} later</li>
  )
}

function AttemptDetails({
  attempt,
  isLast,
}: {
  attempt: Attempt
  isLast: boolean
  delivery: Delivery
}) {
  const { number, outcome, status_code: status, error, duration_ms: ms } = attempt
  return (
    <article class="attempt">
      <h3>
        Attempt {number} <Badge of={outcome} /> {status !== null && <span>HTTP {status}</span>}
        {ms !== null && <span class="muted">in {spanOf(ms)}</span>}
      </h3>
      <p>
        <Time at={attempt.started_at} /> <span class="muted">{WHY[attempt.trigger]}</span>
      </p>
      {error !== null && <p>{inWords(error)}.</p>}
      <details open={isLast}>
        <summary>Request and answer</summary>
        <div class="columns">
          <section>
            <h4>Request as sent</h4>
            <Headers text={attempt.request_headers} label={`Headers of request ${number}`} />
          </section>
          <section>
            <h4>Answer as received</h4>
            <Headers text={attempt.response_headers} label={`Headers of answer ${number}`} />
            {attempt.response_body && (
              <Raw label={`Body of answer ${number}`}>{prettyJson(attempt.response_body)}</Raw>
            )}
          </section>
        </div>
        <Timings {...attempt} />
      </details>
    </article>
  )
}

const WHY: Record<Attempt['trigger'], string> = {
  schedule: 'by the schedule',
  manual: 'retried by a person',
  replay: 'by a replay',
  test: 'a test of the endpoint',
}

function Headers({ text, label }: { text: string | null; label: string }) {
  if (text === null) return <p class="muted">None.</p>
  const headers = Object.entries(JSON.parse(text) as Record<string, string | string[]>)
  return (
    <Raw label={label}>
      {headers.map(([name, value]) => `${name}: ${[value].flat().join(', ')}`).join('\n')}
    </Raw>
  )
}

function Timings({ dns_ms, connect_ms, tls_ms, first_byte_ms, runner }: Attempt) {
  const phases = [
    ['name looked up', dns_ms],
    ['connected', connect_ms],
    ['TLS', tls_ms],
    ['waited for the answer', first_byte_ms],
  ] as const
  const took = phases.filter(([, ms]) => ms !== null)
  return (
    <p class="muted">
      {took.map(([name, ms]) => `${name} ${spanOf(ms ?? 0)}`).join(', ') || 'No times were taken'} ·
      by runner <code>{runner}</code>
    </p>
  )
}

/** The same for every attempt, so it stands here once. */
function RequestBody({ delivery, body, path }: Shown & { path: string }) {
  const last = delivery.attempts.findLast(({ request_headers: headers }) => headers !== null)
  const headers = JSON.parse(last?.request_headers ?? '{}') as Record<string, string>
  const id = headers['webhook-id'] ?? delivery.event_id
  const timestamp = headers['webhook-timestamp'] ?? '<webhook-timestamp>'
  return (
    <>
      <h2>Body of every request</h2>
      <p>
        <CopyButton text={body} what="the body as sent" />{' '}
        <a href={`${path}/body.json`}>body.json</a>, byte for byte as it was signed
      </p>
      <Raw label="Body of every request">{prettyJson(body)}</Raw>
      <h2>Verify the signature by hand</h2>
      <p>
        {last ? (
          <>
            Of attempt {last.number}, whose header is{' '}
            <code>webhook-signature: {headers['webhook-signature'] ?? '(not kept)'}</code>.
          </>
        ) : (
          <>No request has been sent yet; put its timestamp in.</>
        )}{' '}
        The command prints one of the signatures in it if the secret is right.
      </p>
      <Command>{verifyCommand({ id, timestamp, body })}</Command>
    </>
  )
}
