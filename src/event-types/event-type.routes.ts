import { createRoute, type OpenAPIHono, z } from '@hono/zod-openapi'
import type { MiddlewareHandler } from 'hono'
import { createMiddleware } from 'hono/factory'
import { eventType } from '../events/event-input.ts'
import type { ApiEnv, Authenticate } from '../http/authenticate.ts'
import { nameQuery, pageSchema, readPageByName } from '../http/pages.ts'
import { settingsBody } from '../http/request-body.ts'
import { json, OF_BODY, problems } from '../http/responses.ts'
import { visibleText } from '../http/validation.ts'
import { Problem } from '../problem.ts'
import { type EventType, EventTypeNotFound, type EventTypes } from './event-types.ts'
import type { ExampleOf } from './example.ts'

const DESCRIPTION_LENGTH_MAX = 1000
const tags = ['Event types']
const params = z.object({ name: z.string() })
const time = z.iso.datetime()

export const eventTypeInput = z
  .strictObject({
    description: visibleText(DESCRIPTION_LENGTH_MAX, 'prose').optional(),
    schema: z
      .union([z.record(z.string(), z.unknown()), z.boolean()])
      .nullable()
      .optional()
      .openapi({
        description: 'JSON Schema 2020-12 of the data, with local references only; null = none.',
        type: ['object', 'boolean', 'null'],
      }),
    deprecated: z.boolean().optional(),
  })
  .openapi('EventTypeChange')

const eventTypeSchema = z
  .object({
    name: z.string(),
    description: z.string(),
    schema: z.unknown(),
    deprecatedAt: time.nullable(),
    createdAt: time,
    updatedAt: time,
  })
  .openapi('EventType')

const exampleSchema = z
  .object({ type: z.string(), timestamp: time, data: z.unknown() })
  .openapi('ExampleEvent')

export interface EventTypeRouteOptions {
  eventTypes: EventTypes
  exampleOf: ExampleOf
  authenticate: Authenticate
}

export function addEventTypeRoutes(app: OpenAPIHono<ApiEnv>, options: EventTypeRouteOptions): void {
  const reading = [options.authenticate('read')]
  addReadRoutes(app, options, reading)
  addWriteRoutes(app, options, [options.authenticate('manage'), notOfOneTenant])
}

/** Event types are the producer's: they hold for every tenant. */
const notOfOneTenant = createMiddleware<ApiEnv>(async (c, next) => {
  if (c.get('caller').tenant) {
    throw new Problem('scope_missing', { detail: 'A key of one tenant cannot change event types.' })
  }
  await next()
})

function addReadRoutes(
  app: OpenAPIHono<ApiEnv>,
  { eventTypes, exampleOf }: EventTypeRouteOptions,
  middleware: MiddlewareHandler<ApiEnv>[],
): void {
  const list = createRoute({
    method: 'get',
    path: '/api/event-types',
    summary: 'List event types by name',
    tags,
    middleware,
    request: { query: nameQuery },
    responses: { 200: json(pageSchema(eventTypeSchema), 'A page.'), ...problems(422) },
  })
  app.openapi(list, async (c) => {
    return c.json(await readPageByName(c.req.valid('query'), eventTypes.list, present), 200)
  })

  const get = createRoute({
    method: 'get',
    path: '/api/event-types/{name}',
    summary: 'Show an event type',
    tags,
    middleware,
    request: { params },
    responses: { 200: json(eventTypeSchema, 'The event type.'), ...problems(404) },
  })
  app.openapi(get, async (c) => {
    return c.json(present(await eventTypes.get(nameOf(c.req.valid('param')))), 200)
  })

  const example = createRoute({
    method: 'get',
    path: '/api/event-types/{name}/example',
    summary: 'An example of what a receiver gets',
    tags,
    middleware,
    request: { params },
    responses: {
      200: json(exampleSchema, 'An event whose data fits the schema.'),
      ...problems(404, 422),
    },
  })
  app.openapi(example, async (c) => {
    const type = nameOf(c.req.valid('param'))
    const made = await exampleOf(type)
    if (!made) throw new Problem('example_not_found')
    return c.json({ type, timestamp: new Date().toISOString(), data: made.data }, 200)
  })
}

function addWriteRoutes(
  app: OpenAPIHono<ApiEnv>,
  { eventTypes }: EventTypeRouteOptions,
  middleware: MiddlewareHandler<ApiEnv>[],
): void {
  const path = '/api/event-types/{name}'
  const body = { content: { 'application/json': { schema: eventTypeInput } } }

  const put = createRoute({
    method: 'put',
    path,
    summary: 'Describe an event type, or change its description; what is left out stays',
    tags,
    middleware: [...middleware, settingsBody],
    request: { params: z.object({ name: eventType }), body },
    responses: {
      200: json(eventTypeSchema, 'It was there.'),
      201: json(eventTypeSchema, 'It is new.'),
      ...problems(409, ...OF_BODY),
    },
  })
  app.openapi(put, async (c) => {
    const { name } = c.req.valid('param')
    const { eventType, isNew } = await eventTypes.put(name, c.req.valid('json'))
    return c.json(present(eventType), isNew ? 201 : 200)
  })

  const patch = createRoute({
    method: 'patch',
    path,
    summary: 'Change an event type, or deprecate it',
    tags,
    middleware: [...middleware, settingsBody],
    request: { params, body: { required: true, ...body } },
    responses: { 200: json(eventTypeSchema, 'As it is now.'), ...problems(404, ...OF_BODY) },
  })
  app.openapi(patch, async (c) => {
    const name = nameOf(c.req.valid('param'))
    const eventType = await eventTypes.change(name, c.req.valid('json'))
    return c.json(present(eventType), 200)
  })

  const remove = createRoute({
    method: 'delete',
    path,
    summary: 'Forget the description of an event type; its events stay',
    tags,
    middleware,
    request: { params },
    responses: { 204: { description: 'It is gone.' }, ...problems(404) },
  })
  app.openapi(remove, async (c) => {
    await eventTypes.delete(nameOf(c.req.valid('param')))
    return c.body(null, 204)
  })
}

/** What cannot be a name names nothing either. */
function nameOf({ name }: { name: string }): string {
  if (!eventType.safeParse(name).success) throw new EventTypeNotFound()
  return name
}

function present(eventType: EventType): z.output<typeof eventTypeSchema> {
  return {
    name: eventType.name,
    description: eventType.description,
    schema: eventType.schema,
    deprecatedAt: eventType.deprecated_at?.toISOString() ?? null,
    createdAt: eventType.created_at.toISOString(),
    updatedAt: eventType.updated_at.toISOString(),
  }
}
