import type { Field, Fields, FormText } from '../fields.ts'
import { CheckboxField, type FormState, SelectField, TextField, withCode } from './fields.tsx'
import { formFieldsOf, hasBoxes } from './form-values.ts'
import { sayAny } from './language.ts'

/** Every field of a noun that a form asks for, in the order of its definition. */
export function FormFields({ form, of: fields }: { form: FormState; of: Fields }) {
  return (
    <>
      {formFieldsOf(fields).map(([name, field]) => (
        <FormField form={form} name={name} of={field} />
      ))}
    </>
  )
}

interface Props {
  form: FormState
  name: string
  /** Its definition. */
  of: Pick<Field, 'input'> & { form: FormText }
  /** Where this form requires what others do not. */
  required?: boolean
}

/** One field as its noun defines it: label, hint, and what it is chosen from. */
export function FormField({ form, name, of: field, required }: Props) {
  const { choices, isTime, parts, ...text } = field.form
  if (parts) {
    return (
      <fieldset class="field">
        <legend>{sayAny(text.label)}</legend>
        {text.hint && <p class="hint">{withCode(sayAny(text.hint))}</p>}
        {Object.entries(parts).map(([part, words]) => (
          <TextField form={form} name={`${name}.${part}`} {...words} />
        ))}
      </fieldset>
    )
  }
  const common = { form, name, ...text, ...(required !== undefined && { required }) }
  if (choices && hasBoxes(field)) return <CheckboxField {...common} choices={choices} />
  if (choices) return <SelectField {...common} choices={choices} />
  return <TextField {...common} {...(isTime && { type: 'datetime-local', isUtc: true })} />
}
