import t from 'tap'
import {
  findBarriers,
  NO_BROWSER,
  openWindow,
  signIn,
  signInByHand,
  startBrowser,
} from '../testing/servers/browser.ts'
import { startServiceWithPages } from '../testing/wiring/service-with-pages.ts'

const browser = await startBrowser(t)
if (!browser) t.plan(0, NO_BROWSER)
else {
  const service = await startServiceWithPages(t)
  const { url, adminKey, call } = service

  t.test('the overview shows what happens, and goes on by itself', async (t) => {
    const { page, faults } = await openWindow(browser, url)
    await signInByHand(page, adminKey)
    await page.getByRole('heading', { name: 'Overview' }).waitFor()
    await page.getByText('Nothing has been sent in the last hour').waitFor()
    await call('POST', '/api/events', { tenant: 'default', type: 'a', data: 1 })
    await page.getByText('1 attempts succeeded').waitFor()
    await page.locator('.u-wrap canvas').first().waitFor()
    t.strictSame(faults, [])
  })

  t.test('axe finds nothing serious, in light and in dark', async (t) => {
    for (const colorScheme of ['light', 'dark'] as const) {
      const { page, faults } = await openWindow(browser, url, { colorScheme })
      await page.goto('/console/sign-in')
      const only = colorScheme === 'dark' ? 'cat.color' : undefined
      t.strictSame(await findBarriers(page, only), [], `sign-in, ${colorScheme}`)
      await signIn(page, adminKey)
      await page.goto('/console')
      t.strictSame(await findBarriers(page, only), [], `overview, ${colorScheme}`)
      t.strictSame(faults, [])
    }
  })
}
