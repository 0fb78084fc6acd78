import { z } from '@hono/zod-openapi'
import type { Context } from 'hono'
import { auditName, type Caller, countedAs, holds } from '../../access/caller.ts'
import type { Accept } from '../../events/accept.ts'
import { hasMoreData, refusalFor } from '../../events/event-input.ts'
import { isKeyBusy, PublishRefused } from '../../events/publish-refused.ts'
import type { Published, Publisher } from '../../events/publisher.ts'
import { memberOf } from '../../http/json-text.ts'
import { type JsonBody, readJsonBody, tooLarge } from '../../http/request-body.ts'
import { jsonText } from '../../http/responses.ts'
import type { EventId, TenantId } from '../../ids.ts'
import type { Range } from '../../postgres/list-query.ts'
import type { TenantScope } from '../../postgres/tenant-scope.ts'
import { Problem } from '../../problem.ts'
import { refuseSuspended } from '../../tenants/tenant-access.ts'
import { isReserved, type Tenant } from '../../tenants/tenants.ts'
import { svixAppParams } from '../svix-application.routes.ts'
import type { SvixApplications } from '../svix-applications.ts'
import type { SvixEnv } from '../svix-caller.ts'
import { refuseSvixInvalid, SvixError, svixMistake, svixNotFound } from '../svix-error.ts'
import { readSvixTimePage, svixPageSchema, svixPageText } from '../svix-page.ts'
import {
  addingSvixRoutes,
  keyedUrl,
  svixBody,
  svixJson,
  svixNothing,
  svixRoutesFor,
  svixTextRoutesFor,
} from '../svix-route.ts'
import {
  eventTypesOf,
  newMessageOf,
  type SvixMessageInput,
  svixMessageInput,
  svixMessageQuery,
  svixMessageSchema,
  svixMessageText,
  withContent,
} from './svix-message.fields.ts'
import { publishOnce, requestKeyOf, type SvixMessages } from './svix-messages.ts'

/** Room around the payload for the other members at their longest. */
export const MESSAGE_ENVELOPE_BYTES = 16_384
/** Where messages are created; a path may end with slashes. */
export const MESSAGES_PATH = /^\/api\/v1\/app\/[^/]+\/msg\/*$/

interface Options {
  svixMessages: SvixMessages
  svixApplications: Pick<SvixApplications, 'find' | 'create'>
  publisher: Pick<Publisher, 'publish'>
  accept: Accept
  inTenant: TenantScope['inTenant']
  /** Bytes of a payload at most. */
  eventBytesMax: number
}

const route = svixRoutesFor<Options>()
const textRoute = svixTextRoutesFor<Options>()

/** Of every path about a message. */
export const svixMessageParams = svixAppParams.extend({
  msg_id: z.string().openapi({ description: 'Its id or `eventId`.' }),
})

const create = textRoute({
  method: 'post',
  path: '/app/{app_id}/msg',
  operationId: 'v1.message.create',
  summary: 'Create message',
  description:
    'An event. It is sent as Svix sends it: the payload alone is the body. A repeat with the same `idempotency-key` ' +
    'within 7 days gets the same message, whatever its body.',
  scope: 'publish',
  of: 'any',
  repeatsItself: true,
  request: { params: svixAppParams, query: withContent, body: svixBody(svixMessageInput) },
  responses: { 202: svixJson(svixMessageSchema, 'It is stored, with its deliveries.') },
  async answer(c, options) {
    const body = await readMessage(c, options.eventBytesMax)
    const readAt = performance.now()
    const parsed = svixMessageInput.safeParse(body.value)
    refuseSvixInvalid({ target: 'json', ...parsed } as never)
    const input = parsed.data as SvixMessageInput
    const payload = memberOf(body.bytes, 'payload') ?? memberOf(body.bytes, 'data')
    const message = newMessageOf(input, payload?.toString() ?? '', Date.now())
    if (Buffer.byteLength(message.payload) > options.eventBytesMax) {
      throw tooLarge(options.eventBytesMax, 'payload')
    }
    const tenant = await applicationFor(c, options, input.application ?? null)
    const find = (id: EventId) =>
      options.inTenant(tenant.id, () => options.svixMessages.get(tenant.id, id))
    const once = { tenant: tenant.key, message, requestKey: requestKey(c) }
    const stored = await publishOnce((item) => accepted(c, options, item, readAt), once, find)
    const hasContent = c.req.query('with_content') !== 'false'
    const text = svixMessageText(stored, { hasContent })
    return c.body(text, 202, { 'content-type': 'application/json' })
  },
})

const list = route({
  method: 'get',
  path: '/app/{app_id}/msg',
  operationId: 'v1.message.list',
  summary: 'List messages',
  description:
    'Newest first. With filters, a page can have fewer messages than there is room for, and not be the last one.',
  scope: 'read',
  of: 'app',
  isHeavy: true,
  request: { params: svixAppParams, query: svixMessageQuery },
  responses: { 200: svixJson(svixPageSchema(svixMessageSchema), 'A page.') },
  async answer(c, { svixMessages }) {
    const { channel, with_content: content, ...query } = c.req.valid('query')
    const hasContent = content !== 'false'
    const filter = { channel, types: eventTypesOf(c.req.url), hasContent }
    const page = await readSvixTimePage(
      'msg',
      query,
      (range: Range<EventId>) => svixMessages.list(c.get('app').id, { ...range, ...filter }),
      (message) => svixMessageText(message, { hasContent }),
    )
    return jsonText(c, svixPageText(page), 200)
  },
})

const get = route({
  method: 'get',
  path: '/app/{app_id}/msg/{msg_id}',
  operationId: 'v1.message.get',
  summary: 'Get message',
  description: 'By its id, or its `eventId` within 7 days.',
  scope: 'read',
  of: 'app',
  request: { params: svixMessageParams, query: withContent },
  responses: { 200: svixJson(svixMessageSchema, 'The message.') },
  async answer(c, { svixMessages }) {
    const hasContent = c.req.valid('query').with_content !== 'false'
    const { msg_id: named } = c.req.valid('param')
    const message = await svixMessages.find(c.get('app').id, named, hasContent)
    return jsonText(c, svixMessageText(message, { hasContent }), 200)
  },
})

const expunge = route({
  method: 'delete',
  path: '/app/{app_id}/msg/{msg_id}/content',
  operationId: 'v1.message.expunge-content',
  summary: 'Expunge content of message',
  description: 'Erases the payload and the responses. Open deliveries are cancelled.',
  scope: 'manage',
  of: 'app of the organisation',
  request: { params: svixMessageParams },
  responses: { 204: svixNothing('Erased.') },
  async answer(c, { svixMessages }) {
    const { id } = await svixMessages.find(c.get('app').id, c.req.valid('param').msg_id, false)
    await svixMessages.expunge(id, auditName(c.get('caller')))
    return c.body(null, 204)
  },
})

export const addSvixMessageRoutes = addingSvixRoutes([create, list, get, expunge])

async function readMessage(c: Context, bytesMax: number): Promise<JsonBody> {
  const tooLargePayload = () => tooLarge(bytesMax, 'payload')
  const body = await readJsonBody(c, bytesMax + MESSAGE_ENVELOPE_BYTES, tooLargePayload)
  if (hasMoreData(body.bytes, body.value, bytesMax, 'payload')) throw tooLargePayload()
  return body
}

/** The application of the path; one that the body describes is made where there is none. */
export async function applicationFor(
  c: Context<SvixEnv>,
  { svixApplications }: Pick<Options, 'svixApplications'>,
  application: SvixMessageInput['application'],
): Promise<Tenant & { id: TenantId }> {
  const caller = c.get('caller')
  const named = c.req.param('app_id') ?? ''
  const found = await svixApplications.find(named)
  if (found) {
    if (isReserved(found.key) || (caller.tenant && caller.tenant.id !== found.id)) {
      throw svixNotFound()
    }
    refuseSuspended(caller, c.get('scope'), found)
    return found
  }
  if (!application || caller.tenant) throw svixNotFound()
  const { name, uid = null, metadata } = application
  refuseOtherUid(uid, named)
  refuseWithoutManage(caller)
  return await svixApplications
    .create({ name, uid, metadata: metadata ?? {} })
    .catch(async (error) => {
      // Another request with it came first.
      return (await svixApplications.find(named)) ?? Promise.reject(error)
    })
}

function refuseOtherUid(uid: string | null, named: string): void {
  if (uid === named) return
  throw uid === null
    ? svixMistake('application.uid', 'is missing', 'application_uid_missing')
    : svixMistake('application.uid', 'is not that of the path', 'application_uid_mismatch')
}

function refuseWithoutManage(caller: Caller): void {
  if (holds(caller, 'manage')) return
  const detail = 'To make an application along needs the scope "manage".'
  throw new Problem('scope_missing', { detail })
}

/** Null without an idempotency key. */
function requestKey(c: Context<SvixEnv>): string | null {
  const key = c.req.header('idempotency-key')
  if (!key) return null
  return requestKeyOf([countedAs(c.get('caller')), keyedUrl(c.req.url), key])
}

async function accepted(
  c: Context<SvixEnv>,
  { accept, publisher }: Pick<Options, 'accept' | 'publisher'>,
  item: Parameters<Publisher['publish']>[0],
  readAt: number,
): Promise<Published> {
  const request = { kind: 'event', readAt, header: (name: string) => c.req.header(name) } as const
  const [published] = await accept(request, async (trace): Promise<[Published]> => {
    return [await publisher.publish({ ...item, trace })]
  }).catch((error: unknown) => refusalFor(c.get('caller'))(asSvix(error)))
  return published
}

/** What our own API calls the members. */
const MEMBERS: Record<string, string> = { type: 'eventType', data: 'payload' }

function asSvix(error: unknown): unknown {
  if (!(error instanceof PublishRefused)) return error
  const { code, field, message } = error
  if (isKeyBusy(error)) return new SvixError(409, code, message, { cause: error })
  if (field === 'tenant') return error
  return svixMistake(MEMBERS[field] ?? field, message, code)
}
