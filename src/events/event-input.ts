import { z } from '@hono/zod-openapi'
import type { Caller } from '../access/caller.ts'
import { channelName } from '../endpoints/endpoint-input.ts'
import { memberOf } from '../http/json-text.ts'
import { unfit, visibleText } from '../http/validation.ts'
import { mayTouch, tenantSuspended } from '../tenants/tenant-access.ts'
import { TENANT_KEY } from '../tenants/tenants.ts'
import { BatchRefused, PublishRefused } from './publish-refused.ts'

/** Printable ASCII: other bytes of a header reach different servers as different text. */
export const IDEMPOTENCY_KEY = /^[ -~]{1,255}$/
export const IDEMPOTENCY_KEY_MISTAKE = 'is not 1 to 255 printable ASCII characters'
/** As `postrider.publish_many` counts: characters. */
const ORDERING_KEY_LENGTH_MAX = 255
const CHANNELS_MAX = 5
const EVENT_TYPE = /^(?=.{1,128}$)[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*$/

const time = z.iso.datetime({ offset: true })

/** The rules are those of `postrider.publish_many`; here they name every mistake at once. */
export const eventType = z
  .string()
  .regex(EVENT_TYPE, unfit('is not a dotted name of at most 128 characters, such as invoice.paid'))
  .openapi({ example: 'invoice.paid' })

export const eventData = z
  .unknown()
  .refine((data) => data !== undefined && data !== null, 'is required and not null')
  .openapi({
    description: 'Any JSON except null. Reaches the receiver byte by byte.',
    example: { id: 1, amount: 100 },
  })

/** A path cannot end with either: clients take them for the folder and the one above. */
const DOTS = new Set(['.', '..'])

const orderingKey = visibleText(ORDERING_KEY_LENGTH_MAX, 'name')
  .min(1)
  .refine((key) => !DOTS.has(key), 'is . or .., which no path can contain')
  .openapi({
    description:
      'What the event is about. Endpoints that order by key get the events of one key one after another, in the order in which they were published.',
    example: 'invoice:42',
  })

export const eventChannels = z
  .array(channelName)
  .min(1)
  .max(CHANNELS_MAX)
  .openapi({
    description: `Up to ${CHANNELS_MAX} channels. Endpoints with channels get it if they have one of these; without any, only endpoints without channels do.`,
    example: ['project-1'],
  })

export const eventInput = z
  .strictObject({
    tenant: z.string().regex(TENANT_KEY, unfit('is not the key of a tenant')).nullish().openapi({
      description: 'Key of the tenant. Optional with a key of one tenant.',
      example: 'acme',
    }),
    type: eventType
      .refine(
        (type) => !type.startsWith('postrider.'),
        'begins with postrider., which is for the service itself',
      )
      .openapi({
        description:
          'A dotted name. Names that begin with `postrider.` are for the service itself.',
      }),
    data: eventData,
    occurredAt: time.nullish().openapi({ description: 'When it happened. Default: now.' }),
    deliverAt: time.nullish().openapi({ description: 'Not before then, up to 30 days ahead.' }),
    orderingKey: orderingKey.nullish(),
    channels: eventChannels.nullish(),
  })
  .openapi('NewEvent')

/**
 * No tenant has this key. A key of one tenant that names another goes on with it, and so gets the
 * very answer that a tenant that does not exist gets, in the same time.
 */
const NO_TENANT = ''

/** The tenant to publish for: the one that the event names, as far as the caller may touch it. */
export function tenantToPublishFor(named: string | null | undefined, caller: Caller): string {
  const tenant = named ?? caller.tenant?.key ?? NO_TENANT
  return mayTouch(caller, tenant) ? tenant : NO_TENANT
}

/** A key of the tenant is told what it may not do; to others it is their event that is wrong. */
export function refusalFor(caller: Caller): (error: unknown) => never {
  return (error) => {
    throw caller.tenant && isOfSuspended(error) ? tenantSuspended(error) : error
  }
}

const isOfSuspended = (error: unknown): boolean =>
  error instanceof BatchRefused
    ? error.refusals.some(({ refusal }) => isOfSuspended(refusal))
    : error instanceof PublishRefused && error.code === 'tenant_suspended'

/** Whether an event leaves out its tenant although the caller's key does not tell it. */
export function lacksTenant(event: unknown, caller: Caller): boolean {
  return isObject(event) && (event['tenant'] ?? undefined) === undefined && !caller.tenant
}

/** Measures `data`, or what it is called, only where the text of the event leaves a doubt. */
export function hasMoreData(
  bytes: Buffer,
  event: unknown,
  bytesMax: number,
  member = 'data',
): boolean {
  if (bytes.length <= bytesMax || !isObject(event)) return false
  return (memberOf(bytes, member)?.length ?? 0) > bytesMax
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
