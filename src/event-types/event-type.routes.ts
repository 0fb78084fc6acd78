import { z } from '@hono/zod-openapi'
import { createMiddleware } from 'hono/factory'
import { eventType } from '../events/event-input.ts'
import type { ApiEnv } from '../http/authenticate.ts'
import { nameQuery, pageSchema, readPageByName } from '../http/pages.ts'
import { json, jsonBody, OF_BODY, problems } from '../http/responses.ts'
import { addingRoutes, type Frame, ofScope, routesFor } from '../http/route.ts'
import { Problem } from '../problem.ts'
import {
  eventTypeFields,
  eventTypeInput,
  eventTypeSchema,
  presentEventType,
  presentVersion,
  versionSchema,
} from './event-type.fields.ts'
import { EventTypeNotFound, type EventTypes } from './event-types.ts'
import type { ExampleOf } from './example.ts'

const tags = ['Event types']
const params = z.object({ name: z.string() })
const time = z.iso.datetime()

const exampleSchema = z
  .object({
    type: z.string().openapi({ example: eventTypeFields.name.example }),
    timestamp: time,
    data: z.unknown().openapi({ example: { id: 1, amount: 100 } }),
  })
  .openapi('ExampleEvent')

interface Options {
  eventTypes: EventTypes
  exampleOf: ExampleOf
}

/** Event types are the producer's: they hold for every tenant. */
const notOfOneTenant = createMiddleware<ApiEnv>(async (c, next) => {
  if (c.get('caller').tenant) {
    throw new Problem('scope_missing', { detail: 'A key of one tenant cannot change event types.' })
  }
  await next()
})

const route = routesFor<Options>()
const writing = ({ authenticate }: Frame) => [authenticate('manage'), notOfOneTenant]
const path = '/api/event-types/{name}'
const body = jsonBody(eventTypeInput)

const list = route({
  method: 'get',
  path: '/api/event-types',
  summary: 'List event types',
  description: 'Sorted by name.',
  tags,
  request: { query: nameQuery },
  responses: { 200: json(pageSchema(eventTypeSchema), 'A page.'), ...problems(422) },
  guards: ofScope('read'),
  async answer(c, { eventTypes }) {
    return c.json(
      await readPageByName(c.req.valid('query'), eventTypes.list, presentEventType),
      200,
    )
  },
})

const get = route({
  method: 'get',
  path: '/api/event-types/{name}',
  summary: 'Get event type',
  description: 'With its description and schema.',
  tags,
  request: { params },
  responses: { 200: json(eventTypeSchema, 'The event type.'), ...problems(404) },
  guards: ofScope('read'),
  async answer(c, { eventTypes }) {
    return c.json(presentEventType(await eventTypes.get(nameOf(c.req.valid('param')))), 200)
  },
})

const example = route({
  method: 'get',
  path: '/api/event-types/{name}/example',
  summary: 'Get event type example',
  description: 'A request body as a receiver gets it, with data that fits the schema.',
  tags,
  request: { params },
  responses: {
    200: json(exampleSchema, 'An event whose data fits the schema.'),
    ...problems(404, 422),
  },
  guards: ofScope('read'),
  async answer(c, { exampleOf }) {
    const type = nameOf(c.req.valid('param'))
    const made = await exampleOf(type)
    if (!made) throw new Problem('example_not_found')
    return c.json({ type, timestamp: new Date().toISOString(), data: made.data }, 200)
  },
})

const versions = route({
  method: 'get',
  path: '/api/event-types/{name}/versions',
  summary: 'List event type versions',
  description:
    'The schemas that the event type has had, newest first; the newest 20 are kept. A new schema is a new version.',
  tags,
  request: { params },
  responses: {
    200: json(z.object({ data: z.array(versionSchema) }), 'All of them.'),
    ...problems(404),
  },
  guards: ofScope('read'),
  async answer(c, { eventTypes }) {
    const { name } = await eventTypes.get(nameOf(c.req.valid('param')))
    return c.json({ data: (await eventTypes.versions(name)).map(presentVersion) }, 200)
  },
})

const put = route({
  method: 'put',
  path,
  summary: 'Create or update event type',
  description: 'Omitted members keep their values.',
  tags,
  request: { params: z.object({ name: eventType }), body },
  responses: {
    200: json(eventTypeSchema, 'It was there.'),
    201: json(eventTypeSchema, 'It is new.'),
    ...problems(409, ...OF_BODY),
  },
  guards: writing,
  async answer(c, { eventTypes }) {
    const { name } = c.req.valid('param')
    const { eventType, isNew } = await eventTypes.put(name, c.req.valid('json'))
    return c.json(presentEventType(eventType), isNew ? 201 : 200)
  },
})

const patch = route({
  method: 'patch',
  path,
  summary: 'Update event type',
  description: 'Changes the members that are given; `deprecated` marks it as deprecated.',
  tags,
  request: { params, body: { required: true, ...body } },
  responses: { 200: json(eventTypeSchema, 'As it is now.'), ...problems(404, ...OF_BODY) },
  guards: writing,
  async answer(c, { eventTypes }) {
    const name = nameOf(c.req.valid('param'))
    const eventType = await eventTypes.change(name, c.req.valid('json'))
    return c.json(presentEventType(eventType), 200)
  },
})

const remove = route({
  method: 'delete',
  path,
  summary: 'Delete event type',
  description: 'Deletes the description and schema. Events of this type stay.',
  tags,
  request: { params },
  responses: { 204: { description: 'Deleted.' }, ...problems(404) },
  guards: writing,
  async answer(c, { eventTypes }) {
    await eventTypes.delete(nameOf(c.req.valid('param')))
    return c.body(null, 204)
  },
})

export const addEventTypeRoutes = addingRoutes([list, get, example, versions, put, patch, remove])

/** What cannot be a name names nothing either. */
function nameOf({ name }: { name: string }): string {
  if (!eventType.safeParse(name).success) throw new EventTypeNotFound()
  return name
}
