import { z } from 'zod'

/**
 * Ids are UUIDv7, made by Postgres; the same string in the API, the logs and psql. The brands cost
 * nothing at run time and keep a tenant's id from being passed as an endpoint's.
 */
type Id<Brand extends string> = string & { readonly brand: Brand }

export type TenantId = Id<'tenant'>
export type ApiKeyId = Id<'api_key'>
export type EndpointId = Id<'endpoint'>
export type EventId = Id<'event'>
export type DeliveryId = Id<'delivery'>
export type AttemptId = Id<'attempt'>
export type RunnerId = Id<'runner'>
export type ReplayId = Id<'replay'>
export type IncidentId = Id<'incident'>
export type SessionId = Id<'session'>
export type PortalLinkId = Id<'portal_link'>

export const tenantId = idSchema<TenantId>()
export const apiKeyId = idSchema<ApiKeyId>()
export const endpointId = idSchema<EndpointId>()
export const eventId = idSchema<EventId>()
export const deliveryId = idSchema<DeliveryId>()
export const replayId = idSchema<ReplayId>()
export const incidentId = idSchema<IncidentId>()
export const sessionId = idSchema<SessionId>()

/**
 * Any UUID, not only version 7: a client may send one that we never made, and the right answer to
 * that is "not found". Lower case, as Postgres writes it.
 */
function idSchema<T extends string>() {
  return z
    .guid()
    .toLowerCase()
    .transform((id) => id as T)
}
