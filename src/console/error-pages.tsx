import type { Context, Hono } from 'hono'
import { HTTPException } from 'hono/http-exception'
import type { Log } from '../log.ts'
import { Problem, problemBody } from '../problem.ts'
import { readForm, sentence, urlWith } from './forms.ts'
import { phrase, say, sayAny, sayMistake } from './language.ts'
import type { Frame, RenderPage } from './layout.tsx'
import type { PageEnv } from './viewer.ts'

interface ErrorPage {
  status: 400 | 403 | 404 | 409 | 410 | 413 | 415 | 422 | 429 | 500 | 503
  title: string
  detail: string
}

const NOT_FOUND: ErrorPage = {
  status: 404,
  title: 'Page not found',
  detail: 'The address is wrong, or the page no longer exists.',
}

interface ErrorPages {
  render: RenderPage
  log: Pick<Log, 'error'>
  /** Where somebody can go on from an address that leads nowhere. */
  ways: Pick<Frame, 'home' | 'navigation' | 'search'>
}

/** What is thrown becomes a page; only what is no fault of the viewer's is logged. */
export function addErrorPages(app: Hono<PageEnv>, { render, log, ways }: ErrorPages): void {
  const forms = formsOf(app)
  const page = (c: Context, errorPage: ErrorPage) =>
    errorPage === NOT_FOUND
      ? render(c, NOT_FOUND, <NotFound request={c.req} ways={ways} />)
      : showError(c, render, { errorPage, back: backOf(c, forms, ways) })
  app.onError(async (error, c) => {
    const errorPage = errorPageOf(error)
    if (errorPage.status === 500) {
      const { address: client } = c.get('client')
      log.error({ err: error, method: c.req.method, path: c.req.path, client }, 'page.failed')
    }
    if ('retryAfterSeconds' in error) c.header('retry-after', String(error.retryAfterSeconds))
    if (error instanceof Problem) {
      for (const [name, value] of Object.entries(error.headers)) c.header(name, value)
    }
    return await page(c, errorPage)
  })
  app.all('*', async (c) => {
    // The address of a form that was answered with a page, opened again: the page above has the form.
    const { method, path } = c.req
    const isForm = method === 'GET' && forms.some((pattern) => pattern.test(path))
    if (isForm) return c.redirect(path.slice(0, path.lastIndexOf('/')), 303)
    return await page(c, NOT_FOUND)
  })
}

/** What is only posted to, and stands below a page. */
const formsOf = (app: Hono<PageEnv>): RegExp[] =>
  app.routes
    .filter(({ method, path }) => method === 'POST' && /:[^/]+\/[^/:]+$/.test(path))
    .map(({ path }) => new RegExp(`${path.replace(/:[^/]+/g, '[^/]+')}$`))

/** More is no id. */
const ID_LENGTH_MAX = 100

type Asked = Pick<Context['req'], 'method' | 'path'>

/** What was asked for, where it could be, and the lists that are there. */
function NotFound({ request, ways }: Pick<ErrorPages, 'ways'> & { request: Asked }) {
  const { home, navigation, search } = ways
  const [area = '', list = ''] = request.path.split('/').slice(1)
  const parent = navigation.find((item) => item.path === `/${area}/${list}`)
  const start = navigation.find((item) => item.path === home)
  const id = parent && idIn(request)
  return (
    <section class="narrow">
      <h1>{sayAny(NOT_FOUND.title)}</h1>
      <p>
        {id === undefined
          ? sayMistake(NOT_FOUND.detail)
          : phrase('Nothing was found for {id}. It was deleted, or its retention has ended.', {
              id: <code>{id}</code>,
            })}
      </p>
      <p class="actions">
        {id !== undefined && search && (
          <a class="button primary" href={urlWith(search, { q: id })}>
            Search everything
          </a>
        )}
        {parent && (
          <a class="button" href={parent.path}>
            {sayAny(parent.name)}
          </a>
        )}
        {start && (
          <a class="button" href={home}>
            {sayAny(start.name)}
          </a>
        )}
      </p>
    </section>
  )
}

/** What the page of one thing was asked for; of longer addresses, and of forms, something else can be what is missing. */
function idIn({ method, path }: Asked): string | undefined {
  const [, , , asked, ...more] = path.split('/')
  const isPage = ['GET', 'HEAD'].includes(method) && more.length === 0
  return isPage && asked ? tryDecode(asked).slice(0, ID_LENGTH_MAX) : undefined
}

/** An address can hold what is no text. */
function tryDecode(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}

/** What can be tried again elsewhere: something was asked for that is refused as it is. */
const HAS_WAY_BACK: readonly number[] = [400, 409, 413, 415, 422, 429]

interface Way {
  path: string
  name?: string
}

/** The page that a form belongs to; of anything else its list. */
function backOf(c: Context, forms: readonly RegExp[], ways: ErrorPages['ways']): Way | undefined {
  const { path } = c.req
  const isForm = isKept(c) && forms.some((pattern) => pattern.test(path))
  if (isForm) return { path: path.slice(0, path.lastIndexOf('/')) }
  if (!isKept(c) && c.req.method === 'POST') return undefined
  const [area = '', list = ''] = path.split('/').slice(1)
  const { navigation, home } = ways
  return (
    navigation.find((item) => item.path === `/${area}/${list}`) ??
    navigation.find((item) => item.path === home)
  )
}

async function showError(
  c: Context,
  render: RenderPage,
  { errorPage, back }: { errorPage: ErrorPage; back: Way | undefined },
) {
  const { status, title, detail } = errorPage
  const typed = status === 503 && isKept(c) ? await readForm(c) : null
  return render(
    c,
    { title, status },
    <section class="narrow">
      <h1>{sayAny(title)}</h1>
      <p>{sayMistake(detail)}</p>
      {typed && <Again action={c.req.path} values={typed} />}
      {back && HAS_WAY_BACK.includes(status) && (
        <p class="actions">
          <a class="button" href={back.path}>
            {back.name ? sayAny(back.name) : say('Back')}
          </a>
        </p>
      )}
    </section>,
  )
}

/** What holds a form up for a while is no reason to type it again. A key is not sent back, wherever it came from. */
const isKept = ({ req }: Context): boolean => req.method === 'POST' && !/sign-in$/.test(req.path)

function Again({ action, values }: { action: string; values: Record<string, string> }) {
  return (
    <form method="post" action={action} class="stack">
      {Object.entries(values).map(([name, value]) => (
        <input type="hidden" name={name} value={value} />
      ))}
      <button type="submit" class="primary">
        {say('Send again')}
      </button>
    </form>
  )
}

function errorPageOf(error: Error): ErrorPage {
  if ('code' in error && String(error.code).endsWith('_not_found')) return NOT_FOUND
  if (error instanceof HTTPException) return ofStatus(error.status, error.message)
  const { status, detail } = problemBody(error)
  return ofStatus(status, sentence(detail))
}

const outage: ErrorPage = {
  status: 503,
  title: 'The database is not available',
  detail: 'Nothing is lost. Try again in a moment.',
}

/** What refuses such a form has no words. */
const FROM_ELSEWHERE = 'The form came from a page of another site.'

function ofStatus(status: number, detail: string): ErrorPage {
  switch (status) {
    case 403:
      return { status, title: 'You are not allowed to do this', detail: detail || FROM_ELSEWHERE }
    case 404:
      return NOT_FOUND
    case 410:
      return { status, title: 'This no longer exists', detail }
    case 409:
      return { status, title: 'Not possible right now', detail }
    case 400:
    case 413:
    case 415:
    case 422:
      return { status, title: 'Request rejected', detail }
    case 429:
      return { status, title: 'Too many requests', detail }
    case 503:
      return outage
    default:
      return {
        status: 500,
        title: 'Something went wrong on our side',
        detail: 'The error was logged.',
      }
  }
}
