import type { Context, Hono } from 'hono'
import { TextField } from '../console/fields.tsx'
import type { RenderPage } from '../console/layout.tsx'
import { FilterForm, Older, PAGE_ROWS, pageOf } from '../console/list-parts.tsx'
import { Empty, Id, Table, Time } from '../console/parts.tsx'
import type { PageEnv } from '../console/viewer.ts'
import { queryOf, readFilters, TenantFilter } from '../deliveries/list-filters.tsx'
import type { Tenants } from '../tenants/tenants.ts'
import type { AuditEntry, createAuditLog } from './audit-log.ts'

const PATH = '/console/audit'

/** Pages of what the log is about. */
const PLACES: Record<string, string> = {
  delivery: '/console/deliveries/',
  event: '/console/events/',
  endpoint: '/console/endpoints/',
  incident: '/console/incidents/',
}

export interface AuditPages {
  render: RenderPage
  tenants: Pick<Tenants, 'get' | 'reservedIds'>
  auditLog: ReturnType<typeof createAuditLog>
}

export function addAuditPage(app: Hono<PageEnv>, pages: AuditPages): void {
  app.get('/audit', (c) => showList(c, pages))
}

async function showList(c: Context<PageEnv>, { render, tenants, auditLog }: AuditPages) {
  const { form, filters } = await readFilters(c, tenants)
  const { who, action, target } = form.values
  const page = filters && { ...queryOf(filters, PAGE_ROWS + 1), who, action, target }
  const { shown, next } = pageOf(page ? await auditLog(page) : [])
  return render(
    c,
    { title: 'Audit log', at: PATH, status: filters ? 200 : 422 },
    <>
      <h1>Audit log</h1>
      <FilterForm action={PATH} form={form}>
        <TextField form={form} name="who" label="Who" />
        <TextField form={form} name="action" label="Action" placeholder="retry_now" />
        <TextField form={form} name="target" label="Id of what it was done to" />
        <TenantFilter form={form} />
      </FilterForm>
      {shown.length > 0 ? <Entries entries={shown} /> : filters && <Nothing />}
      <Older path={PATH} form={form} next={next} isCutShort={false} />
    </>,
  )
}

function Nothing() {
  return (
    <Empty title="Nothing is written here">
      <p>
        What people do (retry, cancel, pause, make a key, …) is, whether here, over the API or in
        SQL, and what repairs themselves have done.
      </p>
    </Empty>
  )
}

function Entries({ entries }: { entries: readonly AuditEntry[] }) {
  return (
    <Table label="Audit log" head={['When', 'Who', 'Did', 'To', 'Tenant', 'Detail']}>
      {entries.map(
        ({ at, who, sessionRole, keyName, action, targetKind, targetId, tenantKey, detail }) => (
          <tr>
            <td>
              <Time at={at} />
            </td>
            <td>
              {keyName ?? who}
              {keyName !== null && <div class="muted">{who}</div>}
              {sessionRole !== null && <div class="muted">database role {sessionRole}</div>}
            </td>
            <td>
              <code>{action}</code>
            </td>
            <td>
              {targetKind} {targetId !== null && <Target kind={targetKind} id={targetId} />}
            </td>
            <td>{tenantKey ?? <span class="muted">–</span>}</td>
            <td>
              <code>{Object.keys(detail).length === 0 ? '' : JSON.stringify(detail)}</code>
            </td>
          </tr>
        ),
      )}
    </Table>
  )
}

function Target({ kind, id }: { kind: string; id: string }) {
  const place = Object.hasOwn(PLACES, kind) ? PLACES[kind] : undefined
  return place === undefined ? <Id of={id} isShort /> : <Id of={id} href={place + id} isShort />
}
