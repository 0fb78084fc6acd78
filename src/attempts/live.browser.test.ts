import t from 'tap'
import {
  findBarriers,
  NO_BROWSER,
  openWindow,
  signIn,
  startBrowser,
} from '../testing/servers/browser.ts'
import { startPostgresProxy } from '../testing/servers/postgres-proxy.ts'
import { startReceiver } from '../testing/servers/receiver.ts'
import { untilHolds } from '../testing/until.ts'
import { startServiceWithPages } from '../testing/wiring/service-with-pages.ts'

const browser = await startBrowser(t)

if (!browser) t.plan(0, NO_BROWSER)
else {
  const service = await startServiceWithPages(t)
  const { url, adminKey, call } = service
  const publish = (type: string, tenant = 'default') =>
    call('POST', '/api/events', { tenant, type, data: { a: '<b>' } })

  t.test('attempts appear as they end, newest first, and lead to their deliveries', async (t) => {
    const { page, faults } = await openWindow(browser, url)
    await signIn(page, adminKey)
    await page.goto('/console/live')
    await page.locator('#live-state').getByText('Live', { exact: true }).waitFor()
    const rows = page.locator('#live tbody tr')
    await publish('first.seen')
    await rows.getByText('first.seen').waitFor()
    await publish('second.seen')
    await rows.getByText('second.seen').waitFor()
    t.match(await rows.first().textContent(), /second\.seen/)
    t.match(await rows.first().textContent(), /Delivered HTTP 200.*default/)
    t.strictSame(await findBarriers(page), [])
    await rows.first().locator('.lead').first().click()
    await page.getByRole('heading', { name: 'Delivery of second.seen' }).waitFor()
    t.strictSame(faults, [])
  })

  t.test('it can be paused and goes on with what came meanwhile', async (t) => {
    const { page, faults } = await openWindow(browser, url)
    await signIn(page, adminKey)
    await page.goto('/console/live?type=pause.*')
    const state = page.locator('#live-state')
    await state.getByText('Live', { exact: true }).waitFor()
    await page.getByRole('button', { name: 'Pause' }).click()
    await publish('other.type')
    await publish('pause.one')
    await state.getByText('Paused; 1 waiting').waitFor()
    await publish('pause.two')
    await state.getByText('Paused; 2 waiting').waitFor()
    const rows = page.locator('#live tbody tr')
    t.equal(await rows.count(), 0)
    await page.getByRole('button', { name: 'Continue' }).click()
    await rows.getByText('pause.two').waitFor()
    t.equal(await rows.count(), 2, 'and nothing of another type')
    t.match(await rows.first().textContent(), /pause\.two/)
    await page
      .locator('#live-seen')
      .getByText(/Last attempt .*(ago|just now)/)
      .waitFor()

    const hide = (isHidden: boolean) =>
      page.evaluate(`Object.defineProperty(document, 'hidden', { configurable: true, value: ${isHidden} })
        document.dispatchEvent(new Event('visibilitychange'))`)
    await hide(true)
    await publish('pause.three')
    await state.getByText('Paused; 1 waiting').waitFor()
    t.equal(await rows.count(), 2, 'nothing is drawn that nobody sees')
    await hide(false)
    await rows.getByText('pause.three').waitFor()
    await state.getByText('Live', { exact: true }).waitFor()
    t.strictSame(faults, [])
  })

  t.test('after the connection was cut, what was missed comes first', async (t) => {
    await using receiver = await startReceiver()
    await call('PUT', '/api/tenants/cut')
    await call('POST', '/api/tenants/cut/endpoints', { url: receiver.url })
    // It knows nothing of what goes through it.
    const proxy = await startPostgresProxy(t, url)
    const proxied = proxy.url.replace(/\/$/, '')
    const { page, faults } = await openWindow(browser, proxied, {
      expected: [/Failed to load resource|net::ERR/],
    })
    await signIn(page, adminKey)
    await page.goto('/console/live?tenant=cut')
    const state = page.locator('#live-state')
    await state.getByText('Live', { exact: true }).waitFor()
    await publish('before.cut', 'cut')
    await page.locator('#live tbody').getByText('before.cut').waitFor()
    proxy.cut()
    await state.getByText('Connecting again').waitFor()
    await publish('while.cut', 'cut')
    await receiver.received(2)
    proxy.mend()
    await page.locator('#live tbody').getByText('while.cut').waitFor()
    t.strictSame(faults, [])
  })

  for (const status of [429, 503]) {
    // Issue 8: the page began again after a refusal, and what had ended meanwhile was never shown.
    t.test(`after a refusal with ${status}, what was missed comes first`, async (t) => {
      await using receiver = await startReceiver()
      const tenant = `refused-${status}`
      await call('PUT', `/api/tenants/${tenant}`)
      await call('POST', `/api/tenants/${tenant}/endpoints`, { url: receiver.url })
      const proxy = await startPostgresProxy(t, url)
      const { page, faults } = await openWindow(browser, proxy.url.replace(/\/$/, ''), {
        expected: [/Failed to load resource|net::ERR/],
      })
      await signIn(page, adminKey)
      await page.clock.install()
      await page.goto(`/console/live?tenant=${tenant}`)
      const state = page.locator('#live-state')
      await state.getByText('Live', { exact: true }).waitFor()

      const refused = page.waitForResponse((response) => response.status() === status)
      await page.route('**/live/stream*', (route) => route.fulfill({ status }))
      proxy.cut()
      await state.getByText('Connecting again').waitFor()
      await publish('while.refused', tenant)
      await receiver.received(1)
      proxy.mend()
      await refused
      await page.unroute('**/live/stream*')
      await page.clock.runFor(5_000)
      await page.locator('#live tbody').getByText('while.refused').waitFor()
      t.strictSame(faults, [])
    })
  }

  t.test('who is refused since the session is over is asked to sign in', async (t) => {
    const { page, faults } = await openWindow(browser, url, {
      expected: [/Failed to load resource/],
    })
    await signIn(page, adminKey)
    await page.clock.install()
    await page.route('**/live/stream*', (route) => route.fulfill({ status: 401 }))
    await page.goto('/console/live?type=a.b')
    await page.locator('#live-state').getByText('Connecting again').waitFor()
    await page.context().clearCookies()
    await page.clock.runFor(5_000)
    await page.getByLabel('API key').fill(adminKey)
    await page.unroute('**/live/stream*')
    await page.getByRole('button', { name: 'Sign in' }).click()
    await page.locator('#live-state').getByText('Live', { exact: true }).waitFor()
    t.match(page.url(), '/console/live?type=a.b')
    t.strictSame(faults, [])
  })

  t.test('a page that the browser has kept goes on where it was', async (t) => {
    const { page, faults } = await openWindow(browser, url)
    await signIn(page, adminKey)
    await page.goto('/console/live?type=kept.*')
    await page.locator('#live-state').getByText('Live', { exact: true }).waitFor()
    const shift = (name: string) =>
      page.evaluate(`dispatchEvent(new PageTransitionEvent('${name}', { persisted: true }))`)
    await shift('pagehide')
    const { id } = await publish('kept.away')
    await untilHolds(
      service.pool,
      `select exists (select from postrider.delivery where event_id = $1 and state = 'delivered') as holds`,
      [id],
    )
    await shift('pageshow')
    await page.locator('#live tbody').getByText('kept.away').waitFor()
    t.strictSame(faults, [])
  })

  t.test('what others wrote is text in a row as well', async (t) => {
    const { page, faults } = await openWindow(browser, url)
    await call('PUT', '/api/tenants/hostile')
    const hostile = 'http://127.0.0.1:9/a?b="><img/src=x/onerror=alert(1)>'
    const description = '<b>The CRM</b>'
    await call('POST', '/api/tenants/hostile/endpoints', { url: hostile, description })
    await page.emulateMedia({ reducedMotion: 'no-preference' })
    await signIn(page, adminKey)
    await page.goto('/console/live?tenant=hostile')
    await page.locator('#live-state').getByText('Live', { exact: true }).waitFor()
    await publish('hostile.type', 'hostile')
    const row = page.locator('#live tbody tr')
    await row.getByText('hostile.type').waitFor()
    t.match(await row.textContent(), description, 'by the name that people know')
    t.match(await row.locator('.name').getAttribute('title'), 'onerror=alert(1)')
    const animation = await page.evaluate<string>(
      `getComputedStyle(document.querySelector('#live tbody tr')).animationName`,
    )
    t.equal(animation, 'fresh-bad', 'what failed does not flash as what succeeded')
    t.equal(await row.locator('img, script').count(), 0)
    t.strictSame(faults, [])
  })

  t.test('a page that stays open keeps the newest rows only', async (t) => {
    const { page, faults } = await openWindow(browser, url)
    await signIn(page, adminKey)
    await page.goto('/console/live?type=many.*')
    await page.locator('#live-state').getByText('Live', { exact: true }).waitFor()
    const rows = page.locator('#live tbody tr')
    for (let batch = 0; batch < 6; batch++) {
      const events = Array.from({ length: 100 }, () => ({
        tenant: 'default',
        type: 'many.a',
        data: 1,
      }))
      await call('POST', '/api/events/batch', { events })
    }
    const { id } = await publish('many.last')
    // Only then the page has a bounded time to show it: how long the deliveries take is the machine's affair.
    await untilHolds(
      service.pool,
      `select exists (select from postrider.delivery where event_id = $1 and state = 'delivered') as holds`,
      [id],
    )
    await rows.getByText('many.last').waitFor()
    t.ok((await rows.count()) <= 500)
    t.strictSame(faults, [])
  })
}
