import type { Child } from 'hono/jsx'
import type { BulkAction } from './bulk.ts'

/** What stands on the buttons, and in the question of the page that comes next. */
export const ACTION_LABELS: Record<BulkAction, string> = {
  retry: 'Retry',
  cancel: 'Cancel',
  release: 'Release',
  redeliver: 'Redeliver',
}

/** What was done by them, in a sentence. */
export const DONE: Record<BulkAction, string> = {
  retry: 'retried',
  cancel: 'cancelled',
  release: 'released',
  redeliver: 'redelivered',
}

const APPLIES: Record<string, BulkAction> = {
  held: 'release',
  delivered: 'redeliver',
  failed: 'retry',
  cancelled: 'retry',
}

/** The action that applies to deliveries in this state, where another one does not. */
export function insteadOf(state: string, action: BulkAction): BulkAction | undefined {
  const other = APPLIES[state]
  return other === action ? undefined : other
}

/** Of the form that the check boxes of a list belong to. */
const FORM_ID = 'bulk'

/** A row of a list, to be chosen; whose it is goes along, since a job acts for one tenant. */
export function SelectBox(props: { name: string; tenantKey: string; label: string }) {
  const { name, tenantKey, label } = props
  return (
    <input
      type="checkbox"
      form={FORM_ID}
      name={name}
      value={tenantKey}
      aria-label={`Select ${label}`}
    />
  )
}

/** Before the names of filters, so that they are told from fields of the action. */
const FILTER = 'f.'

/** The filters that a bulk bar has sent along, as the list takes them. */
export function filtersOf(values: Record<string, string>): Record<string, string> {
  const filters = Object.entries(values).filter(([name]) => name.startsWith(FILTER))
  return Object.fromEntries(filters.map(([name, value]) => [name.slice(FILTER.length), value]))
}

/** What can be done with the rows that are selected. */
export function BulkBar(props: {
  action: string
  label: string
  /** Those of the list, for the way back to it. */
  filters: Record<string, string>
  children?: Child
}) {
  const { action, label, filters, children } = props
  return (
    <form id={FORM_ID} method="post" action={action} class="row bulk" aria-label={label}>
      {Object.entries(filters).map(([name, value]) => (
        <input type="hidden" name={`${FILTER}${name}`} value={value} />
      ))}
      {children}
    </form>
  )
}
