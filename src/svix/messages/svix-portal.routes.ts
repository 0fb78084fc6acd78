import { z } from '@hono/zod-openapi'
import type { Context } from 'hono'
import { type LinkUrlOptions, linkUrl } from '../../portal-links/link-url.ts'
import type { NewPortalLink } from '../../portal-links/portal-link.fields.ts'
import type { PortalLinks } from '../../portal-links/portal-links.ts'
import { svixApplicationInput, svixUnsupported } from '../svix-application.fields.ts'
import { svixAppParams } from '../svix-application.routes.ts'
import type { SvixApplications } from '../svix-applications.ts'
import type { SvixEnv } from '../svix-caller.ts'
import { addingSvixRoutes, svixBody, svixJson, svixRoutesFor } from '../svix-route.ts'
import { applicationFor } from './svix-message.routes.ts'

/** A day, as of every link: anyone who has it has what it opens. */
const MINUTES_MAX = 1_440
const EXPIRY_SECONDS = { min: 3_600, max: 604_800 }

const accessInput = z
  .object({
    featureFlags: z.array(z.string()).max(0, 'are not supported').nullish(),
    capabilities: svixUnsupported('readOnly is what can be said'),
    readOnly: z.boolean().nullish().openapi({ description: 'Whether the portal is read-only.' }),
    expiry: z.int().min(EXPIRY_SECONDS.min).max(EXPIRY_SECONDS.max).nullish().openapi({
      description: 'Seconds, at most a day. Default: a day.',
    }),
    application: svixApplicationInput.nullish().openapi({
      type: ['object', 'null'],
      description: 'Created if the path names none; its uid has to be that of the path.',
    }),
  })
  .openapi('AppPortalAccessIn')

const accessSchema = z
  .object({
    url: z.string().openapi({ description: 'Opens the portal of the application.' }),
    token: z.string().openapi({
      description:
        'Token of the same link. Used as an API key, it works for this application only.',
    }),
  })
  .openapi('AppPortalAccessOut')

interface Options extends LinkUrlOptions {
  svixApplications: Pick<SvixApplications, 'find' | 'create'>
  portalLinks: Pick<PortalLinks, 'create'>
}

type AccessInput = z.output<typeof accessInput>

const route = svixRoutesFor<Options>()
/** The answer is a secret, so it is not kept for a repeat: that gets a new link. */
const ofPortal = { scope: 'manage', of: 'organisation', repeatsItself: true } as const

async function accessTo(c: Context<SvixEnv>, options: Options, input: AccessInput) {
  const { application, expiry, readOnly } = input
  const tenant = await applicationFor(c, options, application ?? null)
  const { urlOf } = linkUrl(c, options, tenant.key)
  const link: NewPortalLink = {
    minutes: Math.min(Math.floor((expiry ?? EXPIRY_SECONDS.max) / 60), MINUTES_MAX),
    access: readOnly ? 'read' : 'manage',
  }
  const { token } = await options.portalLinks.create(tenant, link, c.get('caller'))
  return { url: urlOf(token), token }
}

const appPortalAccess = route({
  ...ofPortal,
  method: 'post',
  path: '/auth/app-portal-access/{app_id}',
  operationId: 'v1.authentication.app-portal-access',
  summary: 'Get access to the portal of an application',
  description:
    'A link to the portal, which ends with the API key that made it, and when the links of the tenant are revoked. ' +
    'It allows no more than that key: `read` and `manage`.',
  request: { params: svixAppParams, body: svixBody(accessInput) },
  responses: { 200: svixJson(accessSchema, 'The link, which is not shown again.') },
  answer: async (c, options) => c.json(await accessTo(c, options, c.req.valid('json')), 200),
})

const dashboardAccess = route({
  ...ofPortal,
  method: 'post',
  path: '/auth/dashboard-access/{app_id}',
  operationId: 'v1.authentication.dashboard-access',
  summary: 'The same, as older SDKs ask',
  deprecated: true,
  request: { params: svixAppParams },
  responses: { 200: svixJson(accessSchema, 'The link, which is not shown again.') },
  answer: async (c, options) => c.json(await accessTo(c, options, {} as AccessInput), 200),
})

export const addSvixPortalRoutes = addingSvixRoutes([appPortalAccess, dashboardAccess])
