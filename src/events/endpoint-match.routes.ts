import { z } from '@hono/zod-openapi'
import type { Context } from 'hono'
import { createMiddleware } from 'hono/factory'
import type { Endpoint } from '../endpoints/endpoint.fields.ts'
import { endpointOf, endpointParams, endpointTags } from '../endpoints/endpoint.routes.ts'
import { eventTypesInput, filterInput } from '../endpoints/endpoint-input.ts'
import type { Endpoints } from '../endpoints/endpoints.ts'
import type { ApiEnv } from '../http/authenticate.ts'
import { memberOf } from '../http/json-text.ts'
import { readJsonBody, SETTINGS_BYTES_MAX } from '../http/request-body.ts'
import { json, OF_BODY, problems } from '../http/responses.ts'
import { addingRoutes, type Frame, textRoutesFor } from '../http/route.ts'
import { fieldErrors } from '../http/validation.ts'
import { Problem } from '../problem.ts'
import { eventChannels, eventData, eventType } from './event-input.ts'
import { type Match, REASONS, type Reason, type Routing } from './routing.ts'

const input = z
  .strictObject({
    type: eventType,
    data: eventData,
    channels: eventChannels.nullish(),
    eventTypes: eventTypesInput.optional(),
    filter: filterInput.optional(),
  })
  .openapi('MatchQuery')

const matchSchema = z
  .object({
    matched: z.boolean(),
    reason: z.enum(['type', 'channel', 'filter', 'disabled']).nullable(),
    detail: z.string().nullable().openapi({ description: 'The reason in words.' }),
    patterns: z.array(z.string()).openapi({ description: 'The event types that fit.' }),
    filterResult: z.boolean().nullable().openapi({
      description: 'Null: the filter cannot tell, such as text compared with a number.',
    }),
  })
  .openapi('Match')

interface Options {
  endpoints: Pick<Endpoints, 'get'>
  routing: Pick<Routing, 'match'>
  /** Bytes of `data` at most. */
  eventBytesMax: number
}

type MatchEnv = ApiEnv & { Variables: { query: Awaited<ReturnType<typeof readQuery>> } }

const route = textRoutesFor<Options, MatchEnv>()

const common = {
  method: 'post',
  tags: endpointTags,
  responses: { 200: json(matchSchema, 'Matched, or why not.'), ...problems(404, ...OF_BODY) },
  // In this order: a body that comes slowly holds up nobody.
  guards: ({ authenticate, tenantOfPath, limitHeavy, eventBytesMax }: Options & Frame) => [
    authenticate('read'),
    tenantOfPath,
    keepQuery(eventBytesMax),
    limitHeavy,
  ],
} as const
const body = { required: true, content: { 'application/json': { schema: input } } }

const matchSettings = route({
  ...common,
  path: '/api/tenants/{tenant}/endpoints/match',
  summary: 'Match event types and filter',
  description: 'Whether event types and a filter would match an event. Nothing is saved.',
  request: { params: z.object({ tenant: z.string() }), body },
  answer: (c, { routing }) => answerMatch(c, routing),
})

const matchEndpoint = route({
  ...common,
  path: '/api/tenants/{tenant}/endpoints/{id}/match',
  summary: 'Match endpoint',
  description:
    'Whether an endpoint would get an event. Other event types or another filter can be tried.',
  request: { params: endpointParams, body },
  async answer(c, { endpoints, routing }) {
    const id = endpointOf({ id: c.req.param('id') ?? '' })
    return answerMatch(c, routing, await endpoints.get(c.get('tenant').id, id))
  },
})

export const addEndpointMatchRoutes = addingRoutes([matchSettings, matchEndpoint])

/** What is left out is as the endpoint has it, or as one that gets everything. */
async function answerMatch(c: Context<MatchEnv>, routing: Options['routing'], endpoint?: Endpoint) {
  const { type, data, channels, eventTypes, filter } = c.get('query')
  const match = await routing.match({
    type,
    data,
    eventTypes: eventTypes ?? endpoint?.event_types ?? ['*'],
    filter: filter === undefined ? (endpoint?.filter ?? null) : filter,
    channels: { event: channels ?? null, endpoint: endpoint?.channels ?? null },
  })
  return c.json(presentMatch(match, endpoint), 200)
}

/** Of the routes that ask whether an endpoint matches: an event with the settings that it is tried against. */
export const MATCH_PATH = /^\/api\/tenants\/[^/]+\/endpoints\/(?:[^/]+\/)?match$/
export const matchBytesMax = (eventBytesMax: number): number => eventBytesMax + SETTINGS_BYTES_MAX

const keepQuery = (eventBytesMax: number) =>
  createMiddleware<MatchEnv>(async (c, next) => {
    // Hono calls the middleware of a route twice where a part of the path is `:id` itself.
    if (!c.get('query')) c.set('query', await readQuery(c, eventBytesMax))
    await next()
  })

/** @throws Problem with every invalid field */
async function readQuery(c: Context, eventBytesMax: number) {
  const body = await readJsonBody(c, matchBytesMax(eventBytesMax))
  const parsed = input.safeParse(body.value)
  if (!parsed.success) throw new Problem('request_invalid', { errors: fieldErrors(parsed.error) })
  return { ...parsed.data, data: String(memberOf(body.bytes, 'data')) }
}

function presentMatch(match: Match, endpoint?: Endpoint): z.output<typeof matchSchema> {
  const { patterns, filterResult } = match
  const reason = reasonOf(match, endpoint)
  const detail = reason && REASONS[reason]
  return { matched: reason === null, reason, detail, patterns, filterResult }
}

function reasonOf({ patterns, isInChannels, passesFilter }: Match, endpoint?: Endpoint) {
  if (patterns.length === 0) return 'type'
  if (!isInChannels) return 'channel'
  if (!passesFilter) return 'filter'
  return (endpoint?.state === 'disabled' ? 'disabled' : null) satisfies Reason | null
}
