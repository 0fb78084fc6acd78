/** A customer with a link, in a real browser against a real service. */

import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Page } from 'playwright-core'
import { Webhook } from 'standardwebhooks'
import t from 'tap'
import {
  findBarriers,
  findBarriersOnScreens,
  NO_BROWSER,
  openWindow,
  startBrowser,
  tabTo,
} from '../testing/servers/browser.ts'
import { startReceiver } from '../testing/servers/receiver.ts'
import { startServiceWithPages } from '../testing/wiring/service-with-pages.ts'

const browser = await startBrowser(t)
const HOSTILE = '</code></pre><script>document.title="broken"</script><img src=x onerror=alert(1)>'
/** One pixel. */
const LOGO = Buffer.from('R0lGODlhAQABAIAAAP///wAAACwAAAAAAQABAAACAkQBADs=', 'base64')
/** Hard to read on white, as some people's colours are. */
const ACCENT = '#ffe600'

if (!browser) t.plan(0, NO_BROWSER)
else {
  const logo = join(t.testdir(), 'logo.gif')
  writeFileSync(logo, LOGO)
  const service = await startServiceWithPages(t, {
    RETRY_SCHEDULE: '3600',
    PORTAL_ACCENT: ACCENT,
    EVENT_CATALOG: 'true',
    PORTAL_LOGO_FILE: logo,
  })
  const { url, call, pool } = service
  const receiver = await startReceiver()
  t.teardown(() => receiver.close())
  let tenants = 0
  const newTenant = async () => {
    const key = `customer-${++tenants}`
    await call('PUT', `/api/tenants/${key}`)
    return key
  }
  const linkTo = async (tenant: string, body: object = {}): Promise<string> =>
    (await call('POST', `/api/tenants/${tenant}/portal-links`, body)).url
  const press = (page: Page, name: string) =>
    page.getByRole('button', { name, exact: true }).click()
  /** The summary of a question is no button to the browser. */
  const ask = async (page: Page, label: string, yes: string) => {
    await page.getByText(label, { exact: true }).click()
    await press(page, yes)
  }

  t.test('a first visit: from the link to a delivered test event and a new secret', async (t) => {
    const tenant = await newTenant()
    const { page, faults } = await openWindow(browser, url)
    await page.goto(await linkTo(tenant))
    t.equal(new URL(page.url()).pathname + new URL(page.url()).search, '/portal')
    await page.getByText('No endpoints yet').waitFor()
    await page.getByRole('link', { name: 'Add an endpoint' }).click()
    await page.getByLabel('URL').fill(`${receiver.url}/first`)
    await page.getByLabel('Event types').fill('invoice.*')
    await press(page, 'Create endpoint')
    await page.getByText('Endpoint created.').waitFor()

    await press(page, 'Send a test event')
    await page.getByText('Test event delivered: HTTP 200').waitFor()
    await page.getByRole('link', { name: 'Deliveries' }).last().click()
    await page.getByRole('table').getByText('delivered').waitFor()
    await page.getByRole('table').locator('.lead').first().click()
    await page.getByRole('heading', { name: 'Attempt 1' }).waitFor()
    t.match(await page.locator('#delivery').textContent(), 'test event')

    const name = `${new URL(receiver.url).host}/first`
    await page.locator('.facts').getByRole('link', { name }).click()
    await press(page, 'Show secret')
    const secret = page.locator('.notice code').first()
    const before = await secret.textContent()
    t.match(before, /^whsec_/)
    await ask(page, 'Rotate', 'Rotate secret')
    await page.getByText('Secret rotated').waitFor()
    await press(page, 'Show secret')
    await page.getByText('The previous secret also signs until').waitFor()
    t.not(await secret.textContent(), before)
    t.strictSame(faults, [])
  })

  t.test('a first verified test takes at most six clicks', async (t) => {
    await call('PUT', '/api/event-types/walk.created', { description: 'A walk began' })
    await call('PUT', '/api/event-types/walk.ended', { description: 'A walk ended' })
    t.teardown(async () => {
      for (const type of ['walk.created', 'walk.ended']) {
        await call('DELETE', `/api/event-types/${type}`)
      }
    })
    const tenant = await newTenant()
    const { page, faults } = await openWindow(browser, url)
    await page.goto(await linkTo(tenant))
    let clicks = 0
    const click = async (what: ReturnType<Page['getByRole']>) => {
      clicks += 1
      await what.click()
    }
    await click(page.getByRole('link', { name: 'Add an endpoint' }))
    await page.getByLabel('URL').fill(`${receiver.url}/walk`)
    await click(page.getByRole('checkbox', { name: 'walk.*' }))
    t.strictSame(await findBarriersOnScreens(page), [], 'the form with its tree')
    await click(page.getByRole('button', { name: 'Create endpoint' }))
    await click(page.getByRole('button', { name: 'Show secret' }))
    await page.getByText('Verify every request with it').waitFor()
    const secret = (await page.locator('.notice code').first().textContent()) ?? ''
    t.strictSame(await findBarriersOnScreens(page), [], 'the secret with its code')
    await page.getByLabel('Type of the test event').selectOption('walk.ended')
    await click(page.getByRole('button', { name: 'Send a test event' }))
    await page.getByText('Test event delivered: HTTP 200').waitFor()
    t.ok(clicks <= 6, `${clicks} clicks`)
    const got = receiver.requests.find((request) => request.path === '/walk')
    t.equal(JSON.parse(String(got?.body)).type, 'walk.ended')
    t.ok(new Webhook(secret).verify(String(got?.body), got?.headers as Record<string, string>))
    const { data } = await call('GET', `/api/tenants/${tenant}/endpoints`)
    t.strictSame(data[0].eventTypes, ['walk.*'])
    t.strictSame(faults, [])
  })

  t.test('an endpoint is edited, paused, resumed and deleted; a failed one retried', async (t) => {
    const tenant = await newTenant()
    const { id } = await call('POST', `/api/tenants/${tenant}/endpoints`, { url: receiver.url })
    const { page, faults } = await openWindow(browser, url, { expected: [/status of 422/] })
    await page.goto(await linkTo(tenant))
    await page.locator('.list .lead').first().click()
    await page.getByRole('link', { name: 'Edit' }).click()
    await page.getByLabel('URL').fill('ftp://wrong')
    await page.getByLabel('Description').fill('kept as typed')
    await press(page, 'Save')
    await page.locator('.mistake').waitFor()
    t.equal(await page.getByLabel('Description').inputValue(), 'kept as typed')
    await page.getByLabel('URL').fill(`${receiver.url}/edited`)
    await press(page, 'Save')
    await page.getByText('Endpoint saved').waitFor()
    await ask(page, 'Pause', 'Pause endpoint')
    await page.getByText('Endpoint paused').waitFor()
    await ask(page, 'Resume', 'Resume endpoint')
    await page.getByText('Endpoint resumed').waitFor()

    receiver.answerWith(() => 500)
    const event = await call('POST', '/api/events', { tenant, type: 'a.b', data: 1 })
    await service.attempted(event.id)
    await page.goto(`/portal/deliveries?endpoint=${id}&class=5`)
    await page.getByRole('table').locator('.lead').first().click()
    receiver.answerWith(() => 200)
    await ask(page, 'Retry now', 'Retry delivery')
    await page.locator('#delivery .facts').getByText('Delivered', { exact: true }).waitFor()

    await page.goto(`/portal/endpoints/${id}`)
    await ask(page, 'Delete', 'Delete endpoint')
    await page.getByText('No endpoints yet').waitFor()
    t.strictSame(faults, [])
  })

  t.test('the live view shows attempts of this tenant as they end, and of no other', async (t) => {
    const [own, other] = [await newTenant(), await newTenant()]
    for (const tenant of [own, other]) {
      await call('POST', `/api/tenants/${tenant}/endpoints`, { url: receiver.url })
    }
    const { page, faults } = await openWindow(browser, url)
    await page.goto(await linkTo(own, { access: 'read' }))
    await page.getByRole('link', { name: 'Live', exact: true }).click()
    await page.locator('#live-state').getByText('Live', { exact: true }).waitFor()
    await call('POST', '/api/events', { tenant: other, type: 'not.mine', data: 1 })
    await call('POST', '/api/events', { tenant: own, type: 'mine.first', data: 1 })
    const rows = page.locator('#live tbody tr')
    await rows.getByText('mine.first').waitFor()
    t.equal(await rows.count(), 1)
    t.match(await rows.first().textContent(), /Delivered HTTP 200/)
    await page
      .locator('#live-seen')
      .getByText(/^Last attempt .* · 1 in the last minute$/)
      .waitFor()
    t.strictSame(await findBarriers(page), [])
    t.strictSame(faults, [])
  })

  t.test('a link that only looks shows no button that acts', async (t) => {
    const tenant = await newTenant()
    await call('POST', `/api/tenants/${tenant}/endpoints`, { url: receiver.url })
    const { page, faults } = await openWindow(browser, url)
    await page.goto(await linkTo(tenant, { access: 'read' }))
    t.equal(await page.getByRole('link', { name: 'New endpoint' }).count(), 0)
    await page.locator('.list .lead').first().click()
    await page.getByRole('heading', { name: receiver.url }).waitFor()
    const buttons = await page.getByRole('button').allTextContents()
    t.strictSame(
      buttons.map((text) => text.trim()),
      ['Display', 'Sign out', ''],
      'and the one that copies the ID',
    )
    t.equal(await page.locator('summary.button').count(), 0)
    t.strictSame(faults, [])
  })

  t.test('a link that has run out says what to do, also in the middle of a visit', async (t) => {
    const tenant = await newTenant()
    const link = await linkTo(tenant, { minutes: 1 })
    const { page, faults } = await openWindow(browser, url, { expected: [/status of 401/] })
    await page.goto(link)
    await page.getByRole('heading', { name: 'Overview', exact: true }).waitFor()
    await pool.query(`update postrider.portal_link set expires_at = now()`)
    await page.getByRole('link', { name: 'Deliveries' }).click()
    await page.getByRole('heading', { name: 'This page is closed' }).waitFor()
    await page.goto(link)
    await page.getByText('Go back to where you found it').waitFor()
    t.equal(await page.getByRole('navigation').count(), 0)
    t.strictSame(await findBarriers(page), [])
    t.strictSame(faults, [])
  })

  t.test('pages without anything on them teach', async (t) => {
    const { page, faults } = await openWindow(browser, url)
    await page.goto(await linkTo(await newTenant()))
    for (const path of ['', '/endpoints', '/deliveries', '/events', '/event-types']) {
      await page.goto(`/portal${path}`)
      t.ok(await page.locator('.empty').isVisible(), `${path} teaches`)
      t.strictSame(await findBarriers(page), [], path)
    }
    t.strictSame(faults, [])
  })

  t.test('pages with everything on them', async (t) => {
    const tenant = await newTenant()
    const paths = await fill(tenant)
    const expected = [/the server responded with a status of 404/]

    t.test('with a pale accent, on a large screen and a phone: no barriers', async (t) => {
      const { page, faults } = await openWindow(browser, url, { expected })
      await page.goto(await linkTo(tenant))
      for (const path of paths) {
        await page.goto(path)
        t.strictSame(await findBarriersOnScreens(page), [], path)
        t.not(await page.title(), 'broken', 'what others wrote is text')
      }
      t.equal(await page.evaluate(`document.querySelector('.brand .logo').naturalWidth`), 1)
      t.strictSame(faults, [])
    })

    t.test('in German the scripts of a page speak it too', async (t) => {
      const { page, faults } = await openWindow(browser, url, {
        permissions: ['clipboard-read', 'clipboard-write'],
      })
      await page.goto(await linkTo(tenant, { locale: 'de' }))
      // Issue 18: it said “seit vor 46 s”.
      await page.getByText(/seit (?:\d+\. \S+ )?\d\d:\d\d:\d\d/).waitFor()
      await page.goto('/portal/deliveries')
      const time = page.locator('td time').first()
      await time.getByText(/^(?:gerade eben|vor \d)/).waitFor()
      t.match(await time.getAttribute('title'), /\d\d\.\d\d\.\d{4}, \d\d:\d\d:\d\d UTC$/)
      await page.locator('td .copy').first().click()
      await page.locator('#said').getByText('Kopiert').waitFor()
      t.strictSame(faults, [])
    })

    t.test(
      'with the keyboard alone: times of both zones, an id copied, a delivery cancelled',
      async (t) => {
        const { page, faults } = await openWindow(browser, url, {
          permissions: ['clipboard-read', 'clipboard-write'],
          timezoneId: 'Asia/Tokyo',
          locale: 'en-GB',
        })
        await page.goto(await linkTo(tenant))
        await page.goto(paths.find((path) => /deliveries\/./.test(path)) ?? '')
        const asWritten = /^\d+ \w+ \d{4}, \d\d:\d\d:\d\d UTC\+9 · /
        t.match(await page.locator('time').first().textContent(), asWritten)
        await tabTo(page, 'Cancel')
        await page.keyboard.press('Enter')
        await tabTo(page, 'Cancel delivery')
        await page.keyboard.press('Enter')
        await page.getByText('Delivery cancelled').waitFor()
        const copy = page.getByRole('button', { name: /^Copy id/i }).first()
        await copy.focus()
        await page.keyboard.press('Enter')
        await page.locator('#said').getByText('Copied').waitFor()
        t.match(page.url(), String(await page.evaluate('navigator.clipboard.readText()')))
        t.strictSame(faults, [])
      },
    )
  })

  /** Whatever somebody may write, hostile; paths of every page. */
  async function fill(tenant: string): Promise<string[]> {
    await call('PUT', '/api/event-types/invoice.paid', {
      description: HOSTILE,
      schema: { type: 'object', examples: [{ note: HOSTILE }] },
    })
    const endpoint = await call('POST', `/api/tenants/${tenant}/endpoints`, {
      url: receiver.url,
      description: HOSTILE,
      headers: { 'x-hostile': HOSTILE },
    })
    receiver.answerWith(() => ({ status: 500, body: HOSTILE }))
    const { id } = await call('POST', '/api/events', {
      tenant,
      type: 'invoice.paid',
      data: { note: HOSTILE },
    })
    const list = `/api/tenants/${tenant}/deliveries?eventId=${id}`
    await service.attempted(id)
    const delivery = (await call('GET', list)).data[0]
    return [
      ...['', '/endpoints', '/deliveries', '/events', `/events/${id}`, '/live', '/event-types'],
      '/event-types/invoice.paid',
      ...['/endpoints/new', `/endpoints/${endpoint.id}`, `/endpoints/${endpoint.id}/edit`],
      ...[`/deliveries/${delivery.id}`, '/nowhere'],
    ]
      .map((path) => `/portal${path}`)
      .concat('/catalog', '/catalog/invoice.paid')
  }
}
