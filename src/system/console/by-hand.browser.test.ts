/** What people do to a page with a mouse and a thumb. */
import type { Page } from 'playwright-core'
import t from 'tap'
import { NO_BROWSER, openWindow, signIn, startBrowser } from '../../testing/servers/browser.ts'
import { startServiceWithPages } from '../../testing/wiring/service-with-pages.ts'

const browser = await startBrowser(t)
const HOUR_MS = 3_600_000
const PHONES = [390, 320]

/** Items of the bar whose text is cut off, and whether it stands at the bottom of the screen. */
const BAR = `(() => {
  const bar = document.querySelector('nav.bottom')
  const items = [...bar.querySelectorAll('a, button')]
  return {
    cut: items.filter((item) => item.scrollWidth > item.clientWidth).map((item) => item.textContent.trim()),
    isAtBottom: Math.round(bar.getBoundingClientRect().bottom) === innerHeight,
  }
})()`

if (!browser) t.plan(0, NO_BROWSER)
else {
  const { url, adminKey, call } = await startServiceWithPages(t)

  t.test('a range that is dragged over the timeline is a filter of the list', async (t) => {
    const { page, faults } = await openWindow(browser, url)
    await signIn(page, adminKey)
    await page.goto('/console/deliveries?timeline=on&state=failed')
    const over = page.locator('#timeline .u-over')
    await over.waitFor()
    const { x, y, width } = (await over.boundingBox()) ?? { x: 0, y: 0, width: 0 }
    await page.mouse.move(x + width * 0.5, y + 20)
    await page.mouse.down()
    await page.mouse.move(x + width * 0.9, y + 20, { steps: 5 })
    await page.mouse.up()
    await page.waitForURL(/since=/)
    const query = new URL(page.url()).searchParams
    t.equal(query.get('state'), 'failed', 'other filters stay')
    const at = (name: string) => new Date(`${query.get(name)}Z`).getTime()
    const hours = (at('until') - at('since')) / HOUR_MS
    t.ok(hours > 9 && hours < 11, `0.4 of 24 hours and a bar: ${hours}`)
    t.strictSame(faults, [])
  })

  /** The four pages that matter most, and all of them behind the last item. */
  async function useBar(page: Page, names: { bar: string; more: string; other: string }) {
    const bar = page.getByRole('navigation', { name: names.bar })
    for (const width of PHONES) {
      await page.setViewportSize({ width, height: 844 })
      t.strictSame(await page.evaluate(BAR), { cut: [], isAtBottom: true }, `${width} pixels`)
    }
    t.equal(await bar.getByRole('link').count(), 4)
    await bar.getByRole('button', { name: names.more }).click()
    await page.locator('#menu').getByRole('link', { name: names.other, exact: true }).click()
    await page.getByRole('heading', { name: names.other, level: 1 }).waitFor()
  }

  t.test('on a phone the pages are in a bar at the bottom', async (t) => {
    const { page, faults } = await openWindow(browser, url)
    await signIn(page, adminKey)
    await page.goto('/console')
    await useBar(page, { bar: 'Main pages', more: 'More', other: 'Incidents' })
    t.strictSame(faults, [])
  })

  t.test('in German too, whose words are longer', async (t) => {
    const { page, faults } = await openWindow(browser, url)
    const link = await call('POST', '/api/tenants/default/portal-links', { locale: 'de' })
    await page.goto(link.url)
    await useBar(page, { bar: 'Wichtige Seiten', more: 'Mehr', other: 'Ereignistypen' })
    t.strictSame(faults, [])
  })
}
