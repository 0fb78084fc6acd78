import type { Area } from '../areas.ts'
import { type Attack, type Finding, finding, notTried } from '../attack.ts'
import { type Answer, describe } from '../client.ts'
import type { Field } from '../field.ts'

/** What every page says of itself, so that a text that got past the escaping could do nothing. */
const HEADERS: [name: string, value: RegExp][] = [
  ['content-security-policy', /default-src 'none'(?!.*unsafe).*frame-ancestors /],
  ['x-content-type-options', /^nosniff$/],
  ['cache-control', /no-store/],
  ['referrer-policy', /same-origin|no-referrer/],
]

/** Pages of an area that are shown a wrong cookie: each is a wrong key, and 60 a minute close the door for all that follows. */
const FORGED_MAX = 15

export const pages: Attack = {
  name: 'pages',
  about: 'every page without a session and with another one; markup of tenants in it; frames',
  async *run(field) {
    const areas = await field.areas()
    if (areas.length === 0) return yield notTried('pages', 'there are none here')
    for (const area of areas) {
      const others = areas.filter(({ name }) => name !== area.name).map(({ cookie }) => cookie)
      const step = Math.ceil(area.pages.length / FORGED_MAX)
      for (const [n, page] of area.pages.entries()) {
        const forged = n % step === 0 ? others.map(renamedFor(area)) : []
        yield* tryPage(field, page, [undefined, ...forged])
      }
      yield* tryForeign(field, area)
    }
    yield* tryDestinations(field)
  },
}

/** The value of another area's cookie under the name that this one looks for. */
const renamedFor =
  (area: Area) =>
  (cookie: string): string =>
    `${cookie}; ${area.cookie.split('=')[0]}=${cookie.split('=')[1]}`

async function* tryPage(
  field: Field,
  { path, answer }: Area['pages'][number],
  cookies: (string | undefined)[],
): AsyncGenerator<Finding> {
  const mistakes = mistakesIn(field, answer)
  const said =
    mistakes.length === 0 ? `${answer.status}` : `${answer.status}, ${mistakes.join(', ')}`
  yield finding(`${path}: what it may do, and what is markup`, mistakes.length === 0, said)
  const refused = await Promise.all(cookies.map((cookie) => field.send('GET', path, { cookie })))
  const held = refused.every((one) => isClosed(one) && !showsAnything(field, one))
  yield finding(`${path} without its session`, held, refused.map(describe).join(', '))
}

function mistakesIn({ victim, attacker }: Field, { status, headers, text }: Answer): string[] {
  const missing = HEADERS.filter(([name, value]) => !value.test(String(headers[name] ?? '')))
  const isPage = /html/.test(headers['content-type'] ?? '')
  const marked = [victim, attacker].some(({ name }) => text.includes(`<${name}`))
  return [
    ...(status >= 500 ? ['a fault'] : []),
    ...missing.map(([name]) => `no good ${name}`),
    ...(isPage && marked ? ['markup of a tenant'] : []),
  ]
}

const isClosed = ({ status, headers }: Answer): boolean =>
  [401, 403].includes(status) ||
  (status === 303 && /sign-in/.test(headers.location ?? '')) ||
  (status === 302 && /sign-in/.test(headers.location ?? ''))

function showsAnything({ victim, attacker }: Field, { text }: Answer): boolean {
  return [victim, attacker].some(({ ids, secrets }) =>
    [...ids, ...secrets].some((one) => text.includes(one)),
  )
}

/** The pages of one tenant, with what is another's in their addresses. */
async function* tryForeign(field: Field, { owner, pages, cookie }: Area): AsyncGenerator<Finding> {
  if (!owner) return
  const { victim } = field
  const own = [owner.endpoint, owner.event, owner.delivery]
  const foreign = [victim.endpoint, victim.event, victim.delivery]
  for (const { path } of pages) {
    const at = own.findIndex((id) => path.includes(id))
    if (at === -1) continue
    const other = path.replaceAll(own[at] ?? '', foreign[at] ?? '')
    const answer = await field.send('GET', other, { cookie })
    const said = `${other} `
    const leaked = [victim.name, ...victim.ids, ...victim.secrets].filter(
      (one) => answer.text.includes(one) && !said.includes(one),
    )
    const held = answer.status < 500 && leaked.length === 0
    yield finding(`${other} in the portal of another tenant`, held, describe(answer))
  }
}

/** Signing in leads to a page of ours, whatever the link said. */
async function* tryDestinations({ send, adminKey: key, keeper, cleanup }: Field) {
  for (const to of [
    '//example.com',
    'https://example.com/',
    '/\\example.com',
    '/console/../../a',
    '/console\\a',
    'javascript:alert(1)',
  ]) {
    const answer = await send('POST', '/console/sign-in', { form: { key, to } })
    if (answer.status === 404) return
    const cookie = answer.headers['set-cookie']?.[0]?.split(';')[0]
    const signOut = () => keeper.send('POST', '/console/sign-out', { cookie, form: {} })
    cleanup.defer(() => signOut().then(() => undefined))
    const held = answer.status === 303 && /^\/console(?!\\)/.test(answer.headers.location ?? '')
    yield finding(`signing in on the way to ${to}`, held, describe(answer))
  }
}
