import type { Context, Hono } from 'hono'
import type { Caller } from '../access/caller.ts'
import { adviceOf } from '../attempts/advice.ts'
import { presentAttempt } from '../attempts/attempt.fields.ts'
import type { createAttemptRates } from '../attempts/attempt-rates.ts'
import { inWords, spanOf } from '../attempts/attempt-words.ts'
import type { Attempt, Attempts } from '../attempts/attempts.ts'
import { EMPTY_FORM, type FormState } from '../console/fields.tsx'
import { readForm, refusedForm, saidOf, sentence, urlWith } from '../console/forms.ts'
import { say, sayAny, sayMistake } from '../console/language.ts'
import type { RenderPage } from '../console/layout.tsx'
import { Notice, stateLabel, Time } from '../console/parts.tsx'
import type { Area, PageEnv } from '../console/viewer.ts'
import type { Deliveries } from '../deliveries/deliveries.ts'
import type { EventTypes } from '../event-types/event-types.ts'
import { typesToChoose, withTree } from '../event-types/type-tree.tsx'
import { eventType } from '../events/event-input.ts'
import type { TestEndpoint } from '../events/test-endpoint.ts'
import { parseSettings } from '../http/request-body.ts'
import { type DeliveryId, deliveryId, type EndpointId, type TenantId } from '../ids.ts'
import { INCIDENT_SAID } from '../incidents/incident.pages.tsx'
import { INCIDENTS_PATH, Remedy } from '../incidents/incident-table.tsx'
import type { Incident } from '../incidents/incidents.ts'
import type { MarkersOf } from '../operations/chart-markers.ts'
import { problemBody } from '../problem.ts'
import { presentSecrets, rotateInput } from '../secrets/endpoint-secret.fields.ts'
import type { EndpointSecrets, LiveSecret, ShowSecrets } from '../secrets/endpoint-secrets.ts'
import { warningOf } from '../sending/signing-secret.ts'
import type { HandlerOf, Resource, ResourcePages } from '../tenants/resource-pages.ts'
import { Answers } from './answers-table.tsx'
import { Failing } from './backing-off.tsx'
import { endpointInput } from './endpoint.fields.ts'
import { BEGAN_WITH, changeOf, secretOf, valuesOf } from './endpoint.form.ts'
import type { createEndpointAnswers } from './endpoint-answers.ts'
import { EndpointFields } from './endpoint-form-fields.tsx'
import type { UrlRules } from './endpoint-input.ts'
import type { EndpointOperations } from './endpoint-operations.ts'
import {
  Actions,
  type EndpointDefaults,
  Health,
  SecretNotice,
  Settings,
  type Shown,
  State,
} from './endpoint-parts.tsx'
import { type Endpoints, type FoundEndpoint, OPEN_COUNTED_MAX } from './endpoints.ts'
import { type Tried, TriedTable } from './tried-table.tsx'
import type { createTryFilter } from './try-filter.form.ts'

const DAY_MINUTES = 1_440
const STEP_MINUTES = 30
/** A description can have 1,000 characters. */
const HEADING_MAX = 80
/** More would make the page long, and nobody looks through them. */
const TYPES_OFFERED_MAX = 100

const SAID: Record<string, string> = {
  ...INCIDENT_SAID,
  created: 'Endpoint created. Copy the signing secret into your receiver.',
  changed: 'Endpoint saved. New events are routed by it.',
  paused: 'Endpoint paused. New deliveries are held.',
  resumed: 'Endpoint resumed. Held deliveries are being sent.',
  enabled: 'Endpoint enabled.',
  enabling:
    'Not all held deliveries are cancelled yet. Enable the endpoint again to cancel the rest.',
  rotated: 'Secret rotated. The old one also signs until its overlap ends.',
  rotatedAlone: 'Secret rotated. The old one no longer signs.',
  createdWithWarning: 'Endpoint created. Show its secret: there is a warning about it.',
  rotatedWithWarning:
    'Secret rotated. The old one also signs until its overlap ends. Show the secret: there is a warning about it.',
}

/** Services work within the scope of the tenant that the endpoint belongs to. */
export interface EndpointPages extends UrlRules {
  area: Area
  render: RenderPage
  resources: Pick<ResourcePages, 'endpoints'>
  endpoints: Pick<Endpoints, 'get' | 'change' | 'delete' | 'countOpen'>
  endpointOperations: EndpointOperations
  secrets: Pick<EndpointSecrets, 'rotate'>
  showSecrets: ShowSecrets
  testEndpoint: TestEndpoint
  /** What an example can be sent of, and what customers choose from. */
  eventTypes: Pick<EventTypes, 'outline'>
  deliveries: Pick<Deliveries, 'find'>
  attempts: Pick<Attempts, 'get'>
  ratesOf: ReturnType<typeof createAttemptRates>
  answersOf: ReturnType<typeof createEndpointAnswers>
  /** Missing where the audit log is not shown. */
  markersOf?: MarkersOf
  /** What is wrong with it; missing where incidents are not shown. */
  troubleOf?: (tenantId: TenantId, id: EndpointId) => Promise<Trouble[]>
  tryFilter: ReturnType<typeof createTryFilter>
  defaults: EndpointDefaults
}

interface Trouble {
  incidentId: string
  since: Date
  what: string
  failures: string
  held: string
  waiting: string
  /** What can be done about it follows from it. */
  incident: Incident
  lastResponse: string | null
}

type Thing = Resource<EndpointId>
type Handler = HandlerOf<EndpointId, EndpointPages>

export function addEndpointPages(app: Hono<PageEnv>, pages: EndpointPages): void {
  const { reading, managing } = pages.resources.endpoints
  app.get('/endpoints/:id', reading(pages, showPage))
  app.get('/endpoints/:id/edit', managing(pages, showEdit))
  app.post('/endpoints/:id/edit', managing(pages, edit))
  app.post('/endpoints/:id/pause', managing(pages, pause))
  app.post('/endpoints/:id/resume', managing(pages, resume))
  app.post('/endpoints/:id/enable', managing(pages, enable))
  app.post('/endpoints/:id/rotate', managing(pages, rotate))
  app.post('/endpoints/:id/delete', managing(pages, remove))
  app.post('/endpoints/:id/secret', managing(pages, showSecret))
  app.post('/endpoints/:id/test', managing(pages, test))
}

const listOf = ({ area }: { area: Area }): string => `/${area}/endpoints`
const pathOf = (pages: EndpointPages, { id }: Thing): string => `${listOf(pages)}/${id}`

const find = async ({ area, endpoints }: EndpointPages, { id, tenant }: Thing): Promise<Shown> => ({
  area,
  endpoint: await endpoints.get(tenant.id, id),
})

const showPage: Handler = async (c, thing, pages) => page(c, await find(pages, thing), pages)

const showEdit: Handler = async (c, thing, pages) => {
  const shown = await find(pages, thing)
  return editPage(c, pages, shown, { values: valuesOf(shown.endpoint), mistakes: {} })
}

const edit: Handler = async (c, thing, pages) => {
  const { id, tenant } = thing
  const shown = await find(pages, thing)
  const { intent, ...sent } = await readForm(c)
  const values = withTree(sent)
  try {
    if (intent === 'try') {
      const { form, tried } = await pages.tryFilter(tenant.id, values)
      return await editPage(c, pages, shown, form, { tried })
    }
    const change = changeOf(values, valuesOf(shown.endpoint))
    if ('form' in change) return await editPage(c, pages, shown, change.form, { status: 409 })
    const input = parseSettings(endpointInput(pages).change, change.body)
    await pages.endpoints.change(tenant.id, id, input)
  } catch (error) {
    return editPage(c, pages, shown, refusedForm(values, error))
  }
  return c.redirect(`${pathOf(pages, thing)}?said=changed`, 303)
}

const pause: Handler = async (c, thing, pages) => {
  const { id, tenant } = thing
  await pages.endpointOperations.pause(tenant.id, id, c.get('viewer').who)
  return c.redirect(`${pathOf(pages, thing)}?said=paused`, 303)
}

const resume: Handler = async (c, thing, pages) => {
  const { id, tenant } = thing
  await pages.endpointOperations.resume(tenant.id, id, c.get('viewer').who)
  return c.redirect(`${pathOf(pages, thing)}?said=resumed`, 303)
}

const enable: Handler = async (c, thing, pages) => {
  const { id, tenant } = thing
  const deliverHeld = (await readForm(c))['held'] !== 'cancel'
  const who = c.get('viewer').who
  const enabled = await pages.endpointOperations.enable(tenant.id, id, who, { deliverHeld })
  const said = enabled.isDone ? 'enabled' : 'enabling'
  const query = { said, ...(enabled.missed && minutesAround(enabled.missed)) }
  return c.redirect(urlWith(pathOf(pages, thing), query), 303)
}

const rotate: Handler = async (c, thing, pages) => {
  const values = await readForm(c)
  try {
    const input = parseSettings(rotateInput, secretOf(values, 'encoding'))
    const live = await pages.secrets.rotate(thing.tenant.id, thing.id, input)
    return c.redirect(`${pathOf(pages, thing)}?said=${saidOfRotation(live)}`, 303)
  } catch (error) {
    const rotation = { ...refusedForm(values, error), prefix: 'rotate' }
    return page(c, await find(pages, thing), pages, { rotation })
  }
}

function saidOfRotation([current, ...old]: LiveSecret[]): string {
  if (old.length === 0) return 'rotatedAlone'
  return current && warningOf(current) !== null ? 'rotatedWithWarning' : 'rotated'
}

const remove: Handler = async (c, { id, tenant }, pages) => {
  await pages.endpoints.delete(tenant.id, id)
  const query = { tenant: pages.area === 'console' ? tenant.key : undefined }
  return c.redirect(urlWith(listOf(pages), query), 303)
}

const showSecret: Handler = async (c, thing, pages) => {
  const { id, tenant } = thing
  try {
    const secrets = await pages.showSecrets(tenant.id, id, c.get('viewer').who)
    return page(c, await find(pages, thing), pages, { secrets })
  } catch (error) {
    return await refusedPage(c, thing, pages, error)
  }
}

/** The result has an address, so that to load it again sends nothing. */
const test: Handler = async (c, thing, pages) => {
  const { id, tenant } = thing
  const path = pathOf(pages, thing)
  try {
    const typed = (await readForm(c))['type'] || undefined
    const type = typed === undefined ? undefined : parseSettings(eventType, typed)
    const signal = c.req.raw.signal
    const { delivery } = await pages.testEndpoint(tenant.id, id, { type, signal })
    return c.redirect(`${path}?tested=${delivery.id}`, 303)
  } catch (error) {
    return await refusedPage(c, thing, pages, error)
  }
}

/** Says on the page why its state does not allow this. @throws what is refused for another reason */
async function refusedPage(
  c: Context<PageEnv>,
  thing: Parameters<Handler>[1],
  pages: EndpointPages,
  error: unknown,
) {
  if (!(error instanceof Error)) throw error
  const { status, detail } = problemBody(error)
  if (status !== 409) throw error
  return page(c, await find(pages, thing), pages, { refused: detail })
}

async function page(
  c: Context<PageEnv>,
  shown: Shown,
  pages: EndpointPages,
  more: { secrets?: LiveSecret[]; refused?: string; rotation?: FormState } = {},
) {
  const { endpoint } = shown
  const mayManage = c.get('viewer').may('manage')
  const of = { tenantId: endpoint.tenant_id, endpointId: endpoint.id }
  const [rates, answers, open, tested, types, markers, troubles] = await Promise.all([
    pages.ratesOf({ minutes: DAY_MINUTES, stepMinutes: STEP_MINUTES, of }),
    pages.answersOf(endpoint.tenant_id, endpoint.id),
    pages.endpoints.countOpen(endpoint.tenant_id, endpoint.id),
    testOf(c, endpoint, pages),
    pages.eventTypes.outline({ limit: TYPES_OFFERED_MAX }),
    pages.markersOf?.(new Date(Date.now() - DAY_MINUTES * 60_000), endpoint.id),
    pages.troubleOf?.(endpoint.tenant_id, endpoint.id),
  ])
  return pages.render(
    c,
    {
      title: headingOf(endpoint),
      at: listOf(pages),
      hasCharts: true,
      status: more.rotation ? 422 : 200,
    },
    <>
      <h1>{headingOf(endpoint)}</h1>
      {endpoint.description !== '' && <p>{endpoint.url}</p>}
      <Said {...shown} said={saidOf(SAID, c)} query={c.req.query()} />
      {more.refused !== undefined && (
        <Notice tone="bad">{sayMistake(sentence(more.refused))}</Notice>
      )}
      {tested && <Tested {...tested} area={pages.area} caller={c.get('viewer').caller} />}
      {troubles?.map((trouble) => (
        <TroubleNotice {...trouble} mayAct={mayManage && endpoint.state === 'active'} />
      ))}
      {pages.area === 'portal' && (
        <Failing
          endpoint={endpoint}
          answers={answers.last}
          held={open.held}
          heldCountedMax={OPEN_COUNTED_MAX}
          mayManage={mayManage}
        />
      )}
      {more.secrets && <SecretNotice secrets={presentSecrets(more.secrets)} />}
      <Actions
        {...shown}
        viewer={c.get('viewer')}
        types={types.map(({ name }) => name)}
        rotation={more.rotation ?? { ...EMPTY_FORM, prefix: 'rotate' }}
      />
      <State {...shown} open={open} />
      <h2>{say('The last 24 hours')}</h2>
      <Health {...rates} {...shown} markers={markers} />
      <Answers {...answers} area={pages.area} />
      <h2>{say('Settings')}</h2>
      <Settings endpoint={endpoint} defaults={pages.defaults} />
      <Links {...shown} />
    </>,
  )
}

/** Why it fails, and what to press. */
function TroubleNotice(trouble: Trouble & { mayAct: boolean }) {
  const { incidentId, since, what, failures, held, waiting, lastResponse, mayAct } = trouble
  return (
    <Notice tone="bad">
      <p>
        {what} {failures} failed {failures === '1' ? 'attempt' : 'attempts'} since{' '}
        <Time at={since} />, {held} on hold
        {waiting !== '0' && (
          <>
            ,{' '}
            <a href={`/console/endpoints/${trouble.incident.endpoint_id}/keys`}>
              {waiting} behind an earlier event
            </a>{' '}
            of their ordering key
          </>
        )}
        .{lastResponse !== null && ` Last response: ${lastResponse}`}
      </p>
      <div class="actions">
        {mayAct && <Remedy incident={trouble.incident} from="endpoint" />}
        <a class="button" href={`${INCIDENTS_PATH}/${incidentId}`}>
          Open incident
        </a>
      </div>
    </Notice>
  )
}

/** The first line of its description, as far as a heading goes; without one its URL. */
function headingOf({ description, url }: FoundEndpoint): string {
  const [line = ''] = description.trim().split('\n')
  const shown = line.length > HEADING_MAX ? `${line.slice(0, HEADING_MAX).trimEnd()}…` : line
  return shown || url
}

function Links({ area, endpoint }: Shown) {
  const query = { endpoint: endpoint.id, tenant: endpoint.tenantKey }
  return (
    <p class="actions">
      <a class="button" href={`/${area}/deliveries?endpoint=${endpoint.id}`}>
        {say('Deliveries')}
      </a>
      {(endpoint.ordering === 'key' || endpoint.collapse_ms !== null) && (
        <a class="button" href={`/${area}/endpoints/${endpoint.id}/keys`}>
          {say('Ordering keys')}
        </a>
      )}
      {area === 'console' && (
        <a class="button" href={urlWith('/console/replays', query)}>
          Replay deliveries
        </a>
      )}
    </p>
  )
}

function Said(props: Shown & { said: string | undefined; query: Record<string, string> }) {
  if (props.said === undefined) return null
  return (
    <Notice tone="good">
      <p>{props.said}</p>
      <Missed {...props} />
    </Notice>
  )
}

async function editPage(
  c: Context<PageEnv>,
  pages: EndpointPages,
  { area, endpoint }: Shown,
  form: FormState,
  { tried, status = 422 }: { tried?: readonly Tried[] | undefined; status?: 409 | 422 } = {},
) {
  const list = listOf(pages)
  const isWrong = Object.keys(form.mistakes).length > 0
  const types = await typesToChoose(area, pages.eventTypes)
  return pages.render(
    c,
    { title: 'Edit endpoint', at: list, status: isWrong ? status : 200 },
    <>
      <h1>{say('Edit {url}', { url: headingOf(endpoint) })}</h1>
      <form method="post" action={`${list}/${endpoint.id}/edit`} class="stack">
        <input
          type="hidden"
          name={BEGAN_WITH}
          value={form.values[BEGAN_WITH] ?? JSON.stringify(valuesOf(endpoint))}
        />
        <EndpointFields form={form} types={types} />
        <div class="actions">
          <button type="submit" class="primary">
            {say('Save')}
          </button>
          <button type="submit" name="intent" value="try">
            {say('Try on the last events')}
          </button>
          <a class="button" href={`${list}/${endpoint.id}`}>
            {say('Back')}
          </a>
        </div>
      </form>
      {tried && <TriedTable tried={tried} area={area} />}
    </>,
  )
}

/** What is published for a disabled endpoint is not kept, so anyone who enables it is told how to have it. */
function Missed({ area, endpoint, query }: Shown & { query: Record<string, string> }) {
  const { since, until } = query
  if (since === undefined || until === undefined) return null
  const form = { tenant: endpoint.tenantKey, endpoint: endpoint.id, mode: 'missed', since, until }
  return (
    <p>
      {say('Events published while it was disabled were not kept for it.')}{' '}
      {area === 'console' ? (
        <a href={`/console/replays?${new URLSearchParams(form)}`}>Replay missed events</a>
      ) : (
        say('Use Recover to send the events it missed.')
      )}
    </p>
  )
}

/** As the form of a replay takes times: whole minutes, so that nothing in between is left out. */
function minutesAround({ since, until }: { since: Date; until: Date }) {
  const end = new Date(until.getTime() + 60_000)
  return { since: since.toISOString().slice(0, 16), until: end.toISOString().slice(0, 16) }
}

interface TestResult {
  id: DeliveryId
  /** Missing while it is under way. */
  attempt: Attempt | undefined
}

/** The test that the address names; null where it names none of this endpoint. */
async function testOf(
  c: Context<PageEnv>,
  { id, tenant_id: tenantId }: FoundEndpoint,
  { deliveries, attempts }: EndpointPages,
): Promise<TestResult | null> {
  const asked = deliveryId.safeParse(c.req.query('tested')).data
  if (!asked) return null
  const delivery = await deliveries.find(tenantId, asked).catch(() => null)
  if (delivery?.endpoint_id !== id) return null
  const number = delivery.attempt_count
  return { id: asked, attempt: number > 0 ? await attempts.get(asked, number) : undefined }
}

function Tested({ id, attempt, area, caller }: TestResult & { area: Area; caller: Caller }) {
  const link = <a href={`/${area}/deliveries/${id}`}>{say('Show the attempt')}</a>
  if (!attempt) {
    return (
      <Notice tone="busy">
        {say('Test event sent, no response yet.')} {link}
      </Notice>
    )
  }
  const advice = adviceOf({ reason: attempt.reason, statusCode: attempt.status_code })
  const tested = presentAttempt(attempt, caller)
  return (
    <Notice tone={tested.outcome === 'delivered' && !tested.error ? 'good' : 'bad'}>
      {describeTest(tested)} {advice && sayAny(advice)} {link}
    </Notice>
  )
}

function describeTest(tested: ReturnType<typeof presentAttempt>): string {
  const { outcome, statusCode, durationMs } = tested
  const took = durationMs == null ? '' : ` ${say('in {span}', { span: spanOf(durationMs) })}`
  if (outcome === 'delivered') {
    // Such as an answer that is broken behind its status.
    const mistake = tested.error ? ` ${say('But {error}.', { error: tested.error })}` : ''
    return `${say('Test event delivered')}: HTTP ${statusCode}${took}.${mistake}`
  }
  const detail = tested.errorDetail ? ` ${tested.errorDetail}.` : ''
  const words = inWords(tested) ?? sayAny(stateLabel(outcome))
  return `${say('Test event not delivered')}${took}: ${words}.${detail}`
}
