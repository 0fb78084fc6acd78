import { z } from '@hono/zod-openapi'
import { isOrigin } from '../config/config.ts'
import { LOGO_BYTES_MAX, typeOfImage } from '../config/image.ts'
import { type Fields, inputsOf, outputsOf } from '../fields.ts'
import { visibleText } from '../http/validation.ts'

/** A day: anyone who has the link has what it opens, and nobody notices when it is passed on. */
const MINUTES_MAX = 1_440
const NAME_LENGTH_MAX = 60
const URL_LENGTH_MAX = 2_048
/** `data:image/png;base64,…` */
const DATA_URL = /^data:image\/[a-z+.-]+;base64,([A-Za-z0-9+/]+={0,2})$/
const DATA_URL_LENGTH_MAX = Math.ceil(LOGO_BYTES_MAX / 3) * 4 + 64

/** The picture itself, or where browsers find it: the policy of the link's pages then names that one host. */
const logoInput = z
  .string()
  .max(DATA_URL_LENGTH_MAX)
  .superRefine((text, context) => {
    if (isLogoUrl(text)) return
    const bytes = bytesOfLogo(text)
    if (bytes === null) {
      context.addIssue('is not a data URL like data:image/png;base64,… nor an https URL')
    } else if (bytes.length > LOGO_BYTES_MAX) context.addIssue('is larger than 64 KiB')
    else if (typeOfImage(bytes) === undefined) context.addIssue('is not PNG, JPEG, WebP or GIF')
  })
  .optional()
  .openapi({
    example: 'data:image/gif;base64,R0lGODlhAQABAIAAAP///wAAACwAAAAAAQABAAACAkQBADs=',
    description:
      'Data URL of a PNG, JPEG, WebP or GIF image of at most 64 KiB, or an https URL that browsers load it from. Default: `PORTAL_LOGO_FILE`.',
  })

/** Its origin goes into a header, so it has to be a plain one, and nothing in it may be secret. */
export function isLogoUrl(text: string): boolean {
  const url = text.length <= URL_LENGTH_MAX ? URL.parse(text) : null
  if (url?.protocol !== 'https:' || url.username || url.password) return false
  return isOrigin(url.origin)
}

/** The bytes behind a data URL; null = it is none. */
export function bytesOfLogo(text: string): Buffer | null {
  const [, base64] = DATA_URL.exec(text) ?? []
  return base64 === undefined ? null : Buffer.from(base64, 'base64')
}

const backUrlInput = z
  .url({ protocol: /^https?$/, error: 'is not a URL like https://app.example.com/settings' })
  .max(URL_LENGTH_MAX)
  .superRefine((text, context) => {
    const url = URL.parse(text)
    if (url?.username || url?.password) context.addIssue('contains credentials')
  })
  .optional()

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
  name: {
    input: visibleText(NAME_LENGTH_MAX, 'name').min(1).optional().openapi({
      description: 'Title of the pages. Default: Webhooks.',
      example: 'Acme webhooks',
    }),
    option: { value: '<text>', about: 'title of the pages; default: Webhooks' },
  },
  accent: {
    input: z
      .string()
      .regex(/^#[0-9a-fA-F]{6}$/, 'is not a colour like #1f4fc4')
      .optional()
      .openapi({
        example: '#1f4fc4',
        description:
          'Colour of buttons and links; shades keep the contrast. Default: `PORTAL_ACCENT`.',
      }),
    option: { value: '<#rrggbb>', about: 'colour of buttons and links; default: PORTAL_ACCENT' },
  },
  logo: {
    input: logoInput,
    option: {
      value: '<url>',
      about: 'data URL of a PNG, JPEG, WebP or GIF, or its https URL; default: PORTAL_LOGO_FILE',
    },
  },
  theme: {
    input: z.enum(['light', 'dark']).optional().openapi({
      description:
        'The customer can choose another. Default: light or dark as the system of the customer.',
    }),
    option: {
      value: '<theme>',
      about: 'default: follows the system of the customer',
      isChoice: true,
    },
  },
  locale: {
    input: z.enum(['en', 'de']).optional().openapi({
      description:
        'Language of the pages, and of their dates and numbers. Default: that of the browser, otherwise English.',
    }),
    option: {
      value: '<locale>',
      about: 'language of the pages; default: that of the browser',
      isChoice: true,
    },
  },
  backUrl: {
    input: backUrlInput.openapi({
      description: 'Link back to your app, http or https. Default: none.',
      example: 'https://app.example.com/settings',
    }),
    option: { value: '<url>', about: 'link back to your app; default: none' },
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

/** What a link is asked to be. */
export type NewPortalLink = z.output<typeof portalLinkInput>
