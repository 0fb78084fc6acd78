import type { Context, Hono } from 'hono'
import { z } from 'zod'
import { type Column, ColumnMenu, DataTable } from '../console/data-table.tsx'
import { type FormState, TextField } from '../console/fields.tsx'
import type { RenderPage } from '../console/layout.tsx'
import {
  FilterForm,
  Older,
  PAGE_ROWS,
  pageOf,
  SavedViews,
  sortByTime,
  type Views,
} from '../console/list-parts.tsx'
import { Empty, Facts, Id, stateLabel, Table, Time } from '../console/parts.tsx'
import { shownText } from '../console/shown-text.ts'
import type { PageEnv } from '../console/viewer.ts'
import { queryOf, readFilters, TenantFilter } from '../deliveries/list-filters.tsx'
import { NothingFound } from '../not-found.ts'
import { TenantLink } from '../tenants/tenant.pages.tsx'
import { listedBy } from '../tenants/tenant-access.ts'
import type { Tenants } from '../tenants/tenants.ts'
import type { AuditEntry, AuditLog } from './audit-log.ts'

const PATH = '/console/audit'

/** Pages of what the log is about. */
const PLACES: Record<string, string> = {
  delivery: '/console/deliveries/',
  event: '/console/events/',
  endpoint: '/console/endpoints/',
  event_type: '/console/event-types/',
  incident: '/console/incidents/',
  replay: '/console/replays/',
}

export interface AuditPages {
  render: RenderPage
  tenants: Pick<Tenants, 'get' | 'reservedIds'>
  auditLog: AuditLog
}

export function addAuditPage(app: Hono<PageEnv>, pages: AuditPages): void {
  app.get('/audit', (c) => showList(c, pages))
  app.get('/audit/:id', (c) => showEntry(c, pages))
}

async function showList(c: Context<PageEnv>, { render, tenants, auditLog }: AuditPages) {
  const { form, filters } = await readFilters(c, tenants)
  const { who, action, target } = form.values
  const page = filters && { ...queryOf(filters, PAGE_ROWS + 1), who, action, target }
  const { shown, next } = pageOf(page ? await auditLog.list(page) : [])
  return render(
    c,
    { title: 'Audit log', at: PATH, status: filters ? 200 : 422 },
    <>
      <div class="head">
        <h1>Audit log</h1>
        <FilterForm action={PATH} form={form}>
          <TextField form={form} name="who" label="Who" placeholder="Who" />
          <TextField form={form} name="action" label="Action" placeholder="Action: retry_now" />
          <TextField form={form} name="target" label="Resource ID" placeholder="Resource ID" />
          <TenantFilter form={form} />
        </FilterForm>
        <SavedViews name="audit" path={PATH} form={form} views={VIEWS} />
        <ColumnMenu name="audit" columns={COLUMNS} />
      </div>
      {shown.length > 0 && <Entries entries={shown} form={form} />}
      {filters && shown.length === 0 && <Nothing />}
      <Older path={PATH} form={form} next={next} isCutShort={false} />
    </>,
  )
}

const VIEWS: Views = [
  ['All', {}],
  ['Sign-ins', { action: 'sign_in' }],
  ['Secrets shown', { action: 'show_secret' }],
]

function Nothing() {
  return (
    <Empty title="No entries match these filters">
      <p>
        The log records what people do (retry, cancel, pause, create a key, …), whether here, over
        the API or in SQL, and what repairs have done.
      </p>
    </Empty>
  )
}

const COLUMNS: Column<AuditEntry>[] = [
  { name: 'action', label: 'Action', kind: 'main', cell: ActionCell },
  { name: 'who', label: 'Who', kind: 'name', cell: Who },
  { name: 'target', label: 'Resource', kind: 'name', cell: (entry) => <Target {...entry} /> },
  {
    name: 'tenant',
    label: 'Tenant',
    kind: 'name',
    cell: ({ tenantKey, tenantName }) =>
      tenantKey !== null && <TenantLink of={tenantKey} name={tenantName ?? tenantKey} />,
  },
  { name: 'detail', label: 'Detail', kind: 'name', isMinor: true, cell: DetailLine },
  { name: 'when', label: 'When', cell: ({ at }) => <Time at={at} /> },
]

/** `retry_now` as people write it. */
const inWords = (name: string): string => name.replaceAll('_', ' ').replace('api key', 'API key')
const wordsOf = (action: string): string => stateLabel(inWords(action))

function Entries({ entries, form }: { entries: readonly AuditEntry[]; form: FormState }) {
  return (
    <DataTable
      name="audit"
      label="Audit log"
      columns={COLUMNS}
      rows={entries}
      sorts={{ when: sortByTime(PATH, form) }}
      hrefOf={({ id }) => `${PATH}/${id}`}
    />
  )
}

function ActionCell({ action }: AuditEntry) {
  return <span title={action}>{wordsOf(action)}</span>
}

function Who({ who, keyName, sessionRole }: AuditEntry) {
  const role = sessionRole === null ? '' : ` (database role ${sessionRole})`
  return <span title={`${who}${role}`}>{keyName ?? who}</span>
}

/** Of a change which settings it was about; the page of the entry has their values. */
function DetailLine({ detail: { before, after, ...others } }: AuditEntry) {
  const changed = Object.keys({ ...settingsIn(before), ...settingsIn(after) })
  const text = [
    ...changed.map((name) => nameOf(name)),
    ...Object.entries(others).map(([name, value]) => `${nameOf(name)}: ${textOf(value)}`),
  ].join(', ')
  return <span title={text}>{text}</span>
}

const settingsIn = (value: unknown): Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value) ? { ...value } : {}

/** `stateBefore` and `event_types` as people write them. */
const nameOf = (name: string): string =>
  stateLabel(
    inWords(name)
      .replace(/([a-z])([A-Z])/g, '$1 $2')
      .toLowerCase()
      .replace(/\b(?:api|id|ids|tls|uid|url)\b/g, (word) => word.toUpperCase()),
  )

/** Text from outside, so shown as it is; what has parts is shown as JSON. */
function textOf(value: unknown): string {
  if (value === null || value === undefined || value === '') return '–'
  if (Array.isArray(value) && value.every((one) => typeof one !== 'object')) {
    return textOf(value.join(', '))
  }
  if (typeof value !== 'object') return String(value)
  return Object.keys(value).length === 0 ? '–' : JSON.stringify(value)
}

function Target({ targetKind: kind, targetId: id }: AuditEntry) {
  const place = Object.hasOwn(PLACES, kind) ? PLACES[kind] : undefined
  const href = place === undefined || id === null ? undefined : place + encodeURIComponent(id)
  return (
    <>
      {inWords(kind)} {id !== null && <Id of={id} {...(href && { href })} isShort />}
    </>
  )
}

const entryId = z.guid().toLowerCase()

async function showEntry(c: Context<PageEnv>, { render, tenants, auditLog }: AuditPages) {
  const id = entryId.safeParse(c.req.param('id')).data
  const listed = await listedBy(c.get('viewer').caller, tenants, undefined)
  const entry = id === undefined ? null : await auditLog.find(listed, id)
  if (!entry) throw new NothingFound()
  const { action, detail, targetId } = entry
  return render(
    c,
    { title: wordsOf(action), at: PATH },
    <>
      <h1>{wordsOf(action)}</h1>
      <EntryFacts {...entry} />
      {targetId !== null && (
        <p>
          <a href={`${PATH}?target=${encodeURIComponent(targetId)}`}>
            All entries about this resource
          </a>
        </p>
      )}
      {Object.keys(detail).length > 0 && (
        <>
          <h2>Detail</h2>
          <Detail of={detail} />
        </>
      )}
    </>,
  )
}

/** What was changed as it was before and is after, and everything else by its name. */
function Detail({ of: { before, after, ...others } }: { of: AuditEntry['detail'] }) {
  const [was, becomes] = [settingsIn(before), settingsIn(after)]
  const changed = Object.keys({ ...was, ...becomes })
  const facts = Object.entries(others).map(
    ([name, value]) => [nameOf(name), <Value name={name} of={value} />] as const,
  )
  return (
    <>
      {facts.length > 0 && <Facts of={facts} />}
      {changed.length > 0 && (
        <Table label="Changes" head={['Setting', 'Before', 'After']}>
          {changed.map((name) => (
            <tr>
              <td>{nameOf(name)}</td>
              <td>
                <Value name={name} of={was[name]} />
              </td>
              <td>
                <Value name={name} of={becomes[name]} />
              </td>
            </tr>
          ))}
        </Table>
      )}
    </>
  )
}

function Value({ name, of: value }: { name: string; of: unknown }) {
  const { text, isCut } = shownText(textOf(value))
  const place = Object.hasOwn(PLACES, name) ? PLACES[name] : undefined
  if (place && typeof value === 'string') {
    return <Id of={value} href={place + encodeURIComponent(value)} />
  }
  return (
    <>
      {typeof value === 'object' && value !== null ? <code>{text}</code> : text}
      {isCut && '…'}
    </>
  )
}

function EntryFacts(entry: AuditEntry) {
  const { id, at, who, keyName, sessionRole, action, tenantKey, tenantName } = entry
  return (
    <Facts
      of={[
        ['When', <Time at={at} />],
        ['Who', keyName ?? who],
        ['Recorded as', keyName !== null && who],
        ['Database role', sessionRole],
        ['Action', <code>{action}</code>],
        ['Resource', <Target {...entry} />],
        ['Tenant', tenantKey && <TenantLink of={tenantKey} name={tenantName ?? tenantKey} />],
        ['Entry', <Id of={id} />],
      ]}
    />
  )
}
