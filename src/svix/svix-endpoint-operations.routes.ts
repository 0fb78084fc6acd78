import { z } from '@hono/zod-openapi'
import { auditName } from '../access/caller.ts'
import type { Deliveries } from '../deliveries/deliveries.ts'
import type { EventTypes } from '../event-types/event-types.ts'
import type { ExampleOf } from '../event-types/example.ts'
import type { TestEvents } from '../events/test-events.ts'
import { storableText } from '../http/validation.ts'
import { SearchTooSlow } from '../postgres/run-list.ts'
import type { Bulk } from '../replays/bulk.ts'
import { endpointOfPath, svixEndpointParams } from './svix-endpoint.routes.ts'
import type { SvixEndpoints } from './svix-endpoints.ts'
import { SvixError, svixMistake } from './svix-error.ts'
import { svixExampleOf } from './svix-example.ts'
import { svixId } from './svix-id.ts'
import { svixErrorSchema } from './svix-refusal.fields.ts'
import { addingSvixRoutes, svixBody, svixJson, svixRoutesFor } from './svix-route.ts'

/** Five minutes more than Svix says, so that clocks may differ. */
const SLACK_MS = 300_000
const DAY_MS = 86_400_000
const STATS_DAYS_MAX = 28
const RECOVER_DAYS_MAX = 14

interface Options {
  bulk: Pick<Bulk, 'recover'>
  deliveries: Pick<Deliveries, 'find'>
  eventTypes: Pick<EventTypes, 'get'>
  exampleOf: ExampleOf
  svixEndpoints: Pick<SvixEndpoints, 'find' | 'countAttempts'>
  testEvents: Pick<TestEvents, 'publishExample'>
}

const route = svixRoutesFor<Options>()
const time = z.iso
  .datetime({ offset: true })
  .transform((text) => new Date(text))
  .openapi({ type: 'string', format: 'date-time' })

const statsSchema = z
  .object({
    success: z.int(),
    fail: z.int(),
    pending: z.int().openapi({ description: 'Always 0: an event that waits has no attempt yet.' }),
    sending: z.int(),
    canceled: z.int().openapi({ description: 'Always 0.' }),
  })
  .openapi('EndpointStats')

const stats = route({
  method: 'get',
  path: '/app/{app_id}/endpoint/{endpoint_id}/stats',
  operationId: 'v1.endpoint.get-stats',
  summary: 'Get endpoint stats',
  description: `Counts attempts in a time of at most ${STATS_DAYS_MAX} days.`,
  scope: 'read',
  of: 'app',
  isHeavy: true,
  request: {
    params: svixEndpointParams,
    query: z.object({ since: time.optional(), until: time.optional() }),
  },
  responses: { 200: svixJson(statsSchema, 'How many ended how.') },
  async answer(c, { svixEndpoints }) {
    const range = statsRange(c.req.valid('query'))
    const { tenantId, id } = await endpointOfPath(c, { svixEndpoints })
    const counts = await svixEndpoints.countAttempts(tenantId, id, range).catch(refuseSlow)
    const { delivered: success, failed: fail, started: sending } = counts
    return c.json({ success, fail, pending: 0, sending, canceled: 0 }, 200)
  },
})

const invalidRange = (detail: string, options?: ErrorOptions) =>
  new SvixError(400, 'invalid_range', detail, options)

function statsRange(given: { since?: Date | undefined; until?: Date | undefined }) {
  const now = new Date()
  const until = given.until ?? now
  if (until.getTime() > now.getTime() + SLACK_MS) throw invalidRange('until is in the future')
  const since = given.since ?? new Date(until.getTime() - STATS_DAYS_MAX * DAY_MS)
  if (since > until) throw invalidRange('since is after until')
  if (until.getTime() - since.getTime() > STATS_DAYS_MAX * DAY_MS + SLACK_MS) {
    throw invalidRange(`since is more than ${STATS_DAYS_MAX} days before until`)
  }
  return { since, until }
}

function refuseSlow(error: unknown): never {
  if (!(error instanceof SearchTooSlow)) throw error
  throw invalidRange('Counting took too long; ask for a shorter time.', { cause: error })
}

const recoverInput = z.object({ since: time, until: time.nullish() }).openapi('RecoverIn')
const recoverSchema = z
  .object({
    id: z.string(),
    status: z.literal('running'),
    task: z.literal('endpoint.recover'),
    updatedAt: z.iso.datetime(),
  })
  .openapi('RecoverOut')

const recover = route({
  method: 'post',
  path: '/app/{app_id}/endpoint/{endpoint_id}/recover',
  operationId: 'v1.endpoint.recover',
  summary: 'Recover failed messages',
  description: `Sends again, in one attempt each, what failed in a time of at most ${RECOVER_DAYS_MAX} days.`,
  scope: 'manage',
  of: 'app',
  isHeavy: true,
  request: { params: svixEndpointParams, body: svixBody(recoverInput) },
  responses: { 202: svixJson(recoverSchema, 'Recovery has started.') },
  async answer(c, { bulk, svixEndpoints }) {
    const { since, until } = recoverRange(c.req.valid('json'))
    const { id } = await endpointOfPath(c, { svixEndpoints })
    const begun = await bulk.recover(id, { since, until }, auditName(c.get('caller')))
    const answer = { status: 'running', task: 'endpoint.recover' } as const
    const updatedAt = begun.created_at.toISOString()
    return c.json({ id: svixId('qtask', begun.id), ...answer, updatedAt }, 202)
  },
})

function recoverRange(given: { since: Date; until?: Date | null | undefined }) {
  const { since, until = null } = given
  const end = until ?? new Date()
  if (end.getTime() - since.getTime() > RECOVER_DAYS_MAX * DAY_MS + SLACK_MS) {
    throw svixMistake('since', `is more than ${RECOVER_DAYS_MAX} days before until`)
  }
  // What begins when it ends, or later, has nothing in it.
  return { since, until: end > since ? end : new Date(since.getTime() + 1) }
}

const exampleInput = z
  .object({
    eventType: storableText(256),
    exampleIndex: z.int().min(0).nullish().openapi({
      description: 'Which of the examples in the schema; 0 = the first.',
    }),
  })
  .openapi('EventExampleIn')
const exampleSchema = z
  .object({
    id: z.string(),
    eventId: z.string().nullable(),
    eventType: z.string(),
    channels: z.array(z.string()).nullable(),
    payload: z.record(z.string(), z.unknown()).openapi({ description: 'Empty.' }),
    timestamp: z.iso.datetime(),
  })
  .openapi('ExampleMessageOut')

const sendExample = route({
  method: 'post',
  path: '/app/{app_id}/endpoint/{endpoint_id}/send-example',
  operationId: 'v1.endpoint.send-example',
  summary: 'Send example',
  description:
    'Sends an example of the event type, also if the endpoint does not subscribe to it. `svix.ping` always has an example.',
  scope: 'manage',
  of: 'app',
  request: { params: svixEndpointParams, body: svixBody(exampleInput) },
  responses: {
    200: svixJson(exampleSchema, 'The message that is sent.'),
    400: svixJson(svixErrorSchema, 'The event type has no example.'),
  },
  async answer(c, options) {
    const { eventType: type, exampleIndex } = c.req.valid('json')
    const { tenantId, id } = await endpointOfPath(c, options)
    const data = JSON.stringify(await svixExampleOf({ type, index: exampleIndex ?? 0 }, options))
    const sent = await options.testEvents.publishExample(tenantId, id, { type, data })
    const delivery = await options.deliveries.find(tenantId, sent)
    const message = { eventId: null, eventType: type, channels: null, payload: {} }
    const timestamp = delivery.created_at.toISOString()
    return c.json({ id: svixId('msg', delivery.event_id), ...message, timestamp }, 200)
  },
})

export const addSvixEndpointOperationRoutes = addingSvixRoutes([stats, recover, sendExample])
