import type { Hono } from 'hono'
import { TextField } from '../console/fields.tsx'
import { PAGE_ROWS, readFilters } from '../console/filters.ts'
import type { RenderPage } from '../console/layout.tsx'
import { FilterForm, Older, TenantFilter } from '../console/list-parts.tsx'
import { Empty, Id, Table, Time } from '../console/parts.tsx'
import type { PageEnv } from '../console/viewer.ts'
import type { Tenants } from '../tenants/tenants.ts'
import type { AuditEntry, createAuditLog } from './audit-log.ts'

const PATH = '/console/audit'

/** Pages of what the log is about. */
const PLACES: Record<string, string> = {
  delivery: '/console/deliveries/',
  event: '/console/events/',
  endpoint: '/console/endpoints/',
}

export function addAuditPage(
  app: Hono<PageEnv>,
  options: {
    render: RenderPage
    tenants: Pick<Tenants, 'get'>
    auditLog: ReturnType<typeof createAuditLog>
  },
): void {
  const { render, tenants, auditLog } = options
  app.get('/audit', async (c) => {
    const { form, filters } = await readFilters(c, tenants)
    const { who, action, target } = form.values
    const rows = filters
      ? await auditLog({
          limit: PAGE_ROWS + 1,
          before: filters.before ?? null,
          tenantId: filters.tenantRow?.id,
          who,
          action,
          target,
        })
      : []
    const shown = rows.slice(0, PAGE_ROWS)
    const next = rows.length > PAGE_ROWS ? (shown.at(-1)?.id ?? null) : null
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
  })
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
