import type { Context, Hono } from 'hono'
import { type Column, ColumnMenu, DataRow, DataTable } from '../console/data-table.tsx'
import { type FormState, SelectField } from '../console/fields.tsx'
import { urlWith } from '../console/forms.ts'
import { currentLanguage, inLanguage, phrase, say, sayAny } from '../console/language.ts'
import type { RenderPage } from '../console/layout.tsx'
import { FilterForm } from '../console/list-parts.tsx'
import { Badge, Command, EndpointName, Time } from '../console/parts.tsx'
import type { Area, PageEnv, SessionCookie } from '../console/viewer.ts'
import {
  ClassFilter,
  EndpointFilter,
  type Filters,
  OUTCOME_CHOICES,
  ReasonFilter,
  readFilters,
  TenantFilter,
  TypeFilter,
} from '../deliveries/list-filters.tsx'
import { showHiddenInHtml } from '../hidden-characters.ts'
import type { Log } from '../log.ts'
import type { Sessions } from '../sessions/sessions.ts'
import type { Tenants } from '../tenants/tenants.ts'
import { labelOf, spanOf } from './attempt-words.ts'
import { type LiveAttempts, NoReaderFree, TooManyReaders } from './live.ts'
import type { LiveMessage } from './live-reader.ts'
import type { EndpointNames, NameCache } from './name-cache.ts'
import { serveLive } from './serve-live.ts'

/** Streams end when their readers go, or a process does: it may take a while, or an instant. */
const RETRY_AFTER_SECONDS = '5'

export interface LivePages {
  area: Area
  render: RenderPage
  tenants: Pick<Tenants, 'get' | 'reservedIds'>
  liveAttempts: Pick<LiveAttempts, 'open'>
  sessions: Pick<Sessions, 'find'>
  cookie: SessionCookie
  names: NameCache
  log: Pick<Log, 'error'>
}

export function addLivePages(app: Hono<PageEnv>, pages: LivePages): void {
  app.get('/live', (c) => showPage(c, pages))
  app.get('/live/stream', (c) => stream(c, pages))
}

async function showPage(c: Context<PageEnv>, { area, render, tenants }: LivePages) {
  const { form, filters } = await readFilters(c, tenants)
  return render(
    c,
    { title: 'Live', at: `/${area}/live`, status: filters ? 200 : 422, isLive: true },
    <>
      <div class="head">
        <h1>{say('Live')}</h1>
        <LiveFilters form={form} area={area} />
        <ColumnMenu name="live" columns={columnsOf(area)} />
      </div>
      {filters && <View form={form} area={area} />}
    </>,
  )
}

async function stream(c: Context<PageEnv>, pages: LivePages): Promise<Response> {
  const { filters } = await readFilters(c, pages.tenants)
  if (!filters) return c.body(null, 422)
  const { area, liveAttempts, sessions, cookie, names, log } = pages
  const token = cookie.read(c) ?? ''
  const language = currentLanguage()
  try {
    return await serveLive(c, () => liveAttempts.open(wantedBy(c, filters)), {
      present: (message) => inLanguage(language, () => rowOf(message, names, area)),
      tellsCursor: true,
      isAllowed: async () => (await sessions.find(area, token)) !== null,
      onError: (error) => log.error({ err: error }, 'stream.failed'),
    })
  } catch (error) {
    if (!(error instanceof TooManyReaders || error instanceof NoReaderFree)) throw error
    return c.body(error.message, 429, { 'retry-after': RETRY_AFTER_SECONDS })
  }
}

const wantedBy = (c: Context<PageEnv>, filters: Filters) => ({
  ...filters,
  withAnswers: false,
  // The browser says itself where it was; the page where it has to begin again, as after a refusal.
  after: c.req.header('last-event-id') ?? c.req.query('after'),
})

function LiveFilters({ form, area }: { form: FormState; area: Area }) {
  return (
    <FilterForm
      action={`/${area}/live`}
      form={form}
      moreNames={['endpoint', 'class', 'reason']}
      more={
        <>
          <EndpointFilter form={form} />
          <ClassFilter form={form} />
          <ReasonFilter form={form} />
        </>
      }
    >
      {area === 'console' && <TenantFilter form={form} />}
      <TypeFilter form={form} />
      <SelectField form={form} name="outcome" label="Outcome" choices={OUTCOME_CHOICES} />
    </FilterForm>
  )
}

function View({ form, area }: { form: FormState; area: Area }) {
  const { before: _, ...values } = form.values
  return (
    <>
      <div class="actions">
        <button type="button" id="live-pause" aria-pressed="false">
          {say('Pause')}
        </button>
        <button type="button" id="live-clear">
          {say('Clear')}
        </button>
        <p id="live-state" role="status">
          {say('Connecting …')}
        </p>
        <p id="live-seen" class="muted" />
      </div>
      <noscript>
        <p>{say('This page needs JavaScript. The list of deliveries does not.')}</p>
      </noscript>
      <DataTable
        name="live"
        label="Attempts as they end"
        columns={columnsOf(area)}
        rows={[]}
        hrefOf={hrefOf(area)}
        id="live"
        source={urlWith(`/${area}/live/stream`, values)}
      />
      <div id="live-empty">
        {area === 'console' ? (
          <>
            <p>Attempts appear here as they end. Publish an event to see one, from a shell:</p>
            <Command>{`scripts/postrider publish default invoice.paid '{"id": 1}'`}</Command>
          </>
        ) : (
          <p>
            {phrase(
              'Attempts appear here as they end. To see one, send a test event to one of {link}, from another tab.',
              { link: <a href="/portal/endpoints">{say('your endpoints')}</a> },
            )}
          </p>
        )}
      </div>
    </>
  )
}

/** A row of the table, with the names that its attempt has not. */
interface Row extends LiveMessage {
  tenantKey: string
  endpoint: EndpointNames
}

const hrefOf =
  (area: Area) =>
  ({ delivery }: Row): string =>
    `/${area}/deliveries/${delivery.id}`

const columnsOf = (area: Area): Column<Row>[] => [
  {
    name: 'type',
    label: 'Event type',
    kind: 'main',
    cell: ({ event }) => event?.type ?? <span class="muted">{say('event erased')}</span>,
  },
  { name: 'outcome', label: 'Outcome', cell: OutcomeCell },
  ...(area === 'console'
    ? [
        {
          name: 'tenant',
          label: 'Tenant',
          kind: 'name',
          cell: ({ tenantKey }) => tenantKey,
        } as Column<Row>,
      ]
    : []),
  {
    name: 'endpoint',
    label: 'Endpoint',
    kind: 'name',
    cell: ({ endpoint, attempt }) => (
      <EndpointName {...endpoint} href={`/${area}/endpoints/${attempt.endpoint_id}`} />
    ),
  },
  {
    name: 'took',
    label: 'Took',
    kind: 'number',
    cell: ({ attempt: { duration_ms: ms } }) => (ms === null ? '–' : spanOf(ms)),
  },
  { name: 'tries', label: 'Try', kind: 'number', cell: ({ attempt }) => attempt.number },
  { name: 'ended', label: 'Ended', cell: ({ attempt }) => <Time at={attempt.finished_at} /> },
]

const OutcomeCell = ({ attempt: { outcome, status_code: status, reason } }: Row) => (
  <>
    <Badge of={outcome} /> {status !== null && `HTTP ${status}`}
    {status === null && reason !== null && sayAny(labelOf(reason))}
  </>
)

/** A row of the table, as text: it goes through the stream. */
async function rowOf(message: LiveMessage, names: NameCache, area: Area): Promise<string> {
  const { attempt } = message
  const [tenantKey, endpoint] = await Promise.all([
    names.tenantKey(attempt.tenant_id),
    names.endpoint(attempt.endpoint_id),
  ])
  const row = { ...message, tenantKey, endpoint }
  const line = <DataRow row={row} columns={columnsOf(area)} href={hrefOf(area)(row)} isFresh />
  return showHiddenInHtml(String(await line))
}
