import type { Context, Hono } from 'hono'
import { AttemptCharts } from '../attempts/attempt-charts.tsx'
import type { AttemptRates, createAttemptRates, RateStep } from '../attempts/attempt-rates.ts'
import type { Strips, StripsOf } from '../attempts/attempt-strips.ts'
import { spanOf } from '../attempts/attempt-words.ts'
import { cached } from '../console/cached.ts'
import { saidOf, urlWith } from '../console/forms.ts'
import { atMost, sayNumber } from '../console/language.ts'
import type { RenderPage } from '../console/layout.tsx'
import { Badge, Command, Confirm, Empty, Id, Notice, Table, Time } from '../console/parts.tsx'
import { percent, Tile } from '../console/tile.tsx'
import { type PageEnv, requireScope } from '../console/viewer.ts'
import { INCIDENT_SAID } from '../incidents/incident.pages.tsx'
import { INCIDENTS_PATH, IncidentTable, Since } from '../incidents/incident-table.tsx'
import type { Incident, Incidents, IncidentTotals } from '../incidents/incidents.ts'
import { EVERY_TENANT, type ListedTenants, listedFor } from '../tenants/listed-tenants.ts'
import type { Tenants } from '../tenants/tenants.ts'
import { BACKLOG_COUNTED_MAX, type Backlog, type createBacklog } from './backlog.ts'
import type { ChartMarker, MarkersOf } from './chart-markers.ts'
import type { PauseAll } from './pause-all.ts'
import type { createRunnerList, ListedRunner } from './runner-list.ts'

const HOUR_MINUTES = 60
/** However many screens are open, the database is asked once in this time. */
const FRESH_MS = 2_000
/** More do not fit on a screen; the list has them all. */
const INCIDENTS_SHOWN = 20

const SAID: Record<string, string> = {
  ...INCIDENT_SAID,
  paused_all: 'All deliveries paused. Nothing is sent until you resume them.',
  resumed_all: 'All deliveries resumed. Held deliveries are being sent.',
}

interface Overview {
  rates: AttemptRates
  backlog: Backlog
  runners: ListedRunner[]
  incidents: Incident[]
  strips: Strips
  totals: IncidentTotals
  markers: ChartMarker[]
}

export interface OverviewPages {
  render: RenderPage
  ratesOf: ReturnType<typeof createAttemptRates>
  backlogOf: ReturnType<typeof createBacklog>
  listRunners: ReturnType<typeof createRunnerList>
  markersOf: MarkersOf
  pauseAll: PauseAll
  stripsOf: StripsOf
  lists: { incidents: Pick<Incidents, 'worst' | 'totals'> }
  tenants: Pick<Tenants, 'reservedIds'>
}

export function addOverviewPage(app: Hono<PageEnv>, pages: OverviewPages): void {
  const ofAll = cached(FRESH_MS, () => readOverview(pages, EVERY_TENANT))
  const ofCustomers = cached(FRESH_MS, async () =>
    readOverview(pages, { but: await pages.tenants.reservedIds() }),
  )
  app.get('/', async (c) => {
    const isAdmin = (await listedFor(c.get('viewer').caller, pages.tenants)) === EVERY_TENANT
    return showPage(c, pages, await (isAdmin ? ofAll : ofCustomers)())
  })
  const switching = (act: 'pause' | 'resume', said: string) => async (c: Context<PageEnv>) => {
    await pages.pauseAll[act](c.get('viewer').who)
    for (const overview of [ofAll, ofCustomers]) overview.forget()
    return c.redirect(urlWith('/console', { said }), 303)
  }
  app.post('/pause-all', requireScope('admin'), switching('pause', 'paused_all'))
  app.post('/resume-all', requireScope('admin'), switching('resume', 'resumed_all'))
}

async function readOverview(pages: OverviewPages, tenants: ListedTenants): Promise<Overview> {
  const [rates, backlog, runners, incidents, totals, markers] = await Promise.all([
    pages.ratesOf({ minutes: HOUR_MINUTES, stepMinutes: 1 }),
    pages.backlogOf(),
    pages.listRunners(),
    pages.lists.incidents.worst(tenants, INCIDENTS_SHOWN),
    pages.lists.incidents.totals(tenants),
    pages.markersOf(new Date(Date.now() - HOUR_MINUTES * 60_000)),
  ])
  const strips = await pages.stripsOf(incidents)
  return { rates, backlog, runners, incidents, strips, totals, markers }
}

function showPage(c: Context<PageEnv>, { render }: OverviewPages, overview: Overview) {
  const said = saidOf(SAID, c)
  const viewer = c.get('viewer')
  return render(
    c,
    {
      title: 'Home',
      at: '/console',
      hasCharts: true,
    },
    <>
      <div class="head">
        <h1>Home</h1>
        {viewer.may('admin') && !overview.totals.pausedAt && <PauseAllButton />}
      </div>
      {said && <Notice tone="good">{said}</Notice>}
      <div
        id="overview"
        hx-get="/console"
        hx-trigger="every 5s"
        hx-select="#overview"
        hx-swap="outerMorph"
      >
        <State {...overview} mayAct={viewer.may('manage')} mayResume={viewer.may('admin')} />
      </div>
    </>,
  )
}

/** Trouble first: who, since when, why, whose and what to press, without a click. */
function State({
  rates,
  backlog,
  runners,
  incidents,
  strips,
  totals,
  markers,
  mayAct,
  mayResume,
}: Overview & { mayAct: boolean; mayResume: boolean }) {
  const isNew = rates.steps.every(({ delivered, failed }) => delivered + failed === 0)
  return (
    <>
      <Warnings runners={runners} backlog={backlog} totals={totals} mayResume={mayResume} />
      <Headline totals={totals} backlog={backlog} runners={runners} />
      {incidents.length > 0 && (
        <IncidentTable incidents={incidents} strips={strips} mayAct={mayAct} from="home" />
      )}
      {totals.incidents > incidents.length && (
        <p>
          <a href={INCIDENTS_PATH}>All {totals.incidents} open incidents</a>
        </p>
      )}
      <Tiles rates={rates} backlog={backlog} runners={runners} />
      {isNew && <FirstSteps />}
      <AttemptCharts {...rates} markers={markers} />
      <h2 id="runners">Runners</h2>
      <Runners runners={runners} />
    </>
  )
}

function PauseAllButton() {
  return (
    <span class="end">
      <Confirm
        label="Pause all"
        action="/console/pause-all"
        question="Nothing is sent to any customer until you resume. Events are still accepted, and what falls due is on hold."
        yes="Pause all deliveries"
        isDangerous
      />
    </span>
  )
}

interface WarningsProps extends Pick<Overview, 'runners' | 'backlog' | 'totals'> {
  mayResume: boolean
}

function Warnings({ runners, backlog, totals, mayResume }: WarningsProps) {
  const { alarm, pausedAt, pausedBy } = totals
  const isAlive = runners.some(({ state }) => state === 'live')
  return (
    <>
      {pausedAt && (
        <Notice tone="bad">
          <p>
            All deliveries are paused by {pausedBy} for <Since at={pausedAt} />.
          </p>
          {mayResume && (
            <form method="post" action="/console/resume-all">
              <button type="submit">Resume all deliveries</button>
            </form>
          )}
        </Notice>
      )}
      {!isAlive && (
        <Notice tone="bad">
          No runner is alive:{' '}
          {backlog.due === 0 ? 'nothing will be sent' : 'due deliveries are not sent'}. Start one
          with <code>postrider runner</code>.
        </Notice>
      )}
      {isAlive && alarm && <Notice tone="bad">{alarm}</Notice>}
    </>
  )
}

function Headline({ totals, backlog, runners }: Pick<Overview, 'totals' | 'backlog' | 'runners'>) {
  const { endpoints, tenants, since, ofEndpoints } = totals
  const live = runners.filter(({ state }) => state === 'live').length
  const gone = runners.filter(({ state }) => state === 'silent').length
  return (
    <section class={since ? 'headline bad' : 'headline good'} aria-label="State">
      <p class="line summary">
        {since ? (
          <>
            {endpoints} {plural(endpoints, 'endpoint')} of {tenants} {plural(tenants, 'customer')}{' '}
            failing for <Since at={since} />: {verdictOf(totals)}
          </>
        ) : (
          'No endpoint is failing.'
        )}
      </p>
      <p class="line">
        {ofEndpoints - endpoints} of {ofEndpoints} {plural(ofEndpoints, 'endpoint')} OK ·{' '}
        {atMost(backlog.held, BACKLOG_COUNTED_MAX)} on hold · nothing lost · {live} of {live + gone}{' '}
        {plural(live + gone, 'runner')} OK
      </p>
    </section>
  )
}

/** Causes that differ speak for the receivers; one that many share does not. */
function verdictOf({ ours, incidents, causes }: IncidentTotals): string {
  const different = causes === 1 ? 'one cause' : `${causes} different causes`
  if (ours === 0) return `likely their receivers (${different})`
  if (ours === incidents) return `likely on our side (${different})`
  return `${ours} of ${incidents} incidents ${ours === 1 ? 'is' : 'are'} likely on our side (${different})`
}

const plural = (count: number, noun: string): string => (count === 1 ? noun : `${noun}s`)

function Tiles({ rates, backlog, runners }: Pick<Overview, 'rates' | 'backlog' | 'runners'>) {
  const { steps, countedSince } = rates
  const sum = (of: (step: RateStep) => number) => steps.reduce((total, step) => total + of(step), 0)
  const share = (good: (step: RateStep) => number, all: (step: RateStep) => number) => ({
    value: sum(all) === 0 ? '–' : percent(sum(good) / sum(all)),
    spark: steps.map((step) => (all(step) === 0 ? null : good(step) / all(step))),
  })
  const made = (step: RateStep) => step.delivered + step.failed
  const succeeded = share((step) => step.delivered, made)
  const first = share(
    (step) => step.firstDelivered,
    (step) => step.firstTries,
  )
  const latest = steps.findLast(({ p95Ms }) => p95Ms !== null)?.p95Ms
  const live = runners.filter(({ state }) => state === 'live').length
  const when = countedSince ? `last ${spanOf(Date.now() - countedSince.getTime())}` : 'last hour'
  const due = backlog.oldestDueAt ? Math.max(0, Date.now() - backlog.oldestDueAt.getTime()) : null
  return (
    <ul class="tiles">
      <Tile
        {...succeeded}
        href="/console/live"
        label={`of ${sayNumber(sum(made))} ${plural(sum(made), 'attempt')} succeeded, ${when}`}
      />
      <Tile {...first} href="/console/deliveries" label="of first attempts succeeded" />
      <Tile
        value={latest == null ? '–' : spanOf(latest)}
        spark={steps.map(({ p95Ms }) => p95Ms)}
        href="#latency"
        label="p95 of attempts, latest minute"
      />
      <Tile
        value={due === null ? '–' : spanOf(due)}
        href="/console/deliveries?state=pending"
        label={`oldest wait, of ${atMost(backlog.due, BACKLOG_COUNTED_MAX)} due now`}
      />
      <Tile
        value={atMost(backlog.scheduled, BACKLOG_COUNTED_MAX)}
        href="/console/deliveries?state=pending"
        label="waiting to retry"
      />
      <Tile
        value={atMost(backlog.held, BACKLOG_COUNTED_MAX)}
        href="/console/deliveries?state=held"
        label="on hold"
      />
      <Tile
        value={String(backlog.delivering)}
        href="/console/deliveries?state=delivering"
        label={`being sent by ${live} ${plural(live, 'runner')}`}
      />
    </ul>
  )
}

function FirstSteps() {
  return (
    <Empty title="No deliveries in the last hour">
      <p>
        Create a <a href="/console/tenants">tenant</a>, give it an{' '}
        <a href="/console/endpoints/new">endpoint</a>, and publish an event for it, from a shell:
      </p>
      <Command>{`scripts/postrider publish default invoice.paid '{"id": 1}'`}</Command>
      <p>or in the transaction that changes your own data:</p>
      <Command>{`select postrider.publish('default', 'invoice.paid', '{"id": 1}');`}</Command>
    </Empty>
  )
}

function Runners({ runners }: { runners: ListedRunner[] }) {
  if (runners.length === 0) {
    return (
      <Empty title="No runners yet">
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
