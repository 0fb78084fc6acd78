import type { Context, Hono } from 'hono'
import { z } from 'zod'
import { type Column, ColumnMenu, DataTable } from '../console/data-table.tsx'
import { EMPTY_FORM, type FormState, SelectField } from '../console/fields.tsx'
import { unlessNoTenant } from '../console/forms.ts'
import type { RenderPage } from '../console/layout.tsx'
import { FilterForm, Older, PAGE_ROWS, pageOf } from '../console/list-parts.tsx'
import { Empty, EndpointName } from '../console/parts.tsx'
import { type PageEnv, requireScope } from '../console/viewer.ts'
import { TenantFilter } from '../deliveries/list-filters.tsx'
import { deliveryId } from '../ids.ts'
import { TenantLink } from '../tenants/tenant.pages.tsx'
import { listedBy } from '../tenants/tenant-access.ts'
import type { Tenants } from '../tenants/tenants.ts'
import { KeyState, LastResponse, waitingOf } from './ordering-key.pages.tsx'
import type { OrderingKey, OrderingKeys } from './ordering-keys.ts'

const PATH = '/console/ordering'

export interface OrderingListPages {
  render: RenderPage
  tenants: Pick<Tenants, 'get' | 'reservedIds'>
  /** Of every tenant. */
  lists: { orderingKeys: Pick<OrderingKeys, 'list'> }
}

export function addOrderingListPage(app: Hono<PageEnv>, pages: OrderingListPages): void {
  app.get('/ordering', requireScope('read'), (c) => showList(c, pages))
}

/** An empty field is not sent, and left out means what needs somebody. */
const STATES = [
  ['blocked', 'Blocked'],
  ['all', 'All'],
] as const

const filters = z.object({
  tenant: z.string().optional(),
  state: z.enum(['blocked', 'all'], { error: 'Unknown state.' }),
  before: z.string().optional(),
})

async function showList(c: Context<PageEnv>, { render, tenants, lists }: OrderingListPages) {
  const { form, query } = await askedOf(c, tenants)
  const { shown, next } = pageOf(query ? await lists.orderingKeys.list(query.tenants, query) : [])
  return render(
    c,
    { title: 'Ordering keys', at: PATH, status: query ? 200 : 422 },
    <>
      <div class="head">
        <h1>Ordering keys</h1>
        <FilterForm action={PATH} form={form}>
          <TenantFilter form={form} />
          <SelectField form={form} name="state" label="State" choices={STATES} />
        </FilterForm>
        <ColumnMenu name="ordering" columns={COLUMNS} />
      </div>
      {query && shown.length === 0 && <Nothing />}
      {shown.length > 0 && <KeyTable keys={shown} />}
      <Older path={PATH} form={form} next={next} isCutShort={false} />
    </>,
  )
}

/** `query` is null where something cannot be meant; the form then says what. */
async function askedOf(c: Context<PageEnv>, tenants: OrderingListPages['tenants']) {
  const given = Object.entries({ state: 'blocked', ...c.req.query() })
  const values = Object.fromEntries(given.filter(([, value]) => value !== ''))
  const form: FormState = { ...EMPTY_FORM, values }
  const refuse = (mistakes: Record<string, string>) => ({
    form: { ...form, mistakes },
    query: null,
  })
  const { data } = filters.safeParse(values)
  if (!data) return refuse({ state: 'Unknown state.' })
  const listed = await unlessNoTenant(listedBy(c.get('viewer').caller, tenants, data.tenant))
  if (listed === null) return refuse({ tenant: 'Tenant not found.' })
  const before = deliveryId.safeParse(data.before).data ?? null
  const state = data.state === 'all' ? undefined : data.state
  return { form, query: { tenants: listed, limit: PAGE_ROWS + 1, before, state } }
}

const Nothing = () => (
  <Empty title="No keys match these filters">
    <p>A key is blocked when an event has failed that later ones wait for.</p>
  </Empty>
)

const COLUMNS: Column<OrderingKey>[] = [
  { name: 'key', label: 'Key', kind: 'main', cell: ({ ordering_key: key }) => key },
  { name: 'state', label: 'State', cell: (one) => <KeyState {...one} /> },
  { name: 'waiting', label: 'Waiting', kind: 'number', cell: waitingOf },
  {
    name: 'endpoint',
    label: 'Endpoint',
    kind: 'name',
    cell: (one) => <EndpointName {...one} href={`/console/endpoints/${one.endpoint_id}`} />,
  },
  {
    name: 'tenant',
    label: 'Tenant',
    kind: 'name',
    cell: ({ tenant_key: key, tenant_name: name }) => <TenantLink of={key} name={name} />,
  },
  {
    name: 'response',
    label: 'Last response',
    kind: 'text',
    cell: (one) => <LastResponse {...one} />,
  },
]

/** A row leads to the keys of its endpoint, where something can be done about them. */
function KeyTable({ keys }: { keys: readonly OrderingKey[] }) {
  return (
    <DataTable
      name="ordering"
      label="Ordering keys"
      columns={COLUMNS}
      rows={keys}
      hrefOf={({ endpoint_id: endpoint }) => `/console/endpoints/${endpoint}/keys`}
    />
  )
}
