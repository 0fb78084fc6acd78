import { z } from '@hono/zod-openapi'
import type { EventTypes } from '../event-types/event-types.ts'
import { SvixError, svixNotFound } from './svix-error.ts'
import {
  presentSvixEventType,
  svixEventTypeInput,
  svixEventTypeName,
  svixEventTypePatch,
  svixEventTypeSchema,
  svixEventTypeUpdate,
} from './svix-event-type.fields.ts'
import { svixPage, svixPageQuery, svixPageSchema } from './svix-page.ts'
import {
  addingSvixRoutes,
  svixBody,
  svixFlag,
  svixJson,
  svixNothing,
  svixRoutesFor,
} from './svix-route.ts'

interface Options {
  eventTypes: EventTypes
}

const route = svixRoutesFor<Options>()
const path = '/event-type/{event_type_name}'
const params = z.object({ event_type_name: z.string() })
const shown = (description: string) => svixJson(svixEventTypeSchema, description)

const list = route({
  method: 'get',
  path: '/event-type',
  operationId: 'v1.event-type.list',
  summary: 'List event types',
  description: 'Sorted by name.',
  scope: 'read',
  of: 'any',
  request: {
    query: svixPageQuery({ order: 'ascending' }).extend({
      include_archived: svixFlag,
      with_content: svixFlag.openapi({ description: 'Whether the schemas are shown.' }),
    }),
  },
  responses: { 200: svixJson(svixPageSchema(svixEventTypeSchema), 'A page.') },
  async answer(c, { eventTypes }) {
    const { limit, iterator, order, ...query } = c.req.valid('query')
    const isBackward = iterator?.startsWith('-') ?? false
    const rows = await eventTypes.list({
      limit: limit + 1,
      after: iterator ? iterator.replace(/^-?\.?/, '') : null,
      isDescending: (order === 'descending') !== isBackward,
      withoutArchived: query.include_archived !== 'true',
    })
    const withContent = query.with_content === 'true'
    const page = svixPage(rows, {
      limit,
      isBackward,
      // No name begins with a dot: behind one, a - belongs to the name.
      iteratorOf: ({ name }) => (name.startsWith('-') ? `.${name}` : name),
      present: (row) => presentSvixEventType(row, { withContent }),
    })
    return c.json(await page, 200)
  },
})

const create = route({
  method: 'post',
  path: '/event-type',
  operationId: 'v1.event-type.create',
  summary: 'Create event type',
  description: 'Creates an event type, or restores an archived one.',
  scope: 'manage',
  of: 'organisation',
  request: { body: svixBody(svixEventTypeInput) },
  responses: { 201: shown('It is in use.') },
  async answer(c, { eventTypes }) {
    const { name, ...values } = c.req.valid('json')
    const made = await eventTypes.create(name, replacing(values))
    if (made) return c.json(presentSvixEventType(made), 201)
    throw new SvixError(409, 'event_type_exists', 'An event_type with this name already exists')
  },
})

const get = route({
  method: 'get',
  path,
  operationId: 'v1.event-type.get',
  summary: 'Get event type',
  scope: 'read',
  of: 'any',
  request: { params },
  responses: { 200: shown('The event type.') },
  answer: async (c, { eventTypes }) =>
    c.json(presentSvixEventType(await eventTypes.get(nameOf(c.req.valid('param')))), 200),
})

const update = route({
  method: 'put',
  path,
  operationId: 'v1.event-type.update',
  summary: 'Update event type',
  description: 'Replaces the event type. If it does not exist, it is created.',
  scope: 'manage',
  of: 'organisation',
  request: {
    params: z.object({ event_type_name: svixEventTypeName }),
    body: svixBody(svixEventTypeUpdate),
  },
  responses: { 200: shown('As it is now.'), 201: shown('It is new.') },
  async answer(c, { eventTypes }) {
    const { event_type_name: name } = c.req.valid('param')
    const { eventType, isNew } = await eventTypes.put(name, replacing(c.req.valid('json')))
    return c.json(presentSvixEventType(eventType), isNew ? 201 : 200)
  },
})

const patch = route({
  method: 'patch',
  path,
  operationId: 'v1.event-type.patch',
  summary: 'Change event type',
  description: 'Members that are left out keep their values.',
  scope: 'manage',
  of: 'organisation',
  request: { params, body: svixBody(svixEventTypePatch) },
  responses: { 200: shown('As it is now.') },
  async answer(c, { eventTypes }) {
    const { description, archived, deprecated, schemas, groupName } = c.req.valid('json')
    const change = {
      description,
      archived: archived ?? undefined,
      deprecated: deprecated ?? undefined,
      svixSchemas: schemas,
      groupName,
    }
    const changed = await eventTypes.change(nameOf(c.req.valid('param')), change)
    return c.json(presentSvixEventType(changed), 200)
  },
})

const remove = route({
  method: 'delete',
  path,
  operationId: 'v1.event-type.delete',
  summary: 'Delete event type',
  description: 'Archives it; with `expunge`, nothing is left.',
  scope: 'manage',
  of: 'organisation',
  request: { params, query: z.object({ expunge: svixFlag }) },
  responses: { 204: svixNothing('Archived, or deleted.') },
  async answer(c, { eventTypes }) {
    const name = nameOf(c.req.valid('param'))
    if (c.req.valid('query').expunge === 'true') await eventTypes.delete(name)
    else await eventTypes.change(name, { archived: true })
    return c.body(null, 204)
  },
})

export const addSvixEventTypeRoutes = addingSvixRoutes([
  ...[list, create, get, update, patch, remove],
])

type Settings = Omit<z.output<typeof svixEventTypeInput>, 'name'>

/** Every value, as it is where nothing is said. */
const replacing = ({ description, archived, deprecated, schemas, groupName }: Settings) => ({
  description,
  archived: archived ?? false,
  deprecated: deprecated ?? false,
  svixSchemas: schemas ?? null,
  groupName: groupName ?? null,
})

/** What cannot be a name names nothing either. */
function nameOf({ event_type_name: name }: z.output<typeof params>): string {
  if (!svixEventTypeName.safeParse(name).success) throw svixNotFound()
  return name
}
