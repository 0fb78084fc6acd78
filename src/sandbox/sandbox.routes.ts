import { isIP } from 'node:net'
import type { Context, Env, Hono } from 'hono'
import { bodyLimit } from 'hono/body-limit'
import type { Config } from '../config/config.ts'
import { showHiddenInHtml } from '../hidden-characters.ts'
import { createReceivedRequests } from './received-requests.ts'
import { SANDBOX_PATH } from './sandbox-endpoint.ts'
import { PAGE_HEADERS, renderPage } from './sandbox-page.ts'
import { type SandboxServices, verifyRequest } from './verify-request.ts'

/** Type and time around the data of the largest event. */
const ENVELOPE_BYTES = 4_096
/** What is delivered at most, where the data of an event may be so large. */
export const deliveredBytesMax = (eventBytesMax: number): number => eventBytesMax + ENVELOPE_BYTES

/**
 * Adds a receiver that shows what arrived and whether its signature verified.
 *
 * It takes requests without a key, as every receiver does, and shows them to anyone who can reach the
 * address; `postrider dev` listens on this machine only. They are shown under an address, `localhost` or a name
 * that is configured: under any other name, a page of that name could read them once it leads here (DNS rebinding).
 */
export function addSandboxRoutes<E extends Env>(
  app: Hono<E>,
  services: SandboxServices,
  { eventBytesMax, ...names }: OwnNames & Pick<Config, 'eventBytesMax'>,
): void {
  const received = createReceivedRequests()
  app.post(
    `${SANDBOX_PATH}/in/:tenant`,
    bodyLimit({ maxSize: deliveredBytesMax(eventBytesMax) }),
    (c) => receive(c, services, received),
  )
  app.on('GET', [SANDBOX_PATH, `${SANDBOX_PATH}/requests.json`], (c, next) =>
    isOwnName(c, names) ? next() : c.text(NOT_OWN_NAME, 403),
  )
  app.get(SANDBOX_PATH, async (c) => {
    const page = String(await renderPage(received.list()))
    return c.html(showHiddenInHtml(page), 200, PAGE_HEADERS)
  })
  app.get(`${SANDBOX_PATH}/requests.json`, (c) =>
    c.json({ data: received.list() }, 200, { 'cache-control': 'no-store' }),
  )
}

async function receive(
  c: Context,
  services: SandboxServices,
  received: ReturnType<typeof createReceivedRequests>,
) {
  const receivedAt = new Date().toISOString()
  const body = Buffer.from(await c.req.arrayBuffer())
  const headers = c.req.header()
  const tenant = c.req.param('tenant') ?? ''
  const { path, method } = c.req
  const verification = await verifyRequest(services, tenant, { headers, body })
  const signature = verification.valid
    ? { verified: true, reason: null }
    : { verified: false, reason: verification.reason }
  const text = { body: body.toString('utf8'), bodyBytes: body.length }
  received.add({ receivedAt, method, path, tenant, headers, ...text, signature })
  return c.text('ok\n')
}

const NOT_OWN_NAME =
  'The sandbox is shown at an IP address, at localhost, and at the host of HOST and PUBLIC_URL only.\n'

type OwnNames = Pick<Config, 'host' | 'publicUrl'>

function isOwnName({ req }: Context, { host, publicUrl }: OwnNames): boolean {
  const asked = hostnameOf(req.url)
  if (isIP(asked) !== 0 || /^(.+\.)?localhost$/.test(asked)) return true
  return asked === host || (publicUrl !== undefined && asked === hostnameOf(publicUrl))
}

const hostnameOf = (url: string): string => new URL(url).hostname.replace(/^\[|\]$|\.$/g, '')
