import { type Answer, type Client, needed } from './client.ts'
import type { Making, Party } from './party.ts'

/** Enough for every kind of page about two tenants. */
const PAGES_MAX = 150
const UUID = /[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}/g
/** Names of things that are somebody's, after the name of their kind. */
const NAMED = /\/(?:tenants|event-types)\/([^/?]+)/

/** Pages for people, as somebody sees them who may see them. */
export interface Area {
  name: 'console' | 'portal'
  cookie: string
  pages: { path: string; answer: Answer }[]
  /** Where their forms are sent: those about what is ours, and those about nothing yet. */
  actions: string[]
  /** Scripts, styles, images and streams that its pages load. */
  files: string[]
  /** Whose pages they are, where they are one tenant's. */
  owner: Party | null
}

/** Walks through the console, and the portal of the last party; an area that is not there is left out. */
export async function walkPages(making: Making, parties: Party[]): Promise<Area[]> {
  const { client } = making
  const found: Area[] = []
  const console = await signIn(making)
  if (console) {
    const start = ['/console', ...parties.flatMap(pagesOfConsole)]
    found.push({ name: 'console', owner: null, ...(await walk(client, console, start, parties)) })
  }
  const owner = parties.at(-1)
  const portal = owner && (await enterPortal(client, owner))
  if (portal) {
    const start = ['/portal/endpoints', `/portal/endpoints/${owner.endpoint}`]
    found.push({ name: 'portal', owner, ...(await walk(client, portal, start, [owner])) })
  }
  return found
}

const pagesOfConsole = ({ name, endpoint, event, delivery, incident }: Party): string[] => [
  `/console/tenants/${name}`,
  `/console/endpoints/${endpoint}`,
  `/console/events/${event}`,
  `/console/deliveries/${delivery}`,
  ...(incident ? [`/console/incidents/${incident}`] : []),
  ...['deliveries', 'events', 'endpoints', 'replays', 'incidents', 'keys', 'audit'].map(
    (list) => `/console/${list}?tenant=${name}`,
  ),
]

/** The cookie of a session of the console, ended at the end; null where there is no console. */
async function signIn({ keeper, cleanup, adminKey: key }: Making): Promise<string | null> {
  const answer = await keeper.send('POST', '/console/sign-in', { form: { key } })
  if (answer.status === 404) return null
  const cookie = cookieOf(answer)
  if (cookie === null) throw new Error(`signing in to the console: ${answer.status}`)
  const signOut = () => keeper.send('POST', '/console/sign-out', { cookie, form: {} })
  cleanup.defer(() => signOut().then(() => undefined))
  return cookie
}

/** The cookie of a session of the portal; null where no links are made. */
export async function enterPortal(
  { send }: Client,
  { send: ofOwner, path }: Pick<Party, 'send' | 'path'>,
  link: { access?: 'read' | 'manage' } = {},
): Promise<string | null> {
  const made = await ofOwner('POST', path('/portal-links'), { body: link })
  if (made.status === 404 || made.status === 409) return null
  const { pathname, search } = new URL(needed(made, 'a link to the portal').url)
  return cookieOf(await send('GET', pathname + search))
}

const cookieOf = ({ headers }: Answer): string | null =>
  headers['set-cookie']?.[0]?.split(';')[0] ?? null

async function walk(client: Client, cookie: string, start: string[], parties: Party[]) {
  const waiting = [...start]
  const known = new Set(start.map(kindOf))
  const pages: Area['pages'] = []
  const actions = new Set<string>()
  const files = new Set<string>()
  for (let path = waiting.shift(); path && pages.length < PAGES_MAX; path = waiting.shift()) {
    const answer = await client.send('GET', path, { cookie, readMsMax: 5_000 })
    pages.push({ path, answer })
    for (const file of filesIn(answer.text)) files.add(file)
    for (const action of actionsIn(answer.text)) {
      if (isOurs(action, parties)) actions.add(action)
    }
    for (const link of linksIn(answer.text)) {
      if (known.has(kindOf(link)) || !isOurs(link, parties)) continue
      known.add(kindOf(link))
      waiting.push(link)
    }
  }
  return { cookie, pages, actions: [...actions], files: [...files] }
}

/** Pages that differ in what they are filtered by only are of one kind. */
function kindOf(path: string): string {
  const [place, query = ''] = path.split('?')
  return `${place}?${[...new URLSearchParams(query).keys()].sort()}`
}

const attribute = (text: string, name: string): string[] =>
  [...text.matchAll(new RegExp(`\\b${name}="(/[^"]*)"`, 'g'))].map(([, value = '']) =>
    value.replaceAll('&amp;', '&').replace(/#.*/, ''),
  )

const linksIn = (text: string): string[] =>
  attribute(text, 'href').filter(
    (path) => /^\/(?:console|portal)\b/.test(path) && !/\/assets\/|stream/.test(path),
  )

/** Scripts, styles, images and streams that a page loads, without the version at the end of their addresses. */
export const filesIn = (html: string): string[] =>
  [...attribute(html, 'src'), ...attribute(html, 'href'), ...attribute(html, 'data-source')]
    .filter((path) => /\/assets\/|^\/docs\/|stream/.test(path))
    .map((path) => path.replace(/\?.*/, ''))

/** Where forms are sent that act; those that filter a list are sent as addresses. */
function actionsIn(text: string): string[] {
  const acting = [...text.matchAll(/<form[^>]*method="post"[^>]*>/g)].flatMap(([tag]) =>
    attribute(tag, 'action'),
  )
  return [...acting, ...attribute(text, 'formaction'), ...attribute(text, 'hx-post')]
}

/** About nothing that was here before: whatever breaks, it breaks nobody else's. */
function isOurs(path: string, parties: Party[]): boolean {
  const ids = path.match(UUID) ?? []
  const named = NAMED.exec(path)?.[1]
  const isKnown =
    named === undefined || named === 'new' || parties.some(({ name }) => name === named)
  return isKnown && ids.every((id) => parties.some((party) => party.ids.includes(id)))
}
