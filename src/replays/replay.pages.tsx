import type { Context, Hono } from 'hono'
import type { Child } from 'hono/jsx'
import { FormMistake, type FormState, TextField } from '../console/fields.tsx'
import { FormFields } from '../console/form-fields.tsx'
import { bodyOfForm, formValuesOf } from '../console/form-values.ts'
import { readForm, refusedForm, unlessNoTenant, urlWith } from '../console/forms.ts'
import type { RenderPage } from '../console/layout.tsx'
import { FilterForm, Older, PAGE_ROWS, pageOf } from '../console/list-parts.tsx'
import { Badge, Confirm, Empty, Id, Notice, Table, Time } from '../console/parts.tsx'
import { type PageEnv, requireScope } from '../console/viewer.ts'
import { queryOf, readFilters, TenantFilter } from '../deliveries/list-filters.tsx'
import { type Endpoints, OPEN_COUNTED_MAX } from '../endpoints/endpoints.ts'
import { parseSettings } from '../http/request-body.ts'
import type { ReplayId } from '../ids.ts'
import { EndpointNotFound } from '../not-found.ts'
import type { Resource, ResourcePages } from '../tenants/resource-pages.ts'
import type { TenantAccess } from '../tenants/tenant-access.ts'
import type { Tenants } from '../tenants/tenants.ts'
import { COUNTED_MAX, replayFields, replayInput } from './replay.fields.ts'
import type { FoundReplay, ReplayRequest, Replays } from './replays.ts'

const PATH = '/console/replays'
const DEFAULTS = formValuesOf(replayFields, {
  mode: 'redeliver',
  states: ['failed'],
  ratePerSecond: 50,
})

export interface ReplayPages {
  render: RenderPage
  tenants: Pick<Tenants, 'get' | 'find' | 'reservedIds'>
  resources: Pick<ResourcePages, 'replays'>
  access: TenantAccess
  replays: Pick<Replays, 'preview' | 'start' | 'cancel'>
  endpoints: Pick<Endpoints, 'countOpen'>
  /** Of every tenant. */
  lists: { replays: Pick<Replays, 'list'> }
}

type C = Context<PageEnv>

export function addReplayPages(app: Hono<PageEnv>, pages: ReplayPages): void {
  const { managing } = pages.resources.replays
  app.get('/replays', (c) => showList(c, pages))
  app.post('/replays', requireScope('manage'), (c) => start(c, pages))
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
): Promise<Counted | null> {
  const { caller, who } = c.get('viewer')
  const { preview, ...request } = parseSettings(replayInput, bodyOf(values, isPreview))
  return await access(caller, 'manage', values['tenant'] ?? '', async ({ id, key }) => {
    if (preview) {
      const count = await replays.preview(key, request as ReplayRequest)
      const { endpointId } = request
      const { held } = endpointId ? await endpoints.countOpen(id, endpointId) : { held: 0 }
      return { count, held, endpointId: endpointId ?? '' }
    }
    await replays.start(key, request as ReplayRequest, who)
    return null
  })
}

async function cancel(c: C, { id, tenant }: Resource<ReplayId>, { replays }: ReplayPages) {
  await replays.cancel(tenant.id, id, c.get('viewer').who)
  return c.redirect(PATH, 303)
}

/** A form that was sent, and what came of it. */
interface Sent {
  form?: FormState
  counted?: Counted
}

interface Counted {
  count: number
  /** What the endpoint has on hold, which a replay leaves alone. */
  held: number
  endpointId: string
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
      <h1>Replays</h1>
      <p>A replay delivers again what was delivered, failed or missed.</p>
      {counted && <Counted {...counted} />}
      {mayAct && (
        <NewReplayForm
          form={form ?? formOf(asked.values)}
          isOpen={form !== undefined || Boolean(asked.values['endpoint'])}
        />
      )}
      <FilterForm action={PATH} form={asked}>
        <TenantFilter form={asked} />
      </FilterForm>
      <Progressing at={c.req.path + new URL(c.req.url).search}>
        {shown.length === 0 ? <Nothing /> : <ReplayTable replays={shown} mayAct={mayAct} />}
      </Progressing>
      <Older path={PATH} form={asked} next={next} isCutShort={false} />
    </>,
  )
}

/** What the address says of a new one. */
function formOf(values: Readonly<Record<string, string>>): FormState {
  const {
    tenant = '',
    endpoint = '',
    since = '',
    until = '',
    mode = DEFAULTS['mode'] ?? '',
  } = values
  return {
    values: { ...DEFAULTS, mode, tenant, endpointId: endpoint, since, until },
    mistakes: {},
  }
}

function Counted({ count, held, endpointId }: Counted) {
  return (
    <Notice tone={count > 0 ? 'good' : 'busy'}>
      <p>
        {count >= COUNTED_MAX ? `${COUNTED_MAX} or more` : count}{' '}
        {count === 1 ? 'delivery matches' : 'deliveries match'}. Nothing has been started.
      </p>
      {held > 0 && (
        <p>
          {held >= OPEN_COUNTED_MAX ? `${held} or more` : held} deliveries of this endpoint are on
          hold. A replay does not include them: they are sent as soon as{' '}
          <a href={`/console/endpoints/${endpointId}`}>the endpoint</a> accepts requests again.
        </p>
      )}
    </Notice>
  )
}

/** What the browser asks for again and again. */
function Progressing({ at, children }: { at: string; children?: Child }) {
  return (
    <div id="replays" hx-get={at} hx-trigger="every 2s" hx-select="#replays" hx-swap="outerMorph">
      {children}
    </div>
  )
}

/** What a form says, as the API takes it; what has been missed has neither a state nor a response. */
function bodyOf(values: Record<string, string>, preview: boolean) {
  const { states, statusClass, ...body } = bodyOfForm(replayFields, values)
  return { ...body, preview, ...(body['mode'] !== 'missed' && { states, statusClass }) }
}

function NewReplayForm({ form, isOpen }: { form: FormState; isOpen: boolean }) {
  return (
    <details class="stack" open={isOpen}>
      <summary class="button primary">New replay</summary>
      <form method="post" action={PATH}>
        <FormMistake form={form} />
        <TextField form={form} name="tenant" label="Tenant" required isCode />
        <FormFields form={form} of={replayFields} />
        <div class="actions">
          <button type="submit" name="intent" value="preview">
            Count first
          </button>
          <button type="submit" name="intent" value="start" class="primary">
            Start replay
          </button>
        </div>
      </form>
    </details>
  )
}

function Nothing() {
  return (
    <Empty title="There has been no replay">
      <p>
        Use one after a receiver was down for longer than the schedule, or when an endpoint was
        created after the events it should have had. Count first; nothing happens before you start
        it.
      </p>
    </Empty>
  )
}

function ReplayTable({ replays, mayAct }: { replays: readonly FoundReplay[]; mayAct: boolean }) {
  return (
    <Table
      label="Replays"
      head={['Replay', 'State', 'Progress', 'Tenant', 'What', 'Between', 'By', 'Action']}
    >
      {replays.map((replay) => (
        <tr>
          <td>
            <Id of={replay.id} isShort />
          </td>
          <td>
            <Badge of={replay.state} />
          </td>
          <td>
            <Progress {...replay} />
          </td>
          <td>{replay.tenantKey}</td>
          <td>
            {replay.is_bulk ? `${replay.mode}: ` : ''}
            {replay.mode === 'missed' ? 'missed' : replay.states.join(', ')}{' '}
            {replay.url && <span class="muted">to {replay.url}</span>}
          </td>
          <td>
            <Time at={replay.since} /> and <Time at={replay.until} />
          </td>
          <td>{replay.requested_by}</td>
          <td>
            {mayAct && replay.state === 'running' && (
              <Confirm
                label="Cancel"
                action={`${PATH}/${replay.id}/cancel`}
                question="Deliveries that are already due are still sent. No more are added."
                yes="Cancel replay"
                isDangerous
              />
            )}
          </td>
        </tr>
      ))}
    </Table>
  )
}

function Progress({ id, done, total, state }: FoundReplay) {
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
