/** Lists in another order than that of time: every row once, whichever way, page by page. */
import t from 'tap'
import type { DeliverySearch } from '../../deliveries/deliveries.ts'
import type { TenantId } from '../../ids.ts'
import { EVERY_TENANT } from '../../tenants/listed-tenants.ts'
import { createWork } from '../../testing/data/work.ts'
import { recordQueries } from '../../testing/queries.ts'
import { createTestServices } from '../../testing/wiring/api.ts'
import { createTestDatabase } from '../../testing/wiring/database.ts'
import { createTestConsole } from '../../testing/wiring/pages.ts'
import { createTestPortal } from '../../testing/wiring/portal.ts'

const { pool } = await createTestDatabase(t)
const { get, signedIn } = await createTestConsole(pool)
const cookie = await signedIn()
const page = async (path: string) => await get(path, { cookie })

/** What leads on from each page of the list, in its order. */
async function follow(first: string, row: RegExp): Promise<{ rows: string[]; pages: number }> {
  const rows: string[] = []
  let [path, pages]: [string | undefined, number] = [first, 0]
  while (path) {
    const { status, text } = await page(path.replaceAll('&amp;', '&'))
    t.equal(status, 200, path)
    rows.push(...[...text.matchAll(row)].map(([, name = '']) => name))
    path = /<a class="button" href="([^"]+)" rel="next"/.exec(text)?.[1]
    pages += 1
  }
  return { rows, pages }
}

/** Of the column with this label: where it leads, and how the list is sorted by it. */
function headOf(text: string, label: string): { href: string; sort: string | undefined } {
  const [head = ''] = text.match(new RegExp(`<th[^>]*>\\s*<a[^>]*>${label} `)) ?? []
  return {
    href: (/href="([^"]+)"/.exec(head)?.[1] ?? '').replaceAll('&amp;', '&'),
    sort: /aria-sort="(\w+)"/.exec(head)?.[1],
  }
}

t.test('tenants by key, both ways', async (t) => {
  await pool.query(
    `insert into postrider.tenant (key, name) select md5(n::text), 'T' from generate_series(1, 120) n`,
  )
  const { rows } = await pool.query<{ key: string }>(
    'select key from postrider.tenant order by key',
  )
  const keys = rows.map(({ key }) => key)
  const lead = /class="lead" href="\/console\/tenants\/([^"]+)"/g
  const newest = await page('/console/tenants')
  t.strictSame(headOf(newest.text, 'Created').sort, 'descending')
  const unsorted = headOf(newest.text, 'Key')
  t.strictSame(unsorted, { href: '/console/tenants?sort=key', sort: undefined })

  const up = await follow(unsorted.href, lead)
  t.strictSame(up.rows.map(decodeURIComponent), keys)
  t.equal(up.pages, 3)
  const sorted = await page(unsorted.href)
  const ascending = headOf(sorted.text, 'Key')
  t.strictSame(ascending, { href: '/console/tenants?sort=-key', sort: 'ascending' })
  t.strictSame(headOf(sorted.text, 'Created'), { href: '/console/tenants', sort: undefined })
  const down = await follow(ascending.href, lead)
  t.strictSame(down.rows.map(decodeURIComponent), keys.toReversed())
  t.equal(headOf((await page(ascending.href)).text, 'Key').sort, 'descending')
})

/** Deliveries of a tenant that wait, each two for one moment. */
async function waiting(count: number) {
  const work = await createWork(pool)
  const { id } = await work.publish()
  await pool.query(
    `insert into postrider.delivery (tenant_id, event_id, endpoint_id, next_attempt_at)
     select tenant_id, event_id, endpoint_id, now() + make_interval(secs => (n * 37 % 100) / 2 + 0.000001 * n)
     from postrider.delivery, generate_series(1, $2::int) n where id = $1`,
    [id, count],
  )
  await pool.query(
    `update postrider.delivery set next_attempt_at = date_trunc('second', next_attempt_at)
     where tenant_id = $1`,
    [work.tenant.id],
  )
  const { rows } = await pool.query<{ id: string }>(
    `select id from postrider.delivery where tenant_id = $1 order by next_attempt_at, id`,
    [work.tenant.id],
  )
  return { ...work, ids: rows.map((row) => row.id) }
}

t.test('deliveries by their next attempt, both ways, and with a filter', async (t) => {
  const other = await waiting(3)
  const { tenant, ids } = await waiting(120)
  const lead = /class="lead" href="\/console\/deliveries\/([^"]+)"/g
  const path = `/console/deliveries?tenant=${tenant.key}`
  const soonest = headOf((await page(path)).text, 'Next attempt')
  const up = await follow(soonest.href, lead)
  t.strictSame(up.rows, ids)
  t.equal(up.pages, 3)
  const ascending = headOf((await page(soonest.href)).text, 'Next attempt')
  t.equal(ascending.sort, 'ascending')
  t.strictSame((await follow(ascending.href, lead)).rows, ids.toReversed())

  const all = await follow('/console/deliveries?sort=next', lead)
  t.strictSame(all.rows.toSorted(), [...ids, ...other.ids].toSorted())
  const { text } = await page(soonest.href)
  t.match(text, /<input type="hidden" name="sort" value="next"/, 'filters keep the order')
  const wider = await page(`${soonest.href}&state=pending&state=held`)
  for (const shown of [text, wider.text]) {
    t.match(
      shown,
      /<input type="hidden" name="f.state" value="pending"/,
      'a bulk job takes no more',
    )
  }
  const failed = await page(`${soonest.href}&state=failed`)
  t.match(failed.text, 'Only pending deliveries are listed by their next attempt')
  t.notMatch(text, /data-column="next"[^>]*hidden/, 'the column is there')
  await pool.query(
    `update postrider.delivery set state = 'held', held_reason = 'paused' where id = $1`,
    [ids[0]],
  )
  t.equal((await follow(soonest.href, lead)).rows.length, ids.length - 1, 'nothing that is held')
})

// Issue 18: what a limit had put off showed when its turn was, and looked out of order.
t.test('what is put off is shown where it is due, with the time of its turn', async (t) => {
  const { tenant, ids } = await waiting(3)
  const later = new Date(Date.now() + 3_600_000).toISOString()
  await pool.query('update postrider.delivery set put_off_until = $2 where id = $1', [
    ids[0],
    later,
  ])
  const path = `/console/deliveries?tenant=${tenant.key}`
  const cellOf = async (query: string) => {
    const { text } = await page(`${path}${query}`)
    const row = text.slice(text.indexOf(`/console/deliveries/${ids[0]}"`))
    const [cell = ''] = /<td[^>]*data-column="next"[\s\S]*?<\/td>/.exec(row) ?? []
    return [...cell.matchAll(/datetime="([^"]+)"/g)].map(([, at]) => at)
  }
  const { rows } = await pool.query(
    'select next_attempt_at from postrider.delivery where id = $1',
    [ids[0]],
  )
  t.strictSame(await cellOf('&sort=next'), [rows[0].next_attempt_at.toISOString(), later])
  t.strictSame(await cellOf(''), [later])
})

t.test('an order or a place that a list does not have is refused', async (t) => {
  for (const query of ['sort=next', 'sort=nonsense', 'sort=key&after=%2F'])
    t.equal((await page(`/console/tenants?${query}`)).status, 422, query)
  for (const query of ['sort=key', 'sort=--next'])
    t.equal((await page(`/console/deliveries?${query}`)).status, 422, query)
  t.equal((await page('/console/events?sort=next')).status, 422)
  const id = '01900000-0000-7000-8000-000000000000'
  for (const place of [
    'nowhere',
    `2026-02-30T00:00:00.000000Z~${id}`,
    `2026-01-01T24:00:00.000000Z~${id}`,
    `0000-01-01T00:00:00.000000Z~${id}`,
    `2026-01-01T00:00:00.000000Z~${'-'.repeat(36)}`,
  ]) {
    const nowhere = await page(`/console/deliveries?sort=next&after=${place}`)
    t.equal(nowhere.status, 200, place)
    t.match(nowhere.text, /No deliveries match|No deliveries yet/, place)
  }
})

t.test(
  'customers do not sort by next attempt, for which all tenants would be looked at',
  async (t) => {
    const { tenant } = await waiting(3)
    const portal = await createTestPortal(pool)
    const cookie = await portal.entered(tenant.key)
    const { status, text } = await portal.get('/portal/deliveries', { cookie })
    t.equal(status, 200)
    t.ok(headOf(text, 'Created').href)
    t.notMatch(text, /sort=-?next/)
    for (const sort of ['next', '-next']) {
      t.match(await portal.get(`/portal/deliveries?sort=${sort}`, { cookie }), { status: 422 })
    }
  },
)

t.test('a range of the timeline begins with the first page', async (t) => {
  const place = '2026-01-01T00:00:00.000000Z~01900000-0000-7000-8000-000000000000'
  const { text } = await page(`/console/deliveries?sort=next&after=${place}&timeline=on`)
  const [, range = ''] = /data-range="([^"]+)"/.exec(text) ?? []
  t.match(range, 'sort=next')
  t.notMatch(range, 'after=')
})

t.test('the next attempts of a tenant are found without a sort of what waits', async (t) => {
  const { tenant } = await waiting(5_000)
  await pool.query('analyze postrider.delivery')
  const recorded = recordQueries(pool)
  const { deliveries } = createTestServices(recorded.pool)
  const query: DeliverySearch = { by: 'next', isOldestFirst: true, limit: 50, before: null }
  const first = await deliveries.search(tenant.id as TenantId, query)
  t.equal(first.rows.length, 50)
  await deliveries.search(EVERY_TENANT, { ...query, before: first.next as never })
  const plans = (await recorded.explain(pool)).filter((plan) => / on delivery/.test(plan))
  t.equal(plans.length, 2)
  for (const plan of plans) {
    t.match(plan, /Index Scan using delivery_\w*next_attempt_at\w*/)
    t.notMatch(plan, /Seq Scan on delivery/)
    const read = [...plan.matchAll(/using delivery_\w*next_attempt_at\S* .*actual rows=(\d+)/g)]
    t.ok(
      read.every(([, rows]) => Number(rows) < 1_000),
      plan,
    )
  }
})
