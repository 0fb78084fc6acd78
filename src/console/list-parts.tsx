import type { Child } from 'hono/jsx'
import { EMPTY_FORM, type FormState, SelectField, TextField } from './fields.tsx'
import { CLASS_CHOICES, REASON_CHOICES, STATE_CHOICES } from './filters.ts'
import { urlWith } from './forms.ts'

/** The form above a list; what it asks for stands in the address. */
export function FilterForm({
  action,
  form = EMPTY_FORM,
  children,
}: {
  action: string
  form?: FormState
  children?: Child
}) {
  return (
    <form method="get" action={action} class="filters" aria-label="Filter">
      {children}
      <div class="field actions">
        <button type="submit" class="primary">
          Filter
        </button>
        {Object.keys(form.values).length > 0 && (
          <a class="button" href={action}>
            Clear
          </a>
        )}
      </div>
    </form>
  )
}

export const TenantFilter = ({ form }: { form: FormState }) => (
  <TextField form={form} name="tenant" label="Tenant (key)" />
)
export const TypeFilter = ({ form }: { form: FormState }) => (
  <TextField form={form} name="type" label="Type" placeholder="invoice.*" />
)
export const EndpointFilter = ({ form }: { form: FormState }) => (
  <TextField form={form} name="endpoint" label="Endpoint (id)" />
)
export const StateFilter = ({ form, label = 'State' }: { form: FormState; label?: string }) => (
  <SelectField form={form} name="state" label={label} choices={STATE_CHOICES} />
)
export const ClassFilter = ({ form }: { form: FormState }) => (
  <SelectField form={form} name="class" label="Last answer" choices={CLASS_CHOICES} />
)
export const ReasonFilter = ({ form }: { form: FormState }) => (
  <SelectField form={form} name="reason" label="Reason" choices={REASON_CHOICES} />
)
export const TimeFilters = ({ form }: { form: FormState }) => (
  <>
    <TextField form={form} name="since" label="From (UTC)" type="datetime-local" />
    <TextField form={form} name="until" label="Before (UTC)" type="datetime-local" />
  </>
)

/** The way to older rows; where a page was cut short it says that, since it may be empty. */
export function Older({
  path,
  form,
  next,
  isCutShort,
}: {
  path: string
  form: FormState
  next: string | null
  isCutShort: boolean
}) {
  if (next === null) return null
  const { before: _, ...values } = form.values
  return (
    <p class="pager">
      {isCutShort && <>What you are looking for is rare, so this page looked only so far back. </>}
      <a class="button" href={urlWith(path, { ...values, before: next })} rel="next">
        {isCutShort ? 'Look further back' : 'Older'}
      </a>
    </p>
  )
}
