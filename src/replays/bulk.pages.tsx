import type { Context, Hono } from 'hono'
import type { FormState } from '../console/fields.tsx'
import { asNumber } from '../console/form-values.ts'
import { readForm, refusedForm, urlWith } from '../console/forms.ts'
import type { RenderPage } from '../console/layout.tsx'
import { Notice, stateLabel } from '../console/parts.tsx'
import { type PageEnv, requireScope } from '../console/viewer.ts'
import { parseSettings } from '../http/request-body.ts'
import type { TenantAccess } from '../tenants/tenant-access.ts'
import { bulkInput, DELIVERY_STATES } from './bulk.fields.ts'
import { BULK_ACTIONS, type Bulk, type BulkAction, type BulkRequest } from './bulk.ts'
import { ACTION_LABELS, DONE, filtersOf, insteadOf } from './bulk-bar.tsx'
import { LeftOut, type Preview, Sample, StartForm, Summary } from './bulk-preview.tsx'

const LIST = '/console/deliveries'

export interface BulkPages {
  render: RenderPage
  access: TenantAccess
  bulk: Bulk
}

type C = Context<PageEnv>
type Values = Record<string, string>

export function addBulkPages(app: Hono<PageEnv>, pages: BulkPages): void {
  app.post('/deliveries/bulk', requireScope('manage'), (c) => handle(c, pages))
}

/** One job of a tenant: what is asked for in its name. */
interface Job {
  tenant: string
  body: Record<string, unknown>
}

async function handle(c: C, pages: BulkPages) {
  const { intent, ...values } = await readForm(c)
  const action = BULK_ACTIONS.find((known) => known === values['action'])
  const mistake = action ? mistakeOf(values) : 'Choose an action.'
  if (!action || mistake) return showRefusal(c, pages, { values, mistake: mistake ?? '' })
  try {
    if (intent === 'start') return await start(c, pages, jobsOf(values, action))
    return await showPreview(c, pages, { values, action })
  } catch (error) {
    return await refuse(c, pages, { values, action, error })
  }
}

/** The rate is asked for on the page before and can be corrected there; the rest was chosen in the list. */
async function refuse(
  c: C,
  pages: BulkPages,
  { values, action, error }: { values: Values; action: BulkAction; error: unknown },
) {
  const { mistakes } = refusedForm(values, error, fieldOf)
  const { ratePerSecond, ...others } = mistakes
  if (ratePerSecond && Object.keys(others).length === 0) {
    return await showPreview(c, pages, { values, action, mistakes })
  }
  const said = Object.entries(mistakes).map(([name, mistake]) => {
    if (name === 'f.state' && areStates(values)) return ofStates(values, action)
    return LABELS[name] ? `${LABELS[name]}: ${mistake}` : mistake
  })
  return showRefusal(c, pages, { values, mistake: said.join(' ') })
}

/** Filters of the list, by what the API calls them. */
const FILTERS: Record<string, string> = {
  eventTypes: 'f.type',
  states: 'f.state',
  statusClass: 'f.class',
  endpointId: 'f.endpoint',
  eventId: 'f.event',
  reason: 'f.reason',
  since: 'f.since',
  until: 'f.until',
}
const LABELS: Record<string, string> = {
  'f.type': 'Event type',
  'f.state': 'State',
  'f.class': 'Last response',
  'f.endpoint': 'Endpoint',
  'f.event': 'Event',
  'f.reason': 'Reason',
  'f.since': 'From',
  'f.until': 'Before',
  ratePerSecond: 'Rate',
}

const fieldOf = (path: string): string => {
  const name = path.replace(/[.[].*$/, '')
  return FILTERS[name] ?? name
}

const statesOf = (values: Values): string[] => (values['f.state'] ?? '').split(',').filter(Boolean)

const areStates = (values: Values): boolean => {
  const known: readonly string[] = DELIVERY_STATES
  return statesOf(values).every((state) => known.includes(state))
}

/** What the action does not apply to, and what does. */
function ofStates(values: Values, action: BulkAction): string {
  const states = statesOf(values)
  const labels = states.map((state) => `“${stateLabel(state)}”`).join(', ')
  const instead = [...new Set(states.map((state) => insteadOf(state, action)))]
    .filter((other) => other !== undefined)
    .map((other) => ACTION_LABELS[other])
  const remedy = instead.length > 0 ? ` Use ${instead.join(' or ')}.` : ''
  return `State: deliveries in state ${labels} cannot be ${DONE[action]}.${remedy}`
}

/** Why there is nothing to act on; undefined = there is. */
function mistakeOf(values: Values): string | undefined {
  if (values['all'] !== 'yes') {
    return chosenOf(values).size === 0 ? 'Select at least one delivery.' : undefined
  }
  if (!values['f.tenant']) return 'Filter by a tenant first: a bulk job acts for one tenant.'
  if (values['f.search']) return 'Remove the search: a bulk job takes the other filters only.'
  return undefined
}

/** Deliveries that were selected, by the key of their tenant. */
function chosenOf(values: Values): Map<string, string[]> {
  const chosen = Object.entries(values).filter(([name]) => name.startsWith('d.'))
  const byTenant = Map.groupBy(chosen, ([, tenant]) => tenant)
  return new Map(
    [...byTenant].map(([tenant, boxes]) => [tenant, boxes.map(([name]) => name.slice(2))]),
  )
}

function jobsOf(values: Values, action: BulkAction): Job[] {
  const rate = values['ratePerSecond']
  const common = { action, ...(rate && { ratePerSecond: asNumber(rate) }) }
  if (values['all'] === 'yes') {
    return [{ tenant: values['f.tenant'] ?? '', body: { ...common, ...filterOf(values) } }]
  }
  return [...chosenOf(values)].map(([tenant, deliveryIds]) => ({
    tenant,
    body: { ...common, deliveryIds },
  }))
}

/** The filters of the list, as the API takes them. */
function filterOf(values: Values): Record<string, unknown> {
  const given = (name: string) => values[`f.${name}`] || undefined
  const [type, state, statusClass] = [given('type'), given('state'), given('class')]
  const time = (name: string) => given(name) && asTime(given(name) ?? '')
  const filter = {
    eventTypes: type && [type],
    states: state?.split(','),
    statusClass: statusClass && Number(statusClass),
    ...{ endpointId: given('endpoint'), eventId: given('event'), reason: given('reason') },
    ...{ since: time('since'), until: time('until') },
  }
  return Object.fromEntries(Object.entries(filter).filter(([, value]) => value !== undefined))
}

/** What is no time goes along as it is, and the API says so. */
function asTime(text: string): string {
  const at = new Date(`${text}Z`)
  return Number.isNaN(at.getTime()) ? text : at.toISOString()
}

const requestOf = ({ body }: Job): BulkRequest => {
  const { preview: _, ...request } = parseSettings(bulkInput, body)
  return request as BulkRequest
}

async function start(c: C, { access, bulk }: BulkPages, jobs: Job[]) {
  const { caller, who } = c.get('viewer')
  for (const job of jobs) {
    await access(caller, 'manage', job.tenant, ({ key }) => bulk.start(key, requestOf(job), who))
  }
  const tenant = jobs.length === 1 ? jobs[0]?.tenant : undefined
  return c.redirect(urlWith('/console/replays', { tenant }), 303)
}

interface Previewing {
  values: Values
  action: BulkAction
  mistakes?: FormState['mistakes']
}

async function showPreview(c: C, pages: BulkPages, { values, action, mistakes = {} }: Previewing) {
  const { ratePerSecond: _, ...withoutRate } = values
  const previews = await previewsOf(c, pages, jobsOf(withoutRate, action))
  const count = previews.reduce((sum, preview) => sum + preview.count, 0)
  const title = `${ACTION_LABELS[action]} deliveries`
  const isRefused = Object.keys(mistakes).length > 0
  return pages.render(
    c,
    { title, at: LIST, ...(isRefused && { status: 422 as const }) },
    <>
      <h1>{title}</h1>
      <Summary previews={previews} action={action} />
      {values['all'] !== 'yes' && <LeftOut previews={previews} values={values} action={action} />}
      {previews.map((preview) => preview.count > 0 && <Sample {...preview} />)}
      {count > 0 && <StartForm form={{ values, mistakes }} action={action} count={count} />}
      <BackToList values={values} />
    </>,
  )
}

async function previewsOf(c: C, { access, bulk }: BulkPages, jobs: Job[]): Promise<Preview[]> {
  const { caller } = c.get('viewer')
  const previews: Preview[] = []
  for (const job of jobs) {
    const { action, deliveryIds: ids, ...filter } = requestOf(job)
    const preview = await access(caller, 'manage', job.tenant, async ({ id, key, name }) => ({
      tenant: name,
      selected: ids?.length ?? 0,
      ...(await bulk.preview(key, { action, deliveryIds: ids, ...filter })),
      leftOut: ids ? await bulk.leftOut(id, action, ids) : [],
    }))
    previews.push(preview)
  }
  return previews
}

/** With the filters that were asked for. */
function BackToList({ values }: { values: Values }) {
  return (
    <p>
      <a href={urlWith(LIST, filtersOf(values))}>Back to deliveries</a>
    </p>
  )
}

function showRefusal(
  c: C,
  { render }: BulkPages,
  { values, mistake }: { values: Values; mistake: string },
) {
  return render(
    c,
    { title: 'Bulk job', at: LIST, status: 422 },
    <>
      <h1>Bulk job</h1>
      <Notice tone="bad">{mistake}</Notice>
      <BackToList values={values} />
    </>,
  )
}
