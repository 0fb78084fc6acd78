/** Lists on desks and tablets: what a row is about gives way, what state it is in does not. */
import t from 'tap'
import { addIncident } from '../../testing/data/world.ts'
import { NO_BROWSER, openWindow, signIn, startBrowser } from '../../testing/servers/browser.ts'
import { startReceiver } from '../../testing/servers/receiver.ts'
import { startServiceWithPages } from '../../testing/wiring/service-with-pages.ts'

const browser = await startBrowser(t)
const WIDTHS = [768, 1024, 1200, 1440]
const LISTS = [
  ...['', '/deliveries', '/events', '/endpoints', '/tenants', '/incidents', '/event-types'],
  ...['/replays', '/keys', '/audit', '/live'],
].map((path) => `/console${path}`)
const LONG = 'Northwind Traders International GmbH & Co. KG, Vienna'

/** Cells that hide a part of their text, and names of which fewer than four letters are left. */
const CUT = `[...document.querySelectorAll('.list td')].filter((cell) => cell.offsetParent).flatMap((cell) => {
  const name = cell.querySelector('.gives > div')
  const isCut = name
    ? name.clientWidth < 56 && name.scrollWidth > name.clientWidth
    : cell.scrollWidth > cell.clientWidth
  return isCut ? [cell.dataset.column + ': ' + cell.textContent] : []
})`

if (!browser) t.plan(0, NO_BROWSER)
else {
  const { url, adminKey, call, pool } = await startServiceWithPages(t)
  const receiver = await startReceiver({ answer: () => 500 })
  t.teardown(() => receiver.close())
  await call('PUT', '/api/tenants/northwind', { name: LONG })
  const type = 'customer.subscription.renewed_with_a_long_name'
  await call('PUT', `/api/event-types/${type}`, { description: `${LONG}. `.repeat(3) })
  const path = '/api/tenants/northwind/endpoints'
  const paused = await call('POST', path, { url: receiver.url, description: LONG })
  const failing = await call('POST', path, { url: `${receiver.url}/${'long/'.repeat(20)}` })
  await call('POST', `${path}/${paused.id}/pause`)
  const event = { tenant: 'northwind', type, data: {} }
  await call('POST', '/api/events', event)
  await call('POST', '/api/events/batch', {
    events: [{ ...event, idempotencyKey: 'long'.repeat(20) }],
  })
  await receiver.received(2)
  await call('POST', '/api/keys', { name: LONG, scopes: ['read', 'manage'] })
  await call('POST', '/api/tenants/northwind/replays', { since: '2026-01-01T00:00:00Z' })
  await addIncident(pool, (await call('GET', '/api/tenants/northwind')).id, failing.id)

  t.test('states, times and numbers are shown in whole, names give way', async (t) => {
    const { page, faults } = await openWindow(browser, url)
    await signIn(page, adminKey)
    for (const path of LISTS) {
      await page.goto(path)
      for (const width of WIDTHS) {
        await page.setViewportSize({ width, height: 900 })
        t.strictSame(await page.evaluate(CUT), [], `${path} at ${width} pixels`)
        const lists = `[...document.querySelectorAll('.scroll:has(.list)')]`
        t.ok(
          await page.evaluate(`${lists}.every((list) => list.scrollWidth <= list.clientWidth)`),
          `${path} fits ${width} pixels`,
        )
      }
    }
    t.strictSame(faults, [])
  })

  t.test('the card of a row on a phone has no label without a value', async (t) => {
    const { page, faults } = await openWindow(browser, url, {
      viewport: { width: 390, height: 844 },
    })
    await signIn(page, adminKey)
    for (const path of ['/console/audit', '/console/events', '/console/endpoints']) {
      await page.goto(path)
      const bare = `[...document.querySelectorAll('.list td[data-label]')]
        .filter((cell) => cell.offsetParent && !cell.textContent.trim() && !cell.querySelector('button, svg'))
        .map((cell) => cell.dataset.label)`
      t.strictSame(await page.evaluate(bare), [], path)
    }
    t.strictSame(faults, [])
  })

  t.test('tiles of the home page stand in even rows, and filters in one line', async (t) => {
    const { page, faults } = await openWindow(browser, url)
    await signIn(page, adminKey)
    const rowsOf = (items: string) =>
      page.evaluate<number[]>(`Object.values(Object.groupBy(
        [...document.querySelectorAll('${items}')].map((item) => Math.round(item.getBoundingClientRect().top)),
        (top) => top)).map(({ length }) => length)`)
    await page.goto('/console')
    for (const width of [768, 1024, 1200, 1300]) {
      await page.setViewportSize({ width, height: 900 })
      t.strictSame(await rowsOf('.tiles > li'), [4, 3], `${width} pixels`)
    }
    await page.setViewportSize({ width: 1440, height: 900 })
    t.strictSame(await rowsOf('.tiles > li'), [7])
    for (const query of ['', '?state=failed']) {
      await page.goto(`/console/deliveries${query}`)
      for (const width of [960, 1024, 1200, 1300, 1440]) {
        await page.setViewportSize({ width, height: 900 })
        const items = '.head > h1, .head .filters, .head .filters > :not([type=hidden])'
        const middles = await page.evaluate<
          number[]
        >(`[...document.querySelectorAll('${items}')].map((item) => {
          const { top, height } = item.getBoundingClientRect()
          return Math.round(top + height / 2)
        })`)
        const apart = Math.max(...middles) - Math.min(...middles)
        t.ok(apart < 8, `${width} pixels${query}: ${middles}`)
      }
    }
    t.strictSame(faults, [])
  })
}
