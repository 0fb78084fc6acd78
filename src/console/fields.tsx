import type { Child } from 'hono/jsx'
import { say, sayAny, sayMistake } from './language.ts'

/** What a form had in it, and what was wrong with it; a form that is refused comes back as it was typed. */
export interface FormState {
  values: Readonly<Record<string, string>>
  /** By the name of the field; under `''` what concerns no single one. */
  mistakes: Readonly<Record<string, string>>
  /** Tells its fields from those of another form on the page. */
  prefix?: string
}

export const EMPTY_FORM: FormState = { values: {}, mistakes: {} }

interface FieldProps {
  form: FormState
  name: string
  label: string
  hint?: Child
  required?: boolean
}

/** A field of text; of several lines where it has `rows`. */
export function TextField(
  props: FieldProps & {
    type?: string
    rows?: number
    autocomplete?: string
    placeholder?: string
    list?: string
    isCode?: boolean
    /** A time in UTC, which the browser shows in the zone that was chosen. */
    isUtc?: boolean
  },
) {
  const { form, name, rows, isCode = false, type = 'text', required = false } = props
  const common = {
    ...wiring(props),
    name,
    required,
    class: isCode ? 'code' : undefined,
    autocomplete: props.autocomplete ?? 'off',
    placeholder: props.placeholder && sayAny(props.placeholder),
    spellcheck: !isCode,
  }
  const value = form.values[name] ?? ''
  return (
    <Field {...props}>
      {rows === undefined ? (
        <input
          type={type}
          list={props.list}
          data-utc={props.isUtc}
          value={type === 'password' ? '' : value}
          {...common}
        />
      ) : (
        // A line break right behind the tag is dropped by browsers: with this one the value keeps its own.
        <textarea rows={rows} {...common}>{`\n${value}`}</textarea>
      )}
    </Field>
  )
}

export type Choice = readonly [value: string, label: string]

export function SelectField(props: FieldProps & { choices: readonly Choice[] }) {
  const { form, name, choices } = props
  return (
    <Field {...props}>
      <select name={name} {...wiring(props)}>
        {choices.map(([value, label]) => (
          <option value={value} selected={value === (form.values[name] ?? '')}>
            {sayAny(label)}
          </option>
        ))}
      </select>
    </Field>
  )
}

/** A field of text that offers what the service knows and contains what is typed; by script. */
export function SuggestingField(props: FieldProps & { of: 'tenants' | 'endpoints' | 'types' }) {
  const { form, name, label, of, required = false } = props
  const list = `${idOf(form, name)}-suggested`
  return (
    <Field {...props}>
      <input
        type="text"
        name={name}
        list={list}
        data-suggests={of}
        value={form.values[name] ?? ''}
        placeholder={sayAny(label)}
        required={required}
        autocomplete="off"
        spellcheck={false}
        {...wiring(props)}
      />
      <datalist id={list} />
    </Field>
  )
}

/** Any of a few, which open below it; in `values` with commas between. */
export function ChoicesField(props: FieldProps & { choices: readonly Choice[] }) {
  const { form, name, label, choices } = props
  const chosen = (form.values[name] ?? '').split(',')
  const labels = choices.filter(([value]) => chosen.includes(value)).map(([, text]) => text)
  const mistake = form.mistakes[name]
  return (
    <details class={mistake ? 'field choices wrong' : 'field choices'}>
      <summary class={labels.length > 0 ? 'button chosen' : 'button'}>
        {labels.map(sayAny).join(', ') || sayAny(label)}
      </summary>
      <fieldset class="fields">
        <legend class="hidden">{sayAny(label)}</legend>
        {choices.map(([value, text]) => (
          <label class="check">
            <input type="checkbox" name={name} value={value} checked={chosen.includes(value)} />
            {sayAny(text)}
          </label>
        ))}
        <button type="submit" class="primary">
          {say('Apply')}
        </button>
      </fieldset>
      {mistake && <p class="mistake">{sayMistake(mistake)}</p>}
    </details>
  )
}

/** Several of a few; each is in `values` as `name.value`. */
export function CheckboxField({
  form,
  name,
  label,
  choices,
}: FieldProps & { choices: readonly Choice[] }) {
  const mistake = form.mistakes[name]
  return (
    <fieldset class={mistake ? 'field wrong' : 'field'}>
      <legend>{sayAny(label)}</legend>
      {choices.map(([value, text]) => (
        <label class="check">
          <input
            type="checkbox"
            name={`${name}.${value}`}
            value="yes"
            checked={form.values[`${name}.${value}`] === 'yes'}
          />
          {sayAny(text)}
        </label>
      ))}
      {mistake && <p class="mistake">{sayMistake(mistake)}</p>}
    </fieldset>
  )
}

function Field({ form, name, label, hint, children }: FieldProps & { children?: Child }) {
  const mistake = form.mistakes[name]
  return (
    <div class={mistake ? 'field wrong' : 'field'}>
      <label for={idOf(form, name)}>{sayAny(label)}</label>
      {children}
      {hint !== undefined && (
        <p class="hint" id={`hint-${name}`}>
          {typeof hint === 'string' ? withCode(sayAny(hint)) : hint}
        </p>
      )}
      {mistake && (
        <p class="mistake" id={`mistake-${name}`}>
          {sayMistake(mistake)}
        </p>
      )}
    </div>
  )
}

/** What stands between backticks is code. */
export const withCode = (text: string): Child[] =>
  text.split('`').map((part, at) => (at % 2 === 0 ? part : <code>{part}</code>))

const idOf = ({ prefix = 'field' }: FormState, name: string): string => `${prefix}-${name}`

/** Ties hint and mistake to their field for those who hear the page. */
function wiring({ form, name, hint }: FieldProps) {
  const mistake = form.mistakes[name]
  const described = [hint !== undefined && `hint-${name}`, mistake && `mistake-${name}`]
  return {
    id: idOf(form, name),
    'aria-invalid': mistake ? ('true' as const) : undefined,
    'aria-describedby': described.filter(Boolean).join(' ') || undefined,
  }
}

/** What is wrong with the form as a whole. */
export function FormMistake({ form }: { form: FormState }) {
  const mistake = form.mistakes['']
  if (!mistake) return null
  return (
    <div class="notice bad" role="alert">
      {sayMistake(mistake)}
    </div>
  )
}
