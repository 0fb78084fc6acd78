/** A person who has just started Postrider and has read nothing, in a real browser against a real service. */
import type { Page } from 'playwright-core'
import t from 'tap'
import { NO_BROWSER, openWindow, startBrowser } from '../../testing/servers/browser.ts'
import { startReceiver } from '../../testing/servers/receiver.ts'
import { startServiceWithPages } from '../../testing/wiring/service-with-pages.ts'

const browser = await startBrowser(t)

/** What the list shows of the newest delivery. */
const newest = (page: Page) => page.getByRole('row').nth(1)

if (!browser) t.plan(0, NO_BROWSER)
else {
  t.test('from signing in to a delivery that was repaired and retried', async (t) => {
    const { url, adminKey, call, pool, attempted } = await startServiceWithPages(t, {
      RETRY_SCHEDULE: '1,3600',
    })
    await using receiver = await startReceiver()
    const { page, faults } = await openWindow(browser, url)
    const press = (name: string) => page.getByRole('button', { name, exact: true }).click()
    /** The summary of a question is no button to the browser. */
    const ask = async (label: string, yes: string) => {
      await page.getByText(label, { exact: true }).click()
      await press(yes)
    }

    await page.goto('/console')
    await page.getByLabel('API key').fill(adminKey)
    await press('Sign in')

    await page.getByRole('link', { name: 'Tenants', exact: true }).click()
    await page.getByText('New tenant', { exact: true }).click()
    await page.getByRole('textbox', { name: 'Key', exact: true }).fill('acme')
    await page.getByRole('textbox', { name: 'Name', exact: true }).fill('Acme Corporation')
    await press('Create tenant')
    await page.getByRole('heading', { name: 'Acme Corporation' }).waitFor()

    await page.getByRole('link', { name: 'New endpoint' }).click()
    t.equal(await page.getByLabel('Tenant (key)').inputValue(), 'acme', 'the tenant is filled in')
    await page.getByLabel('URL').fill(`${receiver.url}/hooks`)
    await page.getByLabel('Event types').fill('invoice.*')
    await press('Create endpoint')
    await page.getByText('Endpoint created.').waitFor()
    await press('Send a test event')
    await page.getByText('Test event delivered: HTTP 200').waitFor()
    const endpointId = /endpoints\/([^?]+)/.exec(page.url())?.[1]

    const event = { tenant: 'acme', type: 'invoice.paid', data: { id: 1 } }
    await attempted((await call('POST', '/api/events', event)).id)
    await page.goto('/console/deliveries?tenant=acme')
    await newest(page).getByText('delivered').waitFor()

    receiver.answerWith(() => 503)
    const { id: eventId } = await call('POST', '/api/events', {
      tenant: 'acme',
      type: 'invoice.due',
      data: { id: 2 },
    })
    await receiver.received(4)
    await page.goto(`/console/events/${eventId}`)
    await page.locator('main .list .lead').click()
    await page.getByRole('link', { name: 'Open full page' }).click()
    await page.waitForURL(/\/console\/deliveries\//)
    await page.getByRole('heading', { name: 'Delivery of invoice.due' }).waitFor()
    await page.getByRole('heading', { name: 'Attempt 2' }).waitFor()
    t.match(await page.locator('#delivery').textContent(), /The receiver returned 503/)
    await page
      .locator('[data-countdown]')
      .getByText(/^in (59|60|5\d) min|^in 1 h/)
      .waitFor()

    const delivery = page.url()
    await page.goto(`/console/endpoints/${endpointId}`)
    await press('Send a test event')
    const failure = page.locator('.notice.bad')
    await failure.getByText('Test event not delivered').waitFor()
    await page.reload()
    await failure.getByText('Test event not delivered').waitFor()
    await failure.getByRole('link', { name: 'Show the attempt' }).click()
    await page.getByText('test event', { exact: true }).waitFor()
    await page.goto(delivery)

    receiver.answerWith(() => 200)
    await ask('Retry now', 'Retry delivery')
    await page.getByText('Delivery retried.').waitFor()
    await page.locator('#delivery .facts').getByText('Delivered', { exact: true }).waitFor()
    await page.getByRole('heading', { name: 'Attempt 3' }).waitFor()
    t.match(await page.locator('#delivery').textContent(), 'manual retry')

    await page.getByRole('link', { name: 'Audit log' }).click()
    await page.getByText('Retry now').waitFor()
    const { rows } = await pool.query(
      `select who from postrider.audit_log where action = 'retry_now'`,
    )
    t.strictSame(rows, [{ who: 'admin key' }])
    t.strictSame(faults, [])
  })
}
