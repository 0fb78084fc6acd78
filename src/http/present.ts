import type { z } from '@hono/zod-openapi'
import type { Caller } from '../access/caller.ts'
import type { ApiKey } from '../api-keys/api-keys.ts'
import type { Attempt } from '../attempts/attempts.ts'
import { type Delivery, nextAttemptAt } from '../deliveries/deliveries.ts'
import type { EventWithDeliveries } from '../events/events.ts'
import { REASONS, type Route } from '../events/routing.ts'
import type { Remaining, Tenant } from '../tenants/tenants.ts'
import type {
  apiKeySchema,
  attemptSchema,
  deliverySchema,
  deliveryWithAttemptsSchema,
  routeSchema,
  tenantSchema,
} from './schemas.ts'

/** Rows in the shapes of the API. */
export function presentTenant(
  tenant: Tenant,
  remaining: Remaining | null = null,
): z.output<typeof tenantSchema> {
  const { deletion_started_at: startedAt, deletion_rows: rows } = tenant
  return {
    id: tenant.id,
    key: tenant.key,
    name: tenant.name,
    createdAt: tenant.created_at.toISOString(),
    suspendedAt: isoOrNull(tenant.suspended_at),
    deleting: startedAt && {
      startedAt: startedAt.toISOString(),
      deletedRows: Number(rows),
      remaining,
    },
  }
}

export function presentApiKey(apiKey: ApiKey): z.output<typeof apiKeySchema> {
  return {
    id: apiKey.id,
    name: apiKey.name,
    tenant: apiKey.tenant,
    scopes: apiKey.scopes,
    expiresAt: isoOrNull(apiKey.expires_at),
    lastUsedAt: isoOrNull(apiKey.last_used_at),
    revokedAt: isoOrNull(apiKey.revoked_at),
    createdAt: apiKey.created_at.toISOString(),
  }
}

/**
 * The JSON text of an event. `data` goes in as the text that was published, since parsing it and
 * writing it again would round large numbers.
 *
 * @param more members that go behind the others
 */
export function eventText(event: EventWithDeliveries, more: object = {}): string {
  const before = JSON.stringify({ id: event.id, type: event.type })
  const after = JSON.stringify({
    occurredAt: event.occurred_at.toISOString(),
    createdAt: event.created_at.toISOString(),
    idempotencyKey: event.idempotency_key,
    deliveries: event.deliveries.map(presentDelivery),
    ...more,
  })
  return `${before.slice(0, -1)},"data":${event.data},${after.slice(1)}`
}

export function presentRoute(route: Route): z.output<typeof routeSchema> {
  const { endpointId, url, deliveryId, reason, changedSince } = route
  const matched = reason === null
  const detail = reason && REASONS[reason]
  return { endpointId, url, matched, reason, detail, changedSince, deliveryId }
}

export function presentDelivery(delivery: Delivery): z.output<typeof deliverySchema> {
  return {
    id: delivery.id,
    eventId: delivery.event_id,
    endpointId: delivery.endpoint_id,
    state: delivery.state,
    heldReason: delivery.held_reason,
    attemptCount: delivery.attempt_count,
    nextAttemptAt: isoOrNull(nextAttemptAt(delivery)),
    createdAt: delivery.created_at.toISOString(),
    finishedAt: isoOrNull(delivery.finished_at),
  }
}

export function presentDeliveryWithAttempts(
  delivery: Delivery & { attempts: Attempt[] },
  caller: Pick<Caller, 'tenant'>,
): z.output<typeof deliveryWithAttemptsSchema> {
  return {
    ...presentDelivery(delivery),
    attempts: delivery.attempts.map((attempt) => presentAttempt(attempt, caller)),
  }
}

/** @param caller a tenant is not shown what only operators see */
export function presentAttempt(
  attempt: Attempt,
  { tenant }: Pick<Caller, 'tenant'>,
): z.output<typeof attemptSchema> {
  return {
    id: attempt.id,
    number: attempt.number,
    trigger: attempt.trigger,
    outcome: attempt.outcome,
    statusCode: attempt.status_code,
    reason: attempt.reason,
    error: attempt.error,
    errorDetail: tenant === null ? attempt.error_detail : null,
    durationMs: attempt.duration_ms,
    timings: {
      dnsMs: attempt.dns_ms,
      connectMs: attempt.connect_ms,
      tlsMs: attempt.tls_ms,
      firstByteMs: attempt.first_byte_ms,
    },
    requestHeaders: parseHeaders(attempt.request_headers),
    responseHeaders: parseHeaders(attempt.response_headers),
    responseBody: attempt.response_body,
    runner: attempt.runner,
    startedAt: attempt.started_at.toISOString(),
    finishedAt: isoOrNull(attempt.finished_at),
  }
}

/** `json` arrives as text; this one we wrote ourselves. */
const parseHeaders = (text: string | null): Record<string, string | string[]> | null =>
  text === null ? null : JSON.parse(text)

const isoOrNull = (time: Date | null): string | null => time?.toISOString() ?? null
