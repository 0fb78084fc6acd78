import type { Context, Hono } from 'hono'
import { EMPTY_FORM, FormMistake, type FormState } from '../console/fields.tsx'
import { FormField } from '../console/form-fields.tsx'
import { asNumber } from '../console/form-values.ts'
import { readForm, refusedForm, urlWith } from '../console/forms.ts'
import type { RenderPage } from '../console/layout.tsx'
import { Badge, Id, Notice, Table } from '../console/parts.tsx'
import { type PageEnv, requireScope } from '../console/viewer.ts'
import { parseSettings } from '../http/request-body.ts'
import type { TenantAccess } from '../tenants/tenant-access.ts'
import { bulkFields, bulkInput } from './bulk.fields.ts'
import {
  BULK_ACTIONS,
  type Bulk,
  type BulkAction,
  type BulkPreview,
  type BulkRequest,
  defaultRateOf,
} from './bulk.ts'
import { ACTION_LABELS } from './bulk-bar.tsx'
import { COUNTED_MAX } from './replay.fields.ts'

const LIST = '/console/deliveries'
const PATH = `${LIST}/bulk`

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
  if (!action || mistake) return showRefusal(c, pages, mistake ?? '')
  const jobs = jobsOf(values, action)
  try {
    if (intent === 'start') return await start(c, pages, jobs)
    return showPreview(c, pages, { values, action, jobs })
  } catch (error) {
    const form = refusedForm(values, error)
    return showRefusal(c, pages, Object.values(form.mistakes).join(' '))
  }
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
  const time = (name: string) => given(name) && `${new Date(`${given(name)}Z`).toISOString()}`
  const filter = {
    eventTypes: type && [type],
    states: state?.split(','),
    statusClass: statusClass && Number(statusClass),
    ...{ endpointId: given('endpoint'), eventId: given('event'), reason: given('reason') },
    ...{ since: time('since'), until: time('until') },
  }
  return Object.fromEntries(Object.entries(filter).filter(([, value]) => value !== undefined))
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

async function showPreview(
  c: C,
  { render, access, bulk }: BulkPages,
  { values, action, jobs }: { values: Values; action: BulkAction; jobs: Job[] },
) {
  const { caller } = c.get('viewer')
  const previews = []
  for (const job of jobs) {
    const preview = await access(caller, 'manage', job.tenant, ({ key }) =>
      bulk.preview(key, requestOf(job)),
    )
    previews.push({ tenant: job.tenant, ...preview })
  }
  const count = previews.reduce((sum, preview) => sum + preview.count, 0)
  const title = `${ACTION_LABELS[action]} deliveries`
  return render(
    c,
    { title, at: LIST },
    <>
      <h1>{title}</h1>
      <p class="summary">
        {countOf(count)} {count === 1 ? 'delivery matches' : 'deliveries match'}. Nothing has
        started yet.
      </p>
      {previews.map((preview) => preview.count > 0 && <Sample {...preview} />)}
      {count > 0 && <StartForm values={values} action={action} count={count} />}
      <p>
        <a href={LIST}>Back to deliveries</a>
      </p>
    </>,
  )
}

const countOf = (count: number): string =>
  count >= COUNTED_MAX ? `${COUNTED_MAX.toLocaleString('en')} or more` : count.toLocaleString('en')

function Sample({ tenant, count, sample }: BulkPreview & { tenant: string }) {
  return (
    <>
      <h2>
        {tenant}: {countOf(count)}
      </h2>
      <Table
        label={`The first deliveries of ${tenant}`}
        head={['Delivery', 'State', 'Event type', 'Endpoint']}
      >
        {sample.map(({ id, state, eventType, url }) => (
          <tr>
            <td>
              <Id of={id} href={`${LIST}/${id}`} isShort />
            </td>
            <td>
              <Badge of={state} />
            </td>
            <td>{eventType ?? <span class="muted">event deleted</span>}</td>
            <td class="url">{url}</td>
          </tr>
        ))}
      </Table>
      {count > sample.length && <p class="muted">… and {countOf(count - sample.length)} more.</p>}
    </>
  )
}

interface StartFormProps {
  values: Values
  action: BulkAction
  count: number
}

function StartForm({ values, action, count }: StartFormProps) {
  const form: FormState = {
    ...EMPTY_FORM,
    values: { ratePerSecond: values['ratePerSecond'] ?? String(defaultRateOf(action)) },
  }
  const { ratePerSecond: _, ...kept } = values
  return (
    <form method="post" action={PATH} class="stack">
      <FormMistake form={form} />
      {Object.entries(kept).map(([name, value]) => (
        <input type="hidden" name={name} value={value} />
      ))}
      <input type="hidden" name="intent" value="start" />
      <FormField form={form} name="ratePerSecond" of={bulkFields.ratePerSecond} />
      <button type="submit" class={action === 'cancel' ? 'danger' : 'primary'}>
        {ACTION_LABELS[action]} {countOf(count)} {count === 1 ? 'delivery' : 'deliveries'}
      </button>
    </form>
  )
}

function showRefusal(c: C, { render }: BulkPages, mistake: string) {
  return render(
    c,
    { title: 'Bulk job', at: LIST, status: 422 },
    <>
      <h1>Bulk job</h1>
      <Notice tone="bad">{mistake}</Notice>
      <p>
        <a href={LIST}>Back to deliveries</a>
      </p>
    </>,
  )
}
