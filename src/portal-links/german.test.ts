/** Every page of the portal and of the catalogue, in both languages: what is the same in both is data, code, or both. */
import { readFileSync } from 'node:fs'
import t from 'tap'
import { GERMAN, SCRIPT_TEXTS } from '../console/german.ts'
import { inLanguage, phrase, say, sayMistake, sayNumber, sayTime } from '../console/language.ts'
import { addAttempts } from '../testing/data/attempts.ts'
import { addIncident, createWorld, type World } from '../testing/data/world.ts'
import { createTestDatabase } from '../testing/wiring/database.ts'
import { UNKNOWN } from '../testing/wiring/pages.ts'
import { cookieIn, createTestPortal } from '../testing/wiring/portal.ts'

const { pool } = await createTestDatabase(t)
const portal = await createTestPortal(pool, {}, { EVENT_CATALOG: 'true' })

const german = <T>(work: () => T): T => inLanguage('de', work)
const namesIn = (text: string) => [...text.matchAll(/\{(\w+)\}/g)].map(([name]) => name).sort()

t.test('both languages say every text with the same values', async (t) => {
  const wrong = Object.entries<string>(GERMAN).filter(
    ([english, words]) =>
      words === '' ||
      words.trim() !== words ||
      JSON.stringify(namesIn(words)) !== JSON.stringify(namesIn(english)),
  )
  t.strictSame(wrong, [])
})

t.test('what scripts say is among the texts, and everything that they say', async (t) => {
  const said = ['console.js', 'live.js'].flatMap((name) => {
    const code = readFileSync(new URL(`../console/assets/${name}`, import.meta.url), 'utf8')
    const calls = code.matchAll(/\btr\(\s*(?:\w+ \? )?'([^']+)'(?:\s*:\s*'([^']+)')?/g)
    return [...calls].flatMap(([, ...texts]) => texts.filter(Boolean))
  })
  t.ok(said.length > 20)
  t.strictSame([...new Set(said)].sort(), [...SCRIPT_TEXTS].sort())
})

// Issue 18: the live view of the German portal said “Last attempt just now”.
t.test('scripts say no sentence past the list of texts', async (t) => {
  const known = [...SCRIPT_TEXTS]
  const said = ['console.js', 'live.js'].flatMap((name) => {
    const code = readFileSync(new URL(`../console/assets/${name}`, import.meta.url), 'utf8')
    return [...code.matchAll(/['`]([A-Z][a-z]+(?: [a-z]+)+)/g)].map(([, start = '']) => start)
  })
  t.strictSame(
    said.filter((start) => !known.some((text) => text.startsWith(start))),
    [],
  )
})

t.test('numbers, times and refusals are written as people write them', async (t) => {
  const at = new Date('2026-01-31T12:30:05Z')
  t.equal(sayTime(at), '2026-01-31 12:30:05 UTC')
  t.equal(
    german(() => sayTime(at)),
    '31.01.2026, 12:30:05 UTC',
  )
  t.equal(sayNumber(12_345.5), '12,345.5')
  t.equal(
    german(() => sayNumber(12_345.5)),
    '12.345,5',
  )
  t.equal(
    german(() => say('{span} ago', { span: '2 min' })),
    'vor 2 min',
  )
  t.strictSame(
    german(() => phrase('since {time}', { time: 'x' })),
    ['seit ', 'x', ''],
  )
  t.equal(
    german(() => sayMistake('It is not a URL.')),
    'Das ist keine URL.',
  )
  t.equal(
    german(() => sayMistake('It is more than 60.')),
    'Das ist mehr als 60.',
  )
  t.equal(
    german(() => sayMistake('It is odd.')),
    'Das wird nicht angenommen: It is odd.',
  )
  t.equal(sayMistake('It is odd.'), 'It is odd.')
})

/** What stands on pages in either language: names of things, formats, and words that both have. */
const OF_BOTH = new Set<string>([
  ...Object.entries(GERMAN).flatMap(([english, words]) => (english === words ? [english] : [])),
  ...['Node.js', 'Python', 'Go', 'PHP', 'Ruby', 'Java', 'C#', 'Rust', 'Elixir', 'TypeScript'],
  ...['postrider.test', 'base64', 'data.json', 'body.json', 'Live · Webhooks'],
])

/** What is not ours to translate: code, what was sent, and addresses. */
const DATA = /<(pre|code|kbd|script|style|time)\b[^>]*>[\s\S]*?<\/\1>/g

/** Texts and names of parts of a page, without data. */
function textsOf(html: string): string[] {
  const page = html.replace(/<!doctype html>|<head>[\s\S]*?<title>/g, '').replace(DATA, '<i>')
  const attributes = [...page.matchAll(/ (?:aria-label|title|placeholder|data-label)="([^"]*)"/g)]
  const texts = page.replace(/<[^>]*>/g, '\n').split('\n')
  return [...texts, ...attributes.map(([, text = '']) => text)]
    .map((text) =>
      text
        .replace(/&#39;/g, "'")
        .replace(/&[a-z]+;/g, ' ')
        .trim(),
    )
    .filter((text) => /\p{L}{3}/u.test(text))
}

/** Fills a tenant with one of everything that a customer can see. */
async function createFullWorld() {
  const world = await createWorld(pool, { incident: false })
  const { tenant, ids } = world
  await addAttempts(pool, ids['deliveries'] ?? '', 2)
  await pool.query(
    `update postrider.attempt set outcome = 'rejected', reason = 'status_5xx', status_code = 500
     where delivery_id = $1`,
    [ids['deliveries']],
  )
  await addIncident(pool, tenant.id, ids['endpoints'] ?? '')
  ids['collapsed'] = await addOddDeliveries(ids['deliveries'] ?? '')
  const call = (method: string, path: string, body: unknown) =>
    portal.request(method, path, { body })
  await call('PUT', `/api/event-types/${ids['event-types']}`, { schema: { type: 'object' } })
  await call('PUT', `/api/event-types/${ids['event-types']}`, { schema: true })
  await call('PUT', '/api/event-types/world.a', { description: '4711' })
  await call('PUT', '/api/event-types/world.b', { description: '4711' })
  await call('PATCH', '/api/event-types/world.b', { deprecated: true })
  for (const state of ['paused', 'disabled']) {
    const { json } = await call('POST', `/api/tenants/${tenant.key}/endpoints`, {
      url: `http://127.0.0.1:9/${state}`,
      eventTypes: ['other.*'],
      ordering: 'key',
    })
    await pool.query('update postrider.endpoint set state = $2 where id = $1', [json.id, state])
    ids[state] = json.id
  }
  return world
}

/** One on hold for each reason, and one that a newer event has replaced. @returns the id of that one */
async function addOddDeliveries(delivery: string): Promise<string> {
  await pool.query(
    `insert into postrider.delivery (tenant_id, event_id, endpoint_id, next_attempt_at, state, held_reason, ordering_key)
     select tenant_id, event_id, endpoint_id, now(), 'held', reason, '4711'
     from postrider.delivery, unnest($2::text[]) as reason where id = $1`,
    [delivery, ['disabled', 'paused', 'suspended', 'secret', 'circuit', 'order']],
  )
  const { rows } = await pool.query<{ id: string }>(
    `insert into postrider.delivery (tenant_id, event_id, endpoint_id, next_attempt_at, state, collapsed_by, finished_at, ordering_key)
     select tenant_id, event_id, endpoint_id, null, 'collapsed', event_id, now(), '4711'
     from postrider.delivery where id = $1 returning id`,
    [delivery],
  )
  return rows[0]?.id ?? ''
}

/** Addresses of every page, with what they show in special cases. */
function pathsIn({ ids }: World): string[] {
  const pages = portal.routes
    .filter((route) => route.startsWith('GET') && !/open|sign-out|assets|stream|\.json/.test(route))
    .map((route) =>
      route
        .replace('GET ', '')
        .replace(':number', '1')
        .replace(/([\w-]+)\/:(?:id|name)/, (_, list) => `${list}/${ids[list] ?? UNKNOWN}`),
    )
  const said = ['created', 'changed', 'paused', 'resumed', 'enabled', 'enabling', 'rotated'].concat(
    'rotatedAlone',
  )
  const endpoint = `/portal/endpoints/${ids['endpoints']}`
  return [
    ...pages,
    ...said.map((word) => `${endpoint}?said=${word}`),
    `${endpoint}?said=enabled&since=2026-01-01T00:00&until=2026-01-02T00:00`,
    `${endpoint}?tested=${ids['deliveries']}`,
    ...['paused', 'disabled'].map((state) => `/portal/endpoints/${ids[state]}`),
    `/portal/endpoints/${ids['paused']}/keys?said=gone&refused=in_flight`,
    ...['retried', 'cancelled'].map(
      (word) => `/portal/deliveries/${ids['deliveries']}?said=${word}`,
    ),
    `/portal/deliveries/${ids['collapsed'] ?? UNKNOWN}`,
    ...['endpoints', 'deliveries', 'events'].map(
      (list) => `/portal/${list}?search=nothing-like-it`,
    ),
    ...['deliveries?timeline=on', 'deliveries?state=wrong&since=wrong&endpoint=1', 'nowhere'].map(
      (path) => `/portal/${path}`,
    ),
    ...['/catalog', `/catalog/${ids['event-types']}`, '/catalog/nowhere'],
  ]
}

/** Sessions of a link in English and of one in German. */
const enterBoth = (tenant: string, access: 'read' | 'manage') =>
  Promise.all(
    (['en', 'de'] as const).map(async (locale) => {
      const link = await portal.createLink(tenant, { locale, access })
      const cookie = cookieIn((await portal.open(link)).headers)
      return { cookie, headers: { 'accept-language': locale } }
    }),
  )

/** Texts of the page in English that stand on the one in German as well, and are not data. */
async function leftIn(
  { ids }: World,
  sessions: Awaited<ReturnType<typeof enterBoth>>,
  show: (session: (typeof sessions)[number]) => Promise<{ text: string }>,
): Promise<string[]> {
  const [english = [], translated = []] = await Promise.all(
    sessions.map(async (session) => textsOf((await show(session)).text)),
  )
  const known = Object.values(ids)
  const left = english.filter(
    (text) => translated.includes(text) && !OF_BOTH.has(text) && !isData(text, known),
  )
  return [...new Set(left)]
}

t.test('no page in German has an English text', async (t) => {
  const [full, empty] = [await createFullWorld(), await createWorld(pool, { incident: false })]
  const its = `/api/tenants/${empty.tenant.key}/endpoints/${empty.ids['endpoints']}`
  await portal.request('DELETE', its)
  for (const world of [full, empty]) {
    for (const access of ['manage', 'read'] as const) {
      const sessions = await enterBoth(world.tenant.key, access)
      for (const path of pathsIn(world)) {
        const left = await leftIn(world, sessions, (session) => portal.get(path, session))
        t.strictSame(left, [], `${access} ${path}`)
      }
    }
  }
})

t.test('nor has a form that was refused, or a page that answers one', async (t) => {
  const world = await createFullWorld()
  const sessions = await enterBoth(world.tenant.key, 'manage')
  const path = `/portal/endpoints/${world.ids['endpoints']}`
  const wrong = { url: 'ftp://wrong', timeoutSeconds: '61', eventTypes: '!', description: '4711' }
  const forms: [path: string, fields: Record<string, string>][] = [
    ['/portal/endpoints/new', wrong],
    ['/portal/endpoints/new', { url: '', maxInFlight: 'x', ratePerSecond: '0' }],
    [`${path}/edit`, { ...wrong, beganWith: '{}' }],
    [`${path}/edit`, { url: 'http://127.0.0.1:9/a', eventTypes: 'invoice.*', intent: 'try' }],
    [`${path}/secret`, {}],
    [`${path}/rotate`, { secret: 'short' }],
  ]
  for (const [to, fields] of forms) {
    const left = await leftIn(world, sessions, (session) => portal.post(to, fields, session))
    t.strictSame(left, [], `${to} ${JSON.stringify(fields)}`)
  }
})

/** An address, an id, the name of a type, a header, or what the world was filled with. */
const isData = (text: string, known: readonly string[]): boolean =>
  /127\.0\.0\.1|example\.com|^[\w-]+(?:\.[\w*-]+)+$|^\w+ …|4711|^\$\.|^HTTP \d+$/.test(text) ||
  known.some((id) => text.includes(id))
