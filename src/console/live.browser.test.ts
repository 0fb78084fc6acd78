import t from 'tap'
import { findBarriers, NO_BROWSER, openWindow, signIn, startBrowser } from '../testing/browser.ts'
import { startPostgresProxy } from '../testing/postgres-proxy.ts'
import { startReceiver } from '../testing/receiver.ts'
import { startServiceWithPages } from '../testing/service-with-pages.ts'

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
    t.match(await rows.first().textContent(), /delivered HTTP 200.*default/)
    t.strictSame(await findBarriers(page), [])
    await rows.first().getByRole('link', { name: '…' }).click()
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
    await state.getByText('Paused; 1 wait').waitFor()
    await publish('pause.two')
    await state.getByText('Paused; 2 wait').waitFor()
    const rows = page.locator('#live tbody tr')
    t.equal(await rows.count(), 0)
    await page.getByRole('button', { name: 'Go on' }).click()
    await rows.getByText('pause.two').waitFor()
    t.equal(await rows.count(), 2, 'and nothing of another type')
    t.match(await rows.first().textContent(), /pause\.two/)
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
    await publish('many.last')
    await rows.getByText('many.last').waitFor()
    t.ok((await rows.count()) <= 500)
    t.strictSame(faults, [])
  })
}
