import type { Context, Hono } from 'hono'
import { EMPTY_FORM, FormMistake, type FormState, TextField } from '../console/fields.tsx'
import { PAGE_ROWS } from '../console/filters.ts'
import { readForm, refusedForm, saidOf } from '../console/forms.ts'
import type { RenderPage } from '../console/layout.tsx'
import {
  Badge,
  Command,
  Confirm,
  Empty,
  Facts,
  Id,
  Notice,
  Pager,
  Table,
  Time,
} from '../console/parts.tsx'
import { type PageEnv, requireScope, type Viewer } from '../console/viewer.ts'
import type { TenantId } from '../ids.ts'
import { type Remaining, TENANT_KEY, type Tenant, type Tenants } from './tenants.ts'

const PATH = '/console/tenants'
const pathOf = (key: string): string => `${PATH}/${encodeURIComponent(key)}`

const SAID: Record<string, string> = {
  created: 'The tenant is there. Give it an endpoint next.',
  changed: 'It is changed.',
  suspended: 'It is suspended: what it publishes is refused, and its deliveries are held.',
  resumed: 'It is back; what was held follows by itself.',
}

export function addTenantPages(
  app: Hono<PageEnv>,
  options: { render: RenderPage; tenants: Pick<Tenants, 'show' | 'list'> },
): void {
  const { render, tenants } = options

  const list = async (c: Context<PageEnv>, form: FormState = EMPTY_FORM) => {
    const before = c.req.query('before') ?? null
    const rows = await tenants.list({
      limit: PAGE_ROWS + 1,
      before: isUuid(before) ? (before as TenantId) : null,
      withReserved: c.get('viewer').may('admin'),
    })
    const shown = rows.slice(0, PAGE_ROWS)
    const next = rows.length > PAGE_ROWS ? `${PATH}?before=${shown.at(-1)?.id}` : null
    return render(
      c,
      { title: 'Tenants', at: PATH, status: form === EMPTY_FORM ? 200 : 422 },
      <>
        <h1>Tenants</h1>
        {c.get('viewer').may('manage') && <NewTenant form={form} />}
        {shown.length === 0 ? <Nothing /> : <TenantTable tenants={shown} />}
        <Pager next={next} />
      </>,
    )
  }
  app.get('/tenants', (c) => list(c))

  app.post('/tenants', requireScope('manage'), async (c) => {
    const values = await readForm(c)
    const { key = '', name = '' } = values
    if (!TENANT_KEY.test(key)) return list(c, { values, mistakes: { key: KEY_MISTAKE } })
    try {
      const body = name.trim() === '' ? {} : { name }
      await c
        .get('viewer')
        .api.request('PUT /api/tenants/{tenant}', { path: { tenant: key }, body })
    } catch (error) {
      return list(c, refusedForm(values, error))
    }
    return c.redirect(`${pathOf(key)}?said=created`, 303)
  })

  const page = async (c: Context<PageEnv>, key: string, renaming?: FormState) => {
    const { tenant, remaining } = await tenants.show(key)
    const said = saidOf(SAID, c)
    return render(
      c,
      { title: tenant.name, at: PATH, status: renaming ? 422 : 200 },
      <>
        <h1>{tenant.name}</h1>
        {said && <Notice tone="good">{said}</Notice>}
        <TenantActions tenant={tenant} viewer={c.get('viewer')} renaming={renaming} />
        <TenantFacts tenant={tenant} remaining={remaining} />
        <TenantLinks tenant={tenant} viewer={c.get('viewer')} />
        <h2>Publish for it</h2>
        <Command>{`scripts/postrider publish ${tenant.key} invoice.paid '{"id": 1}'`}</Command>
        <Command>{`select postrider.publish('${tenant.key}', 'invoice.paid', '{"id": 1}');`}</Command>
      </>,
    )
  }
  app.get('/tenants/:tenant', (c) => page(c, c.req.param('tenant')))

  app.post('/tenants/:tenant/name', requireScope('manage'), async (c) => {
    const tenant = c.req.param('tenant')
    const { name = '' } = await readForm(c)
    try {
      await c
        .get('viewer')
        .api.request('PATCH /api/tenants/{tenant}', { path: { tenant }, body: { name } })
    } catch (error) {
      return page(c, tenant, refusedForm({ name }, error))
    }
    return c.redirect(`${pathOf(tenant)}?said=changed`, 303)
  })

  for (const [operation, said] of [
    ['suspend', 'suspended'],
    ['resume', 'resumed'],
  ] as const) {
    app.post(`/tenants/:tenant/${operation}`, requireScope('manage'), async (c) => {
      const path = { tenant: c.req.param('tenant') }
      await c.get('viewer').api.request(`POST /api/tenants/{tenant}/${operation}`, { path })
      return c.redirect(`${pathOf(path.tenant)}?said=${said}`, 303)
    })
  }
}

const KEY_MISTAKE =
  'It takes 1 to 128 of letters, digits and . _ : - and begins with a letter or a digit.'

const isUuid = (text: string | null): boolean =>
  text !== null && /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(text)

function NewTenant({ form }: { form: FormState }) {
  return (
    <details class="stack" open={form !== EMPTY_FORM}>
      <summary class="button primary">New tenant</summary>
      <form method="post" action={PATH}>
        <FormMistake form={form} />
        <TextField
          form={form}
          name="key"
          label="Key"
          required
          isCode
          placeholder="acme"
          hint="What you call this customer in your own system; it never changes."
        />
        <TextField form={form} name="name" label="Name" placeholder="Acme Corporation" />
        <button type="submit" class="primary">
          Create tenant
        </button>
      </form>
    </details>
  )
}

function Nothing() {
  return (
    <Empty title="There are no tenants yet">
      <p>
        A tenant is one customer of yours: it owns endpoints and sees only its own data. From a
        shell:
      </p>
      <Command>scripts/postrider tenant create acme</Command>
    </Empty>
  )
}

function TenantTable({ tenants }: { tenants: readonly Tenant[] }) {
  return (
    <Table label="Tenants" head={['Key', 'Name', 'State', 'Id', 'Made']}>
      {tenants.map((tenant) => (
        <tr>
          <td>
            <a href={pathOf(tenant.key)}>{tenant.key}</a>
          </td>
          <td>{tenant.name}</td>
          <td>
            <State {...tenant} />
          </td>
          <td>
            <Id of={tenant.id} isShort />
          </td>
          <td>
            <Time at={tenant.created_at} />
          </td>
        </tr>
      ))}
    </Table>
  )
}

function State({ suspended_at: suspendedAt, deletion_started_at: deletionStartedAt }: Tenant) {
  if (deletionStartedAt) return <Badge of="failed" label="being deleted" />
  return suspendedAt ? <Badge of="held" label="suspended" /> : <Badge of="active" />
}

function TenantFacts({ tenant, remaining }: { tenant: Tenant; remaining: Remaining | null }) {
  return (
    <Facts
      of={[
        ['Key', <code>{tenant.key}</code>],
        ['State', <State {...tenant} />],
        ['Id', <Id of={tenant.id} />],
        ['Made', <Time at={tenant.created_at} />],
        ...(tenant.suspended_at ? [['Suspended', <Time at={tenant.suspended_at} />] as const] : []),
        ...(remaining
          ? [
              [
                'Left to delete',
                `${remaining.events} events, ${remaining.deliveries} deliveries`,
              ] as const,
            ]
          : []),
      ]}
    />
  )
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
        question="What is it called from now on?"
        yes="Rename"
        isOpen={renaming !== undefined}
      >
        {renaming && <FormMistake form={renaming} />}
        <TextField
          form={renaming ?? { values: { name: tenant.name }, mistakes: {} }}
          name="name"
          label="Name"
          required
        />
      </Confirm>
      {tenant.suspended_at ? (
        <Confirm
          label="Resume"
          action={`${path}/resume`}
          question="Take it back? What was held is delivered."
          yes="Yes, resume it"
        />
      ) : (
        <Confirm
          label="Suspend"
          action={`${path}/suspend`}
          question="Refuse what it publishes, and hold its deliveries, until it is resumed?"
          yes="Yes, suspend it"
          isDangerous
        />
      )}
    </div>
  )
}

function TenantLinks({ tenant, viewer }: { tenant: Tenant; viewer: Viewer }) {
  const query = `tenant=${encodeURIComponent(tenant.key)}`
  return (
    <p class="actions">
      {viewer.may('manage') && (
        <a class="button primary" href={`/console/endpoints/new?${query}`}>
          New endpoint
        </a>
      )}
      <a class="button" href={`/console/endpoints?${query}`}>
        Its endpoints
      </a>
      <a class="button" href={`/console/deliveries?${query}`}>
        Its deliveries
      </a>
      <a class="button" href={`/console/events?${query}`}>
        Its events
      </a>
      <a class="button" href={`/console/live?${query}`}>
        Live
      </a>
      <a class="button" href={`/console/replays?${query}`}>
        Its replays
      </a>
    </p>
  )
}
