import t from 'tap'
import {
  countClicks,
  findBarriers,
  NO_BROWSER,
  openWindow,
  signIn,
  signInByHand,
  startBrowser,
} from '../testing/servers/browser.ts'
import { startReceiver } from '../testing/servers/receiver.ts'
import { startServiceWithPages } from '../testing/wiring/service-with-pages.ts'

const browser = await startBrowser(t)
/** Whether a chart has anything in it that is neither black, white nor grey. */
const isDrawn = (id: string) => `(() => {
  const canvas = document.querySelector('#${id} canvas')
  const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height)
  const isColour = (at) => data[at + 3] > 200 &&
    Math.max(data[at], data[at + 1], data[at + 2]) - Math.min(data[at], data[at + 1], data[at + 2]) > 80
  for (let at = 0; at < data.length; at += 4) if (isColour(at)) return true
  return false
})()`
if (!browser) t.plan(0, NO_BROWSER)
else {
  const service = await startServiceWithPages(t)
  const { url, adminKey, call } = service

  t.test('the home page shows what happens, and goes on by itself', async (t) => {
    const { page, faults } = await openWindow(browser, url)
    await signInByHand(page, adminKey)
    await page.getByRole('heading', { name: 'Home' }).waitFor()
    await page.getByText('No deliveries in the last hour').waitFor()
    await call('POST', '/api/events', { tenant: 'default', type: 'a', data: 1 })
    await page.getByText('of 1 attempt succeeded').waitFor()
    await page.locator('.u-wrap canvas').first().waitFor()
    // One bucket between empty ones draws no line.
    for (const id of ['rates', 'latency']) t.ok(await page.evaluate(isDrawn(id)), id)
    t.strictSame(faults, [])
  })

  // Issue 18, walk-through a: at three in the morning, without a click.
  t.test(
    'the home page says who is affected, since when, why, whose trouble it is and what to press',
    async (t) => {
      const { page, faults } = await openWindow(browser, url)
      const clicks = await countClicks(page)
      await signIn(page, adminKey)
      await page.goto('/console')
      await page.getByText('No endpoint is failing').waitFor()
      const broken = await startReceiver({
        answer: () => ({ status: 500, body: 'NullReference in Billing' }),
      })
      const locked = await startReceiver({ answer: () => ({ status: 401, body: 'bad signature' }) })
      t.teardown(() => Promise.all([broken.close(), locked.close()]))
      for (const [tenant, name, receiver] of [
        ['acme', 'Acme Retail', broken],
        ['northwind', 'Northwind', locked],
      ] as const) {
        await call('PUT', `/api/tenants/${tenant}`, { name })
        const endpoint = { url: receiver.url, description: `${name} billing` }
        await call('POST', `/api/tenants/${tenant}/endpoints`, endpoint)
        for (let n = 0; n < 3; n++) {
          await call('POST', '/api/events', { tenant, type: 'invoice.paid', data: n })
        }
      }
      const row = (name: string) => page.locator('#incidents tr', { hasText: `${name} billing` })
      await page
        .getByText(
          /2 endpoints of 2 customers failing for .* likely their receivers \(2 different causes\)/,
        )
        .waitFor()
      await row('Acme Retail').getByText('5xx ×3').waitFor()
      await row('Acme Retail')
        .getByText('returned 500 Internal Server Error: "NullReference in Billing"')
        .waitFor()
      await row('Northwind').getByText('401 / 403 ×3').waitFor()
      t.equal(await row('Acme Retail').locator('.primary').first().textContent(), 'Probe now')
      t.equal(await row('Northwind').locator('.primary').first().textContent(), 'Notify customer')
      t.strictSame(await findBarriers(page), [])
      await page.locator('.side [data-trouble]', { hasText: '2' }).waitFor()
      t.match(await page.locator('#said').textContent(), /^Open incidents: [12]$/)
      t.match(await page.title(), /^\(2\) Home/, 'the tab follows without being loaded again')
      t.match(await page.locator('link[rel=icon]').getAttribute('href'), /icon-trouble\.svg$/)
      t.equal(clicks(), 0)
      const probe = row('Acme Retail').getByRole('button', { name: 'Probe now' })
      await probe.focus()
      await page.evaluate(
        `new Promise((resolve) => document.addEventListener('htmx:after:swap', resolve, { once: true }))`,
      )
      t.equal(await page.evaluate('document.activeElement.textContent'), 'Probe now', 'focus stays')

      const prevented = await page.evaluate<boolean[]>(`(() => {
        const prevented = []
        addEventListener('submit', ({ defaultPrevented }) => prevented.push(defaultPrevented))
        const row = [...document.querySelectorAll('#incidents tr')]
          .find(({ textContent }) => textContent.includes('Acme Retail billing'))
        const button = row.querySelector('form[action$="/acknowledge"] button')
        for (let n = 0; n < 2; n++) button.click()
        return prevented
      })()`)
      t.strictSame(prevented, [false, true], 'a button that is pressed twice sends its form once')
      await page.getByText('Incident acknowledged.').waitFor()

      broken.answerWith(() => 200)
      await row('Acme Retail').getByRole('button', { name: 'Probe now' }).click()
      await page.getByText('A delivery is being tried').waitFor()
      await page.getByText(/1 endpoint of 1 customer failing/).waitFor()
      t.equal(await row('Acme Retail').count(), 0, 'it is closed by the success')

      await row('Northwind').getByRole('link', { name: 'Northwind billing' }).click()
      await page.getByText(/rejects our requests as unauthorized/).waitFor()
      t.strictSame(await findBarriers(page), [], 'the page of an incident')
      await page.getByRole('button', { name: 'Notify customer' }).click()
      await page.getByText('Customer notified.').waitFor()
      await page.getByLabel('Note for colleagues').fill('They rotate the secret.')
      await page.getByRole('button', { name: 'Save note' }).click()
      await page.getByText('Note saved.').waitFor()
      await page.getByRole('button', { name: 'Acknowledge' }).click()
      await page.getByText('Incident acknowledged.').waitFor()
      t.strictSame(faults, [])
    },
  )

  // Issue 18, walk-through b: two clicks at most.
  t.test(
    'support finds out why an order never arrived, and has a link for the customer',
    async (t) => {
      await call('PUT', '/api/tenants/globex', { name: 'Globex Corporation' })
      await call('POST', '/api/tenants/globex/endpoints', {
        url: 'https://erp.example.com/in',
        description: 'ERP',
        eventTypes: ['stock.*'],
      })
      await call('POST', '/api/events', {
        tenant: 'globex',
        type: 'order.paid',
        data: { order: 4711 },
      })
      const { page, faults } = await openWindow(browser, url)
      const clicks = await countClicks(page)
      await signIn(page, adminKey)
      await page.goto('/console')
      const title = await page.title()
      await page.keyboard.press('Control+k')
      await page.getByPlaceholder('ID, tenant, URL, key, or text in the data').fill('globex')
      await page
        .locator('#search-found')
        .getByRole('link', { name: 'Globex Corporation' })
        .waitFor()
      t.strictSame(await findBarriers(page), [], 'the search box')
      t.equal(await page.title(), title, 'the page behind it keeps its title')
      await page.keyboard.press('Control+a')
      await page.keyboard.type('globex 4711')
      await page.keyboard.press('Enter')
      const answer = 'Not sent to ERP (its event types do not include this one).'
      await page.locator('main').getByText(answer).waitFor()
      t.strictSame(await findBarriers(page), [], 'what was found')
      await page.locator('main').getByRole('link', { name: 'order.paid' }).click()
      await page.getByRole('heading', { name: 'Event order.paid' }).waitFor()
      await page.getByText(answer).waitFor()
      t.ok(clicks() <= 2, `${clicks()} clicks to the answer`)
      await page.getByRole('button', { name: 'Portal link' }).click()
      await page.getByRole('button', { name: 'Create portal link' }).click()
      const [link = ''] =
        /http\S+token=\S+/.exec((await page.locator('main').textContent()) ?? '') ?? []
      const customer = await openWindow(browser, url)
      await customer.page.goto(link)
      await customer.page.getByText('ERP').first().waitFor()
      t.strictSame([...faults, ...customer.faults], [])
    },
  )

  t.test('axe finds nothing serious, in light and in dark', async (t) => {
    for (const colorScheme of ['light', 'dark'] as const) {
      const { page, faults } = await openWindow(browser, url, { colorScheme })
      await page.goto('/console/sign-in')
      const only = colorScheme === 'dark' ? 'cat.color' : undefined
      t.strictSame(await findBarriers(page, only), [], `sign-in, ${colorScheme}`)
      await signIn(page, adminKey)
      await page.goto('/console')
      t.strictSame(await findBarriers(page, only), [], `home, ${colorScheme}`)
      t.strictSame(faults, [])
    }
  })
}
