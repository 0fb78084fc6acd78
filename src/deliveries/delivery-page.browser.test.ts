import t from 'tap'
import { NO_BROWSER, openWindow, signIn, startBrowser } from '../testing/servers/browser.ts'
import { startReceiver } from '../testing/servers/receiver.ts'
import { startServiceWithPages } from '../testing/wiring/service-with-pages.ts'

const browser = await startBrowser(t)

if (!browser) t.plan(0, NO_BROWSER)
else {
  // Issue 8: a page that was left open asked for ever about what could not change any more.
  t.test('the page of a delivery follows it to its end, and asks no more then', async (t) => {
    const { url, adminKey, call } = await startServiceWithPages(t, { RETRY_SCHEDULE: '3600' })
    await using receiver = await startReceiver()
    receiver.answerWith(() => 503)
    await call('PUT', '/api/tenants/acme')
    await call('POST', '/api/tenants/acme/endpoints', { url: receiver.url })
    await call('POST', '/api/events', { tenant: 'acme', type: 'invoice.paid', data: 'the body' })
    await receiver.received(1)
    const { data } = await call('GET', '/api/tenants/acme/deliveries')
    const path = `/console/deliveries/${data[0].id}`

    const { page, faults } = await openWindow(browser, url)
    await signIn(page, adminKey)
    await page.clock.install()
    let asked = 0
    page.on('request', (request) => {
      if (new URL(request.url()).pathname === path) asked += 1
    })
    await page.goto(path)
    const body = page.getByRole('region', { name: 'Request body' })
    const answered = page.waitForResponse((response) => response.url().endsWith(path))
    await page.clock.runFor(2_000)
    await answered
    t.equal(asked, 2, 'the page, and what has changed since')

    await call('POST', `/api/tenants/acme/deliveries/${data[0].id}/cancel`)
    await page.clock.runFor(2_000)
    await page.locator('#delivery .facts').getByText('Cancelled', { exact: true }).waitFor()
    t.match(await body.textContent(), 'the body')
    // What is asked at this moment would be given up a minute later by the clock of the page.
    await page.locator('#delivery:not(.htmx-request)').waitFor()
    const before = asked
    await page.clock.runFor(60_000)
    await page.reload()
    t.equal(asked, before + 1, 'the page that was loaded again, and nothing before')
    t.strictSame(faults, [])
  })
}
