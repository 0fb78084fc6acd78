import type { Context } from 'hono'
import { html } from 'hono/html'
import type { Child } from 'hono/jsx'
import type { ContentfulStatusCode } from 'hono/utils/http-status'
import { showHiddenInHtml } from '../hidden-characters.ts'
import type { Scope } from '../postgres/schema.ts'
import type { Assets } from './asset-files.ts'
import { type Display, DisplayButton, DisplayMenu, displayOf, KeyHelp } from './display.tsx'
import { Icon, type IconName } from './icons.tsx'
import { currentLanguage, say, sayAny, scriptWords } from './language.ts'
import { Command, Countdown, Notice } from './parts.tsx'
import { SearchButton, SearchDialog } from './search-dialog.tsx'
import type { Look, Viewer } from './viewer.ts'

/** A page that the navigation leads to. */
export interface NavigationItem {
  name: string
  path: string
  icon: IconName
  /** Pages with the same word stand together under it. */
  group?: string
  /** Is in the bar of a phone, which has room for four. */
  isMain?: boolean
  /** What a viewer needs to see anything there; nothing unless given. */
  scope?: Scope
}

/** How many things are in trouble, and the page of the navigation that says so. */
interface Trouble {
  path: string
  count(): Promise<number>
}

export interface Frame {
  assets: Assets
  /** What the pages are called. */
  product: string
  /** Shown next to that. */
  label?: string
  home: string
  navigation: readonly NavigationItem[]
  /** Left out where nobody signs in. */
  signOut?: string
  /** Page of the search; left out = there is none. */
  search?: string
  /** Which installation this is, such as production; always in sight. */
  environment?: string | undefined
  /** Why nothing is sent from this database; null = it is. */
  whyUnadopted?: () => string | null
  trouble?: Trouble
}

interface PageProps {
  title: string
  /** Path of the navigation item that the page belongs to. */
  at?: string | undefined
  status?: ContentfulStatusCode
  /** Loads the charts. */
  hasCharts?: boolean
  /** Loads the live view. */
  isLive?: boolean
}

/** No style and no script of htmx in the page, which the policy forbids; no history of pages with secrets. */
const HTMX_CONFIG = JSON.stringify({
  includeIndicatorCSS: false,
  history: false,
  morphIgnore: ['data-htmx-powered', 'open'],
})

export type RenderPage = (
  c: Context,
  props: PageProps,
  children: Child,
) => Response | Promise<Response>

/** Makes the function that answers with a page in this frame. */
export function createRenderPage(frame: Frame): RenderPage {
  return async (c, { status = 200, ...props }, children) => {
    const viewer = c.get('viewer')
    const trouble = viewer ? await troubleOf(frame) : 0
    const look: Look | undefined = c.get('look')
    const shown = { frame, viewer, look, trouble, display: displayOf(c), ...props }
    const page = await html`<!doctype html>${<Page {...shown}>{children}</Page>}`
    return c.html(showHiddenInHtml(String(page)), status)
  }
}

/** A page is worth more than the number beside it. */
const troubleOf = async ({ trouble }: Frame): Promise<number> =>
  trouble ? await trouble.count().catch(() => 0) : 0

interface Shown extends Omit<PageProps, 'status'> {
  frame: Frame
  viewer: Viewer | undefined
  /** Of the portal only. */
  look: Look | undefined
  trouble: number
  display: Display
}

function Page({ children, ...shown }: Shown & { children?: Child }) {
  const { frame, viewer, display } = shown
  return (
    <html lang={currentLanguage()} {...display} data-words={scriptWords()}>
      <Head {...shown} />
      <body>
        <a class="skip" href="#main">
          {say('Skip to content')}
        </a>
        {frame.environment && <div class="stripe" />}
        <header class="top">
          <Brand {...shown} />
          {frame.environment && (
            <span class="environment" title={`Environment: ${frame.environment}`}>
              {frame.environment}
            </span>
          )}
          {viewer && frame.search && <SearchButton />}
        </header>
        {viewer && <Side {...shown} viewer={viewer} />}
        <main id="main" tabindex={-1}>
          {viewer && <CopyNotice reason={frame.whyUnadopted?.() ?? null} />}
          {children}
        </main>
        {viewer && <BottomBar {...shown} viewer={viewer} />}
        {viewer && <DisplayMenu display={display} />}
        {viewer && <KeyHelp />}
        {viewer && frame.search && <SearchDialog path={frame.search} />}
        <div id="said" class="hidden" role="status" />
      </body>
    </html>
  )
}

/** On every page: nothing that is done here reaches anybody. */
function CopyNotice({ reason }: { reason: string | null }) {
  if (reason === null) return null
  return (
    <Notice tone="bad">
      <p>
        Nothing is sent, and nothing can be changed here: {reason}. To let this environment send
        from it, choose what becomes of open deliveries. They are sent after:
      </p>
      <Command>postrider adopt --open send</Command>
      <p>To look first, pause all deliveries until you resume them:</p>
      <Command>postrider adopt --open hold</Command>
    </Notice>
  )
}

/** Trouble is told by the tab as well: somebody may look at another one. */
function Head({ frame, look, title, trouble, hasCharts = false, isLive = false }: Shown) {
  const { label } = frame
  const { urlOf } = frame.assets
  const [theme, logo] = [look?.css ?? urlOf('theme.css'), look?.logo ?? urlOf('logo')]
  const icon = urlOf(trouble > 0 ? 'icon-trouble.svg' : 'icon.svg')
  return (
    <head>
      <meta charset="utf-8" />
      <meta name="viewport" content="width=device-width, initial-scale=1" />
      <meta name="color-scheme" content="light dark" />
      <meta name="htmx-config" content={HTMX_CONFIG} />
      <title>
        {trouble > 0 && `(${trouble}) `}
        {sayAny(title)} · {productOf({ frame, look })}
        {label && ` ${label}`}
      </title>
      <link rel="icon" href={logo || icon} />
      {hasCharts && <link rel="stylesheet" href={urlOf('uplot.css')} />}
      <link rel="stylesheet" href={urlOf('console.css')} />
      {theme && <link rel="stylesheet" href={theme} />}
      <script src={urlOf('htmx.js')} defer />
      {hasCharts && <script src={urlOf('uplot.js')} defer />}
      <script src={urlOf('console.js')} defer />
      {isLive && <script src={urlOf('live.js')} defer />}
    </head>
  )
}

const productOf = ({ frame, look }: Pick<Shown, 'frame' | 'look'>): string =>
  look?.name ?? sayAny(frame.product)

/** Its label gives way to the environment, which tells more. */
function Brand({ frame, look }: Pick<Shown, 'frame' | 'look'>) {
  const { home, assets } = frame
  const label = frame.environment ? undefined : frame.label
  const logo = look?.logo ?? assets.urlOf('logo')
  return (
    <a class="brand" href={home}>
      {logo ? (
        <img class="logo" src={logo} alt="" referrerpolicy="no-referrer" />
      ) : (
        <img src={assets.urlOf('icon.svg')} alt="" width="24" height="24" />
      )}
      <span>
        {productOf({ frame, look })} {label && <span class="muted">{label}</span>}
      </span>
    </a>
  )
}

type Seen = Shown & { viewer: Viewer }

const navigationFor = ({ frame, viewer }: Seen): NavigationItem[] =>
  frame.navigation.filter(({ scope }) => scope === undefined || viewer.may(scope))

/** A sheet on a phone, and beside the page where there is room. */
function Side(seen: Seen) {
  const groups = Map.groupBy(navigationFor(seen), ({ group = '' }) => group)
  return (
    <div id="menu" class="side" popover="auto">
      {seen.frame.search && <SearchButton />}
      <nav aria-label={say('Pages')}>
        {[...groups].map(([group, items]) => (
          <>
            {group !== '' && <h2>{group}</h2>}
            <ul>
              {items.map((item) => (
                <li>
                  <NavigationLink {...seen} item={item} />
                </li>
              ))}
            </ul>
          </>
        ))}
      </nav>
      <div class="foot">
        {seen.look ? <LinkEnd {...seen.look} /> : <p class="who">Signed in: {seen.viewer.who}</p>}
        <DisplayButton />
        <form method="post" action={seen.frame.signOut ?? ''}>
          <button type="submit" title={say('Sign out')}>
            <Icon of="leave" /> {say('Sign out')}
          </button>
        </form>
      </div>
    </div>
  )
}

/** When the pages close, and the way back to where the customer came from. */
function LinkEnd({ backUrl, endsAt }: Look) {
  return (
    <>
      {backUrl !== undefined && (
        <a class="back" href={backUrl} target="_top" title={say('Back to the app')}>
          <Icon of="leave" /> {say('Back to the app')}
        </a>
      )}
      <p class="who">
        {say('This link ends')} <Countdown to={endsAt} />
      </p>
    </>
  )
}

function NavigationLink({ frame, trouble, at, item }: Seen & { item: NavigationItem }) {
  const { name, path, icon } = item
  return (
    <a href={path} title={sayAny(name)} aria-current={path === at ? 'page' : undefined}>
      <Icon of={icon} />
      {sayAny(name)}
      {frame.trouble?.path === path && (
        <span class="count" data-trouble>
          {trouble > 0 ? trouble : ''}
        </span>
      )}
    </a>
  )
}

/** Of a phone: the pages that matter most, and all of them behind the last. */
function BottomBar(seen: Seen) {
  return (
    <nav class="bottom" aria-label={say('Main pages')}>
      <ul>
        {navigationFor(seen)
          .filter(({ isMain }) => isMain)
          .map((item) => (
            <li>
              <NavigationLink {...seen} item={item} />
            </li>
          ))}
        <MoreItem />
      </ul>
    </nav>
  )
}

function MoreItem() {
  return (
    <li>
      <button type="button" popovertarget="menu">
        <Icon of="more" />
        {say('More')}
      </button>
    </li>
  )
}
