import { FormMistake, type FormState } from '../console/fields.tsx'
import { FormField } from '../console/form-fields.tsx'
import { formFieldsOf } from '../console/form-values.ts'
import { say, sayAny, sayNumber } from '../console/language.ts'
import { Badge, Id, Notice, Table, Time } from '../console/parts.tsx'
import type { Area } from '../console/viewer.ts'
import type { EventTypeOutline } from '../event-types/event-types.ts'
import { splitTree, TypeTree } from '../event-types/type-tree.tsx'
import { endpointFields } from './endpoint.fields.ts'

/** What the filter and types would have said to an event of the tenant. */
export interface Tried {
  id: string
  type: string
  createdAt: Date
  matches: boolean
  why: string
}

const FIELDS = formFieldsOf(endpointFields).map(([name, of]) => ({ name, of }))
const USUAL = FIELDS.filter(({ of }) => !of.form.isRare)
const RARE = FIELDS.filter(({ of }) => of.form.isRare)

/** @param props.types the catalogue, where event types are chosen from it; none = they are typed */
export function EndpointFields(props: { form: FormState; types?: readonly EventTypeOutline[] }) {
  const { types = [] } = props
  const { chosen, typed } = splitTree(types, props.form.values['eventTypes'])
  const form: FormState = { ...props.form, values: { ...props.form.values, eventTypes: typed } }
  const isUsed = ({ name, of }: (typeof FIELDS)[number]) => {
    const { empty = '', parts = { '': null } } = of.form
    const names = Object.keys(parts).map((part) => (part ? `${name}.${part}` : name))
    return names.some(
      (one) => (form.values[one] || empty) !== empty || form.mistakes[one] !== undefined,
    )
  }
  return (
    <>
      <FormMistake form={form} />
      {USUAL.map((field) => (
        <>
          {field.name === 'eventTypes' && types.length > 0 && (
            <TypeTree types={types} chosen={chosen} />
          )}
          <FormField form={form} {...field} />
        </>
      ))}
      <details open={RARE.some(isUsed)}>
        <summary>{say('Headers, limits, retries, order, batches and shape')}</summary>
        {RARE.map((field) => (
          <FormField form={form} {...field} />
        ))}
      </details>
    </>
  )
}

/** What would have come of the last events, before anything is saved. */
export function TriedTable({ tried, area }: { tried: readonly Tried[]; area: Area }) {
  if (tried.length === 0) {
    return <Notice tone="good">{say('There are no events yet to try this against.')}</Notice>
  }
  const matching = tried.filter(({ matches }) => matches).length
  return (
    <section aria-label={say('Tried against the last events')}>
      <Notice tone="good">
        {say('Of the last {count} events, {matching} would have been sent. Nothing is saved yet.', {
          count: sayNumber(tried.length),
          matching: sayNumber(matching),
        })}
      </Notice>
      <Table
        label="Tried against the last events"
        head={['Event', 'Type', 'Published', 'Would be sent']}
      >
        {tried.map(({ id, type, createdAt, matches, why }) => (
          <tr>
            <td>
              <Id of={id} href={`/${area}/events/${id}`} isShort />
            </td>
            <td>{type}</td>
            <td>
              <Time at={createdAt} />
            </td>
            <td>
              <Badge of={matches ? 'delivered' : 'off'} label={matches ? 'yes' : 'no'} />{' '}
              {why && sayAny(why)}
            </td>
          </tr>
        ))}
      </Table>
    </section>
  )
}
