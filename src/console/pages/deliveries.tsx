import type { Hono } from 'hono'
import type { createAllDeliveries, FoundDelivery } from '../../events/all-deliveries.ts'
import type { Tenants } from '../../tenants/tenants.ts'
import { type FormState, TextField } from '../fields.tsx'
import { PAGE_ROWS, readFilters } from '../filters.ts'
import type { RenderPage } from '../layout.tsx'
import { Badge, Command, Empty, Id, Table, Time } from '../parts.tsx'
import type { PageEnv } from '../viewer.ts'
import { inWords } from '../words.ts'
import {
  ClassFilter,
  EndpointFilter,
  FilterForm,
  Older,
  StateFilter,
  TenantFilter,
  TimeFilters,
  TypeFilter,
} from './list-parts.tsx'

const PATH = '/console/deliveries'

export function addDeliveriesPage(
  app: Hono<PageEnv>,
  options: {
    render: RenderPage
    tenants: Pick<Tenants, 'show'>
    allDeliveries: ReturnType<typeof createAllDeliveries>
  },
): void {
  const { render, tenants, allDeliveries } = options
  app.get('/deliveries', async (c) => {
    const { form, filters } = await readFilters(c, tenants)
    const page = filters && (await allDeliveries(queryOf(filters)))
    return render(
      c,
      { title: 'Deliveries', at: PATH, status: page ? 200 : 422 },
      <>
        <h1>Deliveries</h1>
        <Filters form={form} />
        {page && page.rows.length > 0 && <DeliveryTable deliveries={page.rows} />}
        {page?.rows.length === 0 && <Nothing form={form} isCutShort={page.isCutShort} />}
        {page && <Older path={PATH} form={form} {...page} />}
      </>,
    )
  })
}

type Query = Parameters<ReturnType<typeof createAllDeliveries>>[0]

function queryOf(filters: NonNullable<Awaited<ReturnType<typeof readFilters>>['filters']>): Query {
  const { tenantRow, endpoint, event, class: statusClass, before, ...others } = filters
  return {
    ...others,
    statusClass,
    tenantId: tenantRow?.id,
    endpointId: endpoint,
    eventId: event,
    before: before ?? null,
    limit: PAGE_ROWS,
  }
}

function Filters({ form }: { form: FormState }) {
  return (
    <FilterForm action={PATH} form={form}>
      <TextField form={form} name="search" label="Id or idempotency key" />
      <TenantFilter form={form} />
      <TypeFilter form={form} />
      <EndpointFilter form={form} />
      <StateFilter form={form} />
      <ClassFilter form={form} />
      <TimeFilters form={form} />
    </FilterForm>
  )
}

function Nothing({ form, isCutShort }: { form: FormState; isCutShort: boolean }) {
  if (isCutShort) return <p>Nothing so far.</p>
  if (Object.keys(form.values).length > 0) {
    return (
      <Empty title="No delivery is like that">
        <p>
          Widen the filter, or <a href={PATH}>look at all deliveries</a>. A key is found together
          with its tenant.
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

export function DeliveryTable({ deliveries }: { deliveries: readonly FoundDelivery[] }) {
  return (
    <Table
      label="Deliveries"
      head={['Delivery', 'State', 'Type', 'Tenant', 'Endpoint', 'Last attempt', 'Attempts', 'Made']}
    >
      {deliveries.map((delivery) => (
        <tr>
          <td>
            <Id of={delivery.id} href={`${PATH}/${delivery.id}`} isShort />
          </td>
          <td>
            <Badge of={delivery.state} />
          </td>
          <td>{delivery.eventType}</td>
          <td>
            <a href={`/console/tenants/${encodeURIComponent(delivery.tenantKey)}`}>
              {delivery.tenantKey}
            </a>
          </td>
          <td class="url">
            <a href={`/console/endpoints/${delivery.endpoint_id}`}>{delivery.url}</a>
          </td>
          <td>
            <LastAttempt {...delivery} />
          </td>
          <td class="number">{delivery.attempt_count}</td>
          <td>
            <Time at={delivery.created_at} />
          </td>
        </tr>
      ))}
    </Table>
  )
}

function LastAttempt({ lastOutcome, lastStatusCode, lastError }: FoundDelivery) {
  if (lastOutcome === null) return <span class="muted">none yet</span>
  if (lastStatusCode !== null) return <>{lastStatusCode}</>
  return <>{lastError === null ? lastOutcome : inWords(lastError)}</>
}
