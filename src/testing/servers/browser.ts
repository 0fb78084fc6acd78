import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { type Browser, type BrowserContextOptions, chromium, type Page } from 'playwright-core'
import { findProgram } from '../programs.ts'

/**
 * As Debian, Ubuntu, Fedora, Arch and Google call it. The first is Chromium without what shows it to a person: a
 * window takes it a third of the processor.
 */
const PROGRAMS = ['chromium-headless-shell', 'chromium', 'chromium-browser', 'google-chrome']
const AXE = createRequire(import.meta.url).resolve('axe-core/axe.min.js')
/** Axe's words for what keeps somebody from using a page. */
const SERIOUS = new Set(['serious', 'critical'])
/** Far above what a page takes on a busy machine, below tap's own limit, so its message is seen. */
const WAIT_MS_MAX = 30_000
/** Chromium writes some breaches of the policy to its console by itself, but not all. */
const REPORT_VIOLATIONS = `document.addEventListener('securitypolicyviolation', (event) => {
  console.error('policy: ' + event.violatedDirective + ' ' + event.blockedURI + ' ' + event.sourceFile)
})`
/** For a test that is skipped; in CI nothing may be. */
export const NO_BROWSER =
  'there is no browser to test with: apt-get install chromium-headless-shell'

type Lifetime = { teardown(done: () => unknown): void; afterEach?(done: () => unknown): void }

/**
 * Its windows are closed with the test that opened them: a page that follows what happens would go on with it.
 *
 * @param args more switches of Chromium
 * @returns null when none is installed; skip then with `NO_BROWSER`
 */
export async function startBrowser(t: Lifetime, args: string[] = []): Promise<Browser | null> {
  const executablePath = PROGRAMS.map(findProgram).find(Boolean)
  if (!executablePath) return null
  const browser = await chromium.launch({
    executablePath,
    // Chromium has no sandbox for root, which CI and containers run as; it sees our own pages only.
    args: ['--no-sandbox', '--disable-dev-shm-usage', ...args],
  })
  t.afterEach?.(() => Promise.all(browser.contexts().map((window) => window.close())))
  t.teardown(() => browser.close())
  return browser
}

export interface Watched {
  page: Page
  /** Errors and warnings in the console, exceptions, breaches of the policy, requests to elsewhere. */
  faults: string[]
}

/**
 * Its own window, without cookies of others, whose faults are written down.
 *
 * @param options.expected faults that the test makes on purpose, such as a refused form
 */
export async function openWindow(
  browser: Browser,
  url: string,
  { expected = [], ...options }: BrowserContextOptions & { expected?: RegExp[] } = {},
): Promise<Watched> {
  // What moves would be drawn sixty times a second, without a graphics card.
  const still = { reducedMotion: 'reduce' } as const
  const context = await browser.newContext({ baseURL: url, ...still, ...options })
  const faults: string[] = []
  const note = (fault: string) => {
    if (!expected.some((pattern) => pattern.test(fault))) faults.push(fault)
  }
  await context.addInitScript({ content: REPORT_VIOLATIONS })
  const page = await context.newPage()
  page.setDefaultTimeout(WAIT_MS_MAX)
  page.on('console', (message) => {
    if (['error', 'warning'].includes(message.type())) note(`console: ${message.text()}`)
  })
  page.on('pageerror', (error) => note(`exception: ${error.message}`))
  page.on('request', (request) => {
    if (!request.url().startsWith(url)) note(`elsewhere: ${request.url()}`)
  })
  return { page, faults }
}

/**
 * Gives the window a session, without its form: that takes a second of the processor, and one test of it is enough
 * (`signInByHand`). No page is open afterwards.
 */
export async function signIn(page: Page, key: string): Promise<void> {
  const form = (await page.request.get('/console/sign-in')).url()
  const headers = { origin: new URL(form).origin }
  const answer = await page.request.post(form, { form: { key }, headers, maxRedirects: 0 })
  if (answer.status() !== 303) throw new Error(`sign-in answered ${answer.status()}`)
}

/** As a person does it; the overview is open afterwards. */
export async function signInByHand(page: Page, key: string): Promise<void> {
  await page.goto('/console/sign-in')
  await page.getByLabel('API key').fill(key)
  await page.getByRole('button', { name: 'Sign in' }).click()
  await page.getByRole('button', { name: 'Sign out' }).waitFor()
}

/** As on a screen of 4K, in light; not as high, since drawing it is most of the work. */
const LARGE = { width: 3840, height: 720 }
const PHONE = { width: 320, height: 640 }

/**
 * What keeps somebody from using the page in light on a large screen, then in dark on a phone, where only what
 * can differ is looked at: colours, and whether all of it fits.
 */
export async function findBarriersOnScreens(page: Page): Promise<string[]> {
  await page.emulateMedia({ colorScheme: 'light' })
  await page.setViewportSize(LARGE)
  const large = [...(await findBarriers(page)), ...(await findOverflow(page))]
  await page.emulateMedia({ colorScheme: 'dark' })
  await page.setViewportSize(PHONE)
  const phone = [...(await findBarriers(page, 'cat.color')), ...(await findOverflow(page))]
  return [...large, ...phone.map((barrier) => `on a phone: ${barrier}`)]
}

/** Whether the page wants to be wider than it is. */
async function findOverflow(page: Page): Promise<string[]> {
  const [wanted, there] = await page.evaluate<[number, number]>(
    '[document.documentElement.scrollWidth, document.documentElement.clientWidth]',
  )
  return wanted > there ? [`${wanted} pixels wide, of which ${there} are shown`] : []
}

/** More than any page has. */
const STOPS_MAX = 200

/** Presses Tab until this has the focus, as somebody without a mouse does. */
export async function tabTo(page: Page, text: string): Promise<void> {
  for (let stop = 0; stop < STOPS_MAX; stop++) {
    await page.keyboard.press('Tab')
    if ((await page.evaluate('document.activeElement.textContent')) === text) return
  }
  throw new Error(`Tab does not lead to ${text}`)
}

/**
 * What axe finds on the page that keeps somebody from using it, in words.
 *
 * @param only a group of axe's rules, such as `cat.color` for a page whose other rules were looked at
 */
export async function findBarriers(page: Page, only?: string): Promise<string[]> {
  // Evaluated by the debugger, to which the policy of the page does not apply.
  if (await page.evaluate('!window.axe')) await page.evaluate(readFileSync(AXE, 'utf8'))
  // What passes is not asked for: axe would describe every element of the page, which takes longer than looking.
  const options = { resultTypes: ['violations'], ...(only && { runOnly: [only] }) }
  const run = `axe.run(${JSON.stringify(options)}).then(({ violations }) => violations)`
  const violations = await page.evaluate<Violation[]>(run)
  return violations
    .filter(({ impact }) => SERIOUS.has(impact))
    .map(({ id, help, nodes }) => `${id}: ${help}: ${nodes.map(({ html }) => html).join(' ')}`)
}

interface Violation {
  id: string
  impact: string
  help: string
  nodes: { html: string }[]
}
