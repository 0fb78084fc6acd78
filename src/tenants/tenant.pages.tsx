import type { Context, Hono } from 'hono'
import type { Child } from 'hono/jsx'
import { type Column, ColumnMenu, DataTable } from '../console/data-table.tsx'
import { EMPTY_FORM, FormMistake, type FormState, TextField } from '../console/fields.tsx'
import { FormField, FormFields } from '../console/form-fields.tsx'
import { bodyOfForm, formValuesOf } from '../console/form-values.ts'
import { readForm, refusedForm, saidOf, urlWith } from '../console/forms.ts'
import { atMost } from '../console/language.ts'
import type { RenderPage } from '../console/layout.tsx'
import {
  FilterForm,
  ID_COLUMN,
  Older,
  PAGE_ROWS,
  pageOf,
  sortBy,
  sortByTime,
} from '../console/list-parts.tsx'
import {
  Badge,
  Command,
  Confirm,
  Empty,
  EndpointName,
  Facts,
  Id,
  Notice,
  Time,
} from '../console/parts.tsx'
import { percent, Tile } from '../console/tile.tsx'
import { type PageEnv, requireScope, type Viewer } from '../console/viewer.ts'
import { readPlace } from '../deliveries/list-filters.tsx'
import {
  EndpointState,
  type EndpointTrouble,
  failingSinceOf,
} from '../endpoints/endpoint-state.tsx'
import { parseSettings } from '../http/request-body.ts'
import type { TenantId } from '../ids.ts'
import { TenantNotFound } from '../not-found.ts'
import { PortalLinkButton } from '../portal-links/portal-link.pages.tsx'
import { tenantFields, tenantInput } from './tenant.fields.ts'
import { assertMayManage, mayTouch } from './tenant-access.ts'
import { type createTenantDay, DAY_COUNTED_MAX, type TenantDay } from './tenant-day.ts'
import type { TenantOperations } from './tenant-operations.ts'
import { isReserved, type Remaining, TENANT_KEY, type Tenant, type Tenants } from './tenants.ts'

const PATH = '/console/tenants'
const DELIVERIES = '/console/deliveries'
/** More is no name. */
const SEARCH_LENGTH_MAX = 256
const pathOf = (key: string): string => `${PATH}/${encodeURIComponent(key)}`

const SAID: Record<string, string> = {
  created: 'Tenant created. Add an endpoint next.',
  changed: 'Tenant renamed.',
  suspended: 'Tenant suspended. Its events are refused and its deliveries held.',
  resumed: 'Tenant resumed. Held deliveries are being sent.',
}

export interface TenantPages {
  render: RenderPage
  tenants: Tenants
  tenantOperations: Pick<TenantOperations, 'suspend' | 'resume'>
  /** The latest of a tenant. */
  endpointsOf: (id: TenantId) => Promise<TenantEndpoint[]>
  dayOf: ReturnType<typeof createTenantDay>
  /** How many incidents of each of them are open; those without any are left out. */
  incidentsOf: (ids: readonly TenantId[]) => Promise<ReadonlyMap<string, number>>
}

/** What a tenant's page shows of an endpoint. */
type TenantEndpoint = EndpointTrouble & { id: string; url: string; description: string }

export function addTenantPages(app: Hono<PageEnv>, pages: TenantPages): void {
  const managing = requireScope('manage')
  app.get('/tenants', (c) => showList(c, pages))
  app.post('/tenants', managing, (c) => create(c, pages))
  app.get('/tenants/:tenant', (c) => showPage(c, pages))
  app.post('/tenants/:tenant/name', managing, (c) => rename(c, pages))
  app.post('/tenants/:tenant/suspend', managing, (c) => suspend(c, pages))
  app.post('/tenants/:tenant/resume', managing, (c) => resume(c, pages))
}

type C = Context<PageEnv>

/** Where somebody is led who asks for a tenant by its key. */
export function TenantLink({ of: key, name = key }: { of: string; name?: string }) {
  return (
    <a href={pathOf(key)} title={name === key ? key : `${name} (${key})`}>
      {name}
    </a>
  )
}

async function showList(c: C, pages: TenantPages, form: FormState = EMPTY_FORM) {
  const { render, tenants, incidentsOf } = pages
  const viewer = c.get('viewer')
  const { form: asked, place } = readPlace<TenantId, 'key'>(c, ['key'])
  const search = asked.values['search']?.slice(0, SEARCH_LENGTH_MAX).toWellFormed()
  const page = { limit: PAGE_ROWS + 1, withReserved: viewer.may('admin'), search }
  const found = place ? await tenants.list({ ...place, ...page }) : []
  const { shown, next } = pageOf(found, place?.by === 'key' ? ({ key }) => key : undefined)
  const incidents = await incidentsOf(shown.map(({ id }) => id))
  return render(
    c,
    { title: 'Tenants', at: PATH, status: form === EMPTY_FORM && place ? 200 : 422 },
    <>
      <div class="head">
        <h1>Tenants</h1>
        <FilterForm action={PATH} form={asked}>
          <TextField
            form={asked}
            name="search"
            label="Name, key or UID"
            placeholder="Name, key or UID"
          />
        </FilterForm>
        <ColumnMenu name="tenants" columns={columnsWith(incidents)} />
      </div>
      {viewer.may('manage') && <NewTenant form={form} />}
      {place && shown.length === 0 && (search ? <NoMatch /> : <Nothing />)}
      {shown.length > 0 && <TenantTable tenants={shown} form={asked} incidents={incidents} />}
      <Older path={PATH} form={asked} next={next} isCutShort={false} />
    </>,
  )
}

async function create(c: C, pages: TenantPages) {
  const { tenants } = pages
  const values = await readForm(c)
  const { key = '' } = values
  if (!TENANT_KEY.test(key)) {
    return showList(c, pages, { values, mistakes: { key: KEY_MISTAKE } })
  }
  try {
    await assertMayManage(c.get('viewer').caller, key, tenants)
    await tenants.put(key, parseSettings(tenantInput, bodyOfForm(tenantFields, values)))
  } catch (error) {
    return showList(c, pages, refusedForm(values, error))
  }
  return c.redirect(`${pathOf(key)}?said=created`, 303)
}

const keyOf = (c: C): string => c.req.param('tenant') ?? ''

async function showPage(c: C, pages: TenantPages, renaming?: FormState) {
  const { render, tenants, endpointsOf, dayOf } = pages
  const viewer = c.get('viewer')
  if (!mayTouch(viewer.caller, keyOf(c))) throw new TenantNotFound()
  const { tenant, remaining } = await tenants.show(keyOf(c))
  const [endpoints, day] = await Promise.all([endpointsOf(tenant.id), dayOf(tenant.id)])
  const said = saidOf(SAID, c)
  return render(
    c,
    { title: tenant.name, at: PATH, status: renaming ? 422 : 200 },
    <>
      <h1>{tenant.name}</h1>
      {said && <Notice tone="good">{said}</Notice>}
      <TenantActions tenant={tenant} viewer={viewer} renaming={renaming} />
      <DayTiles {...day} tenant={tenant} />
      <TenantFacts tenant={tenant} remaining={remaining} />
      <TenantLinks tenant={tenant} viewer={viewer} />
      {endpoints.length > 0 && <TenantEndpoints endpoints={endpoints} />}
      <h2>Publish an event</h2>
      <Command>{`scripts/postrider publish ${tenant.key} invoice.paid '{"id": 1}'`}</Command>
      <Command>{`select postrider.publish('${tenant.key}', 'invoice.paid', '{"id": 1}');`}</Command>
    </>,
  )
}

async function rename(c: C, pages: TenantPages) {
  const { tenants } = pages
  const values = await readForm(c)
  try {
    await assertMayManage(c.get('viewer').caller, keyOf(c), tenants)
    const change = parseSettings(tenantInput.required(), bodyOfForm(tenantFields, values))
    await tenants.change(keyOf(c), change)
  } catch (error) {
    return showPage(c, pages, refusedForm(values, error))
  }
  return c.redirect(`${pathOf(keyOf(c))}?said=changed`, 303)
}

async function suspend(c: C, { tenantOperations }: TenantPages) {
  await tenantOperations.suspend(keyOf(c), c.get('viewer').who)
  return c.redirect(`${pathOf(keyOf(c))}?said=suspended`, 303)
}

async function resume(c: C, { tenantOperations }: TenantPages) {
  await tenantOperations.resume(keyOf(c), c.get('viewer').who)
  return c.redirect(`${pathOf(keyOf(c))}?said=resumed`, 303)
}

const KEY_MISTAKE = 'Use 1–128 letters, digits or . _ : -, starting with a letter or digit.'

function NewTenant({ form }: { form: FormState }) {
  return (
    <details class="stack" open={form !== EMPTY_FORM}>
      <summary class="button primary">New tenant</summary>
      <form method="post" action={PATH}>
        <FormMistake form={form} />
        <FormField form={form} name="key" of={tenantFields.key} />
        <FormFields form={form} of={tenantFields} />
        <button type="submit" class="primary">
          Create tenant
        </button>
      </form>
    </details>
  )
}

function Nothing() {
  return (
    <Empty title="No tenants yet">
      <p>
        A tenant is one customer of yours: it owns endpoints and sees only its own data. From a
        shell:
      </p>
      <Command>scripts/postrider tenant create acme</Command>
    </Empty>
  )
}

const NoMatch = () => (
  <Empty title="No tenants match this search">
    <p>
      Change the search, or <a href={PATH}>show all tenants</a>.
    </p>
  </Empty>
)

type OpenIncidents = ReadonlyMap<string, number>

const columnsWith = (incidents: OpenIncidents): Column<Tenant>[] => [
  { name: 'name', label: 'Tenant', kind: 'main', cell: ({ name }) => name },
  { name: 'key', label: 'Key', kind: 'name', cell: ({ key }) => <code>{key}</code> },
  { name: 'state', label: 'State', cell: (tenant) => <State {...tenant} /> },
  {
    name: 'incidents',
    label: 'Incidents',
    cell: ({ id, key }) => <OpenOnes count={incidents.get(id) ?? 0} tenant={key} />,
  },
  { name: 'created', label: 'Created', cell: ({ created_at: at }) => <Time at={at} /> },
  { ...ID_COLUMN, isMinor: false },
]

function OpenOnes({ count, tenant }: { count: number; tenant: string }) {
  if (count === 0) return ''
  return (
    <a href={urlWith('/console/incidents', { tenant })}>
      <Badge of="open" label={`${count} open`} />
    </a>
  )
}

interface TenantTableProps {
  tenants: readonly Tenant[]
  form: FormState
  incidents: OpenIncidents
}

function TenantTable({ tenants, form, incidents }: TenantTableProps) {
  return (
    <DataTable
      name="tenants"
      label="Tenants"
      columns={columnsWith(incidents)}
      rows={tenants}
      sorts={{ key: sortBy('key', PATH, form), created: sortByTime(PATH, form) }}
      hrefOf={({ key }) => pathOf(key)}
    />
  )
}

function State({ suspended_at: suspendedAt, deletion_started_at: deletionStartedAt }: Tenant) {
  if (deletionStartedAt) return <Badge of="failed" label="Being deleted" />
  return suspendedAt ? <Badge of="held" label="Suspended" /> : <Badge of="active" />
}

function DayTiles({ tenant, ...day }: TenantDay & { tenant: Tenant }) {
  const { events, deliveries, delivered, failed, held } = day
  const [ended, ofDay] = [delivered + failed, { tenant: tenant.key, last: '24h' }]
  const tiles: readonly (readonly [value: string, label: string, href: string])[] = [
    [
      atMost(events, DAY_COUNTED_MAX),
      events === 1 ? 'event in 24 hours' : 'events in 24 hours',
      urlWith('/console/events', ofDay),
    ],
    [
      atMost(deliveries, DAY_COUNTED_MAX),
      deliveries === 1 ? 'delivery in 24 hours' : 'deliveries in 24 hours',
      urlWith(DELIVERIES, ofDay),
    ],
    [
      ended === 0 ? '–' : percent(delivered / ended),
      'of finished ones delivered',
      urlWith(DELIVERIES, { ...ofDay, state: 'failed' }),
    ],
    [
      atMost(held, DAY_COUNTED_MAX),
      'on hold',
      urlWith(DELIVERIES, { tenant: tenant.key, state: 'held' }),
    ],
  ]
  return (
    <ul class="tiles">
      {tiles.map(([value, label, href]) => (
        <Tile value={value} label={label} href={href} />
      ))}
    </ul>
  )
}

/** What fails comes first. */
function TenantEndpoints({ endpoints }: { endpoints: readonly TenantEndpoint[] }) {
  const failing = endpoints.filter((endpoint) => failingSinceOf(endpoint) !== null)
  const others = endpoints.filter((endpoint) => failingSinceOf(endpoint) === null)
  return (
    <>
      <h2>Endpoints</h2>
      <DataTable
        name="tenant-endpoints"
        label="Endpoints"
        columns={ENDPOINT_COLUMNS}
        rows={[...failing, ...others]}
        hrefOf={({ id }) => `/console/endpoints/${id}`}
      />
    </>
  )
}

const ENDPOINT_COLUMNS: Column<TenantEndpoint>[] = [
  { name: 'endpoint', label: 'Endpoint', kind: 'main', cell: (row) => <EndpointName {...row} /> },
  { name: 'state', label: 'State', cell: (row) => <EndpointState {...row} /> },
  {
    name: 'since',
    label: 'Failing since',
    cell: (row) => (failingSinceOf(row) ? <Time at={failingSinceOf(row)} /> : ''),
  },
]

function TenantFacts({ tenant, remaining }: { tenant: Tenant; remaining: Remaining | null }) {
  const { suspended_at: suspendedAt } = tenant
  const left = remaining && `events: ${remaining.events}, deliveries: ${remaining.deliveries}`
  const facts: [name: string, value: Child][] = [
    ['Key', <code>{tenant.key}</code>],
    ['State', <State {...tenant} />],
    ['ID', <Id of={tenant.id} />],
    ['UID', tenant.uid && <Id of={tenant.uid} />],
    ['Svix ID', tenant.svix_id && <Id of={tenant.svix_id} />],
    ['Created', <Time at={tenant.created_at} />],
    ['Suspended', suspendedAt && <Time at={suspendedAt} />],
    ['Left to delete', left],
  ]
  return <Facts of={facts} />
}

function TenantActions(props: { tenant: Tenant; viewer: Viewer; renaming: FormState | undefined }) {
  const { tenant, viewer, renaming } = props
  if (!viewer.may('manage') || tenant.deletion_started_at) return null
  const path = pathOf(tenant.key)
  return (
    <div class="actions">
      <Confirm
        label="Rename"
        action={`${path}/name`}
        question="The name is shown to operators and in the portal. The key stays."
        yes="Rename tenant"
        isOpen={renaming !== undefined}
      >
        {renaming && <FormMistake form={renaming} />}
        <FormField
          form={renaming ?? { values: formValuesOf(tenantFields, tenant), mistakes: {} }}
          name="name"
          of={tenantFields.name}
          required
        />
      </Confirm>
      {tenant.suspended_at ? (
        <Confirm
          label="Resume"
          action={`${path}/resume`}
          question="Its events are accepted again, and its held deliveries are sent."
          yes="Resume tenant"
        />
      ) : (
        <Confirm
          label="Suspend"
          action={`${path}/suspend`}
          question="Its events are refused and its deliveries held until you resume it."
          yes="Suspend tenant"
          isDangerous
        />
      )}
    </div>
  )
}

function TenantLinks({ tenant, viewer }: { tenant: Tenant; viewer: Viewer }) {
  const query = `tenant=${encodeURIComponent(tenant.key)}`
  return (
    <div class="actions">
      {viewer.may('manage') && (
        <a class="button primary" href={`/console/endpoints/new?${query}`}>
          New endpoint
        </a>
      )}
      {viewer.may('manage') && !isReserved(tenant.key) && <PortalLinkButton tenant={tenant.key} />}
      <a class="button" href={`/console/endpoints?${query}`}>
        Endpoints
      </a>
      <a class="button" href={`/console/deliveries?${query}`}>
        Deliveries
      </a>
      <a class="button" href={`/console/events?${query}`}>
        Events
      </a>
      <a class="button" href={`/console/live?${query}`}>
        Live
      </a>
      <a class="button" href={`/console/replays?${query}`}>
        Replays
      </a>
    </div>
  )
}
