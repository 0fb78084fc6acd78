import type { Context, Hono } from 'hono'
import { labelOf } from '../attempts/attempt-words.ts'
import { type FormState, TextField } from '../console/fields.tsx'
import type { RenderPage } from '../console/layout.tsx'
import { FilterForm, Older } from '../console/list-parts.tsx'
import { Badge, Command, Empty, Id, Table, Time } from '../console/parts.tsx'
import type { Area, PageEnv } from '../console/viewer.ts'
import { TenantLink } from '../tenants/tenant.pages.tsx'
import type { Tenants } from '../tenants/tenants.ts'
import type { Deliveries, FoundDelivery } from './deliveries.ts'
import {
  ClassFilter,
  EndpointFilter,
  queryOf,
  ReasonFilter,
  readFilters,
  StateFilter,
  TenantFilter,
  TimeFilters,
  TypeFilter,
} from './list-filters.tsx'

export interface DeliveryListPages {
  area: Area
  render: RenderPage
  tenants: Pick<Tenants, 'get' | 'reservedIds'>
  /** Of every tenant, but in the portal. */
  lists: { deliveries: Pick<Deliveries, 'search'> }
}

export function addDeliveriesPage(app: Hono<PageEnv>, pages: DeliveryListPages): void {
  app.get('/deliveries', (c) => showList(c, pages))
}

async function showList(c: Context<PageEnv>, { area, render, tenants, lists }: DeliveryListPages) {
  const path = `/${area}/deliveries`
  const { form, filters } = await readFilters(c, tenants)
  const page = filters && (await lists.deliveries.search(filters.tenants, queryOf(filters)))
  return render(
    c,
    { title: 'Deliveries', at: path, status: page ? 200 : 422 },
    <>
      <h1>Deliveries</h1>
      <ListFilters form={form} area={area} path={path} />
      {page && page.rows.length > 0 && <DeliveryTable deliveries={page.rows} area={area} />}
      {page?.rows.length === 0 && (
        <Nothing form={form} area={area} path={path} isCutShort={page.isCutShort} />
      )}
      {page && <Older path={path} form={form} {...page} />}
    </>,
  )
}

interface Listing {
  form: FormState
  area: Area
  path: string
}

function ListFilters({ form, area, path }: Listing) {
  return (
    <FilterForm action={path} form={form}>
      <TextField form={form} name="search" label="Id or idempotency key" />
      {area === 'console' && <TenantFilter form={form} />}
      <TypeFilter form={form} />
      <EndpointFilter form={form} />
      <StateFilter form={form} />
      <ClassFilter form={form} />
      <ReasonFilter form={form} />
      <TimeFilters form={form} />
    </FilterForm>
  )
}

function Nothing({ form, area, path, isCutShort }: Listing & { isCutShort: boolean }) {
  if (isCutShort) return <p>Nothing so far.</p>
  if (Object.keys(form.values).length > 0) {
    return (
      <Empty title="No delivery is like that">
        <p>
          Widen the filter, or <a href={path}>look at all deliveries</a>.
          {area === 'console' && ' A key is found together with its tenant.'}
        </p>
      </Empty>
    )
  }
  if (area === 'portal') {
    return (
      <Empty title="There are no deliveries yet">
        <p>
          An event that one of your endpoints wants makes one. To see the first, choose one of{' '}
          <a href="/portal/endpoints">your endpoints</a> and send it a test event.
        </p>
      </Empty>
    )
  }
  return (
    <Empty title="There are no deliveries yet">
      <p>An event that matches an endpoint makes one. Publish an event, from a shell:</p>
      <Command>{`scripts/postrider publish acme invoice.paid '{"id": 1}'`}</Command>
    </Empty>
  )
}

export function DeliveryTable({
  deliveries,
  area = 'console',
}: {
  deliveries: readonly FoundDelivery[]
  area?: Area
}) {
  const tenant = area === 'console' ? ['Tenant'] : []
  return (
    <Table
      label="Deliveries"
      head={[
        ...['Delivery', 'State', 'Made', 'Type', ...tenant],
        ...['Endpoint', 'Last attempt', 'Attempts'],
      ]}
    >
      {deliveries.map((delivery) => (
        <tr>
          <td>
            <Id of={delivery.id} href={`/${area}/deliveries/${delivery.id}`} isShort />
          </td>
          <td>
            <Badge of={delivery.state} />
            {delivery.held_reason && <div class="muted">{delivery.held_reason}</div>}
          </td>
          <td>
            <Time at={delivery.created_at} />
          </td>
          <td>{delivery.eventType ?? <span class="muted">gone</span>}</td>
          {area === 'console' && (
            <td>
              <TenantLink of={delivery.tenantKey} />
            </td>
          )}
          <td class="url">
            <a href={`/${area}/endpoints/${delivery.endpoint_id}`}>{delivery.url}</a>
          </td>
          <td>
            <LastAttempt {...delivery} />
          </td>
          <td class="number">{delivery.attempt_count}</td>
        </tr>
      ))}
    </Table>
  )
}

function LastAttempt({ lastOutcome, lastStatusCode, lastReason }: FoundDelivery) {
  if (lastOutcome === null) return <span class="muted">none yet</span>
  if (lastStatusCode !== null) return <>{lastStatusCode}</>
  return <>{lastReason === null ? lastOutcome : labelOf(lastReason)}</>
}
