import { z } from '@hono/zod-openapi'
import type { AttemptId } from '../../ids.ts'
import type { DeliveryState } from '../../postgres/schema.ts'
import { presentSvixEndpoint, svixEndpointSchema } from '../svix-endpoint.fields.ts'
import { shownSvixId, svixId } from '../svix-id.ts'
import { svixTimeQuery } from '../svix-page.ts'
import { svixFlag } from '../svix-route.ts'
import type { SvixAttempt, SvixAttemptFilter, SvixDestination } from './svix-attempts.ts'
import {
  eventTypesOf,
  svixMessageFilters,
  svixMessageSchema,
  timeOfId,
  withContent,
} from './svix-message.fields.ts'

const STATUS_TEXTS = ['success', 'pending', 'fail', 'sending', 'canceled'] as const
const SUCCESS = 0
const FAIL = 2
const SENDING = 3
const CANCELED = 4

const statusMembers = {
  status: z.int().openapi({
    description: STATUS_TEXTS.map((text, status) => `${status}: ${text}`).join(', '),
  }),
  statusText: z.enum(STATUS_TEXTS),
}
const nextAttempt = z.iso.datetime().nullable().optional()

export const svixAttemptSchema = z
  .object({
    id: z.string().openapi({ example: 'atmpt_1srOrx2ZWZBpBUvZwXKQmoEYga2' }),
    msgId: z.string(),
    endpointId: z.string(),
    url: z.string(),
    response: z.string(),
    responseStatusCode: z.int().openapi({ description: '0 = there was no response.' }),
    responseDurationMs: z.int(),
    ...statusMembers,
    triggerType: z.int().openapi({ description: '0: scheduled, 1: manual.' }),
    timestamp: z.iso.datetime(),
  })
  .openapi('MessageAttemptOut')

export const svixDestinationSchema = svixEndpointSchema
  .extend({ ...statusMembers, nextAttempt })
  .openapi('MessageEndpointOut')

export const svixEndpointMessageSchema = svixMessageSchema
  .extend({ ...statusMembers, nextAttempt })
  .openapi('EndpointMessageOut')

const status = z
  .enum(['0', '1', '2', '3', '4'])
  .optional()
  .openapi({
    description: STATUS_TEXTS.map((text, value) => `${value}: ${text}`).join(', '),
  })
/** SDKs that know `canceled` say so; to others it is a failure. */
export const expandedStatuses = z.object({ expanded_statuses: svixFlag })

export const svixAttemptQuery = svixTimeQuery.extend({
  ...svixMessageFilters,
  ...withContent.shape,
  ...expandedStatuses.shape,
  status,
  status_code_class: z.enum(['0', '100', '200', '300', '400', '500']).optional().openapi({
    description: '400: the response was 4xx. 0: no response.',
  }),
})

export const svixMessageAttemptQuery = svixAttemptQuery.extend({
  endpoint_id: z.string().optional().openapi({ description: 'Its id or uid.' }),
})

export const svixEndpointMessageQuery = svixTimeQuery.extend({
  ...svixMessageFilters,
  ...withContent.shape,
  ...expandedStatuses.shape,
  status,
})

type AttemptQuery = z.output<typeof svixAttemptQuery>

/** Null = no attempt is ever like that. */
export function attemptFilterOf(query: AttemptQuery, url: string): SvixAttemptFilter | null {
  const { status: asked, status_code_class: statusClass, channel } = query
  if (asked !== undefined && Number(asked) !== SUCCESS && Number(asked) !== FAIL) return null
  return {
    ...(asked !== undefined && { isDelivered: Number(asked) === SUCCESS }),
    ...(statusClass !== undefined && { statusClass: Number(statusClass) / 100 }),
    channel,
    types: eventTypesOf(url),
  }
}

const OPEN = ['pending', 'delivering', 'held'] as const satisfies DeliveryState[]

/** The states of deliveries that are shown as this status. */
export function statesOf(asked: string | undefined, isExpanded: boolean) {
  if (asked === undefined) return undefined
  const states: Record<number, readonly DeliveryState[]> = {
    [SUCCESS]: ['delivered'],
    [FAIL]: isExpanded ? ['failed'] : ['failed', 'cancelled', 'collapsed'],
    [SENDING]: OPEN,
    [CANCELED]: isExpanded ? ['cancelled', 'collapsed'] : [],
  }
  return states[Number(asked)] ?? []
}

const statusOf = (value: number) => ({
  status: value,
  statusText: STATUS_TEXTS[value] ?? ('pending' as const),
})

/** Of a delivery that has an attempt. */
export function svixStatusOf(
  { state, next_attempt_at: next }: { state: DeliveryState; next_attempt_at: Date | null },
  isExpanded: boolean,
) {
  const nextAt = next === null ? {} : { nextAttempt: next.toISOString() }
  if (state === 'delivered') return { ...statusOf(SUCCESS), ...nextAt }
  if (OPEN.some((open) => open === state)) return { ...statusOf(SENDING), ...nextAt }
  return { ...statusOf(isExpanded && state !== 'failed' ? CANCELED : FAIL), ...nextAt }
}

export function presentSvixAttempt(
  attempt: SvixAttempt,
  hasContent = true,
): z.output<typeof svixAttemptSchema> {
  const endpoint = { id: attempt.endpoint_id, svix_id: attempt.endpoint_svix_id }
  return {
    id: svixId('atmpt', attempt.id satisfies AttemptId),
    msgId: svixId('msg', attempt.event_id),
    endpointId: shownSvixId('ep', endpoint),
    url: attempt.url,
    response: hasContent ? (attempt.response_body ?? '') : '{}',
    responseStatusCode: attempt.status_code ?? 0,
    responseDurationMs: Math.round(attempt.duration_ms ?? 0),
    ...statusOf(attempt.outcome === 'delivered' ? SUCCESS : FAIL),
    // As Svix says it of its examples, which are tests here.
    triggerType: attempt.trigger === 'schedule' || attempt.trigger === 'test' ? 0 : 1,
    timestamp: timeOfId(attempt.id).toISOString(),
  }
}

export const presentSvixDestination = (
  destination: SvixDestination,
  isExpanded: boolean,
): z.output<typeof svixDestinationSchema> => ({
  ...presentSvixEndpoint(destination.endpoint),
  nextAttempt: null,
  ...svixStatusOf(destination, isExpanded),
})
