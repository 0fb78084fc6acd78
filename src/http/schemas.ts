import { z } from '@hono/zod-openapi'
import { HELD_REASONS } from '../endpoints/held-reason.ts'
import type { HeldReason } from '../postgres/schema.ts'
import { OUTCOMES } from '../sending/outcome.ts'
import { ATTEMPT_REASONS, REASONS } from '../sending/reason.ts'

/**
 * The shapes of the API. What goes out is documented by them; what comes in is parsed by them, and
 * `strictObject` refuses members that are not known, by name.
 */
const time = z.iso.datetime().openapi({ description: 'ISO 8601, in UTC.' })
const id = z.uuid().openapi({ description: 'UUIDv7.' })
const milliseconds = z.number().nullable()
const headers = z.record(z.string(), z.union([z.string(), z.array(z.string())]))

export const tenantSchema = z
  .object({
    id,
    key: z.string(),
    name: z.string(),
    createdAt: time,
    suspendedAt: time.nullable(),
    deleting: z
      .object({
        startedAt: time,
        deletedRows: z.int(),
        remaining: z.object({ events: z.int(), deliveries: z.int() }).nullable().openapi({
          description: 'Rows that are left; 10000 stands for that many or more. Null in lists.',
        }),
      })
      .nullable()
      .openapi({ description: 'How far its deletion is; null = it is not being deleted.' }),
  })
  .openapi('Tenant')

const scopes = z.array(z.enum(['publish', 'read', 'manage', 'admin']))

export const apiKeySchema = z
  .object({
    id,
    name: z.string(),
    tenant: z
      .string()
      .nullable()
      .openapi({ description: 'Key of the one tenant that it may touch; null = every tenant.' }),
    scopes,
    expiresAt: time.nullable(),
    lastUsedAt: time.nullable().openapi({ description: 'To the minute.' }),
    revokedAt: time.nullable(),
    createdAt: time,
  })
  .openapi('ApiKey')

export const newApiKeySchema = apiKeySchema
  .extend({ key: z.string().openapi({ description: 'Shown this once.' }) })
  .openapi('ApiKeyWithKey')

const heldReasonSchema = z
  .enum(Object.keys(HELD_REASONS) as [HeldReason, ...HeldReason[]])
  .openapi('HeldReason', {
    description: [
      'Why a delivery is held at this moment. Null while it is not held.',
      ...Object.entries(HELD_REASONS).map(([reason, meaning]) => `- \`${reason}\`: ${meaning}`),
    ].join('\n'),
  })

export const deliverySchema = z
  .object({
    id,
    eventId: id,
    endpointId: id,
    state: z.enum(['pending', 'delivering', 'delivered', 'failed', 'held', 'cancelled']),
    heldReason: z.union([heldReasonSchema, z.null()]),
    attemptCount: z.int(),
    nextAttemptAt: time.nullable().openapi({
      description:
        'ISO 8601, in UTC; in the past when it is due and runners are busy. Where a limit of the endpoint has put it off, when its turn is.',
    }),
    createdAt: time,
    finishedAt: time.nullable(),
  })
  .openapi('Delivery')

/** Its own name in the document, since attempts and filters share it. */
export const reasonSchema = z.enum(ATTEMPT_REASONS).openapi('AttemptReason', {
  description: [
    'Why an attempt did not deliver.',
    ...ATTEMPT_REASONS.map((reason) => `- \`${reason}\`: ${REASONS[reason]}`),
  ].join('\n'),
  example: 'status_5xx',
})

export const attemptSchema = z
  .object({
    id,
    number: z.int(),
    trigger: z.enum(['schedule', 'manual', 'replay', 'test']),
    outcome: z.enum(OUTCOMES),
    statusCode: z.int().nullable(),
    reason: z.union([reasonSchema, z.null()]),
    error: z.string().nullable().openapi({
      description:
        'The reason in detail, in words for people; they may change. Next to a `statusCode`, also of 2xx, what was wrong with the answer otherwise: the status decides, and the connection was closed.',
    }),
    errorDetail: z.string().nullable().openapi({
      description:
        'More of it, such as the addresses that a name led to, for operators: null to keys and links of one tenant, and where there is no more.',
    }),
    durationMs: milliseconds,
    timings: z.object({
      dnsMs: milliseconds,
      connectMs: milliseconds,
      tlsMs: milliseconds,
      firstByteMs: milliseconds,
    }),
    requestHeaders: headers.nullable(),
    responseHeaders: headers.nullable(),
    responseBody: z.string().nullable(),
    runner: z.string(),
    startedAt: time,
    finishedAt: time.nullable(),
  })
  .openapi('Attempt')

export const deliveryWithAttemptsSchema = deliverySchema
  .extend({ attempts: z.array(attemptSchema) })
  .openapi('DeliveryWithAttempts')

export const eventSchema = z
  .object({
    id,
    type: z.string(),
    data: z.unknown().openapi({ description: 'As published, to the byte.' }),
    occurredAt: time,
    createdAt: time,
    idempotencyKey: z.string().nullable(),
    deliveries: z.array(deliverySchema),
  })
  .openapi('Event')

export const routeSchema = z
  .object({
    endpointId: id,
    url: z.string(),
    matched: z.boolean(),
    reason: z
      .enum([
        'type',
        'filter',
        'filter_waiting',
        'disabled',
        'created_later',
        'changed_later',
        'erased',
        'test',
      ])
      .nullable(),
    detail: z.string().nullable().openapi({ description: 'The reason in words.' }),
    changedSince: z.boolean().openapi({
      description: 'The endpoint was changed after the event; the reason is about how it is now.',
    }),
    deliveryId: id.nullable(),
  })
  .openapi('Route')

export const eventWithRoutingSchema = eventSchema
  .extend({
    routing: z.array(routeSchema).openapi({
      description: 'Up to 100 endpoints of the tenant, those that got the event first.',
    }),
  })
  .openapi('EventWithRouting')

export const publishedSchema = z
  .object({
    id,
    deliveries: z.int().openapi({ description: 'Endpoints that it goes to.' }),
    duplicate: z.boolean().openapi({
      description: 'Stored by an earlier request with the same idempotency key.',
    }),
  })
  .openapi('Published')
