import type { Context, Hono } from 'hono'
import { readForm } from '../console/forms.ts'
import type { RenderPage } from '../console/layout.tsx'
import { Command, Confirm, Notice, Time } from '../console/parts.tsx'
import { type PageEnv, viewerWith } from '../console/viewer.ts'
import { parseSettings } from '../http/request-body.ts'
import type { TenantAccess } from '../tenants/tenant-access.ts'
import { type LinkUrlOptions, linkUrl } from './link-url.ts'
import { portalLinkInput } from './portal-link.fields.ts'
import type { PortalLinks } from './portal-links.ts'

export interface PortalLinkPages extends LinkUrlOptions {
  render: RenderPage
  access: TenantAccess
  portalLinks: Pick<PortalLinks, 'create'>
}

const MINUTES = 60

export function addPortalLinkPage(app: Hono<PageEnv>, pages: PortalLinkPages): void {
  app.post('/tenants/:tenant/portal-link', (c) => create(c, pages))
}

const pathOf = (tenant: string): string => `/console/tenants/${encodeURIComponent(tenant)}`

/** Asks, and shows the link on the next page; for anyone who helps a customer. */
export function PortalLinkButton({ tenant }: { tenant: string }) {
  return (
    <Confirm
      label="Portal link"
      action={`${pathOf(tenant)}/portal-link`}
      question={`Anyone with the link sees what the customer sees, for ${MINUTES} minutes.`}
      yes="Create portal link"
    >
      <label class="check">
        <input type="checkbox" name="access" value="manage" /> Can edit endpoints and retry
        deliveries
      </label>
    </Confirm>
  )
}

async function create(c: Context<PageEnv>, pages: PortalLinkPages) {
  const key = c.req.param('tenant') ?? ''
  const { caller } = viewerWith(c, 'manage')
  const { access = 'read' } = await readForm(c)
  const input = parseSettings(portalLinkInput, { minutes: MINUTES, access })
  const { url, expiresAt, name } = await pages.access(caller, 'manage', key, async (tenant) => {
    const { urlOf } = linkUrl(c, pages, tenant.key)
    const { token, expiresAt } = await pages.portalLinks.create(tenant, input, caller)
    return { url: urlOf(token), expiresAt, name: tenant.name }
  })
  return pages.render(
    c,
    { title: 'Portal link', at: '/console/tenants' },
    <>
      <h1>Portal link for {name}</h1>
      <Notice tone="good">
        <p>Portal link created. Copy it now: it is not shown again.</p>
        <Command what="the portal link">{url}</Command>
        <p>
          It expires at <Time at={expiresAt} />.
        </p>
      </Notice>
      <p class="actions">
        <a class="button" href={url} target="_blank" rel="noreferrer">
          Open as customer
        </a>
        <a class="button quiet" href={pathOf(key)}>
          Back to the tenant
        </a>
      </p>
    </>,
  )
}
