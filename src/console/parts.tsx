import type { Child } from 'hono/jsx'
import { Icon } from './icons.tsx'
import { phrase, say, sayAny, sayTime } from './language.ts'
import { shownText } from './shown-text.ts'

/**
 * A time in UTC; the browser says how long ago that is, or when in the zone that was chosen.
 *
 * @param props.isExact within a sentence such as “since 13:10”, where “since 5 min ago” would be none
 */
export function Time({ at, isExact = false }: { at: Date | string | null; isExact?: boolean }) {
  if (at === null) return <span class="muted">–</span>
  const iso = typeof at === 'string' ? at : at.toISOString()
  return (
    <time datetime={iso} data-time={isExact ? 'exact' : true}>
      {sayTime(new Date(iso))}
    </time>
  )
}

/** Counts down in the browser; says the time where there is no script. */
export function Countdown({ to }: { to: Date | string }) {
  const iso = typeof to === 'string' ? to : to.toISOString()
  return (
    <>
      <span data-countdown={iso} /> <Time at={iso} />
    </>
  )
}

/** Ids made close in time begin alike, so the end of one is what tells it apart. */
const ID_END = 12

/** An id that is copied whole with one click; a list shows its end. */
export function Id({
  of,
  href,
  isShort = false,
}: {
  of: string
  href?: string
  isShort?: boolean
}) {
  const text = isShort ? `…${of.slice(-ID_END)}` : of
  const shown = <code title={isShort ? of : undefined}>{text}</code>
  return (
    <span class={isShort ? 'id short' : 'id'}>
      {href ? <a href={href}>{shown}</a> : shown}
      <CopyButton text={of} what={`id ${text}`} />
    </span>
  )
}

/** An icon in lists; with a label, a button like others. */
export function CopyButton({ text, what, label }: { text: string; what: string; label?: string }) {
  const title = say('Copy {what}', { what: sayAny(what) })
  return (
    <button
      type="button"
      class={label ? undefined : 'copy'}
      data-copy={text}
      aria-label={label ? undefined : title}
      title={title}
    >
      <Icon of="copy" /> {label}
    </button>
  )
}

/** A command to paste into a shell. */
export function Command({
  children: text,
  what = 'the command',
}: {
  children: string
  what?: string
}) {
  return (
    <div class="command">
      <pre tabindex={0}>
        <code>{text}</code>
      </pre>
      <CopyButton text={text} what={what} />
    </div>
  )
}

/** Text from outside, shown as text and nothing more. */
export function Raw({ children: text, label }: { children: string; label: string }) {
  return (
    <section class="raw" tabindex={0} aria-label={sayAny(label)}>
      <pre>
        <code>{text}</code>
      </pre>
    </section>
  )
}

/** A body, for people: with line breaks where it is JSON, and only the beginning where it is long. */
export function Body({ of, label, whole }: { of: string; label: string; whole?: string }) {
  const { text, isCut } = shownText(of)
  return (
    <>
      {isCut && (
        <p>
          {phrase('This is the beginning only; {link}.', {
            link: <a href={whole}>{say('the whole is a file')}</a>,
          })}
        </p>
      )}
      <Raw label={label}>{text}</Raw>
    </>
  )
}

/** Says what to do next where there is nothing yet. */
export function Empty({ title, children }: { title: string; children?: Child }) {
  return (
    <div class="empty">
      <h2>{sayAny(title)}</h2>
      {children}
    </div>
  )
}

/** Words of states and outcomes by how they are to be taken; never by colour alone. */
const TONES: Record<string, 'good' | 'bad' | 'busy' | 'hold'> = {
  delivered: 'good',
  active: 'good',
  live: 'good',
  closed: 'good',
  done: 'good',
  failed: 'bad',
  rejected: 'bad',
  unreachable: 'bad',
  blocked: 'bad',
  disabled: 'bad',
  reaped: 'bad',
  revoked: 'bad',
  open: 'bad',
  silent: 'bad',
  pending: 'busy',
  delivering: 'busy',
  started: 'busy',
  running: 'busy',
  held: 'hold',
  paused: 'hold',
}

/** What people call a state where its word in the API is another. */
const LABELS: Record<string, string> = { delivering: 'Sending', held: 'On hold' }

export const stateLabel = (state: string): string =>
  LABELS[state] ?? state.charAt(0).toUpperCase() + state.slice(1)

export function Badge({ of, label = stateLabel(of) }: { of: string; label?: string }) {
  return <span class={`badge ${TONES[of] ?? 'off'}`}>{sayAny(label)}</span>
}

/** More of a URL is read by nobody in a table. */
const URL_SHOWN_MAX = 44

/** Host and path without what every address has, its middle left out where it is long. */
function shortUrl(url: string): string {
  const text = url.replace(/^https?:\/\//, '').replace(/\/$/, '')
  if (text.length <= URL_SHOWN_MAX) return text
  const half = Math.floor(URL_SHOWN_MAX / 2)
  return `${text.slice(0, half)}…${text.slice(-half)}`
}

/** What people call an endpoint: its description, with its host beside it, otherwise its URL. */
export function EndpointName(endpoint: { url: string; description?: string; href?: string }) {
  const { url, description = '', href } = endpoint
  const [name, host] = description === '' ? [shortUrl(url)] : [description, hostOf(url)]
  return (
    <span class="name" title={description === '' ? url : `${description} – ${url}`}>
      {href ? <a href={href}>{name}</a> : <span>{name}</span>}
      {host && <span class="muted">{host}</span>}
    </span>
  )
}

const hostOf = (url: string): string => URL.parse(url)?.host ?? url

interface TableProps {
  label: string
  head: readonly string[]
  id?: string
  /** Where a script finds its rows. */
  source?: string
  children?: Child
}

/** A table that scrolls within itself where the screen is narrow. */
export function Table({ label, head, id, source, children }: TableProps) {
  return (
    <section class="scroll" tabindex={0} aria-label={sayAny(label)}>
      <table id={id} data-source={source}>
        <thead>
          <tr>
            {head.map((title) => (
              <th scope="col">{sayAny(title)}</th>
            ))}
          </tr>
        </thead>
        <tbody>{children}</tbody>
      </table>
    </section>
  )
}

type Fact = readonly [name: string, value: Child]
const isThere = ([, value]: Fact): boolean => value !== false && value !== null

/** Names and values; one whose value is false or null is left out. */
export function Facts({ of }: { of: readonly Fact[] }) {
  return (
    <dl class="facts">
      {of.filter(isThere).map(([name, value]) => (
        <div>
          <dt>{sayAny(name)}</dt>
          <dd>{value}</dd>
        </div>
      ))}
    </dl>
  )
}

interface ConfirmProps {
  label: string
  /** Of many with the same label: what tells this one apart for those who hear it. */
  about?: string
  action: string
  question: string
  /** On the button that acts: a verb and what it acts on. */
  yes: string
  isDangerous?: boolean
  /** Where it was answered already, and refused. */
  isOpen?: boolean
  children?: Child
}

/** Something that acts, behind a question in a dialog that the browser opens by itself. */
export function Confirm(props: ConfirmProps) {
  const {
    label,
    about,
    action,
    question,
    yes,
    isDangerous = false,
    isOpen = false,
    children,
  } = props
  const id = `ask-${action.replace(/\W+/g, '-')}`
  const tone = isDangerous ? 'danger' : undefined
  return (
    <>
      <button
        type="button"
        class={tone}
        command="show-modal"
        commandfor={id}
        aria-label={about && `${sayAny(label)} ${about}`}
      >
        {sayAny(label)}
      </button>
      <dialog id={id} aria-labelledby={`${id}-title`} closedby="any" open={isOpen}>
        <h2 id={`${id}-title`}>{sayAny(yes)}</h2>
        <form method="post" action={action}>
          <p>{sayAny(question)}</p>
          {children}
          <div class="actions">
            <button type="button" command="close" commandfor={id}>
              {say('Go back')}
            </button>
            <button type="submit" class={tone ?? 'primary'}>
              {sayAny(yes)}
            </button>
          </div>
        </form>
      </dialog>
    </>
  )
}

/** A refusal or a success, said at the top of a page. */
export function Notice({ tone, children }: { tone: 'good' | 'bad' | 'busy'; children?: Child }) {
  return (
    <div class={`notice ${tone}`} role={tone === 'bad' ? 'alert' : 'status'}>
      {children}
    </div>
  )
}
