import { EMPTY_FORM, FormMistake, type FormState } from '../console/fields.tsx'
import { FormField } from '../console/form-fields.tsx'
import { Badge, EndpointName, Id, stateLabel, Table } from '../console/parts.tsx'
import { HELD_REASONS } from '../deliveries/delivery.fields.ts'
import { bulkFields } from './bulk.fields.ts'
import { type BulkAction, type BulkPreview, defaultRateOf, type LeftOutDeliveries } from './bulk.ts'
import { ACTION_LABELS, DONE, insteadOf } from './bulk-bar.tsx'
import { COUNTED_MAX } from './replay.fields.ts'

const PATH = '/console/deliveries/bulk'

/** What one job would act on, of the tenant with this name. */
export interface Preview extends BulkPreview {
  tenant: string
  /** How many were selected; 0 where a filter chooses. */
  selected: number
  /** Of those, what the action does not apply to. */
  leftOut: readonly LeftOutDeliveries[]
}

const countOf = (count: number): string =>
  count >= COUNTED_MAX ? `${COUNTED_MAX.toLocaleString('en')} or more` : count.toLocaleString('en')

const sumOf = (numbers: readonly number[]): number => numbers.reduce((sum, one) => sum + one, 0)

/** @param props.previews of the tenants that were selected, or of the one that is filtered by */
export function Summary({ previews, action }: { previews: Preview[]; action: BulkAction }) {
  const count = sumOf(previews.map((preview) => preview.count))
  const selected = sumOf(previews.map((preview) => preview.selected))
  return (
    <p class="summary">
      {selected > count
        ? `${count} of ${selected} selected deliveries can be ${DONE[action]}.`
        : `${countOf(count)} ${count === 1 ? 'delivery matches' : 'deliveries match'}.`}{' '}
      Nothing has started yet.
    </p>
  )
}

interface LeftOutProps {
  previews: readonly Preview[]
  values: Readonly<Record<string, string>>
  action: BulkAction
}

/** What was selected and stays as it is, with the action that applies to it. */
export function LeftOut({ previews, values, action }: LeftOutProps) {
  const all = previews.flatMap(({ leftOut }) => leftOut)
  const kinds = Map.groupBy(all, ({ state, heldReason }) => `${state} ${heldReason}`)
  return (
    <>
      {[...kinds.values()].map(
        ([first, ...more]) =>
          first && (
            <div class="row">
              <span>
                {stateLabel(first.state)}:{' '}
                {sumOf([first, ...more].map(({ count }) => count)).toLocaleString('en')}.
                {first.heldReason && ` ${HELD_REASONS[first.heldReason]}`}
              </span>
              <Instead action={insteadFor(first, action)} values={values} />
            </div>
          ),
      )}
    </>
  )
}

/** What people hold, or an ordering key, is not released by a bulk job. */
const insteadFor = ({ state, heldReason }: LeftOutDeliveries, action: BulkAction) =>
  heldReason === null || heldReason === 'circuit' ? insteadOf(state, action) : undefined

/** The same selection with another action; its preview comes first. */
function Instead({
  action,
  values,
}: { action: BulkAction | undefined } & Pick<LeftOutProps, 'values'>) {
  if (action === undefined) return null
  const { action: _, ratePerSecond: __, ...kept } = values
  return (
    <form method="post" action={PATH}>
      {Object.entries(kept).map(([name, value]) => (
        <input type="hidden" name={name} value={value} />
      ))}
      <button type="submit" name="action" value={action}>
        {ACTION_LABELS[action]}
      </button>
    </form>
  )
}

export function Sample({ tenant, count, sample }: Preview) {
  return (
    <>
      <h2>
        {tenant}: {countOf(count)}
      </h2>
      <Table
        label={`The first deliveries of ${tenant}`}
        head={['Delivery', 'State', 'Event type', 'Endpoint']}
      >
        {sample.map(({ id, state, eventType, ...endpoint }) => (
          <tr>
            <td>
              <Id of={id} href={`/console/deliveries/${id}`} isShort />
            </td>
            <td>
              <Badge of={state} />
            </td>
            <td>{eventType ?? <span class="muted">event deleted</span>}</td>
            <td>
              <EndpointName {...endpoint} />
            </td>
          </tr>
        ))}
      </Table>
      {count > sample.length && <p class="muted">… and {countOf(count - sample.length)} more.</p>}
    </>
  )
}

/** @param props.form what was asked for, and what was wrong with the rate */
export function StartForm(props: {
  form: Pick<FormState, 'values' | 'mistakes'>
  action: BulkAction
  count: number
}) {
  const { action, count } = props
  const { ratePerSecond = String(defaultRateOf(action)), ...kept } = props.form.values
  const form: FormState = {
    ...EMPTY_FORM,
    values: { ratePerSecond },
    mistakes: props.form.mistakes,
  }
  return (
    <form method="post" action={PATH} class="stack">
      <FormMistake form={form} />
      {Object.entries(kept).map(([name, value]) => (
        <input type="hidden" name={name} value={value} />
      ))}
      <input type="hidden" name="intent" value="start" />
      <FormField form={form} name="ratePerSecond" of={bulkFields.ratePerSecond} />
      <button type="submit" class={action === 'cancel' ? 'danger' : 'primary'}>
        {ACTION_LABELS[action]} {countOf(count)} {count === 1 ? 'delivery' : 'deliveries'}
      </button>
    </form>
  )
}
