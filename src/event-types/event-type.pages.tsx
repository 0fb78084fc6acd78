import type { Context, Hono } from 'hono'
import { type Column, ColumnMenu, DataTable } from '../console/data-table.tsx'
import { EMPTY_FORM, FormMistake, type FormState } from '../console/fields.tsx'
import { FormField, FormFields } from '../console/form-fields.tsx'
import { bodyOfForm, formValuesOf } from '../console/form-values.ts'
import { readForm, refusedForm, saidOf } from '../console/forms.ts'
import { phrase, say } from '../console/language.ts'
import type { RenderPage } from '../console/layout.tsx'
import { Command, Confirm, Empty, Notice } from '../console/parts.tsx'
import { type Area, type PageEnv, requireScope } from '../console/viewer.ts'
import { eventType } from '../events/event-input.ts'
import { parseSettings } from '../http/request-body.ts'
import { type DescribeOptions, describeType } from './describe-type.ts'
import { Described, TypeState } from './described.tsx'
import { eventTypeFields, eventTypeInput } from './event-type.fields.ts'
import type { EventType, EventTypeOutline, EventTypes } from './event-types.ts'

const PATH = '/console/event-types'
const pathOf = (name: string, list = PATH): string => `${list}/${encodeURIComponent(name)}`
/** As many as there can be. */
const LISTED_MAX = 1_000
const NAME_MISTAKE = 'This is not a dotted name of at most 128 characters, such as invoice.paid.'

const SAID: Record<string, string> = {
  saved: 'Event type saved.',
  deprecated: 'Event type deprecated. Its events are still delivered.',
  restored: 'Event type restored.',
}

export interface CataloguePages extends DescribeOptions {
  area: Area
  render: RenderPage
  eventTypes: Pick<EventTypes, 'outline' | 'get' | 'versions'>
}

export interface EventTypePages extends CataloguePages {
  eventTypes: Pick<EventTypes, 'outline' | 'get' | 'versions' | 'put' | 'change' | 'delete'>
}

type C = Context<PageEnv>

export function addEventTypePages(app: Hono<PageEnv>, pages: EventTypePages): void {
  const managing = requireScope('manage')
  app.get('/event-types', (c) => showList(c, pages))
  app.post('/event-types', managing, (c) => create(c, pages))
  app.get('/event-types/:name', (c) => showPage(c, pages))
  app.post('/event-types/:name', managing, (c) => change(c, pages))
  // Two buttons: a toggle would undo what another person has just done.
  app.post('/event-types/:name/deprecate', managing, (c) => deprecate(c, pages))
  app.post('/event-types/:name/restore', managing, (c) => restore(c, pages))
  app.post('/event-types/:name/forget', managing, (c) => forget(c, pages))
}

/** The same for those who receive: what there is, with its schema and an example, and nothing that changes it. */
export function addCataloguePages(app: Hono<PageEnv>, pages: CataloguePages): void {
  app.get('/event-types', (c) => showList(c, pages))
  app.get('/event-types/:name', (c) => showPage(c, pages))
}

const nameOf = (c: C): string => c.req.param('name') ?? ''
const listOf = ({ area }: { area: Area }): string => `/${area}/event-types`
/** They are the producer's: a link to the portal manages other things. */
const mayChange = (c: C, { area }: CataloguePages): boolean =>
  area === 'console' && c.get('viewer').may('manage')

async function showList(c: C, pages: CataloguePages, form = EMPTY_FORM) {
  const all = await pages.eventTypes.outline({ limit: LISTED_MAX })
  const list = listOf(pages)
  return pages.render(
    c,
    { title: 'Event types', at: list, status: form === EMPTY_FORM ? 200 : 422 },
    <>
      <div class="head">
        <h1>{say('Event types')}</h1>
        {all.length > 0 && <ColumnMenu name="event-types" columns={COLUMNS} />}
      </div>
      {mayChange(c, pages) && <NewType form={form} />}
      {all.length === 0 ? <Nothing {...pages} /> : <TypeTable types={all} list={list} />}
    </>,
  )
}

async function create(c: C, pages: EventTypePages) {
  const values = await readForm(c)
  const { name = '' } = values
  if (!eventType.safeParse(name).success) {
    return showList(c, pages, { values, mistakes: { name: NAME_MISTAKE } })
  }
  const refused = await save(pages, name, values)
  return refused ? showList(c, pages, refused) : c.redirect(`${pathOf(name)}?said=saved`, 303)
}

async function showPage(c: C, pages: CataloguePages, refused?: FormState) {
  const described = await describeType(pages, nameOf(c))
  const { type } = described
  const form = refused ?? { values: valuesOf(type), mistakes: {} }
  const said = saidOf(SAID, c)
  return pages.render(
    c,
    { title: type.name, at: listOf(pages), status: refused ? 422 : 200 },
    <>
      <h1>{type.name}</h1>
      {said && <Notice tone="good">{said}</Notice>}
      <Described {...described} isEdited={mayChange(c, pages)} />
      {mayChange(c, pages) && <EditType type={type} form={form} />}
    </>,
  )
}

async function change(c: C, pages: EventTypePages) {
  const name = nameOf(c)
  const refused = await save(pages, name, await readForm(c))
  return refused ? showPage(c, pages, refused) : c.redirect(`${pathOf(name)}?said=saved`, 303)
}

async function deprecate(c: C, { eventTypes }: EventTypePages) {
  await eventTypes.change(nameOf(c), { deprecated: true })
  return c.redirect(`${pathOf(nameOf(c))}?said=deprecated`, 303)
}

async function restore(c: C, { eventTypes }: EventTypePages) {
  await eventTypes.change(nameOf(c), { deprecated: false })
  return c.redirect(`${pathOf(nameOf(c))}?said=restored`, 303)
}

async function forget(c: C, { eventTypes }: EventTypePages) {
  await eventTypes.delete(nameOf(c))
  return c.redirect(PATH, 303)
}

/** @returns the form where it was refused */
async function save(
  { eventTypes }: EventTypePages,
  name: string,
  values: Record<string, string>,
): Promise<FormState | null> {
  try {
    const change = parseSettings(eventTypeInput, bodyOfForm(eventTypeFields, values))
    await eventTypes.put(parseSettings(eventType, name), change)
    return null
  } catch (error) {
    return refusedForm(values, error)
  }
}

const valuesOf = (type: EventType) => formValuesOf(eventTypeFields, type)

function NewType({ form }: { form: FormState }) {
  return (
    <details class="stack" open={form !== EMPTY_FORM}>
      <summary class="button primary">New event type</summary>
      <form method="post" action={PATH}>
        <FormMistake form={form} />
        <FormField form={form} name="name" of={eventTypeFields.name} />
        <FormFields form={form} of={eventTypeFields} />
        <button type="submit" class="primary">
          Save event type
        </button>
      </form>
    </details>
  )
}

function EditType({ type, form }: { type: EventType; form: FormState }) {
  return (
    <>
      <h2>Edit</h2>
      <form method="post" action={pathOf(type.name)} class="stack">
        <FormMistake form={form} />
        <FormFields form={form} of={eventTypeFields} />
        <button type="submit" class="primary">
          Save
        </button>
      </form>
      <div class="actions">
        <Confirm
          label={type.deprecated_at ? 'Restore' : 'Deprecate'}
          action={`${pathOf(type.name)}/${type.deprecated_at ? 'restore' : 'deprecate'}`}
          question={
            type.deprecated_at
              ? 'Receivers can rely on this event type again.'
              : 'Receivers see that they should not rely on this event type. Its events are still delivered.'
          }
          yes={type.deprecated_at ? 'Restore event type' : 'Deprecate event type'}
        />
        <Confirm
          label="Delete"
          action={`${pathOf(type.name)}/forget`}
          question="Its description and schema are deleted. Its events stay."
          yes="Delete event type"
          isDangerous
        />
      </div>
    </>
  )
}

function Nothing({ area }: CataloguePages) {
  if (area === 'portal') {
    return (
      <Empty title="No event types yet">
        <p>
          {phrase(
            'Event types appear here, with their schemas, once the sender describes them. Until then, an endpoint can subscribe to every type with {star}.',
            { star: <code>*</code> },
          )}
        </p>
      </Empty>
    )
  }
  return (
    <Empty title="No event types yet">
      <p>
        Descriptions, schemas and examples tell your customers what they can subscribe to. From a
        shell:
      </p>
      <Command>
        {'scripts/postrider event-type put invoice.paid --description "An invoice was paid"'}
      </Command>
    </Empty>
  )
}

const COLUMNS: Column<EventTypeOutline>[] = [
  { name: 'name', label: 'Name', kind: 'main', cell: ({ name }) => name },
  {
    name: 'description',
    label: 'Description',
    kind: 'name',
    cell: ({ description }) => description,
  },
  {
    name: 'schema',
    label: 'Schema',
    cell: ({ has_schema: hasSchema }) =>
      hasSchema ? say('yes') : <span class="muted">{say('any data')}</span>,
  },
  {
    name: 'state',
    label: 'State',
    cell: (type) => <TypeState of={type} />,
  },
]

function TypeTable({ types, list }: { types: readonly EventTypeOutline[]; list: string }) {
  return (
    <DataTable
      name="event-types"
      label="Event types"
      columns={COLUMNS}
      rows={types}
      hrefOf={({ name }) => pathOf(name, list)}
    />
  )
}
