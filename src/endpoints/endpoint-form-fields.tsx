import { FormMistake, type FormState } from '../console/fields.tsx'
import { FormField } from '../console/form-fields.tsx'
import { formFieldsOf } from '../console/form-values.ts'
import { say } from '../console/language.ts'
import type { EventTypeOutline } from '../event-types/event-types.ts'
import { splitTree, TypeTree } from '../event-types/type-tree.tsx'
import { endpointFields } from './endpoint.fields.ts'

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
