/**
 * Makes the pictures of README and docs, light, dark and on a phone: the console and the customer portal of a service that it starts, with an hour of made-up traffic.
 *
 *     npm run screenshots
 */
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import pg from 'pg'
import type { BrowserContextOptions, Page } from 'playwright-core'
import { NO_BROWSER, openWindow, signIn, startBrowser } from '../src/testing/servers/browser.ts'
import { startReceiver } from '../src/testing/servers/receiver.ts'
import { createFolder, startCli } from '../src/testing/wiring/cli.ts'
import { runProgram } from './bench/program.ts'
import { startServer } from './bench/systems/server.ts'

const IMAGES = join(import.meta.dirname, '..', 'docs', 'images')
const KEY = 'admin-key-of-the-pictures'
/** Wide enough for the navigation next to the page; small enough to be read in a README. */
const VIEWPORT = { width: 1200, height: 760 }
const PHONE = { width: 390, height: 844 }
/** Events for the receiver that is down, of two attempts each: enough for an incident. */
const FAILING = 4
const TYPES = ['invoice.paid', 'invoice.due', 'order.shipped', 'user.created']

await runProgram(
  async (cleanup) => {
    const lifetime = {
      teardown: (done: () => unknown) => cleanup.defer(async () => void (await done())),
    }
    const browser = await startBrowser(lifetime)
    if (!browser) throw new Error(NO_BROWSER)
    const databaseUrl = await (await startServer(cleanup)).createDatabase('screenshots')
    const dev = startCli(lifetime as never, ['dev'], {
      cwd: createFolder(lifetime as never),
      env: {
        DATABASE_URL: databaseUrl,
        PORT: '0',
        POSTRIDER_ADMIN_KEY: KEY,
        RETRY_SCHEDULE: '1,3600,3600,3600',
      },
    })
    const url = /API +(\S+)/.exec(await dev.printed(/Stop with Ctrl-C/))?.[1] ?? ''
    const failing = await startReceiver({
      answer: ({ path }) =>
        path === '/down' ? { status: 503, body: '{"error":"maintenance"}' } : 200,
    })
    cleanup.defer(failing.close)
    const client = new pg.Client({ connectionString: databaseUrl })
    await client.connect()
    cleanup.defer(() => client.end())

    const delivery = await fill({ url, receiverUrl: failing.url, client })
    await incidentIn(client)
    await mkdir(IMAGES, { recursive: true })
    const open = (options: BrowserContextOptions) => openWindow(browser, url, options)
    const light = await open({ viewport: VIEWPORT, colorScheme: 'light' })
    await signIn(light.page, KEY)
    await takeConsole(light.page, delivery)
    const dark = await open({ viewport: VIEWPORT, colorScheme: 'dark' })
    await signIn(dark.page, KEY)
    await takeOverview(dark.page, 'overview-dark')
    const phone = await open({ viewport: PHONE, colorScheme: 'light' })
    await signIn(phone.page, KEY)
    await takeOverview(phone.page, 'overview-phone')
    const customer = await open({ viewport: VIEWPORT, colorScheme: 'light' })
    await take(customer.page, await portalLink(url), 'portal')
  },
  { minutesMax: 10 },
)

async function takeOverview(page: Page, name: string): Promise<void> {
  await take(page, '/console', name, () => page.locator('canvas').first().waitFor())
}

async function takeConsole(page: Page, delivery: string): Promise<void> {
  await takeOverview(page, 'overview')
  await take(page, '/console/deliveries', 'deliveries')
  await take(page, `/console/deliveries/${delivery}`, 'delivery', () =>
    page.getByRole('heading', { name: 'Attempt 2' }).waitFor(),
  )
}

async function take(page: Page, path: string, name: string, ready = async () => {}): Promise<void> {
  await page.goto(path)
  await ready()
  await page.screenshot({ path: join(IMAGES, `${name}.png`), animations: 'disabled' })
}

/** Calls the API as the admin. */
function calling(url: string) {
  return async (method: string, path: string, body: unknown = {}) => {
    const response = await fetch(url + path, {
      method,
      headers: { authorization: `Bearer ${KEY}`, 'content-type': 'application/json' },
      body: JSON.stringify(body),
    })
    if (!response.ok) throw new Error(`${method} ${path}: ${await response.text()}`)
    return response.json() as Promise<{ id: string; url: string }>
  }
}

async function portalLink(url: string): Promise<string> {
  return (await calling(url)('POST', '/api/tenants/acme/portal-links')).url
}

/** @returns the delivery that waits for its third attempt */
async function fill({
  url,
  receiverUrl,
  client,
}: {
  url: string
  receiverUrl: string
  client: pg.Client
}): Promise<string> {
  const call = calling(url)
  await call('PUT', '/api/tenants/acme', { name: 'Acme Corporation' })
  await call('PUT', '/api/tenants/globex', { name: 'Globex' })
  const down = await call('POST', '/api/tenants/acme/endpoints', {
    url: `${receiverUrl}/down`,
    description: 'Billing',
  })
  await call('POST', '/api/tenants/globex/endpoints', {
    url: `${receiverUrl}/hooks`,
    description: 'Orders',
  })
  await storeTraffic(client)
  for (let n = 0; n < 30; n++) {
    const data = { id: 4200 + n, amount: 12.5 * n, currency: 'EUR' }
    const tenant = n % 8 === 3 ? 'acme' : n % 2 === 0 ? 'globex' : 'default'
    await call('POST', '/api/events', { tenant, type: TYPES[n % TYPES.length], data })
  }
  const { rows } = await client.query(
    'select id from postrider.delivery where endpoint_id = $1 order by id desc limit 1',
    [down.id],
  )
  return rows[0]?.id
}

/** Until the service has found that an endpoint keeps failing, after the last attempt that the pictures show. */
async function incidentIn(client: pg.Client): Promise<void> {
  const open = () =>
    client.query('select from postrider.incident where failures >= $1', [2 * FAILING])
  while ((await open()).rowCount === 0) await setTimeout(200)
}

/** Attempts of the hour that has passed: a wave, with a few that failed. */
async function storeTraffic(client: pg.Client): Promise<void> {
  await client.query(`
    insert into postrider.attempt (id, tenant_id, delivery_id, endpoint_id, number, trigger, outcome,
      status_code, duration_ms, runner, started_at, finished_at)
    select (left(postrider.id_at(at)::text, 14) || substr(gen_random_uuid()::text, 15))::uuid,
      e.tenant_id, gen_random_uuid(), e.id, 1, 'schedule',
      case when random() < 0.02 then 'rejected' else 'delivered' end, 200,
      25 + 20 * random() + case when random() < 0.06 then 180 * random() else 0 end, 'r', at, at
    from generate_series(1, 58) as minute,
      lateral generate_series(1, (120 + 70 * sin(minute / 7.0) + 25 * random())::int) as n,
      lateral (select now() - make_interval(mins => minute) + make_interval(secs => n / 5.0)) as t (at),
      lateral (select id, tenant_id from postrider.endpoint order by id limit 1) as e`)
}
