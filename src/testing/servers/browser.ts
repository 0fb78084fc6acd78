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

/** For all files, as strict as the strictest needs: no third-party cookies but partitioned ones. */
const SWITCHES = [
  // Chromium has no sandbox for root, which CI and containers run as; it sees our own pages only.
  '--no-sandbox',
  '--disable-dev-shm-usage',
  '--test-third-party-cookie-phaseout',
  // A page lives for a second or two, in which its scripts do not earn back what optimizing them costs.
  '--js-flags=--no-turbofan',
]

type Lifetime = {
  teardown(done: () => unknown): void
  afterEach?(done: () => unknown): void
  parent?: unknown
}

/** Of this process: files that run together share it. */
let shared: Browser | undefined

/**
 * One for all files of a process, which ends with the last of them. Windows are closed with the test that opened them:
 * a page that follows what happens would go on with it.
 *
 * @returns null when none is installed; skip then with `NO_BROWSER`
 */
export async function startBrowser(t: Lifetime): Promise<Browser | null> {
  const executablePath = PROGRAMS.map(findProgram).find(Boolean)
  if (!executablePath) return null
  const browser = shared?.isConnected() ? shared : await launch(outermost(t), executablePath)
  shared = browser
  t.afterEach?.(() => Promise.all(browser.contexts().map((window) => window.close())))
  return browser
}

async function launch(t: Lifetime, executablePath: string): Promise<Browser> {
  const browser = await chromium.launch({ executablePath, args: SWITCHES })
  t.teardown(() => browser.close())
  return browser
}

/** The test of the process, around those of its files. */
function outermost(t: Lifetime): Lifetime {
  return t.parent ? outermost(t.parent as Lifetime) : t
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

/** A screen of 4K, as high as others, since drawing it is most of the work, and the smallest phone. */
const EXTREMES = [3840, 320]
/** A desk, a tablet, a phone. */
const WIDTHS = [1440, 1024, 390]
const HEIGHT = 900
const THEMES = ['light', 'dark'] as const

/** On which screens, and in which themes, axe looks at a page; that it fits is looked at on all of them. */
export type Look = 'desk' | 'desk and phone' | 'all'

/**
 * What keeps somebody from using the page, and whether it fits on every screen. Axe looks at it on a desk in light, on a
 * phone in dark as well, or on three screens in both themes. A theme changes colours alone, so in dark nothing else is
 * looked at.
 */
export async function findBarriersOnScreens(
  page: Page,
  look: Look = 'desk and phone',
): Promise<string[]> {
  const found: string[] = []
  for (const width of [...WIDTHS, ...EXTREMES]) {
    await page.setViewportSize({ width, height: HEIGHT })
    const barriers = await findOverflow(page)
    for (const theme of themesOn(width, look)) {
      await page.emulateMedia({ colorScheme: theme })
      const only = theme === 'dark' ? 'cat.color' : undefined
      barriers.push(...(await findBarriers(page, only)).map((barrier) => `${theme}: ${barrier}`))
    }
    found.push(...barriers.map((barrier) => `${width} pixels: ${barrier}`))
  }
  return found
}

function themesOn(width: number, look: Look): readonly (typeof THEMES)[number][] {
  if (look === 'all') return WIDTHS.includes(width) ? THEMES : []
  if (width === WIDTHS[0]) return ['light']
  return look === 'desk and phone' && width === WIDTHS.at(-1) ? ['dark'] : []
}

/** Whether the page, or a list on it, wants to be wider than it is, or squeezes a text into a column of letters. */
async function findOverflow(page: Page): Promise<string[]> {
  return await page.evaluate<string[]>(`
    [
      ...[document.documentElement, ...document.querySelectorAll('.scroll:has(.list)')]
        .filter(({ scrollWidth, clientWidth }) => scrollWidth > clientWidth)
        .map(({ ariaLabel, scrollWidth, clientWidth }) =>
          (ariaLabel ?? 'page') + ': ' + scrollWidth + ' pixels wide, of which ' + clientWidth + ' are shown'),
      ...[...document.querySelectorAll('.list td')]
        .filter(({ offsetWidth, offsetHeight }) => offsetHeight > 3 * offsetWidth)
        .map(({ textContent, offsetWidth }) => textContent + ': squeezed to ' + offsetWidth + ' pixels'),
    ]`)
}

/**
 * Counts the clicks of a person in this window, whatever pages they lead to; a key that presses a button is none.
 *
 * @returns how many there have been; call it before the first page is opened
 */
export async function countClicks(page: Page): Promise<() => number> {
  let clicks = 0
  await page.exposeFunction('countClick', () => {
    clicks += 1
  })
  await page.addInitScript(
    `addEventListener('click', ({ isTrusted, detail }) => isTrusted && detail > 0 && countClick(), true)`,
  )
  return () => clicks
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
