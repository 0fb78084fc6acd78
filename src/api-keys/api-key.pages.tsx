import type { Context, Hono } from 'hono'
import { type Column, DataTable } from '../console/data-table.tsx'
import { EMPTY_FORM, FormMistake, type FormState } from '../console/fields.tsx'
import { FormFields } from '../console/form-fields.tsx'
import { bodyOfForm } from '../console/form-values.ts'
import { readForm, refusedForm, saidOf, urlWith } from '../console/forms.ts'
import type { RenderPage } from '../console/layout.tsx'
import {
  ID_COLUMN,
  Older,
  PAGE_ROWS,
  PlaceMistake,
  pageOf,
  sortByTime,
} from '../console/list-parts.tsx'
import { Badge, Command, Confirm, Empty, Notice, Table, Time } from '../console/parts.tsx'
import { type PageEnv, requireScope } from '../console/viewer.ts'
import { readPlace } from '../deliveries/list-filters.tsx'
import { parseSettings } from '../http/request-body.ts'
import { type ApiKeyId, sessionId } from '../ids.ts'
import type { ListedSession, Sessions } from '../sessions/sessions.ts'
import { TenantLink } from '../tenants/tenant.pages.tsx'
import type { Tenants } from '../tenants/tenants.ts'
import { apiKeyFields, newKeyInput } from './api-key.fields.ts'
import { issueKey, keyOf } from './api-key.routes.ts'
import type { ApiKey, ApiKeys } from './api-keys.ts'

const PATH = '/console/keys'

const SAID: Record<string, string> = {
  revoked: 'Key revoked. It is refused everywhere within five seconds.',
  ended: 'Session ended.',
}

export interface KeyPages {
  render: RenderPage
  apiKeys: Pick<ApiKeys, 'list' | 'issue' | 'revoke'>
  sessions: Pick<Sessions, 'list' | 'end'>
  tenants: Pick<Tenants, 'find'>
}

type C = Context<PageEnv>

export function addKeyPages(app: Hono<PageEnv>, pages: KeyPages): void {
  const managing = requireScope('admin')
  app.get('/keys', managing, (c) => showList(c, pages))
  app.post('/keys', managing, (c) => create(c, pages))
  app.post('/keys/:id/revoke', managing, (c) => revoke(c, pages))
  app.post('/sessions/:id/end', managing, (c) => endSession(c, pages))
}

/** A form that was sent, or what it has made. */
interface Sent {
  form?: FormState
  made?: string
}

async function showList(c: C, pages: KeyPages, { form = EMPTY_FORM, made }: Sent = {}) {
  const { form: asked, place } = readPlace<ApiKeyId>(c)
  const page = place && { ...place, limit: PAGE_ROWS + 1 }
  const { shown, next } = pageOf(page ? await pages.apiKeys.list(page) : [])
  const said = saidOf(SAID, c)
  return pages.render(
    c,
    { title: 'Keys', at: PATH, status: form === EMPTY_FORM && place ? 200 : 422 },
    <>
      <h1>API keys</h1>
      {said && <Notice tone="good">{said}</Notice>}
      {made !== undefined && <Made apiKey={made} />}
      <NewKey form={form} />
      <PlaceMistake form={asked} />
      {place && shown.length === 0 && <Nothing />}
      {shown.length > 0 && <KeyTable keys={shown} form={asked} />}
      <Older path={PATH} form={asked} next={next} isCutShort={false} />
      <h2>Active sessions</h2>
      <SessionTable sessions={await pages.sessions.list()} own={c.get('viewer').session.id} />
    </>,
  )
}

async function create(c: C, pages: KeyPages) {
  const values = await readForm(c)
  try {
    const input = parseSettings(newKeyInput, bodyOfForm(apiKeyFields, values))
    const { key } = await issueKey(pages, input, c.get('viewer').who)
    return await showList(c, pages, { made: key })
  } catch (error) {
    return showList(c, pages, { form: refusedForm({ ...values, scopes: '' }, error) })
  }
}

async function revoke(c: C, { apiKeys }: KeyPages) {
  const id = keyOf({ id: c.req.param('id') ?? '' })
  await apiKeys.revoke(id, c.get('viewer').who)
  return c.redirect(`${PATH}?said=revoked`, 303)
}

async function endSession(c: C, { sessions }: KeyPages) {
  const id = sessionId.safeParse(c.req.param('id'))
  const by = { who: c.get('viewer').who, client: c.get('client').address }
  if (id.success) await sessions.end(id.data, { ...by, action: 'end_session' })
  return c.redirect(`${PATH}?said=ended`, 303)
}

function Made({ apiKey }: { apiKey: string }) {
  return (
    <Notice tone="good">
      <p>Copy this key now. It is not stored and not shown again:</p>
      <Command what="the key">{apiKey}</Command>
    </Notice>
  )
}

function NewKey({ form }: { form: FormState }) {
  return (
    <details class="stack" open={form !== EMPTY_FORM}>
      <summary class="button primary">New key</summary>
      <form method="post" action={PATH}>
        <FormMistake form={form} />
        <FormFields form={form} of={apiKeyFields} />
        <button type="submit" class="primary">
          Create key
        </button>
      </form>
    </details>
  )
}

function Nothing() {
  return (
    <Empty title="No API keys yet">
      <p>
        There is only the first admin key. Give each service and each person a separate key. From a
        shell:
      </p>
      <Command>{'scripts/postrider key create "invoice service" --scopes publish'}</Command>
    </Empty>
  )
}

const COLUMNS: Column<ApiKey>[] = [
  { name: 'name', label: 'Name', kind: 'main', cell: ({ name }) => name },
  { name: 'state', label: 'State', cell: KeyState },
  { name: 'scopes', label: 'Scopes', kind: 'name', cell: ({ scopes }) => scopes.join(', ') },
  {
    name: 'tenant',
    label: 'Tenant',
    kind: 'name',
    cell: ({ tenant }) =>
      tenant === null ? <span class="muted">every</span> : <TenantLink of={tenant} />,
  },
  { name: 'used', label: 'Last used', cell: ({ last_used_at: at }) => <Time at={at} /> },
  {
    name: 'created',
    label: 'Created',
    isMinor: true,
    cell: ({ created_at: at }) => <Time at={at} />,
  },
  ID_COLUMN,
  { name: 'action', label: 'Action', cell: Revoke },
]

/** A row leads to what was done with its key. */
function KeyTable({ keys, form }: { keys: readonly ApiKey[]; form: FormState }) {
  return (
    <DataTable
      name="keys"
      label="API keys"
      columns={COLUMNS}
      rows={keys}
      sorts={{ created: sortByTime(PATH, form) }}
      hrefOf={({ id }) => urlWith('/console/audit', { who: `api key ${id}` })}
    />
  )
}

function Revoke({ id, name, revoked_at: revokedAt }: ApiKey) {
  if (revokedAt) return null
  return (
    <Confirm
      label="Revoke"
      about={name}
      action={`${PATH}/${id}/revoke`}
      question="Requests with this key get 401. This cannot be undone."
      yes="Revoke key"
      isDangerous
    />
  )
}

function KeyState({ revoked_at: revokedAt, expires_at: expiresAt }: ApiKey) {
  if (revokedAt) return <Badge of="revoked" />
  if (!expiresAt) return <Badge of="active" />
  if (expiresAt.getTime() <= Date.now()) return <Badge of="held" label="Expired" />
  return (
    <>
      <Badge of="active" /> until <Time at={expiresAt} />
    </>
  )
}

function SessionTable({ sessions, own }: { sessions: readonly ListedSession[]; own: string }) {
  return (
    <Table label="Sessions" head={['Key', 'Pages', 'Since', 'Ends', 'Action']}>
      {sessions.map(({ id, area, keyName, createdAt, expiresAt }) => (
        <tr>
          <td>
            {keyName ?? 'first admin key'}{' '}
            {id === own && <Badge of="active" label="This session" />}
          </td>
          <td>{area}</td>
          <td>
            <Time at={createdAt} />
          </td>
          <td>
            <Time at={expiresAt} />
          </td>
          <td>
            <form method="post" action={`/console/sessions/${id}/end`}>
              <button
                type="submit"
                aria-label={`End session of ${keyName ?? 'the first admin key'}`}
              >
                End session
              </button>
            </form>
          </td>
        </tr>
      ))}
    </Table>
  )
}
