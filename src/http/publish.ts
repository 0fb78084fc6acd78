import { createRoute, type OpenAPIHono, z } from '@hono/zod-openapi'
import type { Publisher, PublishItem } from '../events/publish.ts'
import type { Caller } from '../tenants/api-keys.ts'
import { TENANT_KEY } from '../tenants/tenants.ts'
import { type ApiEnv, type Authenticate, mayTouch } from './authenticate.ts'
import { memberBytes } from './json-text.ts'
import { type FieldError, Problem } from './problem.ts'
import { type JsonBody, readJsonBody, tooLarge } from './request-body.ts'
import { json, OF_BODY, problems } from './responses.ts'
import { publishedSchema } from './schemas.ts'
import { fieldErrors } from './validation.ts'

/** Room around `data` for the other members at their longest, and for blanks. */
const ENVELOPE_BYTES = 4_096
const IDEMPOTENCY_HEADER = 'Idempotency-Key'
/** Printable ASCII: other bytes of a header reach different servers as different text. */
const IDEMPOTENCY_KEY = /^[ -~]{1,255}$/
const EVENT_TYPE = /^(?=.{1,128}$)[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*$/

const time = z.iso.datetime({ offset: true })

/** The rules are those of `postrider.publish_many`; here they name every mistake at once. */
const eventInput = z
  .strictObject({
    tenant: z
      .string()
      .regex(TENANT_KEY, 'is not the key of a tenant')
      .nullish()
      .openapi({ description: 'Key of the tenant. A key of one tenant may leave it out.' }),
    type: z
      .string()
      .regex(EVENT_TYPE, 'is not a dotted name of at most 128 characters, such as invoice.paid')
      .openapi({ example: 'invoice.paid' }),
    data: z
      .unknown()
      .refine((data) => data !== undefined && data !== null, 'is required and not null')
      .openapi({ description: 'Any JSON except null. Reaches the receiver byte by byte.' }),
    occurredAt: time.nullish().openapi({ description: 'When it happened. Default: now.' }),
    deliverAt: time.nullish().openapi({ description: 'Not before then, up to 30 days ahead.' }),
  })
  .openapi('NewEvent')

export function addPublishRoute(
  app: OpenAPIHono<ApiEnv>,
  options: {
    publisher: Pick<Publisher, 'publish'>
    authenticate: Authenticate
    /** Bytes of `data` at most. */
    eventBytesMax: number
  },
): void {
  const { publisher, authenticate, eventBytesMax } = options
  const route = createRoute({
    method: 'post',
    path: '/api/events',
    summary: 'Publish an event',
    tags: ['Events'],
    request: {
      headers: z.object({
        [IDEMPOTENCY_HEADER]: z.string().optional().openapi({
          description: 'Up to 255 characters. A repeat within 7 days answers with the first event.',
        }),
      }),
      body: { required: true, content: { 'application/json': { schema: eventInput } } },
    },
    responses: {
      202: json(publishedSchema, 'Stored: event, deliveries and jobs in one commit.'),
      ...problems(409, ...OF_BODY),
    },
  })
  // Documented, but not validated by the framework: that would parse the body a second time, and
  // the text as it came is what is stored.
  app.openAPIRegistry.registerPath(route)
  app.post(route.path, authenticate('publish'), async (c) => {
    const tooLargeData = () => tooLarge(eventBytesMax, 'data')
    const body = await readJsonBody(c, eventBytesMax + ENVELOPE_BYTES, tooLargeData)
    if (hasMoreData(body, eventBytesMax)) throw tooLargeData()
    const item = toItem(body, c.req.header(IDEMPOTENCY_HEADER) ?? null, c.get('caller'))
    return c.json(await publisher.publish(item), 202)
  })
}

/** Measures `data` only where the body leaves a doubt. */
function hasMoreData({ bytes, value }: JsonBody, bytesMax: number): boolean {
  return bytes.length > bytesMax && isObject(value) && memberBytes(bytes, 'data') > bytesMax
}

/**
 * No tenant has this key. A key of one tenant that names another goes on with it, and so gets the
 * very answer that a tenant that does not exist gets, in the same time.
 */
const NO_TENANT = ''

/** @throws Problem with every invalid field, the header among them */
function toItem(
  { text, value }: JsonBody,
  idempotencyKey: string | null,
  caller: Caller,
): PublishItem {
  const parsed = eventInput.safeParse(value)
  const errors: FieldError[] = parsed.error ? fieldErrors(parsed.error) : []
  if (idempotencyKey !== null && !IDEMPOTENCY_KEY.test(idempotencyKey)) {
    const message = 'is not 1 to 255 printable ASCII characters'
    errors.push({ field: IDEMPOTENCY_HEADER, message })
  }
  const named = isObject(value) ? (value['tenant'] ?? undefined) : undefined
  if (isObject(value) && named === undefined && !caller.tenant) {
    errors.push({ field: 'tenant', message: 'is required' })
  }
  if (errors.length > 0) throw new Problem('request_invalid', { errors })

  const tenant = parsed.data?.tenant ?? caller.tenant?.key ?? NO_TENANT
  return { body: text, tenant: mayTouch(caller, tenant) ? tenant : NO_TENANT, idempotencyKey }
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
