import { z } from '@hono/zod-openapi'
import type { Context } from 'hono'
import { auditName } from '../../access/caller.ts'
import { jsonText } from '../../http/responses.ts'
import type { AttemptId, EndpointId, EventId } from '../../ids.ts'
import type { Range } from '../../postgres/list-query.ts'
import { OperationRefused } from '../../postgres/operate.ts'
import { svixAppParams } from '../svix-application.routes.ts'
import type { SvixEnv } from '../svix-caller.ts'
import type { SvixEndpoints } from '../svix-endpoints.ts'
import { SvixError, svixNotFound } from '../svix-error.ts'
import { uuidOf } from '../svix-id.ts'
import {
  readSvixPage,
  readSvixTimePage,
  svixPageQuery,
  svixPageSchema,
  svixPageText,
} from '../svix-page.ts'
import { addingSvixRoutes, svixJson, svixNothing, svixRoutesFor } from '../svix-route.ts'
import {
  attemptFilterOf,
  expandedStatuses,
  presentSvixAttempt,
  presentSvixDestination,
  statesOf,
  svixAttemptQuery,
  svixAttemptSchema,
  svixDestinationSchema,
  svixEndpointMessageQuery,
  svixEndpointMessageSchema,
  svixMessageAttemptQuery,
  svixStatusOf,
} from './svix-attempt.fields.ts'
import type { SvixAttempt, SvixAttempts } from './svix-attempts.ts'
import { eventTypesOf, svixMessageText } from './svix-message.fields.ts'
import { svixMessageParams } from './svix-message.routes.ts'
import type { SvixMessages } from './svix-messages.ts'

interface Options {
  svixMessages: SvixMessages
  svixAttempts: SvixAttempts
  svixEndpoints: Pick<SvixEndpoints, 'find'>
}

const route = svixRoutesFor<Options>()
const endpointId = z.string().openapi({ description: 'Its id or uid.' })
const attemptPage = { 200: svixJson(svixPageSchema(svixAttemptSchema), 'A page.') }
const ofMessages = { scope: 'read', of: 'app', isHeavy: true } as const

type Query = z.output<typeof svixMessageAttemptQuery>

/** @param named the endpoint that they were sent to; undefined = all */
async function attemptsOfMessage(
  c: Context<SvixEnv>,
  { svixMessages, svixAttempts, svixEndpoints }: Options,
  { query, msg, named }: { query: Query; msg: string; named: string | undefined },
) {
  const { id: tenantId } = c.get('app')
  const { id } = await svixMessages.find(tenantId, msg, false)
  const to = named === undefined ? undefined : await svixEndpoints.find(tenantId, named)
  return await attemptPageOf(c, query, (page) =>
    svixAttempts.ofMessage(id, { ...page, endpointId: to }),
  )
}

type AttemptPage = Parameters<SvixAttempts['ofMessage']>[1]

async function attemptPageOf(
  c: Context<SvixEnv>,
  query: Query,
  read: (page: AttemptPage) => Promise<{ rows: SvixAttempt[]; next: string | null }>,
) {
  const filter = attemptFilterOf(query, c.req.url)
  const hasContent = query.with_content !== 'false'
  return await readSvixTimePage<SvixAttempt, ReturnType<typeof presentSvixAttempt>, AttemptId>(
    'atmpt',
    query,
    async (range) =>
      filter ? await read({ ...range, ...filter, hasContent }) : { rows: [], next: null },
    (attempt) => presentSvixAttempt(attempt, hasContent),
  )
}

const listByMessage = route({
  ...ofMessages,
  method: 'get',
  path: '/app/{app_id}/attempt/msg/{msg_id}',
  operationId: 'v1.message-attempt.list-by-msg',
  summary: 'List attempts by message',
  request: { params: svixMessageParams, query: svixMessageAttemptQuery },
  responses: attemptPage,
  async answer(c, options) {
    const query = c.req.valid('query')
    const msg = c.req.valid('param').msg_id
    return c.json(
      await attemptsOfMessage(c, options, { query, msg, named: query.endpoint_id }),
      200,
    )
  },
})

const listByMessageOnce = route({
  ...ofMessages,
  method: 'get',
  path: '/app/{app_id}/msg/{msg_id}/attempt',
  operationId: 'v1.message-attempt.list',
  summary: 'List attempts by message, as older SDKs ask',
  deprecated: true,
  request: { params: svixMessageParams, query: svixMessageAttemptQuery },
  responses: attemptPage,
  async answer(c, options) {
    const query = c.req.valid('query')
    const msg = c.req.valid('param').msg_id
    return c.json(
      await attemptsOfMessage(c, options, { query, msg, named: query.endpoint_id }),
      200,
    )
  },
})

const messageEndpointParams = svixMessageParams.extend({ endpoint_id: endpointId })

const listForEndpoint = route({
  ...ofMessages,
  method: 'get',
  path: '/app/{app_id}/msg/{msg_id}/endpoint/{endpoint_id}/attempt',
  operationId: 'v1.message-attempt.list-for-endpoint',
  summary: 'List attempts of a message to an endpoint, as older SDKs ask',
  deprecated: true,
  request: { params: messageEndpointParams, query: svixAttemptQuery },
  responses: attemptPage,
  async answer(c, options) {
    const { msg_id: msg, endpoint_id: named } = c.req.valid('param')
    const query = c.req.valid('query')
    return c.json(await attemptsOfMessage(c, options, { query, msg, named }), 200)
  },
})

const endpointParams = svixAppParams.extend({ endpoint_id: endpointId })

const listByEndpoint = route({
  ...ofMessages,
  method: 'get',
  path: '/app/{app_id}/attempt/endpoint/{endpoint_id}',
  operationId: 'v1.message-attempt.list-by-endpoint',
  summary: 'List attempts by endpoint',
  description:
    'Newest first. A page looks through 50,000 attempts of the application, or 2,000 with `channel` or ' +
    '`event_types`; it can have fewer than there is room for, or none, and not be the last one.',
  request: { params: endpointParams, query: svixAttemptQuery },
  responses: attemptPage,
  async answer(c, { svixAttempts, svixEndpoints }) {
    const { id: tenantId } = c.get('app')
    const id = await svixEndpoints.find(tenantId, c.req.valid('param').endpoint_id)
    const page = await attemptPageOf(c, c.req.valid('query'), (page) =>
      svixAttempts.ofEndpoint(tenantId, id, page),
    )
    return c.json(page, 200)
  },
})

const attemptParams = svixMessageParams.extend({ attempt_id: z.string() })

/** @throws SvixError not_found */
async function attemptOf(
  c: Context<SvixEnv>,
  { svixMessages, svixAttempts }: Options,
  params: z.output<typeof attemptParams>,
): Promise<SvixAttempt> {
  const { id: eventId } = await svixMessages.find(c.get('app').id, params.msg_id, false)
  const id = uuidOf('atmpt', params.attempt_id)
  if (id === null) throw svixNotFound()
  return await svixAttempts.get(eventId, id as AttemptId)
}

const get = route({
  method: 'get',
  path: '/app/{app_id}/msg/{msg_id}/attempt/{attempt_id}',
  operationId: 'v1.message-attempt.get',
  summary: 'Get attempt',
  scope: 'read',
  of: 'app',
  request: { params: attemptParams },
  responses: { 200: svixJson(svixAttemptSchema, 'The attempt.') },
  answer: async (c, options) =>
    c.json(presentSvixAttempt(await attemptOf(c, options, c.req.valid('param'))), 200),
})

const expunge = route({
  method: 'delete',
  path: '/app/{app_id}/msg/{msg_id}/attempt/{attempt_id}/content',
  operationId: 'v1.message-attempt.expunge-content',
  summary: 'Expunge content of attempt',
  description: 'Erases the response: `response` is EXPUNGED afterwards.',
  scope: 'manage',
  of: 'app of the organisation',
  request: { params: attemptParams },
  responses: { 204: svixNothing('Erased.') },
  async answer(c, options) {
    const { id } = await attemptOf(c, options, c.req.valid('param'))
    await options.svixAttempts.expunge(id, auditName(c.get('caller')))
    return c.body(null, 204)
  },
})

const listDestinations = route({
  ...ofMessages,
  method: 'get',
  path: '/app/{app_id}/msg/{msg_id}/endpoint',
  operationId: 'v1.message-attempt.list-attempted-destinations',
  summary: 'List attempted destinations',
  description: 'The endpoints that it was sent to, including deleted ones, with the result.',
  request: {
    params: svixMessageParams,
    query: svixPageQuery({ order: 'ascending' })
      .omit({ order: true })
      .extend(expandedStatuses.shape),
  },
  responses: { 200: svixJson(svixPageSchema(svixDestinationSchema), 'A page.') },
  async answer(c, { svixMessages, svixAttempts }) {
    const { expanded_statuses: expanded, ...query } = c.req.valid('query')
    const { id } = await svixMessages.find(c.get('app').id, c.req.valid('param').msg_id, false)
    const page = await readSvixPage(
      'ep',
      { ...query, order: 'ascending' },
      (range: Parameters<SvixAttempts['destinations']>[1]) => svixAttempts.destinations(id, range),
      (destination) => presentSvixDestination(destination, expanded === 'true'),
    )
    return c.json(page, 200)
  },
})

const listMessages = route({
  ...ofMessages,
  method: 'get',
  path: '/app/{app_id}/endpoint/{endpoint_id}/msg',
  operationId: 'v1.message-attempt.list-attempted-messages',
  summary: 'List attempted messages',
  description:
    'What the endpoint was sent, newest first. A page looks through 1,000 messages of the application; it can ' +
    'have fewer than there is room for, or none, and not be the last one.',
  request: { params: endpointParams, query: svixEndpointMessageQuery },
  responses: { 200: svixJson(svixPageSchema(svixEndpointMessageSchema), 'A page.') },
  async answer(c, { svixMessages, svixEndpoints }) {
    const { id: tenantId } = c.get('app')
    const { status, channel, with_content: content, ...query } = c.req.valid('query')
    const id: EndpointId = await svixEndpoints.find(tenantId, c.req.valid('param').endpoint_id)
    const isExpanded = query.expanded_statuses === 'true'
    const hasContent = content !== 'false'
    const states = statesOf(status, isExpanded)
    const filter = { channel, types: eventTypesOf(c.req.url), states, endpointId: id, hasContent }
    const page = await readSvixTimePage(
      'msg',
      query,
      (range: Range<EventId>) => svixMessages.listOfEndpoint(tenantId, { ...range, ...filter }),
      (row) => svixMessageText(row, { hasContent, ...svixStatusOf(row, isExpanded) }),
    )
    return jsonText(c, svixPageText(page), 200)
  },
})

const resend = route({
  method: 'post',
  path: '/app/{app_id}/msg/{msg_id}/endpoint/{endpoint_id}/resend',
  operationId: 'v1.message-attempt.resend',
  summary: 'Resend message',
  description:
    'One attempt more, also to an endpoint that did not get it. One that is open is sent now, and keeps its schedule. ' +
    'Refused (409) while an attempt is in progress and where the endpoint is disabled.',
  scope: 'manage',
  of: 'app',
  request: { params: messageEndpointParams },
  responses: { 202: svixJson(z.object({}), 'It is due now.') },
  async answer(c, { svixMessages, svixAttempts, svixEndpoints }) {
    const { id: tenantId } = c.get('app')
    const { msg_id: msg, endpoint_id: named } = c.req.valid('param')
    const message = await svixMessages.find(tenantId, msg)
    const to = await svixEndpoints.find(tenantId, named)
    if (message.data === null) throw missingPayload()
    await svixAttempts.resend(message.id, to, auditName(c.get('caller'))).catch(asConflict)
    return c.json({}, 202)
  },
})

const missingPayload = () =>
  new SvixError(400, 'missing_payload', 'The payload is gone, so it cannot be sent again.')

function asConflict(error: unknown): never {
  if (!(error instanceof OperationRefused)) throw error
  throw new SvixError(409, error.code, error.message, { cause: error })
}

export const addSvixAttemptRoutes = addingSvixRoutes([
  ...[listByMessage, listByMessageOnce, listForEndpoint, listByEndpoint],
  ...[get, expunge, listDestinations, listMessages, resend],
])
