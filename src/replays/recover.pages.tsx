import type { Context, Hono } from 'hono'
import { z } from 'zod'
import { readForm } from '../console/forms.ts'
import { phrase, say, sayNumber } from '../console/language.ts'
import type { RenderPage } from '../console/layout.tsx'
import { Badge, Confirm, Notice, Time } from '../console/parts.tsx'
import type { PageEnv } from '../console/viewer.ts'
import type { EndpointId, ReplayId } from '../ids.ts'
import type { HandlerOf, ResourcePages } from '../tenants/resource-pages.ts'
import { COUNTED_MAX } from './replay.fields.ts'
import type { Replay, Replays } from './replays.ts'

/** How far back somebody can choose, in hours. */
const SPANS = [
  ['1', 'The last hour'],
  ['6', 'The last 6 hours'],
  ['24', 'The last 24 hours'],
  ['168', 'The last 7 days'],
] as const
const HOUR_MS = 3_600_000
const MODES = [
  ['redeliver', 'Failed deliveries'],
  ['missed', 'Events it has missed'],
] as const

/** What the form can say; anything else was not chosen in it. */
const recoverForm = z.object({
  hours: z.enum(SPANS.map(([value]) => value)).transform(Number),
  mode: z.enum(MODES.map(([value]) => value)),
})

export interface RecoverPages {
  render: RenderPage
  resources: Pick<ResourcePages, 'endpoints' | 'replays'>
  replays: Pick<Replays, 'start' | 'get'>
}

/** Of the portal: sends again what one endpoint did not get, and shows how far that is. */
export function addRecoverPages(app: Hono<PageEnv>, pages: RecoverPages): void {
  const { endpoints, replays } = pages.resources
  app.post('/endpoints/:id/recover', endpoints.managing(pages, recover))
  app.get('/replays/:id', replays.reading(pages, showProgress))
}

const recover: HandlerOf<EndpointId, RecoverPages> = async (c, { id, tenant }, pages) => {
  const { data } = recoverForm.safeParse(await readForm(c))
  if (!data) return showRefusal(c, pages, id)
  const since = new Date(Date.now() - data.hours * HOUR_MS)
  const request = { mode: data.mode, endpointId: id, since }
  const replay = await pages.replays.start(tenant.key, request, c.get('viewer').who)
  return c.redirect(`/portal/replays/${replay.id}`, 303)
}

const showRefusal = (c: Context<PageEnv>, { render }: RecoverPages, id: EndpointId) =>
  render(
    c,
    { title: 'Recovery', at: '/portal/endpoints', status: 422 },
    <>
      <h1>{say('Recovery')}</h1>
      <Notice tone="bad">
        {say('Choose what to send again, and since when, from the lists.')}
      </Notice>
      <p class="actions">
        <a class="button" href={`/portal/endpoints/${id}`}>
          {say('Back to the endpoint')}
        </a>
      </p>
    </>,
  )

const showProgress: HandlerOf<ReplayId, RecoverPages> = async (c, { id, tenant }, pages) => {
  const replay = await pages.replays.get(tenant.id, id)
  return pages.render(
    c as Context<PageEnv>,
    { title: 'Recovery', at: '/portal/endpoints' },
    <>
      <h1>{say('Recovery')}</h1>
      <Progress {...replay} />
      <p class="actions">
        {replay.endpoint_id && (
          <>
            <a class="button" href={`/portal/endpoints/${replay.endpoint_id}`}>
              {say('Back to the endpoint')}
            </a>
            <a class="button" href={`/portal/deliveries?endpoint=${replay.endpoint_id}`}>
              {say('Deliveries')}
            </a>
          </>
        )}
      </p>
    </>,
  )
}

/** Asked for again until it has ended. */
function Progress({ id, state, mode, done, total, skipped, since }: Replay) {
  const isRunning = state === 'running'
  const asking = isRunning && {
    'hx-get': `/portal/replays/${id}`,
    'hx-trigger': 'every 2s',
    'hx-select': '#recovery',
    'hx-swap': 'outerMorph',
  }
  const all = total >= COUNTED_MAX ? `${sayNumber(COUNTED_MAX)}+` : sayNumber(total)
  return (
    <div id="recovery" {...asking}>
      <p>
        <Badge of={state} />{' '}
        {phrase(
          mode === 'missed' ? 'Missed events since {time}' : 'Failed deliveries since {time}',
          {
            time: <Time at={since} />,
          },
        )}
      </p>
      <progress value={done} max={Math.max(total, done, 1)} aria-label={say('Progress')} />
      <p>
        {say('{done} of {all} are being sent again.', { done: sayNumber(done), all })}{' '}
        {skipped > 0 && say('{count} were skipped.', { count: sayNumber(skipped) })}
      </p>
    </div>
  )
}

/** On the page of an endpoint: what to send again, and since when. */
export function RecoverForm({ endpointId }: { endpointId: string }) {
  return (
    <Confirm
      label="Recover"
      action={`/portal/endpoints/${endpointId}/recover`}
      question="Resends what this endpoint did not get, slowly enough for a receiver that has just recovered."
      yes="Recover deliveries"
    >
      <div class="field">
        <label for="recover-mode">{say('What')}</label>
        <select id="recover-mode" name="mode">
          {MODES.map(([value, label]) => (
            <option value={value}>{say(label)}</option>
          ))}
        </select>
      </div>
      <div class="field">
        <label for="recover-hours">{say('Since')}</label>
        <select id="recover-hours" name="hours">
          {SPANS.map(([value, label]) => (
            <option value={value}>{say(label)}</option>
          ))}
        </select>
      </div>
    </Confirm>
  )
}
