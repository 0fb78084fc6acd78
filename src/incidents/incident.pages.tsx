import type { Context, Hono } from 'hono'
import { z } from 'zod'
import type { StripsOf } from '../attempts/attempt-strips.ts'
import { ColumnMenu } from '../console/data-table.tsx'
import { EMPTY_FORM, type FormState, SelectField } from '../console/fields.tsx'
import { FormField } from '../console/form-fields.tsx'
import { readForm, saidOf, unlessNoTenant, urlWith } from '../console/forms.ts'
import { atMost } from '../console/language.ts'
import type { RenderPage } from '../console/layout.tsx'
import {
  FilterForm,
  Older,
  PAGE_ROWS,
  pageOf,
  SavedViews,
  type Views,
} from '../console/list-parts.tsx'
import {
  Confirm,
  CopyButton,
  Empty,
  Facts,
  Id,
  Notice,
  Raw,
  stateLabel,
  Time,
} from '../console/parts.tsx'
import { type PageEnv, requireScope } from '../console/viewer.ts'
import { TenantFilter } from '../deliveries/list-filters.tsx'
import { choicesOf } from '../fields.ts'
import { endpointId, type IncidentId, incidentId, type TenantId } from '../ids.ts'
import { OperationRefused } from '../postgres/operate.ts'
import { BulkBar, filtersOf } from '../replays/bulk-bar.tsx'
import type { HandlerOf, ResourcePages } from '../tenants/resource-pages.ts'
import { listedBy, type TenantAccess } from '../tenants/tenant-access.ts'
import type { Tenants } from '../tenants/tenants.ts'
import {
  CAUSES,
  incidentFilterInputs,
  lastResponseOf,
  noteFields,
  notifyFields,
} from './incident.fields.ts'
import {
  INCIDENTS_PATH,
  IncidentTable,
  incidentColumns,
  Press,
  Remedy,
  Since,
} from './incident-table.tsx'
import { HELD_COUNTED_MAX, type Incident, IncidentNotFound, type Incidents } from './incidents.ts'

/** What was pressed, in the words of the page that comes next; the home page says it too. */
export const INCIDENT_SAID: Record<string, string> = {
  acknowledged: 'Incident acknowledged.',
  note_saved: 'Note saved.',
  probed: 'A delivery is being tried. The incident closes when it succeeds.',
  released: 'The deliveries on hold are being sent, 100 a second.',
  nothing_held: 'Nothing was on hold. The circuit breaker is closed.',
  paused: 'Endpoint paused. Its deliveries are on hold until you resume it.',
  notified: 'Customer notified.',
  many: 'Done for all selected incidents.',
}

export interface IncidentPages {
  render: RenderPage
  tenants: Pick<Tenants, 'get' | 'reservedIds'>
  resources: Pick<ResourcePages, 'incidents'>
  access: TenantAccess
  incidents: Incidents
  stripsOf: StripsOf
  /** Of every tenant. */
  lists: { incidents: Pick<Incidents, 'list' | 'count'> }
}

type Handler = HandlerOf<IncidentId, IncidentPages>

export function addIncidentPages(app: Hono<PageEnv>, pages: IncidentPages): void {
  const { reading, managing } = pages.resources.incidents
  app.get('/incidents', (c) => showList(c, pages))
  app.post('/incidents/bulk', requireScope('manage'), (c) => actOnMany(c, pages))
  app.get('/incidents/:id', reading(pages, showPage))
  app.post('/incidents/:id/acknowledge', managing(pages, pressing('acknowledge', 'acknowledged')))
  app.post('/incidents/:id/probe', managing(pages, pressing('probe', 'probed')))
  app.post('/incidents/:id/release', managing(pages, pressing('release', 'released')))
  app.post('/incidents/:id/pause', managing(pages, pressing('pause', 'paused')))
  app.post('/incidents/:id/note', managing(pages, note))
  app.post('/incidents/:id/notify', managing(pages, notify))
}

const pathOf = ({ id }: { id: IncidentId }): string => `${INCIDENTS_PATH}/${id}`
const BACK: Record<string, string> = { home: '/console', list: INCIDENTS_PATH }

const pressing =
  (verb: 'acknowledge' | 'probe' | 'release' | 'pause', said: string): Handler =>
  async (c, { id, tenant }, { incidents }) => {
    const { from = '' } = await readForm(c)
    const held = await incidents[verb](tenant.id, id, c.get('viewer').who)
    const back = BACK[from] ?? pathOf({ id })
    const place = from === 'endpoint' ? await endpointOf(tenant.id, id, incidents) : back
    return c.redirect(urlWith(place, { said: held === 0 ? 'nothing_held' : said }), 303)
  }

async function endpointOf(
  tenantId: TenantId,
  id: IncidentId,
  incidents: IncidentPages['incidents'],
) {
  const { endpoint_id: endpoint } = await incidents.get(tenantId, id)
  return `/console/endpoints/${endpoint}`
}

const VERBS = ['acknowledge', 'probe', 'release', 'pause'] as const
const VERB_LABELS = {
  acknowledge: 'Acknowledge',
  probe: 'Probe now',
  release: 'Release on hold',
  pause: 'Pause endpoints',
}

/** Each for itself: one that cannot be done at present does not keep the others from being done. */
async function actOnMany(c: Context<PageEnv>, pages: IncidentPages) {
  const { access, incidents } = pages
  const values = await readForm(c)
  const verb = VERBS.find((known) => known === values['action'])
  const back = filteredBy(values)
  if (!verb)
    return showRefusal(c, pages, { title: 'Incidents', mistake: 'Choose an action.', back })
  const { caller, who } = c.get('viewer')
  const refused: string[] = []
  const chosen = Object.entries(values).filter(([name]) => name.startsWith('i.'))
  const none = 'Select at least one incident.'
  if (chosen.length === 0) return showRefusal(c, pages, { title: 'Incidents', mistake: none, back })
  for (const [name, tenantKey] of chosen) {
    const id = incidentId.safeParse(name.slice(2)).data
    if (id === undefined) continue
    try {
      await access(caller, 'manage', tenantKey, async (tenant) => {
        await incidents[verb](tenant.id, id, who)
      })
    } catch (error) {
      if (!(error instanceof OperationRefused || error instanceof IncidentNotFound)) throw error
      refused.push(`${tenantKey}: ${error.message}.`)
    }
  }
  if (refused.length === 0) return c.redirect(filteredBy(values, { said: 'many' }), 303)
  const mistake = `${chosen.length - refused.length} of ${chosen.length} done. ${refused.join(' ')}`
  return showRefusal(c, pages, { title: VERB_LABELS[verb], mistake, back, status: 409 })
}

/** The list with the filters that it had. */
function filteredBy(values: Record<string, string>, more: Record<string, string> = {}): string {
  const { said: _, ...filters } = filtersOf(values)
  return urlWith(INCIDENTS_PATH, { ...filters, ...more })
}

const note: Handler = async (c, { id, tenant }, pages) => {
  const { note = '' } = await readForm(c)
  const mistake = mistakeIn(noteFields.note.input, note)
  if (mistake !== undefined) return showRefusal(c, pages, refusedOf(id, `Note: ${mistake}`))
  await pages.incidents.note(tenant.id, id, c.get('viewer').who, note)
  return c.redirect(urlWith(pathOf({ id }), { said: 'note_saved' }), 303)
}

const notify: Handler = async (c, { id, tenant }, pages) => {
  const { message = '' } = await readForm(c)
  const words = message.trim() || undefined
  const mistake = mistakeIn(notifyFields.message.input, words)
  if (mistake !== undefined) return showRefusal(c, pages, refusedOf(id, `Message: ${mistake}`))
  await pages.incidents.notify(tenant.id, id, c.get('viewer').who, words ?? null)
  return c.redirect(urlWith(pathOf({ id }), { said: 'notified' }), 303)
}

/** What the API would refuse it for; undefined = nothing. */
const mistakeIn = (input: z.ZodType, text: string | undefined): string | undefined =>
  input.safeParse(text).error?.issues[0]?.message

interface Refused {
  title: string
  mistake: string
  back: string
  status?: 409 | 422
}

const showRefusal = (
  c: Context<PageEnv>,
  { render }: Pick<IncidentPages, 'render'>,
  { title, mistake, back, status = 422 }: Refused,
) =>
  render(
    c,
    { title, at: INCIDENTS_PATH, status },
    <>
      <h1>{title}</h1>
      <Notice tone="bad">{mistake}</Notice>
      <p>
        <a href={back}>Back</a>
      </p>
    </>,
  )

const refusedOf = (id: IncidentId, mistake: string): Refused => ({
  title: 'Incident',
  mistake,
  back: pathOf({ id }),
})

/** An empty field is not sent, and left out means the open ones. */
const STATES = ['open', 'closed', 'all'] as const
const filters = z.object({
  tenant: z.string().optional(),
  ...incidentFilterInputs,
  state: z.enum(STATES).transform((state) => (state === 'all' ? undefined : state)),
  endpointId: endpointId.optional(),
  before: incidentId.optional(),
})

async function showList(c: Context<PageEnv>, { render, tenants, stripsOf, lists }: IncidentPages) {
  const values = { state: 'open', ...c.req.query() }
  const { form, asked } = await askedOf(c, values, tenants)
  const page = asked && { limit: PAGE_ROWS + 1, ...asked.query }
  const { shown, next } = pageOf(page ? await lists.incidents.list(asked.listed, page) : [])
  const strips = await stripsOf(shown)
  const said = saidOf(INCIDENT_SAID, c)
  const mayAct = c.get('viewer').may('manage')
  return render(
    c,
    { title: 'Incidents', at: INCIDENTS_PATH, status: asked ? 200 : 422 },
    <>
      <div class="head">
        <h1>Incidents</h1>
        <ListFilters form={form} />
        <SavedViews name="incidents" path={INCIDENTS_PATH} form={form} views={VIEWS} />
        <ColumnMenu name="incidents" columns={incidentColumns({ strips, mayAct, from: 'list' })} />
      </div>
      {said && <Notice tone="good">{said}</Notice>}
      {shown.length === 0 ? (
        <Nothing form={form} />
      ) : (
        <>
          {mayAct && <IncidentBulkBar incidents={shown} form={form} />}
          <IncidentTable incidents={shown} strips={strips} mayAct={mayAct} from="list" />
        </>
      )}
      <Older path={INCIDENTS_PATH} form={form} next={next} isCutShort={false} />
    </>,
  )
}

function IncidentBulkBar(props: { incidents: readonly Incident[]; form: FormState }) {
  const { incidents, form } = props
  const customers = [...new Set(incidents.map(({ tenant_name: name }) => name))]
  return (
    <BulkBar action={`${INCIDENTS_PATH}/bulk`} label="Selected incidents" filters={form.values}>
      {VERBS.map((verb) => (
        <button type="submit" name="action" value={verb}>
          {VERB_LABELS[verb]}
        </button>
      ))}
      <span>
        {customers.length} {customers.length === 1 ? 'customer' : 'customers'}{' '}
        <CopyButton text={customers.join('\n')} what="the list of customers" />
      </span>
    </BulkBar>
  )
}

const choiceMistakes = ({ issues }: z.ZodError): Record<string, string> =>
  Object.fromEntries(issues.map(({ path }) => [path[0], 'Choose an option from the list.']))

/** `asked` is null where something cannot be meant; the form then says what. */
async function askedOf(
  c: Context<PageEnv>,
  given: Record<string, string>,
  tenants: IncidentPages['tenants'],
) {
  const values = Object.fromEntries(Object.entries(given).filter(([, value]) => value !== ''))
  const form: FormState = { ...EMPTY_FORM, values }
  const { success, data, error } = filters.safeParse(values)
  const refuse = (mistakes: Record<string, string>) => ({
    form: { ...form, mistakes },
    asked: null,
  })
  if (!success) return refuse(choiceMistakes(error))
  const { tenant, before = null, ...filter } = data
  const listed = await unlessNoTenant(listedBy(c.get('viewer').caller, tenants, tenant))
  if (listed === null) return refuse({ tenant: 'Tenant not found.' })
  return { form, asked: { listed, query: { ...filter, before } } }
}

function ListFilters({ form }: { form: FormState }) {
  const { cause, verdict } = incidentFilterInputs
  return (
    <FilterForm action={INCIDENTS_PATH} form={form}>
      <TenantFilter form={form} />
      <SelectField form={form} name="state" label="State" choices={pairs(STATES)} />
      <SelectField
        form={form}
        name="cause"
        label="Cause"
        choices={[
          ['', 'Any cause'],
          ...choicesOf(cause).map(
            (name) => [name, CAUSES[name as Incident['cause']].label] as const,
          ),
        ]}
      />
      <SelectField
        form={form}
        name="verdict"
        label="Likely"
        choices={[['', 'Any verdict'], ...pairs(choicesOf(verdict))]}
      />
    </FilterForm>
  )
}

const VIEWS: Views = [
  ['Open', { state: 'open' }],
  ['Likely ours', { state: 'open', verdict: 'ours' }],
  ['Closed', { state: 'closed' }],
]

const pairs = (names: readonly string[]) => names.map((name) => [name, stateLabel(name)] as const)

function Nothing({ form }: { form: FormState }) {
  if (form.values['state'] === 'open') return <p>No open incidents match these filters.</p>
  return (
    <Empty title="No incidents match these filters">
      <p>An incident opens when an endpoint fails three times with the same cause.</p>
    </Empty>
  )
}

const showPage: Handler = async (c, { id, tenant }, { render, incidents }) => {
  const incident = await incidents.get(tenant.id, id)
  const message = await incidents.messageOf(tenant.id, id)
  const mayAct = c.get('viewer').may('manage')
  const said = saidOf(INCIDENT_SAID, c)
  return render(
    c,
    { title: `${CAUSES[incident.cause].label}: ${nameOf(incident)}`, at: INCIDENTS_PATH },
    <>
      <h1>
        {CAUSES[incident.cause].label}: {nameOf(incident)}
      </h1>
      {said && <Notice tone="good">{said}</Notice>}
      <p class="summary">
        <Sentence {...incident} />
      </p>
      {mayAct && incident.closed_at === null && <Actions {...incident} />}
      <IncidentFacts {...incident} />
      <h2 id="notify">Notify the customer</h2>
      <Message incident={incident} message={message} mayAct={mayAct} />
      <h2>Note</h2>
      <Note incident={incident} mayAct={mayAct} />
    </>,
  )
}

const nameOf = ({ description, url }: Incident): string => (description === '' ? url : description)

function Sentence(incident: Incident) {
  const { failures, held, verdict, closed_at: closedAt } = incident
  const last = lastResponseOf(incident)
  return (
    <>
      {CAUSES[incident.cause].meaning} {failures} failed {failures === '1' ? 'attempt' : 'attempts'}
      {closedAt ? ' from ' : ', for '}
      {closedAt ? <Time at={incident.first_seen_at} /> : <Since at={incident.first_seen_at} />}
      {last && `. Last response: ${last}`}.{' '}
      {closedAt === null && held > 0 && <>{onHold(held)} on hold. </>}
      {closedAt === null && <Waiting {...incident} />}
      {verdict === 'ours' ? 'Likely on our side.' : 'Likely on their side.'}
    </>
  )
}

function Waiting({ endpoint_id: endpoint, waiting }: Incident) {
  if (waiting === 0) return null
  const href = `/console/endpoints/${endpoint}/keys`
  return (
    <>
      {onHold(waiting)} {waiting === 1 ? 'waits' : 'wait'} for an earlier event of the same{' '}
      <a href={href}>ordering key</a>.{' '}
    </>
  )
}

const onHold = (held: number): string =>
  `${atMost(held, HELD_COUNTED_MAX)} ${held === 1 ? 'delivery' : 'deliveries'}`

function Actions(incident: Incident) {
  const path = pathOf(incident)
  return (
    <div class="actions">
      <Remedy incident={incident} from="" />
      <Confirm
        label="Pause endpoint"
        action={`${path}/pause`}
        question="Pause this endpoint? New events are still accepted for it."
        yes="Pause endpoint"
      />
      {incident.acknowledged_at === null && (
        <Press action={`${path}/acknowledge`} from="" label="Acknowledge" />
      )}
    </div>
  )
}

function IncidentFacts(incident: Incident) {
  const { endpoint_id: endpoint, last_delivery_id: delivery, closed_at: closedAt } = incident
  return (
    <Facts
      of={[
        ['Endpoint', <a href={`/console/endpoints/${endpoint}`}>{incident.url}</a>],
        ['Endpoint state', incident.endpoint_state],
        [
          'Customer',
          <a href={`/console/tenants/${incident.tenant_key}`}>{incident.tenant_name}</a>,
        ],
        ['First failure', <Time at={incident.first_seen_at} />],
        ['Last failure', <Time at={incident.last_seen_at} />],
        [
          'Last delivery',
          delivery && <Id of={delivery} href={`/console/deliveries/${delivery}`} />,
        ],
        ['Next probe', incident.probe_at && <Time at={incident.probe_at} />],
        ['Acknowledged', incident.acknowledged_by],
        ['Customer notified', incident.notified_at && <Time at={incident.notified_at} />],
        ['Closed', closedAt && <Time at={closedAt} />],
        ['Closed because', incident.closed_reason],
        ['Deliveries', <a href={urlWith('/console/deliveries', { endpoint })}>of this endpoint</a>],
      ]}
    />
  )
}

function Message(props: { incident: Incident; message: string; mayAct: boolean }) {
  const { incident, message, mayAct } = props
  return (
    <>
      <Raw label="Message to the customer">{message}</Raw>
      <div class="actions">
        <CopyButton text={message} what="the message" />
        {mayAct && (
          <form method="post" action={`${pathOf(incident)}/notify`}>
            <button type="submit">Notify customer</button>
          </form>
        )}
      </div>
      <p class="hint">
        Publishes <code>incident.reported</code> to your own endpoints, and{' '}
        <code>postrider.incident</code> to the customer's endpoints that subscribe to it by name.
      </p>
    </>
  )
}

function Note({ incident, mayAct }: { incident: Incident; mayAct: boolean }) {
  const { note, noted_by: by } = incident
  const form: FormState = { ...EMPTY_FORM, values: { note: note ?? '' } }
  return (
    <>
      {note !== null && (
        <p>
          {note} <span class="muted">– {by}</span>
        </p>
      )}
      {note === null && !mayAct && <p class="muted">No note.</p>}
      {mayAct && (
        <form method="post" action={`${pathOf(incident)}/note`} class="stack">
          <FormField form={form} name="note" of={noteFields.note} />
          <button type="submit">Save note</button>
        </form>
      )}
    </>
  )
}
