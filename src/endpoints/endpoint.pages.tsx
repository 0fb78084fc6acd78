import type { Context, Hono } from 'hono'
import type { createAttemptRates } from '../attempts/attempt-rates.ts'
import { inWords, spanOf } from '../attempts/attempt-words.ts'
import { type Delivery, PostriderError, type Secrets, type TestAttempt } from '../client/client.ts'
import { EMPTY_FORM, type FormState } from '../console/fields.tsx'
import { readForm, refusedForm, saidOf } from '../console/forms.ts'
import type { RenderPage } from '../console/layout.tsx'
import { NothingFound, type Owners } from '../console/owners.ts'
import { Notice } from '../console/parts.tsx'
import { type PageEnv, requireScope, type Viewer } from '../console/viewer.ts'
import type { Area } from '../sessions/sessions.ts'
import type { AllEndpoints } from './all-endpoints.ts'
import { BEGAN_WITH, changeOf, secretOf, valuesOf } from './endpoint.form.ts'
import { EndpointFields, type Tried, TriedTable } from './endpoint-form-fields.tsx'
import { Actions, Health, SecretNotice, Settings, type Shown, State } from './endpoint-parts.tsx'
import type { Endpoints } from './endpoints.ts'
import type { createTryFilter } from './try-filter.form.ts'

const DAY_MINUTES = 1_440
const STEP_MINUTES = 30

const SAID: Record<string, string> = {
  created: 'The endpoint is there. Show its secret to anyone who verifies the requests.',
  changed: 'It is changed; events from now on are routed by it.',
  paused: 'It is paused: events are still accepted for it, and held.',
  resumed: 'It is back in service; what was held follows by itself.',
  enabled: 'It is back in service.',
  enabling: 'So much was held that not all of it is cancelled yet. Enable it again for the rest.',
  rotated: 'There is a new secret; the old one signs as well until its overlap ends.',
  createdWithWarning:
    'The endpoint is there. Show its secret: there is something to know about it.',
  rotatedWithWarning:
    'There is a new secret; the old one signs as well until its overlap ends. Show it: there is something to know about it.',
}

export function addEndpointPages(
  app: Hono<PageEnv>,
  options: {
    area?: Area
    render: RenderPage
    owners: Pick<Owners, 'ofEndpoint'>
    endpoints: Pick<Endpoints, 'get'>
    allEndpoints: AllEndpoints
    ratesOf: ReturnType<typeof createAttemptRates>
    tryFilter: ReturnType<typeof createTryFilter>
  },
): void {
  const { area = 'console', render, owners, endpoints, allEndpoints, ratesOf, tryFilter } = options
  const list = `/${area}/endpoints`

  const show = async (c: Context<PageEnv>): Promise<Shown> => {
    const { id, owner } = await owners.ofEndpoint(c.req.param('id') ?? '')
    const [endpoint, found] = await Promise.all([endpoints.get(owner.id, id), allEndpoints.get(id)])
    if (!found) throw new NothingFound()
    return { area, endpoint, found, owner }
  }

  const page = async (
    c: Context<PageEnv>,
    shown: Shown,
    more: { secrets?: Secrets; tested?: string; rotation?: FormState } = {},
  ) => {
    const { endpoint, owner } = shown
    const of = { tenantId: owner.id, endpointId: endpoint.id }
    const [rates, open] = await Promise.all([
      ratesOf({ minutes: DAY_MINUTES, stepMinutes: STEP_MINUTES, of }),
      allEndpoints.countOpen(endpoint.id),
    ])
    const said = saidOf(SAID, c)
    return render(
      c,
      { title: endpoint.url, at: list, hasCharts: true, status: more.rotation ? 422 : 200 },
      <>
        <h1>{endpoint.url}</h1>
        {said && (
          <Notice tone="good">
            <p>{said}</p>
            <Missed {...shown} query={c.req.query()} />
          </Notice>
        )}
        {more.tested !== undefined && <Notice tone="good">{more.tested}</Notice>}
        {more.secrets && <SecretNotice secrets={more.secrets} />}
        <Actions
          {...shown}
          viewer={c.get('viewer')}
          rotation={more.rotation ?? { ...EMPTY_FORM, prefix: 'rotate' }}
        />
        <State {...shown} open={open} />
        <h2>The last 24 hours</h2>
        <Health {...rates} />
        <h2>Settings</h2>
        <Settings {...endpoint} />
        <p class="actions">
          <a class="button" href={`/${area}/deliveries?endpoint=${endpoint.id}`}>
            Its deliveries
          </a>
          {area === 'console' && (
            <a
              class="button"
              href={`/console/replays?endpoint=${endpoint.id}&tenant=${encodeURIComponent(owner.key)}`}
            >
              Replay for it
            </a>
          )}
        </p>
      </>,
    )
  }
  app.get('/endpoints/:id', async (c) => page(c, await show(c)))

  const editPage = (
    c: Context<PageEnv>,
    { endpoint }: Shown,
    form: FormState,
    { tried, status = 422 }: { tried?: readonly Tried[]; status?: 409 | 422 } = {},
  ) =>
    render(
      c,
      {
        title: 'Edit endpoint',
        at: list,
        status: Object.keys(form.mistakes).length > 0 ? status : 200,
      },
      <>
        <h1>Edit {endpoint.url}</h1>
        <form method="post" action={`${list}/${endpoint.id}/edit`} class="stack">
          <input
            type="hidden"
            name={BEGAN_WITH}
            value={form.values[BEGAN_WITH] ?? JSON.stringify(valuesOf(endpoint))}
          />
          <EndpointFields form={form} />
          <div class="actions">
            <button type="submit" class="primary">
              Save
            </button>
            <button type="submit" name="intent" value="try">
              Try on the last events
            </button>
            <a class="button" href={`${list}/${endpoint.id}`}>
              Back
            </a>
          </div>
        </form>
        {tried && <TriedTable tried={tried} area={area} />}
      </>,
    )

  app.get('/endpoints/:id/edit', requireScope('manage'), async (c) => {
    const shown = await show(c)
    return editPage(c, shown, { values: valuesOf(shown.endpoint), mistakes: {} })
  })

  app.post('/endpoints/:id/edit', requireScope('manage'), async (c) => {
    const shown = await show(c)
    const { intent, ...values } = await readForm(c)
    if (intent === 'try') {
      const result = await tryFilter(shown.owner.id, values)
      return 'tried' in result
        ? editPage(c, shown, { values, mistakes: {} }, { tried: result.tried })
        : editPage(c, shown, result.form)
    }
    const path = { tenant: shown.owner.key, id: shown.endpoint.id }
    const change = changeOf(values, valuesOf(shown.endpoint))
    if ('form' in change) return editPage(c, shown, change.form, { status: 409 })
    try {
      await c
        .get('viewer')
        .api.request('PATCH /api/tenants/{tenant}/endpoints/{id}', { path, ...change })
    } catch (error) {
      return editPage(c, shown, refusedForm(values, error))
    }
    return c.redirect(`${list}/${path.id}?said=changed`, 303)
  })

  const act = (
    name: string,
    run: (
      viewer: Viewer,
      path: { tenant: string; id: string },
      form: Record<string, string>,
    ) => Promise<Record<string, string> & { said: string }>,
  ) =>
    app.post(`/endpoints/:id/${name}`, requireScope('manage'), async (c) => {
      const { id, owner } = await owners.ofEndpoint(c.req.param('id') ?? '')
      const query = await run(c.get('viewer'), { tenant: owner.key, id }, await readForm(c))
      return c.redirect(`${list}/${id}?${new URLSearchParams(query)}`, 303)
    })
  act('pause', async ({ api }, path) => {
    await api.request('POST /api/tenants/{tenant}/endpoints/{id}/pause', { path })
    return { said: 'paused' }
  })
  act('resume', async ({ api }, path) => {
    await api.request('POST /api/tenants/{tenant}/endpoints/{id}/resume', { path })
    return { said: 'resumed' }
  })
  act('enable', async ({ api }, path, { held }) => {
    const body = { deliverHeld: held !== 'cancel' }
    const enabled = await api.request('POST /api/tenants/{tenant}/endpoints/{id}/enable', {
      path,
      body,
    })
    if (enabled.state !== 'active') return { said: 'enabling' }
    return { said: 'enabled', ...(enabled.missed && minutesAround(enabled.missed)) }
  })

  app.post('/endpoints/:id/rotate', requireScope('manage'), async (c) => {
    const shown = await show(c)
    const values = await readForm(c)
    const path = { tenant: shown.owner.key, id: shown.endpoint.id }
    try {
      const { warning } = await c
        .get('viewer')
        .api.request('POST /api/tenants/{tenant}/endpoints/{id}/secret/rotate', {
          path,
          body: secretOf(values, 'encoding'),
        })
      const said = warning === null ? 'rotated' : 'rotatedWithWarning'
      return c.redirect(`${list}/${path.id}?said=${said}`, 303)
    } catch (error) {
      return page(c, shown, { rotation: { ...refusedForm(values, error), prefix: 'rotate' } })
    }
  })

  app.post('/endpoints/:id/delete', requireScope('manage'), async (c) => {
    const { id, owner } = await owners.ofEndpoint(c.req.param('id'))
    const path = { tenant: owner.key, id }
    await c.get('viewer').api.request('DELETE /api/tenants/{tenant}/endpoints/{id}', { path })
    return c.redirect(
      area === 'console' ? `${list}?tenant=${encodeURIComponent(owner.key)}` : list,
      303,
    )
  })

  app.post('/endpoints/:id/secret', requireScope('manage'), async (c) => {
    const shown = await show(c)
    const path = { tenant: shown.owner.key, id: shown.endpoint.id }
    const secrets = await c
      .get('viewer')
      .api.request('GET /api/tenants/{tenant}/endpoints/{id}/secret', { path })
    return page(c, shown, { secrets })
  })

  app.post('/endpoints/:id/test', requireScope('manage'), async (c) => {
    const shown = await show(c)
    const path = { tenant: shown.owner.key, id: shown.endpoint.id }
    const tested = await c
      .get('viewer')
      .api.request('POST /api/tenants/{tenant}/endpoints/{id}/test', {
        path,
        body: {},
        timeoutMs: TEST_MS_MAX,
      })
      .then(describeTest, describeRefusal)
    return page(c, shown, { tested })
  })
}

/** What is published for a disabled endpoint is not kept, so anyone who enables it is told how to have it. */
function Missed({ area, endpoint, owner, query }: Shown & { query: Record<string, string> }) {
  const { since, until } = query
  if (since === undefined || until === undefined) return null
  const form = { tenant: owner.key, endpoint: endpoint.id, mode: 'missed', since, until }
  return (
    <p>
      Events published while it was disabled were not kept for it.{' '}
      {area === 'console' ? (
        <a href={`/console/replays?${new URLSearchParams(form)}`}>Deliver what it has missed</a>
      ) : (
        'Ask for a replay of what it has missed, if it is to have them.'
      )}
    </p>
  )
}

/** As the form of a replay takes times: whole minutes, so that nothing in between is left out. */
function minutesAround({ since, until }: { since: string; until: string }) {
  const end = new Date(new Date(until).getTime() + 60_000)
  return { since: since.slice(0, 16), until: end.toISOString().slice(0, 16) }
}

/** The longest time that an endpoint may take, and a little for us. */
const TEST_MS_MAX = 70_000

function describeTest(tested: TestAttempt | Delivery): string {
  if (!('outcome' in tested)) return 'The test event is under way: look at its deliveries.'
  const { outcome, statusCode, durationMs } = tested
  const took = durationMs == null ? '' : ` in ${spanOf(durationMs)}`
  if (outcome === 'delivered') {
    // Such as an answer that is broken behind its status.
    const mistake = tested.error ? ` But ${tested.error}.` : ''
    return `The test event was delivered: HTTP ${statusCode}${took}.${mistake}`
  }
  const detail = tested.errorDetail ? ` ${tested.errorDetail}.` : ''
  return `The test event was not delivered${took}: ${inWords(tested) ?? outcome}.${detail}`
}

function describeRefusal(error: unknown): string {
  if (error instanceof PostriderError && error.status === 409)
    return error.message.replace(/^\w+: /, '')
  throw error
}
