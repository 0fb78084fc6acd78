import type { Context } from 'hono'
import { getCookie } from 'hono/cookie'
import { Icon } from './icons.tsx'
import { say } from './language.ts'
import type { Look } from './viewer.ts'

/** Written by the browser, and read here so that a page arrives as it is to look. */
const COOKIE = 'postrider_display'

/** What somebody can choose about how pages look; the first choice is the default. */
const CHOICES = {
  theme: [
    ['system', 'As the system'],
    ['light', 'Light'],
    ['dark', 'Dark'],
  ],
  zone: [
    ['local', 'Local time'],
    ['utc', 'UTC'],
  ],
  times: [
    ['relative', 'Relative (2 min ago)'],
    ['exact', 'Exact (13:12:18)'],
  ],
  density: [
    ['compact', 'Compact rows'],
    ['roomy', 'Roomy rows'],
  ],
} as const

const LABELS = {
  theme: 'Theme',
  zone: 'Time zone',
  times: 'Times in tables',
  density: 'Density',
} as const satisfies Record<keyof typeof CHOICES, string>

export type Display = Partial<Record<`data-${keyof typeof CHOICES}`, string>>

/** Attributes of the page for what was chosen; before anything was, a customer has the theme of their link. */
export function displayOf(c: Context): Display {
  const chosen = getCookie(c, COOKIE)
  const theme = (c.get('look') as Look | undefined)?.theme
  if (chosen === undefined && theme) return { 'data-theme': theme }
  const words = new Set((chosen ?? '').split('.'))
  return Object.fromEntries(
    Object.entries(CHOICES).flatMap(([name, choices]) => {
      const chosen = choices.slice(1).find(([word]) => words.has(word))
      return chosen ? [[`data-${name}`, chosen[0]]] : []
    }),
  )
}

/** Acts at once, by script; without one every page looks as by default. */
export function DisplayMenu({ display }: { display: Display }) {
  return (
    <div id="display" class="popover" popover="auto">
      <h2>{say('Display')}</h2>
      {Object.entries(CHOICES).map(([name, choices]) => (
        <div class="field">
          <label for={`display-${name}`}>{say(LABELS[name as keyof typeof LABELS])}</label>
          <select id={`display-${name}`} data-display={name}>
            {choices.map(([word, label]) => (
              <option value={word} selected={display[`data-${name}` as keyof Display] === word}>
                {say(label)}
              </option>
            ))}
          </select>
        </div>
      ))}
    </div>
  )
}

export function DisplayButton() {
  return (
    <button type="button" popovertarget="display" title={say('Display')}>
      <Icon of="display" /> {say('Display')}
    </button>
  )
}

const KEYS = [
  ['/', 'Search'],
  ['Ctrl-K, ⌘K', 'Search'],
  ['j, k', 'Next or previous row'],
  ['Enter', 'Open the row'],
  ['Esc', 'Close a panel or dialog'],
  ['?', 'Show these keys'],
] as const

/** What the keyboard does, shown at `?`. */
export function KeyHelp() {
  return (
    <dialog id="keys" aria-labelledby="keys-title" closedby="any">
      <h2 id="keys-title">{say('Keyboard')}</h2>
      <dl class="facts">
        {KEYS.map(([keys, what]) => (
          <div>
            <dt>{say(what)}</dt>
            <dd>
              {keys.split(', ').map((key) => (
                <>
                  <kbd>{key}</kbd>{' '}
                </>
              ))}
            </dd>
          </div>
        ))}
      </dl>
      <form method="dialog" class="actions">
        <button type="submit">{say('Close')}</button>
      </form>
    </dialog>
  )
}
