import type { Context, Hono } from 'hono'
import { shownText } from '../attempts/attempt-words.ts'
import { EMPTY_FORM, FormMistake, type FormState, TextField } from '../console/fields.tsx'
import { readForm, refusedForm, saidOf } from '../console/forms.ts'
import type { RenderPage } from '../console/layout.tsx'
import {
  Badge,
  Body,
  Command,
  Confirm,
  Empty,
  Facts,
  Notice,
  Raw,
  Table,
  Time,
} from '../console/parts.tsx'
import { type PageEnv, requireScope } from '../console/viewer.ts'
import type { EventType, EventTypeOutline, EventTypes } from './event-types.ts'
import type { ExampleOf } from './example.ts'

const PATH = '/console/event-types'
const pathOf = (name: string, list = PATH): string => `${list}/${encodeURIComponent(name)}`
/** As many as there can be. */
const LISTED_MAX = 1_000
const NAME = /^(?=.{1,128}$)[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)*$/

const SAID: Record<string, string> = {
  saved: 'It is saved.',
  deprecated: 'It is deprecated; it is published and delivered anyway.',
  restored: 'It is in use again.',
}

export interface EventTypePagesOptions {
  render: RenderPage
  eventTypes: Pick<EventTypes, 'outline' | 'get'>
  exampleOf: ExampleOf
}

export function addEventTypePages(app: Hono<PageEnv>, options: EventTypePagesOptions): void {
  const { render, eventTypes, exampleOf } = options

  const list = async (c: Context<PageEnv>, form: FormState = EMPTY_FORM) => {
    const all = await eventTypes.outline({ limit: LISTED_MAX })
    return render(
      c,
      { title: 'Event types', at: PATH, status: form === EMPTY_FORM ? 200 : 422 },
      <>
        <h1>Event types</h1>
        {c.get('viewer').may('manage') && <NewType form={form} />}
        {all.length === 0 ? <Nothing /> : <TypeTable types={all} />}
      </>,
    )
  }
  app.get('/event-types', (c) => list(c))

  app.post('/event-types', requireScope('manage'), async (c) => {
    const values = await readForm(c)
    const { name = '' } = values
    if (!NAME.test(name)) {
      const name = 'This is not a dotted name of at most 128 characters, such as invoice.paid.'
      return list(c, { values, mistakes: { name } })
    }
    const refused = await save(c, name, values)
    return refused ? list(c, refused) : c.redirect(`${pathOf(name)}?said=saved`, 303)
  })

  const page = async (c: Context<PageEnv>, name: string, refused?: FormState) => {
    const type = await eventTypes.get(name)
    const example = await exampleOf(name).catch(() => null)
    const form = refused ?? { values: valuesOf(type), mistakes: {} }
    const said = saidOf(SAID, c)
    return render(
      c,
      { title: name, at: PATH, status: refused ? 422 : 200 },
      <>
        <h1>{name}</h1>
        {said && <Notice tone="good">{said}</Notice>}
        <Description type={type} example={example} />
        {c.get('viewer').may('manage') ? (
          <EditType type={type} form={form} />
        ) : (
          <Schema of={type} />
        )}
      </>,
    )
  }
  app.get('/event-types/:name', (c) => page(c, c.req.param('name')))

  app.post('/event-types/:name', requireScope('manage'), async (c) => {
    const name = c.req.param('name')
    const refused = await save(c, name, await readForm(c))
    return refused ? page(c, name, refused) : c.redirect(`${pathOf(name)}?said=saved`, 303)
  })

  // Two, since one that turned it over would undo what somebody else has just done.
  for (const [operation, said] of [
    ['deprecate', 'deprecated'],
    ['restore', 'restored'],
  ] as const) {
    app.post(`/event-types/:name/${operation}`, requireScope('manage'), async (c) => {
      const path = { name: c.req.param('name') }
      const body = { deprecated: operation === 'deprecate' }
      await c.get('viewer').api.request('PATCH /api/event-types/{name}', { path, body })
      return c.redirect(`${pathOf(path.name)}?said=${said}`, 303)
    })
  }

  app.post('/event-types/:name/forget', requireScope('manage'), async (c) => {
    const path = { name: c.req.param('name') }
    await c.get('viewer').api.request('DELETE /api/event-types/{name}', { path })
    return c.redirect(PATH, 303)
  })
}

/** The same for those who receive: what there is, with its schema and an example, and nothing that changes it. */
export function addCataloguePages(app: Hono<PageEnv>, options: EventTypePagesOptions): void {
  const { render, eventTypes, exampleOf } = options
  const list = '/portal/event-types'
  app.get('/event-types', async (c) => {
    const types = await eventTypes.outline({ limit: LISTED_MAX })
    return render(
      c,
      { title: 'Event types', at: list },
      <>
        <h1>Event types</h1>
        {types.length > 0 && <TypeTable types={types} list={list} />}
        {types.length === 0 && (
          <Empty title="No event type is described yet">
            <p>
              An endpoint can want every type, with <code>*</code>, and shows what comes. What there
              is, with its schema, appears here once the sender describes it.
            </p>
          </Empty>
        )}
      </>,
    )
  })
  app.get('/event-types/:name', async (c) => {
    const type = await eventTypes.get(c.req.param('name'))
    const example = await exampleOf(type.name).catch(() => null)
    return render(
      c,
      { title: type.name, at: list },
      <>
        <h1>{type.name}</h1>
        <Description type={type} example={example} />
        <Schema of={type} />
      </>,
    )
  })
}

function Description({ type, example }: { type: EventType; example: unknown }) {
  return (
    <>
      <Facts
        of={[
          ['Description', type.description || '–'],
          [
            'State',
            type.deprecated_at ? <Badge of="off" label="deprecated" /> : <Badge of="active" />,
          ],
          ['Described', <Time at={type.created_at} />],
          ['Changed', <Time at={type.updated_at} />],
        ]}
      />
      {example != null && (
        <>
          <h2>What a receiver gets</h2>
          <Body of={JSON.stringify(example)} label="Example" />
        </>
      )}
    </>
  )
}

function Schema({ of: type }: { of: EventType }) {
  return (
    <>
      <h2>Schema</h2>
      <Raw label="Schema">{valuesOf(type)['schema'] || 'anything goes'}</Raw>
    </>
  )
}

/** @returns the form where it was refused */
async function save(
  c: Context<PageEnv>,
  name: string,
  values: Record<string, string>,
): Promise<FormState | null> {
  const schema = (values['schema'] ?? '').trim()
  let parsed: Record<string, unknown> | null
  try {
    parsed = schema === '' ? null : JSON.parse(schema)
  } catch (error) {
    return { values, mistakes: { schema: `This is not JSON: ${(error as Error).message}.` } }
  }
  try {
    const body = { description: values['description'] ?? '', schema: parsed }
    await c.get('viewer').api.request('PUT /api/event-types/{name}', { path: { name }, body })
    return null
  } catch (error) {
    return refusedForm(values, error)
  }
}

const valuesOf = ({ description, schema }: EventType): Record<string, string> => ({
  description,
  // No larger than what is shown whole.
  schema: schema == null ? '' : shownText(JSON.stringify(schema)).text,
})

function Fields({ form }: { form: FormState }) {
  return (
    <>
      <FormMistake form={form} />
      <TextField
        form={form}
        name="description"
        label="Description"
        placeholder="An invoice was paid"
      />
      <TextField
        form={form}
        name="schema"
        label="JSON Schema of the data"
        rows={10}
        isCode
        hint="JSON Schema 2020-12. Publishing over HTTP is held to it; anything goes when empty."
      />
    </>
  )
}

function NewType({ form }: { form: FormState }) {
  return (
    <details class="stack" open={form !== EMPTY_FORM}>
      <summary class="button primary">New event type</summary>
      <form method="post" action={PATH}>
        <TextField
          form={form}
          name="name"
          label="Name"
          required
          isCode
          placeholder="invoice.paid"
        />
        <Fields form={form} />
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
        <Fields form={form} />
        <button type="submit" class="primary">
          Save
        </button>
      </form>
      <div class="actions">
        <Confirm
          label={type.deprecated_at ? 'Use again' : 'Deprecate'}
          action={`${pathOf(type.name)}/${type.deprecated_at ? 'restore' : 'deprecate'}`}
          question={
            type.deprecated_at
              ? 'Tell receivers that they may rely on it again?'
              : 'Tell receivers not to rely on it any more? It is delivered anyway.'
          }
          yes="Yes"
        />
        <Confirm
          label="Forget"
          action={`${pathOf(type.name)}/forget`}
          question="Forget description and schema? Its events stay."
          yes="Yes, forget it"
          isDangerous
        />
      </div>
    </>
  )
}

function Nothing() {
  return (
    <Empty title="No event type is described yet">
      <p>
        Descriptions, schemas and examples tell your customers what they can subscribe to. From a
        shell:
      </p>
      <Command>
        {'scripts/postrider event-type create invoice.paid --description "An invoice was paid"'}
      </Command>
    </Empty>
  )
}

function TypeTable({ types, list = PATH }: { types: readonly EventTypeOutline[]; list?: string }) {
  return (
    <Table label="Event types" head={['Name', 'Description', 'Schema', 'State']}>
      {types.map(({ name, description, has_schema: hasSchema, deprecated_at: since }) => (
        <tr>
          <td>
            <a href={pathOf(name, list)}>{name}</a>
          </td>
          <td>{description}</td>
          <td>{hasSchema ? 'yes' : <span class="muted">anything goes</span>}</td>
          <td>{since ? <Badge of="off" label="deprecated" /> : <Badge of="active" />}</td>
        </tr>
      ))}
    </Table>
  )
}
