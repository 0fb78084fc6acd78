import { z } from '@hono/zod-openapi'
import { type Fields, inputsOf, outputsOf } from '../fields.ts'

/** A day: anyone who has the link has what it opens, and nobody notices when it is passed on. */
const MINUTES_MAX = 1_440

export const portalLinkFields = {
  minutes: {
    input: z
      .int()
      .min(1)
      .max(MINUTES_MAX)
      .default(60)
      .openapi({
        description: `How long the link, and every session that it opens, lasts; ${MINUTES_MAX} (a day) at most.`,
      }),
    option: { value: '<n>', about: 'lifetime, 1 to 1440 (a day); default: 60' },
  },
  access: {
    input: z.enum(['read', 'manage']).default('manage').openapi({
      description: '`read`: read-only. `manage`: also edits endpoints and retries.',
    }),
    option: {
      value: '<access>',
      about: 'manage edits endpoints and retries, read is read-only; default: manage',
      isChoice: true,
    },
  },
  url: {
    output: z.url().openapi({
      description: 'For the customer. Anyone with the link has its permissions.',
      example: 'https://postrider.example.com/portal/open?token=fKlwO0ffh1tZ3Wb5xvz4rw',
    }),
  },
  expiresAt: { output: z.iso.datetime(), example: '2099-12-31T23:59:59.000Z' },
} as const satisfies Fields

export const portalLinkInput = z.strictObject(inputsOf(portalLinkFields)).openapi('NewPortalLink')
export const portalLinkSchema = z.object(outputsOf(portalLinkFields)).openapi('PortalLink')
