import type { Context, Hono } from 'hono'
import type { Child } from 'hono/jsx'
import { AttemptStrip } from '../attempts/attempt-strip.tsx'
import type { Strips, StripsOf } from '../attempts/attempt-strips.ts'
import { type Column, ColumnMenu, DataTable } from '../console/data-table.tsx'
import { EMPTY_FORM, type FormState, SelectField, TextField } from '../console/fields.tsx'
import { FormFields } from '../console/form-fields.tsx'
import { readForm, refusedForm, unlessNoTenant } from '../console/forms.ts'
import { phrase, say, sayNumber } from '../console/language.ts'
import type { RenderPage } from '../console/layout.tsx'
import {
  FilterForm,
  isFiltered,
  Older,
  PAGE_ROWS,
  pageOf,
  SavedViews,
  sortByTime,
  type Views,
} from '../console/list-parts.tsx'
import { Command, Empty, EndpointName, stateLabel, Time } from '../console/parts.tsx'
import { type Area, type PageEnv, viewerWith } from '../console/viewer.ts'
import { ENDPOINT_STATES, queryOf, readFilters, TenantFilter } from '../deliveries/list-filters.tsx'
import type { EventTypeOutline, EventTypes } from '../event-types/event-types.ts'
import { typesToChoose, withTree } from '../event-types/type-tree.tsx'
import { parseSettings } from '../http/request-body.ts'
import type { EndpointId } from '../ids.ts'
import { newSecretFields } from '../secrets/endpoint-secret.fields.ts'
import { warningOf } from '../sending/signing-secret.ts'
import { TenantLink } from '../tenants/tenant.pages.tsx'
import type { TenantAccess } from '../tenants/tenant-access.ts'
import type { Tenant, Tenants } from '../tenants/tenants.ts'
import { endpointInput } from './endpoint.fields.ts'
import { bodyOf, secretOf } from './endpoint.form.ts'
import { EndpointFields } from './endpoint-form-fields.tsx'
import type { UrlRules } from './endpoint-input.ts'
import { EndpointState, failingSinceOf } from './endpoint-state.tsx'
import type { Endpoints, FoundEndpoint } from './endpoints.ts'
import { type Tried, TriedTable } from './tried-table.tsx'
import type { createTryFilter } from './try-filter.form.ts'

export interface EndpointListPages extends UrlRules {
  area: Area
  render: RenderPage
  tenants: Pick<Tenants, 'get' | 'find' | 'reservedIds'>
  access: TenantAccess
  endpoints: Pick<Endpoints, 'create'>
  /** The catalogue, which customers choose from. */
  eventTypes: Pick<EventTypes, 'outline'>
  /** Of every tenant, but in the portal. */
  lists: { endpoints: Pick<Endpoints, 'list'> }
  tryFilter: ReturnType<typeof createTryFilter>
  stripsOf: StripsOf
}

export function addEndpointsPages(app: Hono<PageEnv>, pages: EndpointListPages): void {
  app.get('/endpoints', (c) => showList(c, pages))
  app.get('/endpoints/new', (c) => showNew(c, pages))
  app.post('/endpoints/new', (c) => create(c, pages))
}

const pathOf = ({ area }: { area: Area }): string => `/${area}/endpoints`

async function showList(c: Context<PageEnv>, pages: EndpointListPages) {
  const { area, render, tenants, stripsOf, lists } = pages
  const path = pathOf(pages)
  const { form, filters } = await readFilters(c, tenants)
  const page = filters && {
    ...queryOf<EndpointId>(filters, PAGE_ROWS + 1),
    ...(filters.is === 'failing' ? { state: undefined, isFailing: true } : { state: filters.is }),
  }
  const { shown, next } = pageOf(page ? await lists.endpoints.list(page.tenants, page) : [])
  const strips = await stripsOf(shown.map(({ id, tenant_id }) => ({ tenant_id, endpoint_id: id })))
  const columns = columnsOf(area, strips)
  const mayAdd = c.get('viewer').may('manage')
  return render(
    c,
    { title: say('Endpoints'), at: path, status: filters ? 200 : 422 },
    <>
      <Head path={path} mayAdd={mayAdd}>
        <ListFilters form={form} area={area} />
        <SavedViews name="endpoints" path={path} form={form} views={VIEWS} />
        <ColumnMenu name="endpoints" columns={columns} />
      </Head>
      {shown.length > 0 && (
        <EndpointTable endpoints={shown} columns={columns} area={area} form={form} />
      )}
      {filters && shown.length === 0 && <Nothing form={form} area={area} mayAdd={mayAdd} />}
      <Older path={path} form={form} next={next} isCutShort={false} />
    </>,
  )
}

function Head(props: { path: string; mayAdd: boolean; children?: Child }) {
  const { path, mayAdd, children } = props
  return (
    <div class="head">
      <h1>{say('Endpoints')}</h1>
      {children}
      {mayAdd && (
        <a class="button primary" href={`${path}/new`}>
          {say('New endpoint')}
        </a>
      )}
    </div>
  )
}

const stateChoices = () => [
  ['', 'Any state'] as const,
  ...ENDPOINT_STATES.map((word) => [word, stateLabel(word)] as const),
]

function ListFilters({ form, area }: { form: FormState; area: Area }) {
  return (
    <FilterForm action={pathOf({ area })} form={form}>
      <TextField
        form={form}
        name="search"
        label="URL, description or UID"
        placeholder="URL, description or UID"
      />
      {area === 'console' && <TenantFilter form={form} />}
      <SelectField form={form} name="is" label="State" choices={stateChoices()} />
    </FilterForm>
  )
}

function showNew(c: Context<PageEnv>, pages: EndpointListPages) {
  viewerWith(c, 'manage')
  return newPage(c, pages, { ...EMPTY_FORM, values: { tenant: c.req.query('tenant') ?? '' } })
}

async function create(c: Context<PageEnv>, pages: EndpointListPages) {
  const { caller } = viewerWith(c, 'manage')
  const { intent, ...sent } = await readForm(c)
  const values = withTree(sent)
  const { tenant = '' } = values
  const owner = caller.tenant ?? (await unlessNoTenant(pages.tenants.find(tenant)))
  const noTenant = { values, mistakes: { tenant: 'Tenant not found.' } }
  if (!owner) return newPage(c, pages, noTenant)
  try {
    if (intent === 'try') {
      const tryFilter = ({ id }: Tenant) => pages.tryFilter(id, values)
      const { form, tried } = await pages.access(caller, 'manage', owner.key, tryFilter)
      return newPage(c, pages, form, tried)
    }
    const body = { ...bodyOf(values), ...secretOf(values, 'secretEncoding') }
    const input = parseSettings(endpointInput(pages).create, body)
    const { endpoint, secret } = await pages.access(caller, 'manage', owner.key, ({ id }) =>
      pages.endpoints.create(id, input),
    )
    const said = warningOf(secret) === null ? 'created' : 'createdWithWarning'
    return c.redirect(`${pathOf(pages)}/${endpoint.id}?said=${said}`, 303)
  } catch (error) {
    return newPage(c, pages, refusedForm(values, error))
  }
}

async function newPage(
  c: Context<PageEnv>,
  pages: EndpointListPages,
  form: FormState,
  tried?: readonly Tried[],
) {
  const { area, render } = pages
  const isWrong = Object.keys(form.mistakes).length > 0
  const types = await typesToChoose(area, pages.eventTypes)
  return render(
    c,
    { title: 'New endpoint', at: pathOf(pages), status: isWrong ? 422 : 200 },
    <>
      <h1>{say('New endpoint')}</h1>
      <NewEndpointForm form={form} area={area} types={types} />
      {tried && <TriedTable tried={tried} area={area} />}
    </>,
  )
}

interface NewForm {
  form: FormState
  area: Area
  types: readonly EventTypeOutline[]
}

function NewEndpointForm({ form, area, types }: NewForm) {
  return (
    <form method="post" action={`${pathOf({ area })}/new`} class="stack">
      {area === 'console' && (
        <TextField
          form={form}
          name="tenant"
          label="Tenant (key)"
          required
          isCode
          placeholder="acme"
        />
      )}
      <EndpointFields form={form} types={types} />
      <details open={Boolean(form.values['secret'] || form.values['secretEncoding'])}>
        <summary>{say('Secret')}</summary>
        <FormFields form={form} of={newSecretFields} />
      </details>
      <div class="actions">
        <button type="submit" class="primary">
          {say('Create endpoint')}
        </button>
        <button type="submit" name="intent" value="try">
          {say('Try on the last events')}
        </button>
      </div>
    </form>
  )
}

function Nothing({ form, area, mayAdd }: { form: FormState; area: Area; mayAdd: boolean }) {
  if (isFiltered(form)) {
    return (
      <Empty title="No endpoints match these filters">
        <p>
          {phrase('Widen the filters, or {link}.', {
            link: <a href={`/${area}/endpoints`}>{say('show all endpoints')}</a>,
          })}
        </p>
      </Empty>
    )
  }
  if (area === 'portal') return <FirstSteps mayAdd={mayAdd} />
  return (
    <Empty title="No endpoints yet">
      <p>An endpoint is a URL of a tenant that receives events. From a shell:</p>
      <Command>scripts/postrider endpoint create acme https://example.com/webhooks</Command>
    </Empty>
  )
}

function Steps() {
  const link = <a href="/portal/endpoints/new">{say('Add an endpoint')}</a>
  return (
    <ol>
      <li>{phrase('{link}: any https URL that responds with 200.', { link })}</li>
      <li>{say('Send a test event from its page, and check the response.')}</li>
      <li>{say('Add the signing secret to your app, which verifies every request with it.')}</li>
    </ol>
  )
}

/** What a customer does first. */
export function FirstSteps({ mayAdd }: { mayAdd: boolean }) {
  return (
    <Empty title="No endpoints yet">
      <p>{say('An endpoint is a URL of your app that receives events.')}</p>
      {mayAdd ? (
        <Steps />
      ) : (
        <p>
          {say('This link is read-only. Ask for one that can manage endpoints to add the first.')}
        </p>
      )}
    </Empty>
  )
}

const VIEWS: Views = [
  ['All', {}],
  ['Failing', { is: 'failing' }],
  ['Paused', { is: 'paused' }],
  ['Disabled', { is: 'disabled' }],
]

const columnsOf = (area: Area, strips: Strips): Column<FoundEndpoint>[] => [
  { name: 'endpoint', label: 'Endpoint', kind: 'main', cell: (row) => <EndpointName {...row} /> },
  { name: 'state', label: 'State', cell: (row) => <EndpointState {...row} /> },
  ...(area === 'console'
    ? [
        {
          name: 'tenant',
          label: 'Tenant',
          kind: 'name',
          cell: ({ tenantKey: key, tenantName: name }) => <TenantLink of={key} name={name} />,
        } as Column<FoundEndpoint>,
      ]
    : []),
  {
    name: 'attempts',
    label: 'Last attempts',
    cell: ({ id }) => <AttemptStrip of={strips.get(id)} />,
  },
  {
    name: 'types',
    label: 'Subscribed to',
    kind: 'name',
    isMinor: true,
    cell: ({ event_types: types }) => <code>{types.join(' ')}</code>,
  },
  {
    name: 'failures',
    label: 'Failures in a row',
    kind: 'number',
    cell: ({ failures }) => sayNumber(failures),
  },
  {
    name: 'since',
    label: 'Failing since',
    cell: (row) => (failingSinceOf(row) ? <Time at={failingSinceOf(row)} /> : ''),
  },
  { name: 'created', label: 'Created', cell: ({ created_at: at }) => <Time at={at} /> },
]

function EndpointTable(props: {
  endpoints: readonly FoundEndpoint[]
  columns: Column<FoundEndpoint>[]
  area: Area
  form: FormState
}) {
  const { endpoints, columns, area, form } = props
  const path = pathOf({ area })
  return (
    <DataTable
      name="endpoints"
      label="Endpoints"
      columns={columns}
      rows={endpoints}
      sorts={{ created: sortByTime(path, form) }}
      hrefOf={({ id }) => `${path}/${id}`}
    />
  )
}
