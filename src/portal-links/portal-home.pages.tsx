import type { Context, Hono } from 'hono'
import { adviceOf } from '../attempts/advice.ts'
import { inWords, spanOf } from '../attempts/attempt-words.ts'
import { type Column, DataTable } from '../console/data-table.tsx'
import { phrase, say, sayAny, sayNumber } from '../console/language.ts'
import type { RenderPage } from '../console/layout.tsx'
import { Badge, EndpointName, Time } from '../console/parts.tsx'
import { type PageEnv, viewerWith } from '../console/viewer.ts'
import { releasedByTest } from '../endpoints/backing-off.tsx'
import {
  type EndpointHealth,
  HELD_COUNTED_MAX,
  type Health,
  type HealthOf,
  healthOf,
} from '../endpoints/endpoint-health.ts'
import { FirstSteps } from '../endpoints/endpoint-list.pages.tsx'

export interface HomePages {
  render: RenderPage
  healthOf: HealthOf
}

/** What fits on a screen or two; those in trouble come first. */
const SHOWN_MAX = 20
const ENDPOINTS_PATH = '/portal/endpoints'

/** The first page of a customer: what works, what does not, and what to do about it. */
export function addHomePage(app: Hono<PageEnv>, pages: HomePages): void {
  app.get('/', (c) => showHome(c, pages))
}

async function showHome(c: Context<PageEnv>, { render, healthOf: find }: HomePages) {
  const { caller } = viewerWith(c, 'read')
  if (!caller.tenant) throw new Error('a link belongs to a tenant')
  const { worst, count, failing } = await find(caller.tenant.id, SHOWN_MAX)
  const mayManage = c.get('viewer').may('manage')
  return render(
    c,
    { title: say('Overview'), at: '/portal' },
    <>
      <h1>{say('Overview')}</h1>
      {count === 0 ? (
        <FirstSteps mayAdd={mayManage} />
      ) : (
        <>
          <p class="answer">{summaryOf(count, failing)}</p>
          <HealthTable endpoints={worst} mayManage={mayManage} />
          <p class="actions">
            <a class="button" href={ENDPOINTS_PATH}>
              {say('All endpoints')}
            </a>
            <a class="button" href="/portal/deliveries">
              {say('Deliveries')}
            </a>
            <a class="button" href="/portal/events">
              {say('Events')}
            </a>
          </p>
        </>
      )}
    </>,
  )
}

function summaryOf(count: number, failing: number): string {
  if (failing === 0) return say('No endpoint is failing.')
  if (count === 1) return say('Your endpoint is failing.')
  const values = { failing: sayNumber(failing), count: sayNumber(count) }
  return say('Failing: {failing} of {count} endpoints.', values)
}

function HealthTable(props: { endpoints: readonly EndpointHealth[]; mayManage: boolean }) {
  return (
    <DataTable
      name="health"
      label="Health"
      columns={columnsFor(props.mayManage)}
      rows={props.endpoints}
      hrefOf={({ id }) => `${ENDPOINTS_PATH}/${id}`}
    />
  )
}

const columnsFor = (mayManage: boolean): Column<EndpointHealth>[] => [
  { name: 'endpoint', label: 'Endpoint', kind: 'main', cell: (row) => <EndpointName {...row} /> },
  { name: 'health', label: 'Health', kind: 'text', cell: (row) => <HealthCell {...row} /> },
  { name: 'last', label: 'Last response', kind: 'text', cell: (row) => <LastResponse {...row} /> },
  {
    name: 'todo',
    label: 'What to do',
    kind: 'text',
    cell: (row) => <ToDo endpoint={row} mayManage={mayManage} />,
  },
]

function HealthBadge({ of: health }: { of: Health }) {
  switch (health) {
    case 'disabled':
    case 'paused':
      return <Badge of={health} />
    case 'failing':
      return <Badge of="failed" label="Failing" />
    case 'working':
      return <Badge of="active" label="Working" />
    case 'unused':
      return <Badge of="off" label="Not used yet" />
    default:
      return health satisfies never
  }
}

function onHold(held: number): string {
  if (held === 1) return say('1 delivery on hold')
  const count = held >= HELD_COUNTED_MAX ? `${sayNumber(held)}+` : sayNumber(held)
  return say('{count} deliveries on hold', { count })
}

function HealthCell(endpoint: EndpointHealth) {
  const { failingSince, held, probeAt } = endpoint
  return (
    <>
      <HealthBadge of={healthOf(endpoint)} />{' '}
      {failingSince && phrase('since {time}', { time: <Time at={failingSince} isExact /> })}
      {held > 0 && <div class="muted">{onHold(held)}</div>}
      {probeAt && (
        <div class="muted">{phrase('Next attempt {time}', { time: <Time at={probeAt} /> })}</div>
      )}
    </>
  )
}

/** Such as “200 in 72 ms · 3 min ago”, or what went wrong. */
function LastResponse({ last }: EndpointHealth) {
  if (last === null) return <span class="muted">{say('Nothing was sent yet')}</span>
  const { statusCode, durationMs, deliveryId, startedAt } = last
  const words = inWords(last) ?? (statusCode === null ? null : `HTTP ${statusCode}`)
  return (
    <>
      <a href={`/portal/deliveries/${deliveryId}`}>{words ?? say('In progress')}</a>{' '}
      {durationMs !== null && (
        <span class="muted">{say('in {span}', { span: spanOf(durationMs) })}</span>
      )}{' '}
      <Time at={startedAt} />
    </>
  )
}

function ToDo({ endpoint, mayManage }: { endpoint: EndpointHealth; mayManage: boolean }) {
  const path = `${ENDPOINTS_PATH}/${endpoint.id}`
  const health = healthOf(endpoint)
  const { last, isUnreadable, isBackingOff, held } = endpoint
  if (isUnreadable) return <>{say('Contact the operator of the service.')}</>
  if (health === 'working') return <span class="muted">{say('Nothing')}</span>
  if (health === 'failing') {
    const advice = last && adviceOf(last)
    return (
      <>
        {advice && sayAny(advice)}{' '}
        {isBackingOff && held > 0 ? (
          <TestToRelease path={path} held={held} mayManage={mayManage} />
        ) : (
          mayManage && <a href={path}>{say('Then recover what it has missed')}</a>
        )}
      </>
    )
  }
  return mayManage ? <a href={path}>{say(TO_DO[health])}</a> : <span>{say(TO_DO[health])}</span>
}

/** A test that succeeds closes the circuit. */
function TestToRelease(props: { path: string; held: number; mayManage: boolean }) {
  const { path, held, mayManage } = props
  if (!mayManage) return null
  return (
    <>
      <p>{releasedByTest(held, HELD_COUNTED_MAX)}</p>
      <form method="post" action={`${path}/test`}>
        <button type="submit">{say('Send a test event')}</button>
      </form>
    </>
  )
}

const TO_DO = {
  disabled: 'Enable it once the receiver is back',
  paused: 'Resume it to send what is on hold',
  unused: 'Send a test event',
} as const
