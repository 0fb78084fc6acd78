import { FormMistake, type FormState, SelectField, TextField } from '../console/fields.tsx'
import { Badge, Id, Notice, Table, Time } from '../console/parts.tsx'
import type { Area } from '../console/viewer.ts'

/** What the filter and types would have said to an event of the tenant. */
export interface Tried {
  id: string
  type: string
  createdAt: Date
  matches: boolean
  why: string
}

export function EndpointFields({ form }: { form: FormState }) {
  return (
    <>
      <FormMistake form={form} />
      <TextField
        form={form}
        name="url"
        label="URL"
        required
        isCode
        placeholder="https://example.com/webhooks"
      />
      <TextField form={form} name="description" label="Description" />
      <TextField
        form={form}
        name="eventTypes"
        label="Event types"
        rows={3}
        isCode
        placeholder="invoice.*"
        hint={
          <>
            One a line: a name such as <code>invoice.paid</code>, a pattern such as{' '}
            <code>invoice.*</code>, or <code>*</code>. Every type when empty.
          </>
        }
      />
      <TextField
        form={form}
        name="filter"
        label="Filter on the data"
        rows={2}
        isCode
        placeholder={'$.amount > 100 && $.currency == "EUR"'}
        hint="Only events whose data it is true of. Every event when empty."
      />
      <details open={form.values['headers'] !== undefined && hasLimits(form)}>
        <summary>Headers, limits and retries</summary>
        <TextField
          form={form}
          name="headers"
          label="Headers to send along"
          rows={3}
          isCode
          hint="One a line, as Name: value. *** stands for a secret value: leave it, and the value stays."
        />
        <TextField
          form={form}
          name="secretHeaders"
          label="Headers that are secret"
          hint="Their names, with commas. Those that look like credentials are in any case; no value is shown again."
        />
        <TextField form={form} name="ratePerSecond" label="Requests a second at most" />
        <TextField form={form} name="maxInFlight" label="Requests at the same time at most" />
        <TextField
          form={form}
          name="timeoutSeconds"
          label="Time to answer, in seconds"
          hint="That of the service when empty."
        />
        <TextField
          form={form}
          name="retrySchedule"
          label="Seconds before the 2nd, 3rd, … attempt"
          placeholder="60, 120, 240"
          hint="The schedule of the service when empty."
        />
      </details>
    </>
  )
}

const LIMITS = [
  'headers',
  'secretHeaders',
  'ratePerSecond',
  'maxInFlight',
  'timeoutSeconds',
  'retrySchedule',
]
const hasLimits = ({ values, mistakes }: FormState) =>
  LIMITS.some((name) => (values[name] ?? '') !== '' || mistakes[name] !== undefined)

const ENCODINGS = [
  ['', 'By its form: base64 of Standard Webhooks, otherwise text'],
  ['base64', 'base64, as Standard Webhooks and Svix do'],
  ['base64url', 'URL-safe base64'],
  ['hex', 'hex'],
  ['text', 'Text as it is, as GitHub, Stripe, Convoy and Outpost do'],
] as const

/** A secret that the receiver has already; one is generated where the field stays empty. */
export function SecretFields({ form, encoding }: { form: FormState; encoding: string }) {
  return (
    <>
      <TextField
        form={form}
        name="secret"
        label="Secret of your own"
        isCode
        hint="For a receiver that has one from another system, exactly as it is there. A new one is made when empty."
      />
      <SelectField form={form} name={encoding} label="How the secret is read" choices={ENCODINGS} />
    </>
  )
}

/** What would have come of the last events, before anything is saved. */
export function TriedTable({ tried, area }: { tried: readonly Tried[]; area: Area }) {
  if (tried.length === 0) {
    return <Notice tone="good">There are no events yet to try this against.</Notice>
  }
  const matching = tried.filter(({ matches }) => matches).length
  return (
    <section aria-label="Tried against the last events">
      <Notice tone="good">
        Of the last {tried.length} events, {matching} would have been sent. Nothing is saved yet.
      </Notice>
      <Table
        label="Tried against the last events"
        head={['Event', 'Type', 'Published', 'Would be sent']}
      >
        {tried.map(({ id, type, createdAt, matches, why }) => (
          <tr>
            <td>
              {area === 'console' ? (
                <Id of={id} href={`/console/events/${id}`} isShort />
              ) : (
                <Id of={id} isShort />
              )}
            </td>
            <td>{type}</td>
            <td>
              <Time at={createdAt} />
            </td>
            <td>
              <Badge of={matches ? 'delivered' : 'off'} label={matches ? 'yes' : 'no'} /> {why}
            </td>
          </tr>
        ))}
      </Table>
    </section>
  )
}
