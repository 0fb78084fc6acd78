/**
 * The portal within pages of other sites, in a browser that keeps no third-party cookies but partitioned ones,
 * over https as in production: `localhost` and `127.0.0.1` are two sites to it.
 */
import type { IncomingMessage } from 'node:http'
import t from 'tap'
import { NO_BROWSER, openWindow, startBrowser } from '../testing/servers/browser.ts'
import { makeCertificates } from '../testing/servers/certificates.ts'
import { startReceiver } from '../testing/servers/receiver.ts'
import { startTlsFront, startWebSite } from '../testing/servers/web-servers.ts'
import { startServiceWithPages } from '../testing/wiring/service-with-pages.ts'

const browser = await startBrowser(t)

/** What Chromium writes to its console about a frame that it does not show. */
const REFUSED = /frame-ancestors/

if (!browser) t.plan(0, NO_BROWSER)
else {
  const { valid: tls } = await makeCertificates()
  const allowed = await startWebSite(t, { host: 'localhost', tls })
  const refused = await startWebSite(t, { host: 'localhost', tls })
  const service = await startServiceWithPages(t, { PORTAL_FRAME_ORIGINS: allowed.origin })
  const { call } = service
  const seen: IncomingMessage[] = []
  const portal = await startTlsFront(t, { target: service.url, tls, seen })
  const receiver = await startReceiver()
  t.teardown(() => receiver.close())
  await call('PUT', '/api/tenants/acme')
  const { id } = await call('POST', '/api/tenants/acme/endpoints', {
    url: receiver.url,
    description: 'Accounting',
  })
  const newLink = async () => {
    const link = new URL((await call('POST', '/api/tenants/acme/portal-links')).url)
    return portal + link.pathname + link.search
  }
  const framing = (link: string) =>
    `<iframe name="portal" title="Webhooks" width="900" height="700" src="${link}"></iframe>`
  /** A window at a site; that its frames are of another is no fault here. */
  const openSite = async (origin: string, expected: RegExp[] = []) => {
    const options = { ignoreHTTPSErrors: true, expected: [/^elsewhere: https:/, ...expected] }
    const { page, faults } = await openWindow(browser, origin, options)
    return { page, faults, inside: page.frameLocator('iframe') }
  }

  t.test('an allowed origin shows it, and the customer acts in it', async (t) => {
    allowed.show(framing(await newLink()))
    const { page, faults, inside } = await openSite(allowed.origin)
    await page.goto('/')
    await inside.getByRole('link', { name: 'Accounting' }).click()
    await inside.getByRole('button', { name: 'Send a test event' }).click()
    await inside.getByText('Test event delivered: HTTP 200').waitFor()
    const [cookie, ...others] = await page.context().cookies(`${portal}/portal`)
    t.match(cookie, {
      name: '__Host-postrider_portal',
      httpOnly: true,
      secure: true,
      sameSite: 'None',
    })
    t.strictSame(others, [])
    t.strictSame(faults, [])
  })

  t.test('another origin is shown nothing', async (t) => {
    refused.show(framing(await newLink()))
    const { page, faults, inside } = await openSite(refused.origin, [REFUSED])
    const refusal = page.waitForEvent('console', (message) => REFUSED.test(message.text()))
    await page.goto('/')
    await refusal
    t.equal(await inside.getByText('Accounting').count(), 0)
    t.strictSame(faults, [])
  })

  t.test('nobody may frame the console, an allowed origin neither', async (t) => {
    allowed.show(framing(`${portal}/console/sign-in`))
    const { page, faults, inside } = await openSite(allowed.origin, [REFUSED])
    const refusal = page.waitForEvent('console', (message) => REFUSED.test(message.text()))
    await page.goto('/')
    await refusal
    t.equal(await inside.getByText('API key').count(), 0)
    t.strictSame(faults, [])
  })

  t.test('a form of the site around it is refused, although the cookie goes along', async (t) => {
    const path = `/portal/endpoints/${id}/delete`
    allowed.show(
      `<form method="post" target="portal" action="${portal}${path}"><button>Win</button></form>${framing(await newLink())}`,
    )
    const { page, faults, inside } = await openSite(allowed.origin, [/status of 403/])
    await page.goto('/')
    await inside.getByRole('link', { name: 'Accounting' }).waitFor()
    await page.getByRole('button', { name: 'Win' }).click()
    await inside.getByRole('heading', { name: 'You are not allowed to do this' }).waitFor()
    const sent = seen.find(({ url }) => url === path)
    t.match(sent?.headers, { cookie: /postrider_portal=/, origin: allowed.origin })
    t.match(await call('GET', `/api/tenants/acme/endpoints/${id}`), { state: 'active' })
    t.strictSame(faults, [])
  })

  t.test('a session that began in a frame is not there in a window', async (t) => {
    allowed.show(framing(await newLink()))
    const { page, inside } = await openSite(allowed.origin)
    await page.goto('/')
    await inside.getByRole('link', { name: 'Accounting' }).waitFor()
    const answer = await page.goto(`${portal}/portal/endpoints`)
    t.equal(answer?.status(), 401)
  })
}
