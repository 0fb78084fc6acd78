import type { Context, Hono } from 'hono'
import type { Child } from 'hono/jsx'
import { spanOf } from '../attempts/attempt-words.ts'
import { type Column, ColumnMenu, DataTable } from '../console/data-table.tsx'
import type { FormState } from '../console/fields.tsx'
import { bodyOfForm } from '../console/form-values.ts'
import { readForm, refusedForm, unlessNoTenant, urlWith } from '../console/forms.ts'
import type { RenderPage } from '../console/layout.tsx'
import { FilterForm, Older, PAGE_ROWS, pageOf, sortByTime } from '../console/list-parts.tsx'
import {
  Badge,
  Confirm,
  Empty,
  EndpointName,
  Facts,
  Id,
  stateLabel,
  Time,
} from '../console/parts.tsx'
import { type PageEnv, requireScope } from '../console/viewer.ts'
import { queryOf, readFilters, TenantFilter } from '../deliveries/list-filters.tsx'
import type { Endpoints } from '../endpoints/endpoints.ts'
import { parseSettings } from '../http/request-body.ts'
import type { ReplayId } from '../ids.ts'
import { EndpointNotFound } from '../not-found.ts'
import type { HandlerOf, Resource, ResourcePages } from '../tenants/resource-pages.ts'
import { TenantLink } from '../tenants/tenant.pages.tsx'
import type { TenantAccess } from '../tenants/tenant-access.ts'
import type { Tenants } from '../tenants/tenants.ts'
import { COUNTED_MAX, replayFields, replayInput } from './replay.fields.ts'
import {
  Counted,
  type CountedReplay,
  formOf,
  NewReplayForm,
  REPLAYS_PATH as PATH,
} from './replay-form.tsx'
import type { FoundReplay, Replay, ReplayRequest, Replays } from './replays.ts'

export interface ReplayPages {
  render: RenderPage
  tenants: Pick<Tenants, 'get' | 'find' | 'reservedIds'>
  resources: Pick<ResourcePages, 'replays'>
  access: TenantAccess
  replays: Pick<Replays, 'get' | 'preview' | 'start' | 'cancel'>
  endpoints: Pick<Endpoints, 'countOpen'>
  /** Of every tenant. */
  lists: { replays: Pick<Replays, 'list'> }
}

type C = Context<PageEnv>

export function addReplayPages(app: Hono<PageEnv>, pages: ReplayPages): void {
  const { reading, managing } = pages.resources.replays
  app.get('/replays', (c) => showList(c, pages))
  app.post('/replays', requireScope('manage'), (c) => start(c, pages))
  app.get('/replays/:id', reading(pages, showPage))
  app.post('/replays/:id/cancel', managing(pages, cancel))
}

async function start(c: C, pages: ReplayPages) {
  const { intent, ...values } = await readForm(c)
  const { tenant = '' } = values
  const refuse = (name: string, mistake: string) =>
    showList(c, pages, { form: { values, mistakes: { [name]: mistake } } })
  if ((await unlessNoTenant(pages.tenants.find(tenant))) === null) {
    return refuse('tenant', 'Tenant not found.')
  }
  try {
    const counted = await begin(c, pages, values, intent !== 'start')
    if (counted) return showList(c, pages, { form: { values, mistakes: {} }, counted })
  } catch (error) {
    if (error instanceof EndpointNotFound) {
      return refuse('endpointId', 'The tenant has no endpoint with this id.')
    }
    return showList(c, pages, { form: refusedForm({ ...values, states: '' }, error) })
  }
  return c.redirect(urlWith(PATH, { tenant }), 303)
}

/** @returns what there would be, where it only counts; null where it has begun */
async function begin(
  c: C,
  { access, replays, endpoints }: ReplayPages,
  values: Record<string, string>,
  isPreview: boolean,
): Promise<CountedReplay | null> {
  const { caller, who } = c.get('viewer')
  const { preview, ...request } = parseSettings(replayInput, bodyOf(values, isPreview))
  return await access(caller, 'manage', values['tenant'] ?? '', async ({ id, key }) => {
    if (preview) {
      const count = await replays.preview(key, request as ReplayRequest)
      const { endpointId } = request
      const { held } = endpointId ? await endpoints.countOpen(id, endpointId) : { held: 0 }
      return { count, held, values }
    }
    await replays.start(key, request as ReplayRequest, who)
    return null
  })
}

async function cancel(c: C, { id, tenant }: Resource<ReplayId>, { replays }: ReplayPages) {
  await replays.cancel(tenant.id, id, c.get('viewer').who)
  return c.redirect(pathOf({ id }), 303)
}

/** A form that was sent, and what came of it. */
interface Sent {
  form?: FormState
  counted?: CountedReplay
}

async function showList(
  c: C,
  { render, tenants, lists }: ReplayPages,
  { form, counted }: Sent = {},
) {
  const { form: asked, filters } = await readFilters(c, tenants)
  const page = filters && queryOf<ReplayId>(filters, PAGE_ROWS + 1)
  const { shown, next } = pageOf(page ? await lists.replays.list(page.tenants, page) : [])
  const mayAct = c.get('viewer').may('manage')
  const isWrong = form !== undefined && Object.keys(form.mistakes).length > 0
  return render(
    c,
    { title: 'Replays', at: PATH, status: isWrong || !filters ? 422 : 200 },
    <>
      <div class="head">
        <h1>Replays</h1>
        <FilterForm action={PATH} form={asked}>
          <TenantFilter form={asked} />
        </FilterForm>
        <ColumnMenu name="replays" columns={columnsFor(mayAct)} />
      </div>
      <p>A replay resends events that were delivered, failed or missed.</p>
      {counted && <Counted {...counted} />}
      {mayAct && (
        <NewReplayForm
          form={form ?? formOf(asked.values)}
          isOpen={form !== undefined || Boolean(asked.values['endpoint'])}
        />
      )}
      <Progressing at={c.req.path + new URL(c.req.url).search}>
        {filters && shown.length === 0 && <Nothing />}
        {shown.length > 0 && <ReplayTable replays={shown} form={asked} mayAct={mayAct} />}
      </Progressing>
      <Older path={PATH} form={asked} next={next} isCutShort={false} />
    </>,
  )
}

/** What the browser asks for again and again, until it has ended. */
function Progressing(props: { at: string; isOver?: boolean; children?: Child }) {
  const { at, isOver = false, children } = props
  const asking = !isOver && {
    'hx-get': at,
    'hx-trigger': 'every 2s',
    'hx-select': '#replays',
    'hx-swap': 'outerMorph',
  }
  return (
    <div id="replays" {...asking}>
      {children}
    </div>
  )
}

/** What a form says, as the API takes it; what has been missed has neither a state nor a response. */
function bodyOf(values: Record<string, string>, preview: boolean) {
  const { states, statusClass, ...body } = bodyOfForm(replayFields, values)
  return { ...body, preview, ...(body['mode'] !== 'missed' && { states, statusClass }) }
}

function Nothing() {
  return (
    <Empty title="No replays yet">
      <p>
        Start one when a receiver was down for longer than the retry schedule, or when an endpoint
        was created after its events. Count first: nothing is sent before you start the replay.
      </p>
    </Empty>
  )
}

const COLUMNS: Column<FoundReplay>[] = [
  { name: 'what', label: 'Replay', kind: 'main', cell: whatOf },
  { name: 'state', label: 'State', cell: ({ state }) => <Badge of={state} /> },
  { name: 'progress', label: 'Progress', cell: Progress },
  {
    name: 'tenant',
    label: 'Tenant',
    kind: 'name',
    cell: ({ tenantKey, tenantName }) => <TenantLink of={tenantKey} name={tenantName} />,
  },
  { name: 'endpoint', label: 'Endpoint', kind: 'name', cell: EndpointCell },
  { name: 'by', label: 'By', kind: 'name', isMinor: true, cell: ({ requested_by: who }) => who },
  { name: 'started', label: 'Started', cell: ({ created_at: at }) => <Time at={at} /> },
]

const columnsFor = (mayAct: boolean): Column<FoundReplay>[] => [
  ...COLUMNS,
  ...(mayAct ? [ACTION] : []),
]

const ACTION: Column<FoundReplay> = {
  name: 'action',
  label: 'Action',
  cell: (replay) => replay.state === 'running' && <Cancel {...replay} />,
}

function ReplayTable(props: { replays: readonly FoundReplay[]; form: FormState; mayAct: boolean }) {
  const { replays, form, mayAct } = props
  return (
    <DataTable
      name="replays"
      label="Replays"
      columns={columnsFor(mayAct)}
      rows={replays}
      sorts={{ started: sortByTime(PATH, form) }}
      hrefOf={pathOf}
    />
  )
}

const pathOf = ({ id }: { id: string }): string => `${PATH}/${id}`

function EndpointCell({ endpoint_id: id, url, description }: FoundReplay) {
  if (id === null || url === null) return <span class="muted">every</span>
  return (
    <EndpointName url={url} description={description ?? ''} href={`/console/endpoints/${id}`} />
  )
}

/** Such as “Redeliver failed, cancelled”. */
function whatOf({ is_bulk: isBulk, mode, states }: Replay): string {
  if (mode === 'missed') return 'Missed events'
  const verb = isBulk ? stateLabel(mode) : 'Redeliver'
  return `${verb} ${states.map((state) => stateLabel(state).toLowerCase()).join(', ')}`
}

function Progress({ id, done, total, state }: Replay) {
  const max = Math.max(total, done, 1)
  return (
    <>
      {state === 'running' && (
        <progress value={done} max={max} aria-label={`Progress of ${id.slice(-12)}`} />
      )}{' '}
      {done} of {total >= COUNTED_MAX ? `${COUNTED_MAX} or more` : total}
    </>
  )
}

const showPage: HandlerOf<ReplayId, ReplayPages> = async (c, { id, tenant }, pages) => {
  const replay = await pages.replays.get(tenant.id, id)
  const mayAct = c.get('viewer').may('manage')
  const title = whatOf(replay)
  return pages.render(
    c,
    { title, at: PATH },
    <>
      <h1>{title}</h1>
      <Progressing at={pathOf({ id })} isOver={replay.state !== 'running'}>
        {mayAct && replay.state === 'running' && (
          <div class="actions">
            <Cancel {...replay} />
          </div>
        )}
        <ReplayFacts replay={replay} tenantKey={tenant.key} />
      </Progressing>
    </>,
  )
}

function Cancel(replay: Replay) {
  return (
    <Confirm
      label="Cancel"
      about={whatOf(replay)}
      action={`${pathOf(replay)}/cancel`}
      question="Deliveries that are already due are still sent. No more are added."
      yes="Cancel replay"
      isDangerous
    />
  )
}

function ReplayFacts({ replay, tenantKey }: { replay: Replay; tenantKey: string }) {
  const { endpoint_id: endpoint, event_types: types, status_class: statusClass } = replay
  return (
    <Facts
      of={[
        ['State', <Badge of={replay.state} />],
        ['Progress', <Progress {...replay} />],
        ['Time left', timeLeft(replay)],
        ['Skipped', replay.skipped > 0 && String(replay.skipped)],
        ['Retries', replay.one_attempt && 'None: one attempt each'],
        ['Rate', `${replay.rate_per_second} per second`],
        ['Tenant', <TenantLink of={tenantKey} />],
        ['Endpoint', endpoint && <Id of={endpoint} href={`/console/endpoints/${endpoint}`} />],
        ['Event types', types.join(', ')],
        ['Response', statusClass !== null && `${statusClass}xx`],
        ['From', <Time at={replay.since} />],
        ['Before', <Time at={replay.until} />],
        ['Started by', replay.requested_by],
        ['Started', <Time at={replay.created_at} />],
        ['Finished', replay.finished_at && <Time at={replay.finished_at} />],
        ['Replay', <Id of={replay.id} />],
        [
          'Deliveries',
          <a href={coveredBy(replay, tenantKey)}>
            of this {endpoint ? 'endpoint' : 'tenant'}, of its time
          </a>,
        ],
      ]}
    />
  )
}

/** Such as “about 2 min”; null where nobody knows. */
function timeLeft({ state, done, skipped, total, rate_per_second: rate }: Replay): string | null {
  const left = total - done - skipped
  if (state !== 'running' || total >= COUNTED_MAX || left <= 0) return null
  return `about ${spanOf(Math.max(1, left / Number(rate)) * 1_000)}`
}

/** Where each delivery of its time shows what became of it; one that it has made is as old as the replay. */
function coveredBy(replay: Replay, tenant: string): string {
  const { mode, endpoint_id: endpoint, since, until, created_at: createdAt } = replay
  const [from, to] = mode === 'missed' ? [createdAt, null] : [since, until]
  const written = (at: Date) => at.toISOString().slice(0, 19)
  return urlWith('/console/deliveries', {
    ...{ tenant, endpoint: endpoint ?? undefined, since: written(from) },
    ...(to && { until: written(to) }),
  })
}
