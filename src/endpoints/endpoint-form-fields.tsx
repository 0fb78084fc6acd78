import { FormMistake, type FormState, SelectField, TextField } from '../console/fields.tsx'
import { formFieldsOf } from '../console/form-values.ts'
import { Badge, Id, Notice, Table, Time } from '../console/parts.tsx'
import type { Area } from '../console/viewer.ts'
import { endpointFields } from './endpoint.fields.ts'

/** What the filter and types would have said to an event of the tenant. */
export interface Tried {
  id: string
  type: string
  createdAt: Date
  matches: boolean
  why: string
}

const FIELDS = formFieldsOf(endpointFields).map(([name, { form }]) => ({ name, ...form }))
const [RARE, USUAL] = [FIELDS.filter((field) => field.isRare), FIELDS.filter((f) => !f.isRare)]

export function EndpointFields({ form }: { form: FormState }) {
  const isUsed = ({ name }: { name: string }) =>
    (form.values[name] ?? '') !== '' || form.mistakes[name] !== undefined
  return (
    <>
      <FormMistake form={form} />
      {USUAL.map((field) => (
        <TextField form={form} {...field} />
      ))}
      <details open={RARE.some(isUsed)}>
        <summary>Headers, limits and retries</summary>
        {RARE.map((field) => (
          <TextField form={form} {...field} />
        ))}
      </details>
    </>
  )
}

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
        hint="For a receiver that has one from another system, exactly as it is there. If empty, Postrider generates one."
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
