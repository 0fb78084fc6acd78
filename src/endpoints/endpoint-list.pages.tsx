import type { Context, Hono } from 'hono'
import { EMPTY_FORM, type FormState, SelectField, TextField } from '../console/fields.tsx'
import { PAGE_ROWS, readFilters } from '../console/filters.ts'
import { readForm, refusedForm, unlessNoTenant } from '../console/forms.ts'
import type { RenderPage } from '../console/layout.tsx'
import { FilterForm, Older, TenantFilter } from '../console/list-parts.tsx'
import { Badge, Command, Empty, Table, TenantLink, Time } from '../console/parts.tsx'
import { type PageEnv, requireScope } from '../console/viewer.ts'
import type { EndpointId } from '../ids.ts'
import type { Area } from '../sessions/sessions.ts'
import type { Tenants } from '../tenants/tenants.ts'
import type { AllEndpoints, FoundEndpoint } from './all-endpoints.ts'
import { bodyOf, secretOf } from './endpoint.form.ts'
import { EndpointFields, SecretFields, type Tried, TriedTable } from './endpoint-form-fields.tsx'
import type { createTryFilter } from './try-filter.form.ts'

export function addEndpointsPages(
  app: Hono<PageEnv>,
  options: {
    area?: Area
    render: RenderPage
    tenants: Pick<Tenants, 'get' | 'find'>
    allEndpoints: AllEndpoints
    tryFilter: ReturnType<typeof createTryFilter>
  },
): void {
  const { area = 'console', render, tenants, allEndpoints, tryFilter } = options
  const path = `/${area}/endpoints`

  app.get('/endpoints', async (c) => {
    const { form, filters } = await readFilters(c, tenants)
    const state = STATES.find((word) => word === c.req.query('is'))
    const rows = filters
      ? await allEndpoints.list({
          limit: PAGE_ROWS + 1,
          before: (filters.before as string | undefined as EndpointId | undefined) ?? null,
          tenantId: c.get('viewer').caller.tenant?.id ?? filters.tenantRow?.id,
          search: filters.search,
          state,
        })
      : []
    const shown = rows.slice(0, PAGE_ROWS)
    const next = rows.length > PAGE_ROWS ? (shown.at(-1)?.id ?? null) : null
    return render(
      c,
      { title: 'Endpoints', at: path, status: filters ? 200 : 422 },
      <>
        <div class="head">
          <h1>Endpoints</h1>
          {c.get('viewer').may('manage') && (
            <a class="button primary" href={`${path}/new`}>
              New endpoint
            </a>
          )}
        </div>
        <FilterForm action={path} form={form}>
          <TextField form={form} name="search" label="Part of URL or description" />
          {area === 'console' && <TenantFilter form={form} />}
          <SelectField
            form={form}
            name="is"
            label="State"
            choices={[['', 'Any'], ...STATES.map((word) => [word, word] as const)]}
          />
        </FilterForm>
        {shown.length > 0 && <EndpointTable endpoints={shown} area={area} />}
        {filters && shown.length === 0 && (
          <Nothing form={form} area={area} mayAdd={c.get('viewer').may('manage')} />
        )}
        <Older path={path} form={form} next={next} isCutShort={false} />
      </>,
    )
  })

  const newPage = (c: Context<PageEnv>, form: FormState, tried?: readonly Tried[]) =>
    render(
      c,
      {
        title: 'New endpoint',
        at: path,
        status: Object.keys(form.mistakes).length > 0 ? 422 : 200,
      },
      <>
        <h1>New endpoint</h1>
        <form method="post" action={`${path}/new`} class="stack">
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
          <EndpointFields form={form} />
          <details open={Boolean(form.values['secret'] || form.values['secretEncoding'])}>
            <summary>Secret</summary>
            <SecretFields form={form} encoding="secretEncoding" />
          </details>
          <div class="actions">
            <button type="submit" class="primary">
              Create endpoint
            </button>
            <button type="submit" name="intent" value="try">
              Try on the last events
            </button>
          </div>
        </form>
        {tried && <TriedTable tried={tried} area={area} />}
      </>,
    )

  app.get('/endpoints/new', requireScope('manage'), (c) =>
    newPage(c, { ...EMPTY_FORM, values: { tenant: c.req.query('tenant') ?? '' } }),
  )

  app.post('/endpoints/new', requireScope('manage'), async (c) => {
    const { intent, ...values } = await readForm(c)
    const owner =
      c.get('viewer').caller.tenant ?? (await unlessNoTenant(tenants.find(values['tenant'] ?? '')))
    if (!owner) return newPage(c, { values, mistakes: { tenant: 'There is no such tenant.' } })
    if (intent === 'try') {
      const result = await tryFilter(owner.id, values)
      return 'tried' in result
        ? newPage(c, { values, mistakes: {} }, result.tried)
        : newPage(c, result.form)
    }
    try {
      const { url = '', ...others } = bodyOf(values)
      const made = await c.get('viewer').api.request('POST /api/tenants/{tenant}/endpoints', {
        path: { tenant: owner.key },
        body: { url, ...others, ...secretOf(values, 'secretEncoding') },
      })
      const said = made.secretWarning === null ? 'created' : 'createdWithWarning'
      return c.redirect(`${path}/${made.id}?said=${said}`, 303)
    } catch (error) {
      return newPage(c, refusedForm(values, error))
    }
  })
}

const STATES = ['active', 'paused', 'disabled'] as const

function Nothing({ form, area, mayAdd }: { form: FormState; area: Area; mayAdd: boolean }) {
  if (Object.keys(form.values).length > 0) {
    return (
      <Empty title="No endpoint is like that">
        <p>
          Widen the filter, or <a href={`/${area}/endpoints`}>look at all endpoints</a>.
        </p>
      </Empty>
    )
  }
  if (area === 'portal') {
    return (
      <Empty title="There are no endpoints yet">
        <p>An endpoint is a URL of yours that events are sent to.</p>
        {mayAdd ? (
          <ol>
            <li>
              <a href="/portal/endpoints/new">Add an endpoint</a>: any https address that answers
              with 200.
            </li>
            <li>Send it a test event from its page, and see what it answered.</li>
            <li>Take its secret over into your program, which verifies every request with it.</li>
          </ol>
        ) : (
          <p>This link only looks. Ask for one that may manage endpoints to add the first.</p>
        )}
      </Empty>
    )
  }
  return (
    <Empty title="There are no endpoints yet">
      <p>An endpoint is a URL of a tenant that wants events. From a shell:</p>
      <Command>scripts/postrider endpoint create acme https://example.com/webhooks</Command>
    </Empty>
  )
}

function EndpointTable({ endpoints, area }: { endpoints: readonly FoundEndpoint[]; area: Area }) {
  const tenant = area === 'console' ? ['Tenant'] : []
  return (
    <Table
      label="Endpoints"
      head={['Endpoint', ...tenant, 'State', 'Wants', 'Failures in a row', 'Made']}
    >
      {endpoints.map((endpoint) => (
        <tr>
          <td class="url">
            <a href={`/${area}/endpoints/${endpoint.id}`}>{endpoint.url}</a>
            {endpoint.description !== '' && <div class="muted">{endpoint.description}</div>}
          </td>
          {area === 'console' && (
            <td>
              <TenantLink of={endpoint.tenantKey} />
            </td>
          )}
          <td>
            <EndpointState {...endpoint} />
          </td>
          <td>
            <code>{endpoint.eventTypes.join(' ')}</code>
          </td>
          <td class="number">{endpoint.failures}</td>
          <td>
            <Time at={endpoint.createdAt} />
          </td>
        </tr>
      ))}
    </Table>
  )
}

export function EndpointState({
  state,
  circuitOpenedAt,
  unreadableSince,
}: Pick<FoundEndpoint, 'state' | 'circuitOpenedAt' | 'unreadableSince'>) {
  return (
    <>
      <Badge of={state} /> {circuitOpenedAt && <Badge of="open" label="circuit open" />}{' '}
      {unreadableSince && <Badge of="open" label="secret unreadable" />}
    </>
  )
}
