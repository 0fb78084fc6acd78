import type { Context, Hono } from 'hono'
import { type NewReplay, PostriderError } from '../client/client.ts'
import {
  CheckboxField,
  FormMistake,
  type FormState,
  SelectField,
  TextField,
} from '../console/fields.tsx'
import { CLASS_CHOICES, PAGE_ROWS, readFilters } from '../console/filters.ts'
import { readForm, refusedForm, unlessNoTenant } from '../console/forms.ts'
import type { RenderPage } from '../console/layout.tsx'
import { FilterForm, Older, TenantFilter } from '../console/list-parts.tsx'
import type { Owners } from '../console/owners.ts'
import { Badge, Confirm, Empty, Id, Notice, Table, Time } from '../console/parts.tsx'
import { type PageEnv, requireScope } from '../console/viewer.ts'
import { asNumber, eventTypesOf } from '../endpoints/endpoint.form.ts'
import type { ReplayId } from '../ids.ts'
import type { Tenants } from '../tenants/tenants.ts'
import type { createAllReplays, FoundReplay } from './all-replays.ts'

const PATH = '/console/replays'
/** From which number on a count says "at least". */
const COUNTED_MAX = 100_000
const DEFAULTS: Record<string, string> = {
  mode: 'redeliver',
  'states.failed': 'yes',
  ratePerSecond: '50',
}
const STATES = ['failed', 'cancelled', 'delivered'] as const

export function addReplayPages(
  app: Hono<PageEnv>,
  options: {
    render: RenderPage
    tenants: Pick<Tenants, 'get' | 'find'>
    owners: Pick<Owners, 'ofReplay'>
    allReplays: ReturnType<typeof createAllReplays>
  },
): void {
  const { render, tenants, owners, allReplays } = options

  const page = async (
    c: Context<PageEnv>,
    { form, count }: { form?: FormState; count?: number } = {},
  ) => {
    const { form: asked, filters } = await readFilters(c, tenants)
    const rows = filters
      ? await allReplays({
          limit: PAGE_ROWS + 1,
          before: (filters.before as string | undefined as ReplayId | undefined) ?? null,
          tenantId: filters.tenantRow?.id,
        })
      : []
    const shown = rows.slice(0, PAGE_ROWS)
    const next = rows.length > PAGE_ROWS ? (shown.at(-1)?.id ?? null) : null
    const { tenant = '', endpoint = '', since = '', until = '' } = asked.values
    const { mode = DEFAULTS['mode'] ?? '' } = asked.values
    const isWrong = form !== undefined && Object.keys(form.mistakes).length > 0
    return render(
      c,
      { title: 'Replays', at: PATH, status: isWrong || !filters ? 422 : 200 },
      <>
        <h1>Replays</h1>
        <p>A replay delivers again what was delivered, failed or missed.</p>
        {count !== undefined && (
          <Notice tone="good">
            It would make {count >= COUNTED_MAX ? `${COUNTED_MAX} or more` : count}{' '}
            {count === 1 ? 'delivery' : 'deliveries'} due. Nothing has begun yet.
          </Notice>
        )}
        {c.get('viewer').may('manage') && (
          <NewReplayForm
            form={
              form ?? {
                values: { ...DEFAULTS, mode, tenant, endpointId: endpoint, since, until },
                mistakes: {},
              }
            }
            isOpen={form !== undefined || endpoint !== ''}
          />
        )}
        <FilterForm action={PATH} form={asked}>
          <TenantFilter form={asked} />
        </FilterForm>
        <div
          id="replays"
          hx-get={c.req.path + new URL(c.req.url).search}
          hx-trigger="every 2s"
          hx-select="#replays"
          hx-swap="outerMorph"
        >
          {shown.length === 0 ? (
            <Nothing />
          ) : (
            <ReplayTable replays={shown} mayAct={c.get('viewer').may('manage')} />
          )}
        </div>
        <Older path={PATH} form={asked} next={next} isCutShort={false} />
      </>,
    )
  }
  app.get('/replays', (c) => page(c))

  app.post('/replays', requireScope('manage'), async (c) => {
    const { intent, ...values } = await readForm(c)
    const { tenant = '' } = values
    const refuse = (name: string, mistake: string) =>
      page(c, { form: { values, mistakes: { [name]: mistake } } })
    if ((await unlessNoTenant(tenants.find(tenant))) === null) {
      return refuse('tenant', 'There is no such tenant.')
    }
    try {
      const answer = await c.get('viewer').api.request('POST /api/tenants/{tenant}/replays', {
        path: { tenant },
        body: { ...bodyOf(values), preview: intent !== 'start' },
      })
      if ('count' in answer)
        return await page(c, { form: { values, mistakes: {} }, count: answer.count })
    } catch (error) {
      if (isUnknownEndpoint(error)) {
        return refuse('endpointId', 'The tenant has no endpoint with this id.')
      }
      return page(c, { form: refusedForm({ ...values, states: '' }, error) })
    }
    return c.redirect(`${PATH}?tenant=${encodeURIComponent(tenant)}`, 303)
  })

  app.post('/replays/:id/cancel', requireScope('manage'), async (c) => {
    const { id, owner } = await owners.ofReplay(c.req.param('id'))
    const path = { tenant: owner.key, id }
    await c.get('viewer').api.request('POST /api/tenants/{tenant}/replays/{id}/cancel', { path })
    return c.redirect(PATH, 303)
  })
}

const isUnknownEndpoint = (error: unknown): boolean =>
  error instanceof PostriderError && error.code === 'endpoint_not_found'

/** As the API takes it; what cannot be read goes along, and the API says what is wrong with it. */
function bodyOf(values: Record<string, string>): NewReplay {
  const {
    mode,
    endpointId = '',
    eventTypes = '',
    statusClass = '',
    since = '',
    until = '',
  } = values
  const isMissed = mode === 'missed'
  return {
    mode: isMissed ? 'missed' : 'redeliver',
    since: `${since}${since === '' ? '' : ':00Z'}`,
    ...(until !== '' && { until: `${until}:00Z` }),
    ...(endpointId !== '' && { endpointId: endpointId.trim() }),
    ...(eventTypes.trim() !== '' && { eventTypes: eventTypesOf(eventTypes) }),
    ...(!isMissed && { states: STATES.filter((state) => values[`states.${state}`]) }),
    ...(!isMissed && statusClass !== '' && { statusClass: asNumber(statusClass) }),
    ratePerSecond: asNumber(values['ratePerSecond'] ?? ''),
  }
}

function NewReplayForm({ form, isOpen }: { form: FormState; isOpen: boolean }) {
  return (
    <details class="stack" open={isOpen}>
      <summary class="button primary">New replay</summary>
      <form method="post" action={PATH}>
        <FormMistake form={form} />
        <TextField form={form} name="tenant" label="Tenant" required isCode />
        <SelectField
          form={form}
          name="mode"
          label="What"
          choices={[
            ['redeliver', 'Deliver again what is over'],
            ['missed', 'Deliver what an endpoint has missed'],
          ]}
        />
        <TextField
          form={form}
          name="endpointId"
          label="Endpoint"
          isCode
          hint="Its id. Every endpoint of the tenant when empty; needed for what was missed."
        />
        <TextField form={form} name="since" label="Since (UTC)" type="datetime-local" required />
        <TextField
          form={form}
          name="until"
          label="Until (UTC)"
          type="datetime-local"
          hint="Now when empty."
        />
        <CheckboxField
          form={form}
          name="states"
          label="Deliveries that ended as"
          choices={STATES.map((state) => [state, state] as const)}
        />
        <TextField
          form={form}
          name="eventTypes"
          label="Only types"
          isCode
          placeholder="invoice.*"
        />
        <SelectField
          form={form}
          name="statusClass"
          label="Only where the last answer was"
          choices={CLASS_CHOICES}
        />
        <TextField form={form} name="ratePerSecond" label="Deliveries a second" required />
        <div class="actions">
          <button type="submit" name="intent" value="preview">
            Count first
          </button>
          <button type="submit" name="intent" value="start" class="primary">
            Start replay
          </button>
        </div>
      </form>
    </details>
  )
}

function Nothing() {
  return (
    <Empty title="There has been no replay">
      <p>
        Use one after a receiver was down for longer than the schedule, or when an endpoint was made
        after the events it should have had. Count first; nothing happens before you start it.
      </p>
    </Empty>
  )
}

function ReplayTable({ replays, mayAct }: { replays: readonly FoundReplay[]; mayAct: boolean }) {
  return (
    <Table
      label="Replays"
      head={['Replay', 'State', 'Progress', 'Tenant', 'What', 'Between', 'By', 'Action']}
    >
      {replays.map((replay) => (
        <tr>
          <td>
            <Id of={replay.id} isShort />
          </td>
          <td>
            <Badge of={replay.state} />
          </td>
          <td>
            <Progress {...replay} />
          </td>
          <td>{replay.tenantKey}</td>
          <td>
            {replay.mode === 'missed' ? 'missed' : replay.states.join(', ')}{' '}
            {replay.url && <span class="muted">to {replay.url}</span>}
          </td>
          <td>
            <Time at={replay.since} /> and <Time at={replay.until} />
          </td>
          <td>{replay.requested_by}</td>
          <td>
            {mayAct && replay.state === 'running' && (
              <Confirm
                label="Cancel"
                action={`${PATH}/${replay.id}/cancel`}
                question="End it? What is due already is delivered."
                yes="Yes, cancel it"
                isDangerous
              />
            )}
          </td>
        </tr>
      ))}
    </Table>
  )
}

function Progress({ id, done, total, state }: FoundReplay) {
  const max = Math.max(total, done, 1)
  return (
    <>
      {state === 'running' && (
        <progress value={done} max={max} aria-label={`Progress of ${id.slice(-12)}`} />
      )}{' '}
      {done} of {total >= COUNTED_MAX ? `${COUNTED_MAX} or more` : total}
    </>
  )
}
