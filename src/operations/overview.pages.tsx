import type { Context, Hono } from 'hono'
import { AttemptCharts } from '../attempts/attempt-charts.tsx'
import type { AttemptRates, createAttemptRates } from '../attempts/attempt-rates.ts'
import { spanOf } from '../attempts/attempt-words.ts'
import type { RenderPage } from '../console/layout.tsx'
import { Badge, Command, Empty, Id, Notice, Table, Time } from '../console/parts.tsx'
import { shared } from '../console/shared.ts'
import type { PageEnv } from '../console/viewer.ts'
import { EndpointState } from '../endpoints/endpoint-list.pages.tsx'
import type { Endpoints, FoundEndpoint } from '../endpoints/endpoints.ts'
import { isListed, listedFor } from '../tenants/listed-tenants.ts'
import type { Tenants } from '../tenants/tenants.ts'
import { BACKLOG_COUNTED_MAX, type Backlog, type createBacklog } from './backlog.ts'
import type { createRunnerList, ListedRunner } from './runner-list.ts'

const HOUR_MINUTES = 60
/** However many screens are open, the database is asked once in this time. */
const FRESH_MS = 2_000

interface Overview {
  rates: AttemptRates
  backlog: Backlog
  runners: ListedRunner[]
  troubled: FoundEndpoint[]
}

export interface OverviewPages {
  render: RenderPage
  ratesOf: ReturnType<typeof createAttemptRates>
  backlogOf: ReturnType<typeof createBacklog>
  listRunners: ReturnType<typeof createRunnerList>
  lists: { endpoints: Pick<Endpoints, 'troubled'> }
  tenants: Pick<Tenants, 'reservedIds'>
}

export function addOverviewPage(app: Hono<PageEnv>, pages: OverviewPages): void {
  const look = shared(FRESH_MS, () => readOverview(pages))
  app.get('/', async (c) => {
    const { troubled, ...overview } = await look()
    const listed = await listedFor(c.get('viewer').caller, pages.tenants)
    const shown = troubled.filter((endpoint) => isListed(listed, endpoint.tenant_id))
    return showPage(c, pages, { ...overview, troubled: shown })
  })
}

async function readOverview(pages: OverviewPages): Promise<Overview> {
  const [rates, backlog, runners, troubled] = await Promise.all([
    pages.ratesOf({ minutes: HOUR_MINUTES, stepMinutes: 1 }),
    pages.backlogOf(),
    pages.listRunners(),
    pages.lists.endpoints.troubled(),
  ])
  return { rates, backlog, runners, troubled }
}

function showPage(c: Context<PageEnv>, { render }: OverviewPages, overview: Overview) {
  return render(
    c,
    { title: 'Overview', at: '/console', hasCharts: true },
    <>
      <h1>Overview</h1>
      <div
        id="overview"
        hx-get="/console"
        hx-trigger="every 5s"
        hx-select="#overview"
        hx-swap="outerMorph"
      >
        <State {...overview} />
      </div>
    </>,
  )
}

function State({ rates, backlog, runners, troubled }: Overview) {
  const isNew = rates.steps.every(({ delivered, failed }) => delivered + failed === 0)
  return (
    <>
      <Warnings runners={runners} backlog={backlog} />
      <Figures rates={rates} backlog={backlog} runners={runners} />
      {isNew && <FirstSteps />}
      <AttemptCharts {...rates} />
      <h2>Endpoints in trouble</h2>
      <Troubled endpoints={troubled} />
      <h2>Runners</h2>
      <Runners runners={runners} />
    </>
  )
}

function Warnings({ runners, backlog }: Pick<Overview, 'runners' | 'backlog'>) {
  if (runners.some(({ state }) => state === 'live')) return null
  return (
    <Notice tone="bad">
      No runner is alive: {backlog.due === 0 ? 'nothing will be sent' : 'what is due is not sent'}.
      Start one with <code>postrider runner</code>.
    </Notice>
  )
}

function Figures({ rates, backlog, runners }: Pick<Overview, 'rates' | 'backlog' | 'runners'>) {
  const sum = (of: 'delivered' | 'failed') =>
    rates.steps.reduce((total, step) => total + step[of], 0)
  const [delivered, failed] = [sum('delivered'), sum('failed')]
  const share = delivered + failed === 0 ? '–' : percent(delivered / (delivered + failed))
  const when = rates.countedSince ? (
    <>
      since <Time at={rates.countedSince} />
    </>
  ) : (
    'in the last hour'
  )
  const open = backlog.due + backlog.scheduled + backlog.delivering + backlog.held
  const atLeast = open >= BACKLOG_COUNTED_MAX ? '≥ ' : ''
  return (
    <ul class="figures">
      <li>
        <strong>{share}</strong> of {delivered + failed} attempts succeeded {when}
      </li>
      <li>
        <strong>
          {atLeast}
          {backlog.due}
        </strong>{' '}
        due now
        {backlog.oldestDueAt && (
          <>
            , the oldest for {spanOf(Math.max(0, Date.now() - backlog.oldestDueAt.getTime()))},
            since <Time at={backlog.oldestDueAt} />
          </>
        )}
      </li>
      <li>
        <strong>{backlog.delivering}</strong> being sent
      </li>
      <li>
        <strong>{backlog.scheduled}</strong> wait for a later attempt
      </li>
      <li>
        <strong>{backlog.held}</strong> held until their endpoint accepts work
      </li>
      <li>
        <strong>{runners.filter(({ state }) => state === 'live').length}</strong> runners alive
      </li>
    </ul>
  )
}

/** Never rounds up to a success that was none. */
function percent(share: number): string {
  return `${Math.floor(share * 1000) / 10} %`
}

function FirstSteps() {
  return (
    <Empty title="Nothing has been sent in the last hour">
      <p>
        Make a <a href="/console/tenants">tenant</a>, give it an{' '}
        <a href="/console/endpoints/new">endpoint</a>, and publish an event for it, from a shell:
      </p>
      <Command>{`scripts/postrider publish acme invoice.paid '{"id": 1}'`}</Command>
      <p>or in the transaction that changes your own data:</p>
      <Command>{`select postrider.publish('acme', 'invoice.paid', '{"id": 1}');`}</Command>
    </Empty>
  )
}

function Troubled({ endpoints }: { endpoints: FoundEndpoint[] }) {
  if (endpoints.length === 0) return <p>None: the last attempt of every endpoint succeeded.</p>
  return (
    <Table
      label="Endpoints in trouble"
      head={['Endpoint', 'Tenant', 'State', 'Failures', 'Refused events', 'Since']}
    >
      {endpoints.map((endpoint) => (
        <tr>
          <td class="url">
            <a href={`/console/endpoints/${endpoint.id}`}>{endpoint.url}</a>
          </td>
          <td>{endpoint.tenantKey}</td>
          <td>
            <EndpointState {...endpoint} />
            {endpoint.disabled_reason && <div class="muted">{endpoint.disabled_reason}</div>}
          </td>
          <td class="number">{endpoint.failures}</td>
          <td class="number">{endpoint.refusals}</td>
          <td>
            <Time at={endpoint.failingSince ?? endpoint.refusingSince} />
          </td>
        </tr>
      ))}
    </Table>
  )
}

function Runners({ runners }: { runners: ListedRunner[] }) {
  if (runners.length === 0) {
    return (
      <Empty title="No runner has ever registered">
        <p>Runners send what is due. Start any number of them:</p>
        <Command>postrider runner</Command>
      </Empty>
    )
  }
  return (
    <Table
      label="Runners"
      head={['Runner', 'State', 'Host', 'Process', 'Last heartbeat', 'Started']}
    >
      {runners.map(({ id, state, host, pid, seenAt, startedAt }) => (
        <tr>
          <td>
            <Id of={id} />
          </td>
          <td>
            <Badge of={state} />
          </td>
          <td>{host}</td>
          <td class="number">{pid}</td>
          <td>
            <Time at={seenAt} />
          </td>
          <td>
            <Time at={startedAt} />
          </td>
        </tr>
      ))}
    </Table>
  )
}
