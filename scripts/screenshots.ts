/**
 * Makes the pictures of the README: the console of a service that it starts, with an hour of made-up traffic.
 *
 *     node --import ./scripts/jsx.ts scripts/screenshots.ts
 */
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import pg from 'pg'
import type { Page } from 'playwright-core'
import { NO_BROWSER, openWindow, signIn, startBrowser } from '../src/testing/servers/browser.ts'
import { startReceiver } from '../src/testing/servers/receiver.ts'
import { createFolder, startCli } from '../src/testing/wiring/cli.ts'
import { runProgram } from './bench/program.ts'
import { startServer } from './bench/server.ts'

const IMAGES = join(import.meta.dirname, '..', 'docs', 'images')
const KEY = 'admin-key-of-the-pictures'
/** Wide enough for the navigation next to the page; small enough to be read in a README. */
const VIEWPORT = { width: 1200, height: 760 }
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
    await failing.received(1)
    await mkdir(IMAGES, { recursive: true })
    for (const colorScheme of ['light', 'dark'] as const) {
      const { page } = await openWindow(browser, url, { viewport: VIEWPORT, colorScheme })
      await signIn(page, KEY)
      if (colorScheme === 'light') await takeAll(page, delivery)
      else
        await take(page, '/console', 'overview-dark', () =>
          page.locator('canvas').first().waitFor(),
        )
    }
  },
  { minutesMax: 10 },
)

async function takeAll(page: Page, delivery: string): Promise<void> {
  await take(page, '/console', 'overview', () => page.locator('canvas').first().waitFor())
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
  const call = async (method: string, path: string, body: unknown = {}) => {
    const response = await fetch(url + path, {
      method,
      headers: { authorization: `Bearer ${KEY}`, 'content-type': 'application/json' },
      body: JSON.stringify(body),
    })
    if (!response.ok) throw new Error(`${method} ${path}: ${await response.text()}`)
    return response.json() as Promise<{ id: string }>
  }
  await call('PUT', '/api/tenants/acme', { name: 'Acme Corporation' })
  await call('PUT', '/api/tenants/globex', { name: 'Globex' })
  const down = await call('POST', '/api/tenants/acme/endpoints', { url: `${receiverUrl}/down` })
  await call('POST', '/api/tenants/globex/endpoints', { url: `${receiverUrl}/hooks` })
  await storeTraffic(client)
  for (let n = 0; n < 30; n++) {
    const data = { id: 4200 + n, amount: 12.5 * n, currency: 'EUR' }
    const tenant = n === 3 ? 'acme' : n % 2 === 0 ? 'globex' : 'default'
    await call('POST', '/api/events', { tenant, type: TYPES[n % TYPES.length], data })
  }
  const { rows } = await client.query(
    'select id from postrider.delivery where endpoint_id = $1 order by id desc limit 1',
    [down.id],
  )
  return rows[0]?.id
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
