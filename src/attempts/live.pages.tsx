import type { Context, Hono } from 'hono'
import { z } from 'zod'
import { type Choice, type FormState, SelectField } from '../console/fields.tsx'
import { type Filters, readFilters } from '../console/filters.ts'
import { urlWith } from '../console/forms.ts'
import type { RenderPage } from '../console/layout.tsx'
import {
  ClassFilter,
  EndpointFilter,
  FilterForm,
  ReasonFilter,
  TenantFilter,
  TypeFilter,
} from '../console/list-parts.tsx'
import type { Names } from '../console/names.ts'
import { Badge, Command, Id, Table, Time } from '../console/parts.tsx'
import type { PageEnv, SessionCookie } from '../console/viewer.ts'
import { showHiddenInHtml } from '../hidden-characters.ts'
import type { Log } from '../log.ts'
import { OUTCOMES } from '../sending/outcome.ts'
import type { Area, Sessions } from '../sessions/sessions.ts'
import type { Tenants } from '../tenants/tenants.ts'
import { labelOf, spanOf } from './attempt-words.ts'
import { type LiveAttempts, NoReaderFree, TooManyReaders } from './live.ts'
import type { LiveMessage } from './live-reader.ts'
import { serveLive } from './serve-live.ts'

/** Streams end when their readers go, or a process does: it may take a while, or an instant. */
const RETRY_AFTER_SECONDS = '5'

const ENDS = OUTCOMES.filter((outcome) => outcome !== 'started')
const OUTCOME_CHOICES: readonly Choice[] = [
  ['', 'Any'],
  ...ENDS.map((word): Choice => [word, word]),
]
const outcomeOf = z.enum(ENDS).optional().catch(undefined)

export interface LiveOptions {
  area?: Area
  render: RenderPage
  tenants: Pick<Tenants, 'get'>
  liveAttempts: Pick<LiveAttempts, 'open'>
  sessions: Pick<Sessions, 'find'>
  cookie: SessionCookie
  names: Names
  log: Pick<Log, 'error'>
}

export function addLivePages(app: Hono<PageEnv>, options: LiveOptions): void {
  const { area = 'console', render, tenants } = options
  const path = `/${area}/live`
  app.get('/live', async (c) => {
    const { form, filters } = await readFilters(c, tenants)
    return render(
      c,
      { title: 'Live', at: path, status: filters ? 200 : 422, isLive: true },
      <>
        <h1>Live</h1>
        <LiveFilters form={form} area={area} />
        {filters && <View form={form} area={area} />}
      </>,
    )
  })

  app.get('/live/stream', async (c) => {
    const { filters } = await readFilters(c, tenants)
    if (!filters) return c.body(null, 422)
    return await stream(c, filters, options)
  })
}

async function stream(
  c: Context<PageEnv>,
  filters: Filters,
  options: LiveOptions,
): Promise<Response> {
  const { area = 'console', liveAttempts, sessions, cookie, names, log } = options
  const token = cookie.read(c) ?? ''
  const open = () =>
    liveAttempts.open({
      tenantId: c.get('viewer').caller.tenant?.id ?? filters.tenantRow?.id ?? null,
      endpointId: filters.endpoint,
      type: filters.type,
      statusClass: filters.class,
      reason: filters.reason,
      withAnswers: false,
      outcome: outcomeOf.parse(c.req.query('outcome')),
      // The browser says itself where it was; the page where it has to begin again, as after a refusal.
      after: c.req.header('last-event-id') ?? c.req.query('after'),
    })
  try {
    return await serveLive(c, open, {
      present: (message) => rowOf(message, names, area),
      tellsCursor: true,
      isAllowed: async () => (await sessions.find(area, token)) !== null,
      onError: (error) => log.error({ err: error }, 'stream.failed'),
    })
  } catch (error) {
    if (!(error instanceof TooManyReaders || error instanceof NoReaderFree)) throw error
    return c.body(error.message, 429, { 'retry-after': RETRY_AFTER_SECONDS })
  }
}

function LiveFilters({ form, area }: { form: FormState; area: Area }) {
  return (
    <FilterForm action={`/${area}/live`} form={form}>
      {area === 'console' && <TenantFilter form={form} />}
      <TypeFilter form={form} />
      <EndpointFilter form={form} />
      <SelectField form={form} name="outcome" label="Outcome" choices={OUTCOME_CHOICES} />
      <ClassFilter form={form} />
      <ReasonFilter form={form} />
    </FilterForm>
  )
}

function View({ form, area }: { form: FormState; area: Area }) {
  const tenant = area === 'console' ? ['Tenant'] : []
  const { before: _, ...values } = form.values
  return (
    <>
      <div class="actions">
        <button type="button" id="live-pause" aria-pressed="false">
          Pause
        </button>
        <button type="button" id="live-clear">
          Clear
        </button>
        <p id="live-state" role="status">
          Connecting …
        </p>
      </div>
      <noscript>
        <p>This page needs JavaScript. The list of deliveries does not.</p>
      </noscript>
      <Table
        label="Attempts as they end"
        head={[
          ...['Ended', 'Outcome', 'Type', ...tenant],
          ...['Endpoint', 'Took', 'Attempt', 'Delivery'],
        ]}
        id="live"
        source={urlWith(`/${area}/live/stream`, values)}
      />
      <div id="live-empty">
        {area === 'console' ? (
          <>
            <p>Attempts appear here as they end. Publish an event to see one, from a shell:</p>
            <Command>{`scripts/postrider publish acme invoice.paid '{"id": 1}'`}</Command>
          </>
        ) : (
          <p>
            Attempts appear here as they end. To see one, send a test event to one of{' '}
            <a href="/portal/endpoints">your endpoints</a>, from another tab.
          </p>
        )}
      </div>
    </>
  )
}

/** A row of the table, as text: it goes through the stream. */
async function rowOf(
  { attempt, delivery, event }: LiveMessage,
  names: Names,
  area: Area,
): Promise<string> {
  const [tenantKey, url] = await Promise.all([
    names.tenantKey(attempt.tenant_id),
    names.endpointUrl(attempt.endpoint_id),
  ])
  const { outcome, status_code: status, reason, duration_ms: ms, number } = attempt
  const row = (
    <tr class="fresh">
      <td>
        <Time at={attempt.finished_at} />
      </td>
      <td>
        <Badge of={outcome} /> {status !== null && `HTTP ${status}`}
        {status === null && reason !== null && <div>{labelOf(reason)}</div>}
      </td>
      <td>{event?.type ?? <span class="muted">erased</span>}</td>
      {area === 'console' && <td>{tenantKey}</td>}
      <td class="url">
        <a href={`/${area}/endpoints/${attempt.endpoint_id}`}>{url}</a>
      </td>
      <td class="number">{ms === null ? '–' : spanOf(ms)}</td>
      <td class="number">{number}</td>
      <td>
        <Id of={delivery.id} href={`/${area}/deliveries/${delivery.id}`} isShort />
      </td>
    </tr>
  )
  return showHiddenInHtml(String(await row))
}
