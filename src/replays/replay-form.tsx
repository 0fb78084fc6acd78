import { FormMistake, type FormState, SuggestingField } from '../console/fields.tsx'
import { FormFields } from '../console/form-fields.tsx'
import { formValuesOf } from '../console/form-values.ts'
import { urlWith } from '../console/forms.ts'
import { atMost } from '../console/language.ts'
import { Notice } from '../console/parts.tsx'
import { OPEN_COUNTED_MAX } from '../endpoints/endpoints.ts'
import { COUNTED_MAX, replayFields } from './replay.fields.ts'

export const REPLAYS_PATH = '/console/replays'

const DEFAULTS = formValuesOf(replayFields, {
  mode: 'redeliver',
  states: ['failed'],
  ratePerSecond: 50,
})
const DAY_MS = 86_400_000

/** What the address says of a new one; without a time it covers the last day. */
export function formOf(values: Readonly<Record<string, string>>): FormState {
  const { tenant = '', endpoint = '', until = '', mode = DEFAULTS['mode'] ?? '' } = values
  const { since = new Date(Date.now() - DAY_MS).toISOString().slice(0, 16) } = values
  return {
    values: { ...DEFAULTS, mode, tenant, endpointId: endpoint, since, until },
    mistakes: {},
  }
}

/** Asks what to replay. It only counts: what starts a replay is beside the count (`Counted`). */
export function NewReplayForm({ form, isOpen }: { form: FormState; isOpen: boolean }) {
  const { endpointId, ...others } = replayFields
  return (
    <details class="stack" open={isOpen}>
      <summary class="button primary">New replay</summary>
      <form method="post" action={REPLAYS_PATH}>
        <FormMistake form={form} />
        <SuggestingField form={form} name="tenant" label="Tenant" of="tenants" required />
        <SuggestingField form={form} name="endpointId" of="endpoints" {...endpointId.form} />
        <FormFields form={form} of={others} />
        <button type="submit" name="intent" value="preview" class="primary">
          Count deliveries
        </button>
      </form>
    </details>
  )
}

/** What was counted, with the form that it was counted for. */
export interface CountedReplay {
  count: number
  /** What the endpoint has on hold, which a replay leaves alone. */
  held: number
  values: Readonly<Record<string, string>>
}

/** How much there is, what of it, and the button that starts it. */
export function Counted({ count, held, values }: CountedReplay) {
  return (
    <Notice tone={count > 0 ? 'good' : 'busy'}>
      <p>
        {atMost(count, COUNTED_MAX)} {count === 1 ? 'delivery matches' : 'deliveries match'}.
        Nothing has been started.
      </p>
      {held > 0 && <OnHold held={held} endpointId={values['endpointId'] ?? ''} />}
      {count > 0 && <StartForm count={count} values={values} />}
    </Notice>
  )
}

function OnHold({ held, endpointId }: { held: number; endpointId: string }) {
  return (
    <p>
      {atMost(held, OPEN_COUNTED_MAX)}{' '}
      {held === 1 ? 'delivery of this endpoint is' : 'deliveries of this endpoint are'} on hold. A
      replay does not include what is on hold: it is sent as soon as{' '}
      <a href={`/console/endpoints/${endpointId}`}>the endpoint</a> accepts requests again.
    </p>
  )
}

/** What was counted goes along, whatever has been typed since. */
function StartForm({ count, values }: Omit<CountedReplay, 'held'>) {
  const { mode } = values
  return (
    <form method="post" action={REPLAYS_PATH} class="actions">
      {Object.entries(values).map(([name, value]) => (
        <input type="hidden" name={name} value={value} />
      ))}
      <button type="submit" name="intent" value="start" class="primary">
        Replay {atMost(count, COUNTED_MAX)} {count === 1 ? 'delivery' : 'deliveries'}
      </button>
      {mode === 'redeliver' && (
        <a class="button" href={listed(values)}>
          Show {count === 1 ? 'it' : 'them'}
        </a>
      )}
    </form>
  )
}

/** The list of what would be sent again. */
function listed(values: Readonly<Record<string, string>>): string {
  const { tenant, endpointId: endpoint, since, until, statusClass, eventTypes } = values
  const [type, ...moreTypes] = (eventTypes ?? '').split(/[\s,]+/).filter(Boolean)
  const states = Object.keys(values).filter((name) => name.startsWith('states.'))
  return urlWith('/console/deliveries', {
    ...{ tenant, endpoint, since, until, class: statusClass },
    state: states.map((name) => name.slice('states.'.length)).join(','),
    // A list is filtered by one type, and by none for all.
    type: moreTypes.length > 0 || type === '*' ? undefined : type,
  })
}
