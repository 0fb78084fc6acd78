/** Every page, with something on it and with nothing: for those who do not see it, and on every screen. */

import t from 'tap'
import { addIncident } from '../../testing/data/world.ts'
import {
  findBarriers,
  findBarriersOnScreens,
  type Look,
  NO_BROWSER,
  openWindow,
  signIn,
  startBrowser,
  tabTo,
} from '../../testing/servers/browser.ts'
import { startReceiver } from '../../testing/servers/receiver.ts'
import {
  type ServiceWithPages,
  startServiceWithPages,
} from '../../testing/wiring/service-with-pages.ts'

const browser = await startBrowser(t)
const HOSTILE = '</code></pre><script>document.title="broken"</script><img src=x onerror=alert(1)>'
const ODD =
  'zero\u200bwidth \u202eright to left\u202c \ud83d\udc68\u200d\ud83d\udc69 e\u0301 \u0000'.replace(
    '\u0000',
    '',
  )

const LOOK: Look = 'all'

/** Paths of every page; the first half shows lists. */
async function fill({ call, pool }: ServiceWithPages, receiverUrl: string): Promise<string[]> {
  await call('PUT', '/api/tenants/acme', { name: HOSTILE })
  await call('PUT', '/api/event-types/invoice.paid', {
    description: HOSTILE,
    schema: { type: 'object', examples: [{ note: HOSTILE }] },
  })
  const endpoint = await call('POST', '/api/tenants/acme/endpoints', {
    url: receiverUrl,
    description: HOSTILE,
    headers: { 'x-hostile': HOSTILE },
    filter: `$.note != "x"`,
  })
  const event = await call('POST', '/api/events', {
    tenant: 'acme',
    type: 'invoice.paid',
    data: { note: HOSTILE, odd: ODD, number: 12345678901234567890n.toString() },
  })
  const { data } = await call('GET', `/api/tenants/acme/deliveries?eventId=${event.id}`)
  const replay = await call('POST', '/api/tenants/acme/replays', { since: '2026-01-01T00:00:00Z' })
  await call('POST', '/api/keys', { name: HOSTILE, scopes: ['read'] })
  const tenant = await call('GET', '/api/tenants/acme')
  const incident = await addIncident(pool, tenant.id, endpoint.id)
  const { rows } = await pool.query('select id from postrider.audit_log order by id desc limit 1')
  const ids = [
    ...[`deliveries/${data[0].id}`, `events/${event.id}`, `endpoints/${endpoint.id}`],
    ...[`incidents/${incident}`, `replays/${replay.id}`, `audit/${rows[0].id}`],
  ]
  return [
    ...[
      '',
      '/live',
      '/deliveries',
      '/events',
      '/endpoints',
      '/tenants',
      '/event-types',
      '/replays',
      '/incidents',
      '/ordering',
      '/search?q=acme',
    ],
    ...[
      '/keys',
      '/audit',
      '/settings',
      '/doctor?check=now',
      '/database',
      '/endpoints/new',
      '/nowhere',
    ],
    ...['/tenants/acme', '/event-types/invoice.paid', ...ids.map((id) => `/${id}`)],
    `/endpoints/${endpoint.id}/edit`,
  ].map((path) => `/console${path}`)
}

if (!browser) t.plan(0, NO_BROWSER)
else {
  const service = await startServiceWithPages(t)
  const receiver = await startReceiver({
    answer: () => ({
      status: 500,
      headers: { 'x-hostile': '<script>1</script>' },
      body: HOSTILE + ODD,
    }),
  })
  t.teardown(() => receiver.close())
  const { url, adminKey } = service
  const expected = [/the server responded with a status of 404/]

  t.test('empty pages: axe finds nothing serious, each says what to do', async (t) => {
    const { page, faults } = await openWindow(browser, url, { expected })
    await signIn(page, adminKey)
    await service.call('DELETE', '/api/tenants/default')
    for (const path of ['/deliveries', '/events', '/event-types', '/replays', '/keys']) {
      await page.goto(`/console${path}`)
      t.ok(await page.locator('.empty').isVisible(), `${path} teaches`)
      // A replay needs no command: its form stands above.
      const commands = page.locator('.empty button[data-copy*=" "]')
      if (path !== '/replays') t.ok(await commands.first().isVisible(), `${path} with a command`)
      t.strictSame(await findBarriers(page), [], path)
    }
    t.strictSame(faults, [])
  })

  t.test('with something on them', async (t) => {
    const paths = await fill(service, receiver.url)
    await receiver.received(1)

    t.test(
      'on a desk, a tablet and a phone, in light and dark: no barriers, all of it shown, as text',
      async (t) => {
        const { page, faults } = await openWindow(browser, url, { expected })
        await signIn(page, adminKey)
        for (const path of paths) {
          await page.goto(path)
          t.strictSame(await findBarriersOnScreens(page, LOOK), [], path)
          t.not(await page.title(), 'broken', path)
          t.equal(await page.locator('main script, main img').count(), 0, path)
        }
        await page.goto(paths.find((path) => /deliveries\/./.test(path)) ?? '')
        const text = (await page.locator('main').textContent()) ?? ''
        t.ok(text.includes(HOSTILE), 'the answer, as it was sent')
        t.ok(text.includes('right to left'))
        t.strictSame(faults, [])
      },
    )

    t.test('tables, filters and charts show one zone, the exact time is at hand', async (t) => {
      const { page, faults } = await openWindow(browser, url, { timezoneId: 'Asia/Kolkata' })
      await signIn(page, adminKey)
      await page.goto('/console/deliveries?since=2026-01-31T09:30')
      const time = page.locator('td time').first()
      t.match(await time.textContent(), /ago|now/)
      const at = new Date((await time.getAttribute('datetime')) ?? '')
      const inIndia = new Date(at.getTime() + 5.5 * 3_600_000).toISOString()
      const written = (iso: string) => iso.slice(0, 19).replace('T', ' ')
      const title = (await time.getAttribute('title')) ?? ''
      t.match(title, `${written(inIndia)} (UTC+5:30)`)
      t.match(title, `${written(at.toISOString())} UTC`)

      await page.locator('summary', { hasText: 'Filters' }).click()
      const since = page.getByLabel('From (UTC+5:30)')
      t.match(await since.inputValue(), '2026-01-31T15:00')
      await since.fill('2026-01-31T16:00:00')
      await page.getByRole('button', { name: 'Apply filters' }).click()
      await page.waitForURL(/since=2026-01-31T10%3A30/)
      const deliveries = page.url()

      // Issue 18, B8: the form of a replay took the time of a row for UTC.
      await page.goto('/console/replays?tenant=acme')
      await page.getByText('New replay', { exact: true }).click()
      await page.getByLabel('Since (UTC+5:30)').fill('2026-01-31T16:00:00')
      await page.getByRole('button', { name: 'Count deliveries' }).click()
      await page.getByText('Nothing has been started').waitFor()
      const sent = page.locator('input[type=hidden][name=since]').last()
      t.match(await sent.inputValue(), '2026-01-31T10:30')
      await page.goto(deliveries)

      await page.getByRole('button', { name: 'Display' }).click()
      await page.getByLabel('Time zone').selectOption('UTC')
      await page.getByLabel('Times in tables').selectOption('exact')
      t.equal(await time.textContent(), at.toISOString().slice(11, 19))
      await page.reload()
      t.equal(await time.textContent(), at.toISOString().slice(11, 19), 'the choice is kept')
      await page.locator('summary', { hasText: 'Filters' }).click()
      t.match(await page.getByLabel('From (UTC)').inputValue(), '2026-01-31T10:30')
      t.strictSame(faults, [])
    })

    t.test('by keyboard: a row opens beside its list, which stays where it is', async (t) => {
      const viewport = { width: 1440, height: 900 }
      const { page, faults } = await openWindow(browser, url, { viewport })
      const events = Array.from({ length: 30 }, (_, n) => ({
        tenant: 'acme',
        type: `order.number_${n}`,
        data: { note: 'short' },
      }))
      await service.call('POST', '/api/events/batch', { events })
      await signIn(page, adminKey)
      await page.goto('/console/events')
      const height =
        'document.querySelectorAll(".list tbody tr")[24].getBoundingClientRect().bottom'
      t.ok((await page.evaluate<number>(height)) <= viewport.height, '25 rows on a screen')

      await page.keyboard.press('j')
      await page.keyboard.press('j')
      const second = page.locator('.list .lead').nth(1)
      t.equal(await page.evaluate('document.activeElement.textContent'), await second.textContent())
      await page.keyboard.press('Enter')
      const panel = page.getByRole('complementary', { name: 'Details' })
      await panel.getByRole('heading', { name: (await second.textContent()) ?? '' }).waitFor()
      t.strictSame(await findBarriers(page), [])
      await page.keyboard.press('j')
      const third = (await page.locator('.list .lead').nth(2).textContent()) ?? ''
      await panel.getByRole('heading', { name: third }).waitFor()
      await page.reload()
      await panel.getByRole('heading', { name: third }).waitFor()
      await page.keyboard.press('Escape')
      await panel.waitFor({ state: 'detached' })
      t.equal(await page.evaluate('document.activeElement.textContent'), third, 'focus is back')

      await page.keyboard.press('?')
      await page.getByRole('heading', { name: 'Keyboard' }).waitFor()
      await page.keyboard.press('Escape')
      await page.keyboard.press('/')
      t.equal(await page.evaluate('document.activeElement.id'), 'search-text')
      await page.keyboard.press('Escape')

      await page.getByRole('button', { name: 'Columns' }).click()
      await page.getByLabel('Idempotency key').uncheck()
      await page.reload()
      const head = page.getByRole('columnheader', { name: 'Published' })
      await head.waitFor()
      t.equal(await page.getByRole('columnheader', { name: 'Idempotency key' }).count(), 0)
      t.strictSame(faults, [])
    })

    t.test('filters offer what fits, and are kept as views with their columns', async (t) => {
      const { page, faults } = await openWindow(browser, url)
      await signIn(page, adminKey)
      await page.goto('/console/deliveries')
      await page.locator('#filter-tenant').pressSequentially('acm')
      await page
        .locator('#filter-tenant-suggested option[value=acme]')
        .waitFor({ state: 'attached' })
      await page.locator('#filter-tenant').fill('acme')
      await page.locator('.choices summary', { hasText: 'State' }).click()
      for (const state of ['Pending', 'On hold']) await page.getByLabel(state).check()
      t.strictSame(await findBarriers(page), [], 'the choices are open')
      await page.getByRole('button', { name: 'Apply', exact: true }).click()
      await page.waitForURL(/tenant=acme.*state=pending.*state=held/)
      await page.locator('.choices summary', { hasText: 'Pending, On hold' }).click()
      await page.locator('h1').click()
      t.equal(await page.locator('.choices[open]').count(), 0, 'a click elsewhere closes them')

      await page.getByRole('columnheader', { name: 'Created' }).getByRole('link').click()
      await page.waitForURL(/sort=oldest/)
      await page.getByRole('button', { name: 'Columns' }).click()
      await page.getByLabel('Finished').check()
      await page.waitForURL(/columns=/)
      const address = page.url()
      await page.keyboard.press('Escape')
      await page.getByRole('button', { name: 'Views' }).click()
      await page.getByRole('button', { name: 'Save view' }).click()
      await page.getByLabel('Name').fill('<b>Acme waits</b>')
      await page.locator('dialog').getByRole('button', { name: 'Save view' }).click()
      await page.goto('/console/deliveries')
      await page.getByRole('button', { name: 'Views' }).click()
      t.strictSame(await findBarriers(page), [], 'the views are open')
      await page.getByRole('link', { name: '<b>Acme waits</b>' }).click()
      await page.waitForURL(address)
      await page.getByRole('columnheader', { name: 'Finished' }).waitFor()

      const other = await openWindow(browser, url)
      await signIn(other.page, adminKey)
      await other.page.goto(address)
      await other.page.getByRole('columnheader', { name: 'Finished' }).waitFor()
      await page.getByRole('button', { name: 'Views' }).click()
      await page.getByRole('button', { name: 'Delete view <b>Acme waits</b>' }).click()
      await page.reload()
      await page.getByRole('button', { name: 'Views' }).click()
      await page.getByRole('link', { name: 'Failed in 24 hours' }).waitFor()
      t.equal(await page.getByRole('link', { name: '<b>Acme waits</b>' }).count(), 0)
      t.strictSame([...faults, ...other.faults], [])
    })

    t.test('buttons that destroy do not look like others', async (t) => {
      const { page, faults } = await openWindow(browser, url)
      await signIn(page, adminKey)
      await page.goto(
        paths.find((path) => /endpoints\/[^/]+$/.test(path) && !/new/.test(path)) ?? '',
      )
      const styleOf = (selector: string, name: string) =>
        page.evaluate<string>(
          `getComputedStyle(document.querySelector(${JSON.stringify(selector)})).${name}`,
        )
      const plain = 'main .actions form button'
      t.not(await styleOf('main .actions button.danger', 'color'), await styleOf(plain, 'color'))
      await page.goto('/console/tenants')
      t.not(
        await styleOf('summary.button.primary', 'backgroundColor'),
        await styleOf('body', 'backgroundColor'),
      )
      t.strictSame(faults, [])
    })

    t.test('a page without script shows and does the same', async (t) => {
      const { page, faults } = await openWindow(browser, url, { javaScriptEnabled: false })
      await signIn(page, adminKey)
      await page.goto('/console/tenants/acme')
      await page.getByRole('button', { name: 'Rename' }).click()
      await page.getByRole('textbox', { name: 'Name' }).fill('Acme')
      await page.getByRole('button', { name: 'Rename tenant' }).click()
      await page.getByRole('heading', { name: 'Acme' }).waitFor()
      t.match(await page.locator('time').first().textContent(), /UTC$/)
      t.strictSame(faults, [])
    })

    t.test(
      'the API reference: on a phone, from this server alone, and only inline styles blocked',
      async (t) => {
        const phone = { viewport: { width: 390, height: 844 } }
        const blocked = [
          /inline style/,
          /policy: style-src-(elem|attr) inline/,
          /policy: script-src eval/,
        ]
        const { page, faults } = await openWindow(browser, url, { ...phone, expected: blocked })
        await page.goto('/docs#tag/events/POST/api/events')
        await page.getByRole('heading', { name: 'Publish event', exact: true }).first().waitFor()
        t.equal(await page.evaluate('document.documentElement.scrollWidth'), phone.viewport.width)
        t.equal(await page.getByRole('button', { name: /test request/i }).count(), 0)
        t.strictSame(faults, [])
      },
    )

    t.test('a breach of the policy and a request to elsewhere would be noticed', async (t) => {
      const { page, faults } = await openWindow(browser, url)
      await page.goto('/console/sign-in')
      await page.evaluate(`new Promise((resolve) => {
        document.addEventListener('securitypolicyviolation', resolve)
        document.body.insertAdjacentHTML('beforeend', '<p style="color: red" onclick="1">a</p>')
      })`)
      const noticed = page.waitForEvent('console', (message) => /connect-src/.test(message.text()))
      await page.evaluate(`fetch('http://127.0.0.1:9/').catch(() => {})`)
      await noticed
      t.match(faults.join('\n'), /policy: style-src/)
      t.match(faults.join('\n'), /connect-src/)
    })

    t.test('with the keyboard alone: skip, copy, ask and cancel', async (t) => {
      const { page, faults } = await openWindow(browser, url, {
        permissions: ['clipboard-read', 'clipboard-write'],
      })
      await page.goto('/console')
      await page.keyboard.press('Tab') // skip link
      await page.keyboard.press('Tab') // the name of the product
      await page.keyboard.press('Tab')
      await page.keyboard.type(adminKey)
      await page.keyboard.press('Enter')
      await page.getByRole('heading', { name: 'Home' }).waitFor()

      await page.goto(paths.find((path) => /deliveries\/./.test(path)) ?? '')
      await page.keyboard.press('Tab')
      t.equal(await page.evaluate('document.activeElement.textContent'), 'Skip to content')
      await page.keyboard.press('Enter')
      await tabTo(page, 'Cancel')
      await page.keyboard.press('Enter')
      await tabTo(page, 'Cancel delivery')
      await page.keyboard.press('Enter')
      await page.getByText('Delivery cancelled').waitFor()

      const copy = page.getByRole('button', { name: /^Copy id/i }).first()
      await copy.focus()
      await page.keyboard.press('Enter')
      await page.locator('#said').getByText('Copied').waitFor()
      const copied = await page.evaluate('navigator.clipboard.readText()')
      t.match(page.url(), String(copied))
      t.strictSame(faults, [])
    })
  })
}
