import { z } from '@hono/zod-openapi'
import { storableText } from '../http/validation.ts'
import type { Tenant } from '../tenants/tenants.ts'
import { mistakeInUid, type SvixPrefix, shownSvixId } from './svix-id.ts'

const NAME_LENGTH_MAX = 1_000
const METADATA_BYTES_MAX = 4_096

/** One line of text, of any characters that can be seen. */
const svixName = storableText(NAME_LENGTH_MAX)
  .min(1)
  .refine((name) => !/\p{Cc}/u.test(name), 'contains a control character')

/** The producer's own id of a thing. */
export const svixUid = (prefix: SvixPrefix) =>
  z.string().superRefine((uid, context) => {
    const mistake = mistakeInUid(prefix, uid)
    if (mistake !== null) context.addIssue(mistake)
  })

/** Notes of the producer; null stands for none. */
export const svixMetadata = z
  .record(storableText(METADATA_BYTES_MAX), storableText(METADATA_BYTES_MAX))
  .refine(
    (metadata) => Buffer.byteLength(JSON.stringify(metadata)) <= METADATA_BYTES_MAX,
    `is larger than ${METADATA_BYTES_MAX} bytes of JSON`,
  )

/** A member that Svix has and Postrider does not: nothing may be asked of it. */
export const svixUnsupported = (message: string) =>
  z
    .unknown()
    .optional()
    .refine((value) => value === undefined || value === null, message)
    .openapi({ description: `Not supported: ${message}.` })

const rate = svixUnsupported('an application has no rate here; set throttleRate of its endpoints')
const rates = { rateLimit: rate, throttleRate: rate }

export const svixApplicationInput = z
  .object({
    name: svixName.openapi({ example: 'Acme' }),
    uid: svixUid('app').nullish().openapi({ example: 'acme' }),
    metadata: svixMetadata.nullish(),
    ...rates,
  })
  .openapi('ApplicationIn')

export const svixApplicationPatch = z
  .object({
    name: svixName.optional(),
    uid: svixUid('app').nullish(),
    metadata: svixMetadata.nullish(),
    ...rates,
  })
  .openapi('ApplicationPatch')

const time = z.iso.datetime()

export const svixApplicationSchema = z
  .object({
    id: z.string().openapi({ example: 'app_2zpLQQpfZVpTnOqeqnTQGxBmrQk' }),
    uid: z.string().optional().openapi({ example: 'acme' }),
    name: z.string().openapi({ example: 'Acme' }),
    metadata: z.record(z.string(), z.string()),
    throttleRate: z.int().nullable(),
    createdAt: time,
    updatedAt: time,
  })
  .openapi('ApplicationOut')

export const presentSvixApplication = (tenant: Tenant): z.output<typeof svixApplicationSchema> => ({
  id: shownSvixId('app', tenant),
  // Left out where there is none, as Svix does.
  ...(tenant.uid !== null && { uid: tenant.uid }),
  name: tenant.name,
  metadata: tenant.metadata,
  throttleRate: null,
  createdAt: tenant.created_at.toISOString(),
  updatedAt: tenant.updated_at.toISOString(),
})
