import type { Context } from 'hono'
import { html } from 'hono/html'
import type { Child } from 'hono/jsx'
import type { ContentfulStatusCode } from 'hono/utils/http-status'
import { showHiddenInHtml } from '../hidden-characters.ts'
import type { Scope } from '../postgres/schema.ts'
import type { Assets } from './asset-files.ts'
import type { Viewer } from './viewer.ts'

/** A place of the navigation. */
export interface Place {
  name: string
  path: string
  /** What a viewer needs to see anything there; nothing unless given. */
  scope?: Scope
}

export interface Frame {
  assets: Assets
  /** What the pages are called. */
  product: string
  /** Shown next to that. */
  label?: string
  home: string
  places: readonly Place[]
  signOut: string
}

export interface PageProps {
  title: string
  /** Path of the place that the page belongs to. */
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
    const page = await html`<!doctype html>${(
      <Page frame={frame} viewer={c.get('viewer')} {...props}>
        {children}
      </Page>
    )}`
    return c.html(showHiddenInHtml(String(page)), status)
  }
}

function Page(
  props: Omit<PageProps, 'status'> & {
    frame: Frame
    viewer: Viewer | undefined
    children?: Child
  },
) {
  const { frame, viewer, title, at, hasCharts = false, isLive = false, children } = props
  const { product, label } = frame
  const { urlOf } = frame.assets
  const [theme, logo] = [urlOf('theme.css'), urlOf('logo')]
  return (
    <html lang="en">
      <head>
        <meta charset="utf-8" />
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <meta name="color-scheme" content="light dark" />
        <meta name="htmx-config" content={HTMX_CONFIG} />
        <title>
          {title} · {product}
          {label && ` ${label}`}
        </title>
        <link rel="icon" href={logo || urlOf('icon.svg')} />
        {hasCharts && <link rel="stylesheet" href={urlOf('uplot.css')} />}
        <link rel="stylesheet" href={urlOf('console.css')} />
        {theme && <link rel="stylesheet" href={theme} />}
        <script src={urlOf('htmx.js')} defer />
        {hasCharts && <script src={urlOf('uplot.js')} defer />}
        <script src={urlOf('console.js')} defer />
        {isLive && <script src={urlOf('live.js')} defer />}
      </head>
      <body>
        <a class="skip" href="#main">
          Skip to content
        </a>
        <header class="top">
          <a class="brand" href={frame.home}>
            {logo ? (
              <img class="logo" src={logo} alt="" />
            ) : (
              <img src={urlOf('icon.svg')} alt="" width="24" height="24" />
            )}
            {product} {label && <span>{label}</span>}
          </a>
          {viewer && <Navigation frame={frame} viewer={viewer} at={at} />}
        </header>
        <main id="main" tabindex={-1}>
          {children}
        </main>
        <div id="said" class="hidden" role="status" />
      </body>
    </html>
  )
}

function Navigation(props: { frame: Frame; viewer: Viewer; at: string | undefined }) {
  const { frame, viewer, at } = props
  const places = frame.places.filter(({ scope }) => scope === undefined || viewer.may(scope))
  return (
    <>
      <nav aria-label="Pages">
        <ul>
          {places.map(({ name, path }) => (
            <li>
              <a href={path} aria-current={path === at ? 'page' : undefined}>
                {name}
              </a>
            </li>
          ))}
        </ul>
      </nav>
      <form method="post" action={frame.signOut}>
        <button type="submit" class="quiet">
          Sign out
        </button>
      </form>
    </>
  )
}
